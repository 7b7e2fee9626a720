import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv4 } from 'node:net';

/** What the server knows of a name: addresses, or that something is wrong. */
export type Zone =
  | { readonly addresses: readonly string[]; readonly ttlS?: number }
  | 'no such name'
  | 'server failure'
  | 'silence';

const TYPE_A = 1;
const TYPE_AAAA = 28;
const RESPONSE_FLAGS = 0x8580;
const SERVER_FAILURE = 2;
const NO_SUCH_NAME = 3;

/** A name server on a loopback port (RFC 1035 §4), which answers A and AAAA questions from a table that tests change. */
export class DnsServer implements AsyncDisposable {
  readonly zones = new Map<string, Zone>();
  /** Questions in the order of arrival, such as `A web.test`. */
  readonly questions: string[] = [];
  private readonly socket: Socket;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('message', (query, peer) => this.answer(query, peer));
  }

  static async start(): Promise<DnsServer> {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    return new DnsServer(socket);
  }

  /** `ip:port`. */
  get address(): string {
    return `127.0.0.1:${this.socket.address().port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.close();
    await once(this.socket, 'close');
  }

  private answer(query: Buffer, peer: RemoteInfo): void {
    const { name, end } = readName(query);
    const type = query.readUInt16BE(end);
    this.questions.push(`${type === TYPE_A ? 'A' : type === TYPE_AAAA ? 'AAAA' : type} ${name}`);
    const zone = this.zones.get(name) ?? 'no such name';
    if (zone === 'silence') return;
    const code = zone === 'server failure' ? SERVER_FAILURE : zone === 'no such name' ? NO_SUCH_NAME : 0;
    const records =
      typeof zone === 'string'
        ? []
        : zone.addresses
            .filter((address) => (isIPv4(address) ? TYPE_A : TYPE_AAAA) === type)
            .map((address) => record(type, zone.ttlS ?? 60, address));
    const header = Buffer.alloc(12);
    query.copy(header, 0, 0, 2);
    header.writeUInt16BE(RESPONSE_FLAGS | code, 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(records.length, 6);
    this.socket.send(Buffer.concat([header, query.subarray(12, end + 4), ...records]), peer.port, peer.address);
  }
}

function readName(query: Buffer): { name: string; end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] as number; length > 0; length = query[at] as number) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join('.').toLowerCase(), end: at + 1 };
}

function record(type: number, ttlS: number, address: string): Buffer {
  const data = isIPv4(address) ? Buffer.from(address.split('.').map(Number)) : ipv6Bytes(address);
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc00c, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(ttlS, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function ipv6Bytes(address: string): Buffer {
  const [left = '', right = ''] = address.split('::');
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'));
  const middle = new Array<string>(8 - groups(left).length - groups(right).length).fill('0');
  const bytes = Buffer.alloc(16);
  for (const [i, group] of [...groups(left), ...middle, ...groups(right)].entries()) {
    bytes.writeUInt16BE(Number.parseInt(group, 16), 2 * i);
  }
  return bytes;
}
