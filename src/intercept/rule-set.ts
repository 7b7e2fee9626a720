import { isLoopback } from './cidr.ts';
import { type InterceptOptions, LOOPBACK, PASSTHROUGH_SOURCE } from './options.ts';
import { type Chain, type Family, jump, type Match, RETURN, type Rule, type Table, type Target } from './rule.ts';
import { excludedInterfaceRules, excludedPortRules, inboundExclusions, rule, tcp } from './rule-parts.ts';
import { mangleTable } from './tproxy-rules.ts';

/** The rules of one family, table by table, as Istio has them: whoever knows a pod of Istio's knows this one. */
export function buildTables(options: InterceptOptions, family: Family): Table[] {
  const nat = natTable(options, family);
  return takesInboundBy(options, 'tproxy') ? [mangleTable(options, family), nat] : [nat];
}

/** Whether inbound traffic is taken at all, and in this way. */
export function takesInboundBy({ mode, inboundPorts }: InterceptOptions, way: InterceptOptions['mode']): boolean {
  return mode === way && (inboundPorts === '*' || inboundPorts.length > 0);
}

function natTable(options: InterceptOptions, family: Family): Table {
  const inbound = [...virtualInterfaceRules(options, family)];
  const isByRedirect = takesInboundBy(options, 'redirect');
  if (isByRedirect) inbound.push(...excludedInterfaceRules(options, 'in'));
  inbound.push(rule({ isTcp: true, destinationPort: options.tunnelPort }, RETURN));
  if (isByRedirect) {
    inbound.push(...excludedPortRules(inboundExclusions(options)));
    const ports = options.inboundPorts === '*' ? [undefined] : options.inboundPorts;
    for (const port of ports) inbound.push(rule(tcp(port), jump('ISTIO_IN_REDIRECT')));
  }
  const chains: Chain[] = [
    { name: 'ISTIO_INBOUND', rules: inbound },
    { name: 'ISTIO_REDIRECT', rules: [rule({ isTcp: true }, { kind: 'redirect', port: options.outboundPort })] },
    { name: 'ISTIO_IN_REDIRECT', rules: [rule({ isTcp: true }, { kind: 'redirect', port: options.inboundPort })] },
    { name: 'ISTIO_OUTPUT', rules: outputRules(options, family) },
  ];
  const hooks: Table['hooks'][number][] = [];
  if (isByRedirect || options.virtualInterfaces.length > 0) {
    hooks.push({ hook: 'PREROUTING', rule: rule({ isTcp: true }, jump('ISTIO_INBOUND')) });
  }
  hooks.push({ hook: 'OUTPUT', rule: rule({ isTcp: true }, jump('ISTIO_OUTPUT')) });
  return { name: 'nat', chains, hooks };
}

/** The order is what it is about: the first rule that matches decides. */
function outputRules(options: InterceptOptions, family: Family): Rule[] {
  const rules: Rule[] = [];
  const add = (match: Match, target: Target): void => void rules.push(rule(match, target));
  rules.push(...excludedInterfaceRules(options, 'out'), ...excludedPortRules(options.excludedOutboundPorts));
  // The proxy's connection to its app.
  add({ outInterface: 'lo', source: PASSTHROUGH_SOURCE[family] }, RETURN);
  // Loopback ranges that shall be intercepted would never get as far as their rule.
  const ranges = options.outboundRanges;
  const sparesLoopback = ranges === '*' || !ranges.some(isLoopback);
  const toSelf: Match = {
    outInterface: 'lo',
    notDestination: LOOPBACK[family],
    isTcp: true,
    notDestinationPort: options.tunnelPort,
  };
  // The app called its own service: what the outbound side sends to this pod comes in by the inbound side.
  for (const uid of options.proxyUids) add({ ...toSelf, uid }, jump('ISTIO_IN_REDIRECT'));
  if (sparesLoopback && options.proxyUids.length > 0) add({ outInterface: 'lo', notUids: options.proxyUids }, RETURN);
  for (const uid of options.proxyUids) add({ uid }, RETURN);
  for (const gid of options.proxyGids) add({ ...toSelf, gid }, jump('ISTIO_IN_REDIRECT'));
  if (sparesLoopback && options.proxyGids.length > 0) add({ outInterface: 'lo', notGids: options.proxyGids }, RETURN);
  for (const gid of options.proxyGids) add({ gid }, RETURN);
  for (const uid of options.excludedUids) add({ uid }, RETURN);
  for (const gid of options.excludedGids) add({ gid }, RETURN);
  add({ destination: LOOPBACK[family] }, RETURN);
  for (const range of options.excludedOutboundRanges) {
    if (range.family === family) add({ destination: range.text }, RETURN);
  }
  for (const port of options.outboundPorts) add(tcp(port), jump('ISTIO_REDIRECT'));
  for (const match of rangeMatches(options, family)) add(match, jump('ISTIO_REDIRECT'));
  return rules;
}

/** What a virtual machine sends out comes in here: it is redirected like the app's own, and never as inbound. */
function virtualInterfaceRules(options: InterceptOptions, family: Family): Rule[] {
  return options.virtualInterfaces.flatMap((inInterface) => [
    ...rangeMatches(options, family).map((match) => rule({ inInterface, ...match }, jump('ISTIO_REDIRECT'))),
    rule({ inInterface }, RETURN),
  ]);
}

function rangeMatches({ outboundRanges }: InterceptOptions, family: Family): Match[] {
  if (outboundRanges === '*') return [{}];
  return outboundRanges.filter((range) => range.family === family).map(({ text }) => ({ destination: text }));
}
