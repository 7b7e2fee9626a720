import { parseIp } from '../ip.ts';
import {
  type ProxiedEnds,
  TLV_HEAD_BYTES,
  type Tlv,
  V2_ADDRESS_BYTES,
  V2_FIXED_BYTES,
  V2_SIGNATURE,
} from './header.ts';

/** Version 2 and its commands. */
const VERSION_AND_PROXY = 0x21;
const VERSION_AND_LOCAL = 0x20;
/** TCP over IPv4 and over IPv6. */
const TCP4 = 0x11;
const TCP6 = 0x21;
const MAX_BODY_BYTES = 65535;

/** A header of version 1; `UNKNOWN` without two IP addresses. */
export function writeV1(ends: ProxiedEnds | undefined): Buffer {
  const family = familyOf(ends);
  if (ends === undefined || family === undefined) return Buffer.from('PROXY UNKNOWN\r\n', 'latin1');
  const text = family === 4 ? (address: string) => address : ipv6Mapped;
  const { sourceAddress, sourcePort, destinationAddress, destinationPort } = ends;
  return Buffer.from(
    `PROXY TCP${family} ${text(sourceAddress)} ${text(destinationAddress)} ${sourcePort} ${destinationPort}\r\n`,
    'latin1',
  );
}

/**
 * A header of version 2; `LOCAL` without two IP addresses, and then without items. `fits` is false when items were left
 * out, each of which would have made the header longer than it can be.
 */
export function writeV2(ends: ProxiedEnds | undefined, tlvs: readonly Tlv[]): { header: Buffer; fits: boolean } {
  const family = familyOf(ends);
  if (ends === undefined || family === undefined) {
    const header = Buffer.alloc(V2_FIXED_BYTES);
    V2_SIGNATURE.copy(header);
    header[12] = VERSION_AND_LOCAL;
    return { header, fits: true };
  }
  let bodyBytes: number = family === 4 ? V2_ADDRESS_BYTES.inet : V2_ADDRESS_BYTES.inet6;
  const fitting = tlvs.filter(({ value }) => {
    const next = bodyBytes + TLV_HEAD_BYTES + value.length;
    if (next > MAX_BODY_BYTES) return false;
    bodyBytes = next;
    return true;
  });
  const header = Buffer.alloc(V2_FIXED_BYTES + bodyBytes);
  V2_SIGNATURE.copy(header);
  header[12] = VERSION_AND_PROXY;
  header[13] = family === 4 ? TCP4 : TCP6;
  header.writeUInt16BE(bodyBytes, 14);
  let at = writeAddress(header, V2_FIXED_BYTES, ends.sourceAddress, family);
  at = writeAddress(header, at, ends.destinationAddress, family);
  at = header.writeUInt16BE(ends.sourcePort, at);
  at = header.writeUInt16BE(ends.destinationPort, at);
  for (const { type, value } of fitting) {
    at = header.writeUInt8(type, at);
    at = header.writeUInt16BE(value.length, at);
    at += value.copy(header, at);
  }
  return { header, fits: fitting.length === tlvs.length };
}

/** 4 when both are addresses of IPv4, 6 when one is of IPv6; undefined when one is none, as with Unix sockets. */
function familyOf(ends: ProxiedEnds | undefined): 4 | 6 | undefined {
  const source = parseIp(ends?.sourceAddress ?? '')?.family;
  const destination = parseIp(ends?.destinationAddress ?? '')?.family;
  if (source === undefined || destination === undefined) return undefined;
  return source === 4 && destination === 4 ? 4 : 6;
}

function ipv6Mapped(address: string): string {
  return address.includes(':') ? address : `::ffff:${address}`;
}

/** Answers the place behind the address; an address of IPv4 among those of IPv6 is mapped (RFC 4291 §2.5.5.2). */
function writeAddress(target: Buffer, at: number, address: string, family: 4 | 6): number {
  const ip = parseIp(address);
  if (ip === undefined) throw new Error(`${address} is not an IP address`);
  if (family === 4) return target.writeUInt32BE(ip.d, at);
  const words = ip.family === 4 ? [0, 0, 0xffff, ip.d] : [ip.a, ip.b, ip.c, ip.d];
  for (const word of words) at = target.writeUInt32BE(word, at);
  return at;
}
