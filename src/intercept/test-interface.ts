import { PacketSocket } from '../kernel/packet-socket.ts';
import { addressNumber } from './cidr.ts';
import { findProgram, runProgram } from './program.ts';
import type { Family } from './rule.ts';
import { synFrame } from './syn-frame.ts';

const OUTSIDE = 'or-check-out';
const INSIDE = 'or-check-in';
/** Of link-local and unique local ranges, which no pod has for itself; what answers to them goes nowhere. */
const ADDRESSES = {
  4: { inside: '169.254.254.1/30', client: '169.254.254.2' },
  6: { inside: 'fd6f:7574:7269:6767::1/64', client: 'fd6f:7574:7269:6767::2' },
} as const;

/**
 * A cable into this namespace, whose other end is here too: what is written into that end comes in as from outside. It
 * takes no second namespace, which would need SYS_ADMIN.
 */
export class TestInterface {
  readonly name = INSIDE;
  readonly #ip: string;
  readonly #socket: PacketSocket;
  readonly #mac: Uint8Array;
  #port = Math.floor(Math.random() * 40_000);

  private constructor(ip: string, socket: PacketSocket, mac: Uint8Array) {
    this.#ip = ip;
    this.#socket = socket;
    this.#mac = mac;
  }

  /** @returns the reason where it cannot be had */
  static async make(): Promise<TestInterface | string> {
    const ip = findProgram('ip');
    if (ip === undefined) return 'ip is not installed';
    // One that a check before has left, killed half way.
    await runProgram(ip, ['link', 'del', INSIDE]);
    const made = await runProgram(
      ip,
      ['-force', '-batch', '-'],
      [
        `link add ${INSIDE} type veth peer name ${OUTSIDE}`,
        `addr add ${ADDRESSES[4].inside} dev ${INSIDE}`,
        `link set ${OUTSIDE} up`,
        `link set ${INSIDE} up`,
        `-6 addr add ${ADDRESSES[6].inside} dev ${INSIDE} nodad`,
      ].join('\n'),
    );
    const outside = await linkOf(ip, OUTSIDE);
    const inside = await linkOf(ip, INSIDE);
    if (outside === undefined || inside === undefined) return `no test interface: ${made.stderr.split('\n')[0]}`;
    const socket = PacketSocket.open(outside.index);
    if (typeof socket !== 'string') return new TestInterface(ip, socket, inside.mac);
    await runProgram(ip, ['link', 'del', INSIDE]);
    return socket;
  }

  /** The address that connections seem to come from. */
  client(family: Family): string {
    return ADDRESSES[family].client;
  }

  /** Lets first packets of connections come in. */
  connect(family: Family, destination: string, destinationPort: number, times: number): void {
    for (let i = 0; i < times; i++) {
      const syn = {
        family,
        source: addressNumber(this.client(family)),
        sourcePort: this.#nextPort(),
        destination: addressNumber(destination),
        destinationPort,
      };
      this.#socket.send(synFrame(syn, this.#mac, this.#mac));
    }
  }

  /** Another one each time, or a packet would be of the connection before. */
  #nextPort(): number {
    this.#port = 20_000 + ((this.#port + 1) % 40_000);
    return this.#port;
  }

  async remove(): Promise<void> {
    this.#socket[Symbol.dispose]();
    await runProgram(this.#ip, ['link', 'del', INSIDE]);
  }
}

async function linkOf(ip: string, name: string): Promise<{ index: number; mac: Uint8Array } | undefined> {
  const { stdout } = await runProgram(ip, ['-o', 'link', 'show', 'dev', name]);
  const [, index, mac] = /^(\d+):.*link\/ether ([0-9a-f:]{17})/.exec(stdout) ?? [];
  if (index === undefined || mac === undefined) return undefined;
  return { index: Number(index), mac: Uint8Array.from(mac.split(':'), (octet) => Number.parseInt(octet, 16)) };
}
