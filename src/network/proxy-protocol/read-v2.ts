import { crc32c } from './crc32c.ts';
import {
  type HeaderProblem,
  isUnicast,
  type ProxiedEnds,
  type ProxyHeader,
  TLV_CRC32C,
  TLV_HEAD_BYTES,
  type Tlv,
  V2_ADDRESS_BYTES,
  V2_FIXED_BYTES,
} from './header.ts';

const COMMAND = { local: 0, proxy: 1 } as const;
const FAMILY = { unspecified: 0, inet: 1, inet6: 2, unix: 3 } as const;
const MAX_TRANSPORT = 2;

/** Reads a header whose signature is there. */
export function readV2(bytes: Buffer): ProxyHeader | HeaderProblem | number {
  if (bytes.length < V2_FIXED_BYTES) return V2_FIXED_BYTES;
  const versionAndCommand = bytes[12] as number;
  if (versionAndCommand >>> 4 !== 2) return broken('a version other than 2');
  const command = versionAndCommand & 0xf;
  if (command > COMMAND.proxy) return broken('a command other than LOCAL and PROXY');
  const family = (bytes[13] as number) >>> 4;
  const addressBytes = command === COMMAND.local ? 0 : addressBytesOf(family, (bytes[13] as number) & 0xf);
  if (addressBytes < 0) return broken('an unknown address family or transport');
  const byteLength = V2_FIXED_BYTES + bytes.readUInt16BE(14);
  // What is too short stays too short: there is nothing to wait for.
  if (byteLength < V2_FIXED_BYTES + addressBytes) return broken('shorter than its addresses');
  if (bytes.length < byteLength) return byteLength;
  const header = bytes.subarray(0, byteLength);
  // The connection is the proxy's own, such as a health check: the rest is to be skipped.
  if (command === COMMAND.local) return { version: 2, ends: undefined, tlvs: [], byteLength };
  const tlvs = readTlvs(header, V2_FIXED_BYTES + addressBytes);
  if (!Array.isArray(tlvs)) return tlvs;
  const ends = endsOf(header, family);
  if (ends !== undefined && (!isUnicast(ends.sourceAddress) || !isUnicast(ends.destinationAddress)))
    return broken('an address that no host has');
  return { version: 2, ends, tlvs, byteLength };
}

/** How many bytes the addresses have, or -1 for what there is not. */
function addressBytesOf(family: number, transport: number): number {
  if (transport > MAX_TRANSPORT) return -1;
  if (family === FAMILY.unspecified) return 0;
  // Only an address of unspecified family may do without a transport.
  if (transport === 0) return -1;
  if (family === FAMILY.inet) return V2_ADDRESS_BYTES.inet;
  if (family === FAMILY.inet6) return V2_ADDRESS_BYTES.inet6;
  return family === FAMILY.unix ? V2_ADDRESS_BYTES.unix : -1;
}

function endsOf(header: Buffer, family: number): ProxiedEnds | undefined {
  if (family !== FAMILY.inet && family !== FAMILY.inet6) return undefined;
  const size = family === FAMILY.inet ? 4 : 16;
  const text = family === FAMILY.inet ? ipv4Text : ipv6Text;
  const ports = V2_FIXED_BYTES + 2 * size;
  return {
    sourceAddress: text(header, V2_FIXED_BYTES),
    sourcePort: header.readUInt16BE(ports),
    destinationAddress: text(header, V2_FIXED_BYTES + size),
    destinationPort: header.readUInt16BE(ports + 2),
  };
}

function ipv4Text(bytes: Buffer, at: number): string {
  return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
}

/** As RFC 5952 §4 writes it: the first longest run of two or more zero groups is left out. */
export function ipv6Text(bytes: Buffer, at: number): string {
  const groups: number[] = [];
  for (let i = 0; i < 8; i++) groups.push(bytes.readUInt16BE(at + 2 * i));
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff)
    return `::ffff:${ipv4Text(bytes, at + 12)}`;
  let start = -1;
  let length = 1;
  for (let i = 0; i < 8; i++) {
    let run = 0;
    while (groups[i + run] === 0) run++;
    if (run > length) [start, length] = [i, run];
    i += run;
  }
  const hex = (part: number[]): string => part.map((group) => group.toString(16)).join(':');
  return start < 0 ? hex(groups) : `${hex(groups.slice(0, start))}::${hex(groups.slice(start + length))}`;
}

/** The items from `from` to the end. A checksum among them must be right (§2.2.3). */
function readTlvs(header: Buffer, from: number): Tlv[] | HeaderProblem {
  const tlvs: Tlv[] = [];
  for (let at = from; at < header.length; ) {
    if (at + TLV_HEAD_BYTES > header.length) return broken('an item that ends before its length');
    const type = header[at] as number;
    const start = at + TLV_HEAD_BYTES;
    at = start + header.readUInt16BE(at + 1);
    if (at > header.length) return broken('an item that is longer than the header');
    if (type === TLV_CRC32C) {
      if (at - start !== 4) return broken('a checksum that has not four bytes');
      if (header.readUInt32BE(start) !== crc32c(header, start, at)) return broken('a wrong checksum');
    }
    // A copy: the header's memory is a part of what was read.
    tlvs.push({ type, value: Buffer.from(header.subarray(start, at)) });
  }
  return tlvs;
}

function broken(reason: string): HeaderProblem {
  return { version: 2, reason };
}
