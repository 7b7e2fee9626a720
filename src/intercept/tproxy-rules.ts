import { type InterceptOptions, LOOPBACK, OUTBOUND_MARK, PASSTHROUGH_SOURCE } from './options.ts';
import { type Family, jump, type Match, RETURN, type Rule, type Table, type Target } from './rule.ts';
import { excludedInterfaceRules, excludedPortRules, inboundExclusions, rule, tcp } from './rule-parts.ts';

/**
 * Inbound connections by TPROXY (Documentation/networking/tproxy.rst of Linux): a packet is given to the proxy's socket as
 * it is, so both of its addresses stay. Packets of such a connection carry a mark, by which routing table 133 delivers
 * them here although their address is the client's, when the proxy calls the app in the client's name.
 */
export function mangleTable(options: InterceptOptions, family: Family): Table {
  const { tproxyMark, inboundPort } = options;
  return {
    name: 'mangle',
    chains: [
      { name: 'ISTIO_DIVERT', rules: [rule({}, { kind: 'mark', mark: tproxyMark }), rule({}, { kind: 'accept' })] },
      {
        name: 'ISTIO_TPROXY',
        rules: [
          rule(
            { notDestination: LOOPBACK[family], isTcp: true },
            { kind: 'tproxy', port: inboundPort, mark: tproxyMark },
          ),
        ],
      },
      { name: 'ISTIO_INBOUND', rules: inboundRules(options, family) },
      { name: 'ISTIO_OUTPUT', rules: outputRules(options, family) },
    ],
    hooks: [
      { hook: 'PREROUTING', rule: rule({ isTcp: true }, jump('ISTIO_INBOUND')) },
      { hook: 'OUTPUT', rule: rule({ isTcp: true }, jump('ISTIO_OUTPUT')) },
    ],
  };
}

function inboundRules(options: InterceptOptions, family: Family): Rule[] {
  const rules: Rule[] = [...excludedInterfaceRules(options, 'in')];
  const add = (match: Match, target: Target): void => void rules.push(rule(match, target));
  for (const inInterface of options.virtualInterfaces) add({ inInterface }, RETURN);
  // The proxy's connection to its app in the client's name: the app's answers are to find back.
  add({ isTcp: true, mark: options.tproxyMark }, { kind: 'save-mark' });
  add({ isTcp: true, mark: options.tproxyMark }, RETURN);
  add({ isTcp: true, source: PASSTHROUGH_SOURCE[family], inInterface: 'lo' }, RETURN);
  // The app calls itself by the pod's address.
  add({ isTcp: true, inInterface: 'lo', notMark: OUTBOUND_MARK }, RETURN);
  rules.push(...excludedPortRules([options.tunnelPort, ...inboundExclusions(options)]));
  for (const port of options.inboundPorts === '*' ? [undefined] : options.inboundPorts) {
    add({ ...tcp(port), isEstablished: true }, jump('ISTIO_DIVERT'));
    add(tcp(port), jump('ISTIO_TPROXY'));
  }
  return rules;
}

function outputRules(options: InterceptOptions, family: Family): Rule[] {
  const rules: Rule[] = [...excludedInterfaceRules(options, 'out')];
  const add = (match: Match, target: Target): void => void rules.push(rule(match, target));
  add({ isTcp: true, outInterface: 'lo', mark: options.tproxyMark }, RETURN);
  const toSelf: Match = { notDestination: LOOPBACK[family], isTcp: true, outInterface: 'lo' };
  // From the outbound side of the proxy to the inbound one.
  for (const uid of options.proxyUids) add({ ...toSelf, uid }, { kind: 'mark', mark: OUTBOUND_MARK });
  for (const gid of options.proxyGids) add({ ...toSelf, gid }, { kind: 'mark', mark: OUTBOUND_MARK });
  add({ isTcp: true, connectionMark: options.tproxyMark }, { kind: 'restore-mark' });
  return rules;
}
