import { addressNumber, addressText, type Cidr } from './cidr.ts';
import { expectedVerdict, type Packet, type Verdict } from './expectation.ts';
import { type InterceptOptions, LOOPBACK, PASSTHROUGH_SOURCE } from './options.ts';
import type { Family } from './rule.ts';

/** A connection to try, and what is to become of it. */
export interface Probe {
  readonly family: Family;
  /** In words: who connects, and why it is worth a try. */
  readonly title: string;
  readonly way: Packet['way'];
  /** Undefined is whoever runs the check. */
  readonly as: { readonly uid: number; readonly gid: number } | undefined;
  readonly source: string | undefined;
  readonly destination: string;
  readonly port: number;
  readonly expected: Verdict;
}

/** The namespace as the check finds it. */
export interface Surroundings {
  readonly family: Family;
  /** The pod's own address; undefined without one. */
  readonly ownAddress: string | undefined;
  /** Which way packets to others leave; undefined without a route. */
  readonly outInterface: string | undefined;
  /** What comes in by it seems to come from outside; undefined where it cannot be made. */
  readonly inInterface: string | undefined;
  /** A port of this process, for the app's. */
  readonly listeningPort: number;
  readonly uid: number;
  readonly gid: number;
}

/** Addresses for documentation, where nobody is (RFC 5737, RFC 3849). */
const ELSEWHERE = { 4: '192.0.2.1', 6: '2001:db8::1' } as const;
const APP_PORT = 8080;

/** What there is to try for one family. */
export function planProbes(options: InterceptOptions, around: Surroundings): Probe[] {
  return [...outboundProbes(options, around), ...loopbackProbes(options, around), ...inboundProbes(options, around)];
}

function outboundProbes(options: InterceptOptions, around: Surroundings): Probe[] {
  const { family, outInterface } = around;
  if (outInterface === undefined) return [];
  const probes: Probe[] = [];
  const add = (title: string, destination: string, port: number, as?: Probe['as']): void => {
    probes.push(probe(options, around, { title, destination, port, as, interfaceName: outInterface }));
  };
  const port = unlisted(80, [...options.excludedOutboundPorts, ...options.outboundPorts]);
  const elsewhere = ELSEWHERE[family];
  add('the app calls another', elsewhere, port);
  for (const one of ends(options.excludedOutboundPorts)) add('the app calls an excluded port', elsewhere, one);
  for (const one of ends(options.outboundPorts)) add('the app calls an included port', elsewhere, one);
  for (const one of ends(ranges(options.outboundRanges, family))) add('the app calls an included range', one, port);
  for (const one of ends(ranges(options.excludedOutboundRanges, family))) {
    add('the app calls an excluded range', one, port);
  }
  for (const [uid, gid] of owners(options)) add('the proxy calls another', elsewhere, port, { uid, gid });
  const { gid: ownGid, uid: ownUid } = around;
  for (const uid of ends(options.excludedUids))
    add('an excluded user calls another', elsewhere, port, { uid, gid: ownGid });
  for (const gid of ends(options.excludedGids))
    add('an excluded group calls another', elsewhere, port, { uid: ownUid, gid });
  return probes;
}

function loopbackProbes(options: InterceptOptions, around: Surroundings): Probe[] {
  const { family, ownAddress, listeningPort: port } = around;
  const probes: Probe[] = [];
  const add = (title: string, destination: string, to: number, as?: Probe['as'], source?: string): void => {
    probes.push(probe(options, around, { title, destination, port: to, as, source, interfaceName: 'lo' }));
  };
  add('the app calls itself by loopback', host(LOOPBACK[family]), port);
  if (ownAddress !== undefined) add('the app calls itself by its address', ownAddress, port);
  for (const [uid, gid] of owners(options)) {
    const as = { uid, gid };
    add('the proxy calls its app by loopback', host(LOOPBACK[family]), port, as);
    if (ownAddress === undefined) continue;
    add('the proxy calls its own pod', ownAddress, port, as);
    add('the proxy calls its own HBONE port', ownAddress, options.tunnelPort, as);
    add('the proxy calls its app', ownAddress, port, as, host(PASSTHROUGH_SOURCE[family]));
  }
  return probes;
}

function inboundProbes(options: InterceptOptions, around: Surroundings): Probe[] {
  const { ownAddress, inInterface } = around;
  if (ownAddress === undefined || inInterface === undefined) return [];
  const probes: Probe[] = [];
  const add = (title: string, port: number): void => {
    probes.push(
      probe(options, around, { title, destination: ownAddress, port, interfaceName: inInterface, way: 'in' }),
    );
  };
  const included = options.inboundPorts === '*' ? [] : options.inboundPorts;
  add('another calls the app', unlisted(APP_PORT, [...options.excludedInboundPorts, ...included]));
  for (const port of ends(included)) add('another calls an included port', port);
  for (const port of ends(options.excludedInboundPorts)) add('another calls an excluded port', port);
  add('kubelet asks for health', 15021);
  add('Prometheus asks for statistics', 15090);
  add('another calls the HBONE port', options.tunnelPort);
  return probes;
}

type Draft = Pick<Probe, 'title' | 'destination' | 'port'> & {
  readonly interfaceName: string;
  readonly as?: Probe['as'];
  readonly source?: string | undefined;
  readonly way?: Packet['way'];
};

function probe(options: InterceptOptions, around: Surroundings, draft: Draft): Probe {
  const { family } = around;
  const { title, destination, port, as, source, interfaceName, way = 'out' } = draft;
  const packet: Packet = {
    family,
    way,
    interfaceName,
    source: source === undefined ? 0n : addressNumber(source),
    destination: addressNumber(destination),
    port,
    uid: as?.uid ?? around.uid,
    gid: as?.gid ?? around.gid,
  };
  return { family, title, way, as, source, destination, port, expected: expectedVerdict(options, packet) };
}

/** The proxy's users and groups; whom both are given for is both. */
function owners({ proxyUids, proxyGids }: InterceptOptions): [uid: number, gid: number][] {
  const last = proxyGids[0] ?? proxyUids[0] ?? 0;
  return proxyUids.map((uid, i) => [uid, proxyGids[i] ?? last]);
}

/** The first and the last: what lies between is made alike. */
function ends<T>(list: readonly T[]): T[] {
  return list.length < 2 ? [...list] : [list[0] as T, list.at(-1) as T];
}

function ranges(all: '*' | readonly Cidr[], family: Family): string[] {
  if (all === '*') return [];
  const own = all.filter((range) => range.family === family && range.bits > 0);
  // The first address of a range is the network's own name; a range of one has no other.
  return own.map(({ first, bits }) => addressText(family, first + (bits < (family === 4 ? 31 : 127) ? 1n : 0n)));
}

/** A port that no list has. */
function unlisted(port: number, lists: readonly number[]): number {
  let one = port;
  while (lists.includes(one)) one++;
  return one;
}

function host(cidr: string): string {
  return cidr.replace(/\/.*/, '');
}
