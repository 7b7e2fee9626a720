import { type Cidr, parseCidr } from './cidr.ts';

/** A text that is not what an option takes; the message says what is. */
export class ValueError extends Error {}

type Read<T> = (text: string) => T;

/** The parts of a list by commas; spaces around them and empty ones do not count. */
function parts(text: string): string[] {
  const all = text.split(',').map((part) => part.trim());
  return [...new Set(all.filter((part) => part !== ''))];
}

export function list<T>(read: Read<T>): Read<T[]> {
  return (text) => (text.trim() === 'none' ? [] : parts(text).map(read));
}

/** A list, or `*` for everything. */
export function listOrAll<T>(read: Read<T>): Read<'*' | T[]> {
  const readList = list(read);
  return (text) => {
    if (text.trim() === '*') return '*';
    if (parts(text).includes('*')) throw new ValueError(`'*' stands for all, and alone: '${text}'`);
    return readList(text);
  };
}

export function port(text: string): number {
  const value = whole(text);
  if (value !== undefined && value >= 1 && value <= 65535) return value;
  if (/^\d+[-:]\d+$/.test(text)) throw new ValueError(`'${text}' is a range of ports; list them one by one`);
  throw new ValueError(`'${text}' is not a port: a number from 1 to 65535`);
}

/** Of a user or group; names mean nothing in a pod. */
export function id(text: string): number {
  const value = whole(text);
  if (value !== undefined && value < 2 ** 32 - 1) return value;
  throw new ValueError(`'${text}' is not the number of a user or group: 0 to 4294967294`);
}

export function mark(text: string): number {
  const value = whole(text);
  if (value !== undefined && value >= 1 && value < 2 ** 32) return value;
  throw new ValueError(`'${text}' is not a mark: a number from 1 to 4294967295`);
}

/** Of routing; 253 to 255 are the kernel's own. */
export function table(text: string): number {
  const value = whole(text);
  if (value !== undefined && value >= 1 && value < 2 ** 32 && (value < 253 || value > 255)) return value;
  throw new ValueError(`'${text}' is not a routing table of one's own: a number from 1 to 4294967295 but 253 to 255`);
}

export function cidr(text: string): Cidr {
  const range = parseCidr(text);
  if (range !== undefined) return range;
  const alone = parseCidr(text.split('/')[0] ?? '');
  if (alone !== undefined) {
    const longest = alone.family === 4 ? 32 : 128;
    throw new ValueError(`'${text}': the prefix of IPv${alone.family} has 0 to ${longest} bits, as in ${alone.text}`);
  }
  throw new ValueError(`'${text}' is not a range of addresses, such as 10.0.0.0/8 or fd00::/8`);
}

/** IFNAMSIZ of linux/if.h leaves 15 bytes; a trailing + stands for any rest. */
export function interfaceName(text: string): string {
  if (/^[\w.:@-]{1,15}$|^[\w.:@-]{0,14}\+$/.test(text)) return text;
  throw new ValueError(`'${text}' is not the name of an interface, such as eth0, or net+ for all that begin so`);
}

export function mode(text: string): 'redirect' | 'tproxy' {
  const lower = text.toLowerCase();
  if (lower === 'redirect' || lower === 'tproxy') return lower;
  if (lower === 'none') throw new ValueError("'none' installs nothing; do not run it then");
  throw new ValueError(`'${text}' is not a mode: redirect or tproxy`);
}

function whole(text: string): number | undefined {
  return /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}
