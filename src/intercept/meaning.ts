import type { ActiveRule } from './backend.ts';
import { ALWAYS_EXCLUDED_INBOUND_PORTS, LOOPBACK, OUTBOUND_MARK, PASSTHROUGH_SOURCE } from './options.ts';
import type { Match, Target } from './rule.ts';

/** What a rule is for, in words; '' for one that is none of ours. */
export function meaningOf({ chain, rule }: ActiveRule): string {
  if (rule === undefined) return '';
  const { match, target } = rule;
  switch (chain) {
    case 'PREROUTING':
      return 'what comes in';
    case 'OUTPUT':
      return 'what goes out';
    case 'ISTIO_REDIRECT':
      return target.kind === 'redirect' ? `to the proxy's outbound port ${target.port}` : '';
    case 'ISTIO_IN_REDIRECT':
      return target.kind === 'redirect' ? `to the proxy's inbound port ${target.port}` : '';
    case 'ISTIO_TPROXY':
      return target.kind === 'tproxy' ? `to the proxy's inbound port ${target.port}, addresses kept` : '';
    case 'ISTIO_DIVERT':
      return target.kind === 'mark' ? 'marked: delivered here, whatever its address' : 'done';
    case 'ISTIO_INBOUND':
      return inbound(match, target);
    case 'ISTIO_OUTPUT':
      return outbound(match, target);
  }
  return '';
}

function inbound(match: Match, target: Target): string {
  const { destinationPort: port, inInterface } = match;
  if (target.kind === 'save-mark') return 'the proxy calls the app in the client’s name: remembered';
  if (match.mark !== undefined) return 'the proxy calls the app in the client’s name';
  if (match.source === PASSTHROUGH_SOURCE[4] || match.source === PASSTHROUGH_SOURCE[6])
    return 'the proxy calls its app';
  if (match.notMark === OUTBOUND_MARK) return 'the app calls itself';
  if (inInterface !== undefined) {
    return target.kind === 'jump'
      ? `${inInterface}: outbound traffic of a virtual machine`
      : `${inInterface}: left alone`;
  }
  if (target.kind === 'return') {
    if (port === 15008) return 'port 15008: HBONE, reached directly';
    const own = ALWAYS_EXCLUDED_INBOUND_PORTS.includes(port ?? 0) ? ', of the proxy itself' : '';
    return `port ${port}: left alone${own}`;
  }
  const what = port === undefined ? 'everything else' : `port ${port}`;
  return match.isEstablished === true ? `${what}, of a connection that is open` : `${what}: through the proxy`;
}

function outbound(match: Match, target: Target): string {
  if (target.kind === 'restore-mark') return 'the app answers the client: by way of the proxy';
  if (target.kind === 'mark') return 'the proxy’s outbound side calls its own pod';
  if (match.mark !== undefined) return 'the proxy calls the app in the client’s name';
  if (match.source !== undefined) return 'the proxy calls its app';
  const { uid, gid, destination, destinationPort: port, outInterface } = match;
  if (target.kind === 'jump' && target.chain === 'ISTIO_IN_REDIRECT') return 'the proxy calls its own pod: as inbound';
  if (match.notUids !== undefined || match.notGids !== undefined) return 'the app calls its own pod: left alone';
  if (outInterface !== undefined) return `${outInterface}: left alone`;
  if (uid !== undefined) return `user ${uid}: left alone`;
  if (gid !== undefined) return `group ${gid}: left alone`;
  if (destination === LOOPBACK[4] || destination === LOOPBACK[6]) return 'loopback: left alone';
  const what = destination ?? (port === undefined ? 'everything else' : `port ${port}`);
  return target.kind === 'return' ? `${what}: left alone` : `${what}: through the proxy`;
}
