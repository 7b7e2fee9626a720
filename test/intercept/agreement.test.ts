import fc from 'fast-check';
import { expect, test } from 'vitest';
import { addressNumber, addressText, type Cidr, parseCidr } from '../../src/intercept/cidr.ts';
import { expectedVerdict, type Packet } from '../../src/intercept/expectation.ts';
import { nftTable } from '../../src/intercept/nft-text.ts';
import { DEFAULT_OPTIONS, type InterceptOptions } from '../../src/intercept/options.ts';
import { restoreInput } from '../../src/intercept/restore-input.ts';
import type { Family } from '../../src/intercept/rule.ts';
import { buildTables } from '../../src/intercept/rule-set.ts';
import { decide, type MarkedPacket, readNftInput, readRestoreInput } from './evaluate.ts';

/** Few of each kind, so that packets meet rules. */
const PORTS = [80, 443, 3306, 8080, 15001, 15006, 15008, 15020, 15021, 15090];
const IDS = [0, 1000, 1337, 1338];
const INTERFACES = ['eth0', 'net1', 'net2', 'vm0'];
const ADDRESSES: Readonly<Record<Family, readonly string[]>> = {
  4: ['127.0.0.1', '127.0.0.2', '127.0.0.6', '10.0.0.1', '10.1.2.3', '10.1.2.4', '192.0.2.1', '169.254.169.254'],
  6: ['::1', '::6', 'fd00::1', 'fd00:1::1', '2001:db8::1', '::ffff:10.0.0.1'],
};

const port = fc.constantFrom(...PORTS);
const ports = fc.uniqueArray(port, { maxLength: 3 });
const ids = fc.uniqueArray(fc.constantFrom(...IDS), { maxLength: 3 });
const family = fc.constantFrom<Family>(4, 6);
const cidr: fc.Arbitrary<Cidr> = family.chain((of) =>
  fc
    .tuple(fc.constantFrom(...ADDRESSES[of]), fc.integer({ min: of === 4 ? 1 : 1, max: of === 4 ? 32 : 128 }))
    .map(([address, bits]) => parseCidr(`${address}/${bits}`) as Cidr),
);
const cidrs = fc.array(cidr, { maxLength: 4 });
const interfaces = fc.uniqueArray(fc.constantFrom(...INTERFACES, 'net+'), { maxLength: 2 });
const all = <T>(list: fc.Arbitrary<T>): fc.Arbitrary<'*' | T> => fc.oneof(fc.constant<'*'>('*'), list);

const options: fc.Arbitrary<InterceptOptions> = fc
  .record({
    mode: fc.constantFrom<InterceptOptions['mode']>('redirect', 'tproxy'),
    proxyUids: ids,
    proxyGids: ids,
    inboundPorts: all(ports),
    excludedInboundPorts: ports,
    outboundPorts: ports,
    excludedOutboundPorts: ports,
    outboundRanges: all(cidrs),
    excludedOutboundRanges: cidrs,
    excludedInterfaces: interfaces,
    virtualInterfaces: fc.constantFrom([], ['vm0'], ['vm0', 'net2']),
    excludedUids: ids,
    excludedGids: ids,
    tproxyMark: fc.constantFrom(1337, 7),
  })
  .map((some) => ({ ...DEFAULT_OPTIONS, ...some }));

const packet: fc.Arbitrary<MarkedPacket> = family.chain((of) => {
  const address = fc.constantFrom(...ADDRESSES[of]).map(addressNumber);
  return fc
    .record({
      way: fc.constantFrom<Packet['way']>('in', 'out'),
      interfaceName: fc.constantFrom('lo', ...INTERFACES),
      source: address,
      destination: address,
      port,
      uid: fc.constantFrom(...IDS),
      gid: fc.constantFrom(...IDS),
      isTcp: fc.constantFrom(true, true, true, true, true, false),
      isEstablished: fc.constantFrom(false, false, false, true),
      mark: fc.constantFrom(0, 0, 0, 0, 0, 7, 1337, 1338),
      connectionMark: fc.constantFrom(0, 7, 1337),
    })
    .map((some) => ({ ...some, family: of }));
});

test('iptables and nftables decide alike, and as was meant, whatever the options and the packet', () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(options, fc.array(packet, { minLength: 60, maxLength: 60 }), (given, packets) => {
      for (const of of [4, 6] as const) {
        const tables = buildTables(given, of);
        const iptables = readRestoreInput(restoreInput(tables, []));
        const nft = readNftInput(tables.map((table) => nftTable(table, of)).join(''), of === 4 ? 'ip' : 'ip6');
        for (const one of packets.filter((some) => some.family === of)) {
          const hook = one.way === 'in' ? 'PREROUTING' : 'OUTPUT';
          for (const table of ['mangle', 'nat']) {
            expect(decide(nft, table, hook, one), describe(one)).toEqual(decide(iptables, table, hook, one));
          }
          const { way, interfaceName, isTcp, isEstablished, mark } = one;
          // What is meant is said of the first packet of a connection, by whoever sets no marks.
          if (!isTcp || isEstablished || mark !== 0 || (way === 'in' && interfaceName === 'lo')) continue;
          if (given.mode === 'tproxy' && way === 'in' && LOOPBACKS.includes(addressText(of, one.destination))) continue;
          const found = verdict([decide(iptables, 'mangle', hook, one).done, decide(iptables, 'nat', hook, one).done]);
          expect(found, describe(one)).toBe(expectedVerdict(given, one));
          seen.add(`${given.mode} ${way} ${found}`);
        }
      }
    }),
    { numRuns: 400 },
  );
  // The packets have met all kinds of rules.
  expect([...seen].sort()).toEqual([
    'redirect in direct',
    'redirect in inbound',
    'redirect in outbound',
    'redirect out direct',
    'redirect out inbound',
    'redirect out outbound',
    'tproxy in direct',
    'tproxy in inbound',
    'tproxy in outbound',
    'tproxy out direct',
    'tproxy out inbound',
    'tproxy out outbound',
  ]);
}, 60_000);

/** No packet from outside has such a destination: the kernel drops it before TPROXY's rule would have to. */
const LOOPBACKS = ['127.0.0.1', '::1'];

function verdict(done: readonly string[]): string {
  if (done.includes('redirect 15001')) return 'outbound';
  return done.includes('redirect 15006') || done.includes('tproxy 15006') ? 'inbound' : 'direct';
}

function describe(one: MarkedPacket): string {
  const { family: of, source, destination, ...rest } = one;
  return JSON.stringify({ ...rest, source: addressText(of, source), destination: addressText(of, destination) });
}
