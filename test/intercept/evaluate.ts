import { contains, parseCidr } from '../../src/intercept/cidr.ts';
import { isListed, type Packet } from '../../src/intercept/expectation.ts';
import type { Match, Rule } from '../../src/intercept/rule.ts';
import { readIptablesRule, readNftRule } from '../../src/intercept/rule-reader.ts';

/** A packet with what mangle looks at besides. */
export interface MarkedPacket extends Packet {
  readonly isTcp: boolean;
  readonly isEstablished: boolean;
  readonly mark: number;
  readonly connectionMark: number;
}

/** Rules by `table chain`, as a program's input has them. */
export type RuleText = ReadonlyMap<string, readonly Rule[]>;

export function readRestoreInput(text: string): RuleText {
  const rules = new Map<string, Rule[]>();
  let table = '';
  for (const line of text.split('\n')) {
    table = /^\*(\S+)/.exec(line)?.[1] ?? table;
    const [, chain, rest = ''] = /^-A (\S+) (.*)$/.exec(line) ?? [];
    if (chain !== undefined) add(rules, `${table} ${chain}`, readIptablesRule(rest), line);
  }
  return rules;
}

export function readNftInput(text: string, ip: 'ip' | 'ip6'): RuleText {
  const rules = new Map<string, Rule[]>();
  let table: string | undefined;
  let chain = '';
  for (const line of text.split('\n').map((one) => one.trim())) {
    const [, family, name] = /^table (\S+) outrigger_(\S+) \{$/.exec(line) ?? [];
    if (family !== undefined) table = family === ip ? name : undefined;
    chain = /^chain (\S+) \{$/.exec(line)?.[1] ?? chain;
    if (table === undefined || !/\bcounter\b/.test(line)) continue;
    add(rules, `${table} ${chain}`, readNftRule(line.replace(/counter /, '')), line);
  }
  return rules;
}

function add(rules: Map<string, Rule[]>, key: string, rule: Rule | undefined, line: string): void {
  if (rule === undefined) throw new Error(`not understood: ${line}`);
  rules.set(key, [...(rules.get(key) ?? []), rule]);
}

/** What a table does to a packet: its last decision, and the marks after it. */
export interface Decision {
  readonly done: string;
  readonly mark: number;
  readonly connectionMark: number;
}

export function decide(rules: RuleText, table: string, hook: string, packet: MarkedPacket): Decision {
  let { mark, connectionMark } = packet;
  const walk = (chain: string): string | undefined => {
    for (const { match, target } of rules.get(`${table} ${chain}`) ?? []) {
      if (!matches(match, { ...packet, mark, connectionMark })) continue;
      if (target.kind === 'return') return undefined;
      if (target.kind === 'mark') mark = target.mark;
      else if (target.kind === 'save-mark') connectionMark = mark;
      else if (target.kind === 'restore-mark') mark = connectionMark;
      else if (target.kind === 'jump') {
        const done = walk(target.chain);
        if (done !== undefined) return done;
      } else if (target.kind === 'tproxy') {
        mark = target.mark;
        return `tproxy ${target.port}`;
      } else return target.kind === 'redirect' ? `redirect ${target.port}` : 'accept';
    }
    return undefined;
  };
  return { done: walk(hook) ?? 'nothing', mark, connectionMark };
}

/** As the kernel matches: what a rule does not name may be anything. */
function matches(match: Match, packet: MarkedPacket): boolean {
  const { family, interfaceName, way, source, destination, port, uid, gid } = packet;
  const lies = (cidr: string, address: bigint): boolean => {
    const range = parseCidr(cidr);
    if (range === undefined) throw new Error(`no range: ${cidr}`);
    return contains(range, family, address);
  };
  return (
    (match.inInterface === undefined || (way === 'in' && isListed([match.inInterface], interfaceName))) &&
    (match.outInterface === undefined || (way === 'out' && isListed([match.outInterface], interfaceName))) &&
    (match.source === undefined || lies(match.source, source)) &&
    (match.destination === undefined || lies(match.destination, destination)) &&
    (match.notDestination === undefined || !lies(match.notDestination, destination)) &&
    (match.isTcp === undefined || packet.isTcp) &&
    (match.destinationPort === undefined || match.destinationPort === port) &&
    (match.notDestinationPort === undefined || match.notDestinationPort !== port) &&
    (match.isEstablished === undefined || packet.isEstablished) &&
    (match.mark === undefined || match.mark === packet.mark) &&
    (match.notMark === undefined || match.notMark !== packet.mark) &&
    (match.connectionMark === undefined || match.connectionMark === packet.connectionMark) &&
    (match.uid === undefined || match.uid === uid) &&
    (match.gid === undefined || match.gid === gid) &&
    !(match.notUids ?? []).includes(uid) &&
    !(match.notGids ?? []).includes(gid)
  );
}
