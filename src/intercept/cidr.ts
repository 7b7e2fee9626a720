import { isIPv4, isIPv6 } from 'node:net';
import type { Family } from './rule.ts';

/** A range of addresses, in the spelling of the kernel's tools: bits behind the prefix are zero. */
export interface Cidr {
  readonly family: Family;
  readonly bits: number;
  /** The first address as a number. */
  readonly first: bigint;
  readonly text: string;
}

/** Reads `10.0.0.0/8`, `fd00::/8`, or an address alone; undefined for anything else. */
export function parseCidr(text: string): Cidr | undefined {
  const [, host = '', length] = /^([^/]+?)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const family = isIPv4(host) ? 4 : isIPv6(host) && !host.includes('%') ? 6 : undefined;
  if (family === undefined) return undefined;
  const width = family === 4 ? 32 : 128;
  const bits = length === undefined ? width : Number(length);
  if (bits > width) return undefined;
  const rest = BigInt(width - bits);
  const first = (addressNumber(host) >> rest) << rest;
  return { family, bits, first, text: `${addressText(family, first)}/${bits}` };
}

/** Whether an address, as a number, lies in the range. */
export function contains(range: Cidr, family: Family, address: bigint): boolean {
  const rest = BigInt((range.family === 4 ? 32 : 128) - range.bits);
  return range.family === family && address >> rest === range.first >> rest;
}

/** Whether a range is of loopback addresses: 127.0.0.0/8 or ::1 (RFC 1122 §3.2.1.3, RFC 4291 §2.5.3). */
export function isLoopback({ family, first }: Cidr): boolean {
  return family === 4 ? first >> 24n === 127n : first === 1n;
}

/** The number of an address that `isIPv4` or `isIPv6` has accepted. */
export function addressNumber(text: string): bigint {
  if (isIPv4(text)) return text.split('.').reduce((value, octet) => value * 256n + BigInt(octet), 0n);
  const quad = /[^:]+\.[^:]+$/.exec(text)?.[0];
  const plain = quad === undefined ? text : text.slice(0, -quad.length) + quadGroups(addressNumber(quad));
  const [head = '', tail] = plain.split('::');
  const before = groups(head);
  const after = groups(tail ?? '');
  const zeros = tail === undefined ? [] : new Array<string>(8 - before.length - after.length).fill('0');
  return [...before, ...zeros, ...after].reduce((value, group) => (value << 16n) | BigInt(`0x${group}`), 0n);
}

function groups(text: string): string[] {
  return text === '' ? [] : text.split(':');
}

function quadGroups(value: bigint): string {
  return `${(value >> 16n).toString(16)}:${(value & 0xffffn).toString(16)}`;
}

/** An address in its usual spelling (RFC 5952 for IPv6, without dotted quads). */
export function addressText(family: Family, value: bigint): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 0xffn).join('.');
  const all = Array.from({ length: 8 }, (_, i) => ((value >> BigInt(112 - 16 * i)) & 0xffffn).toString(16));
  let start = 0;
  let length = 1;
  for (let i = 0; i < 8; i++) {
    let end = i;
    while (end < 8 && all[end] === '0') end++;
    if (end - i > length) [start, length] = [i, end - i];
  }
  if (length === 1) return all.join(':');
  return `${all.slice(0, start).join(':')}::${all.slice(start + length).join(':')}`;
}
