import { parseIp } from '../ip.ts';

/**
 * The PROXY protocol (proxy-protocol.txt of HAProxy, §2): what a proxy says, before the first byte of a connection, of the
 * connection that it stands for.
 */

/** One item of version 2 behind the addresses: a type of one byte and up to 65,535 bytes. */
export interface Tlv {
  readonly type: number;
  readonly value: Buffer;
}

/** Both ends of the connection that the proxy stands for; without port and brackets. */
export interface ProxiedEnds {
  readonly sourceAddress: string;
  readonly sourcePort: number;
  readonly destinationAddress: string;
  readonly destinationPort: number;
}

export interface ProxyHeader {
  readonly version: 1 | 2;
  /** Undefined where the header names none (`UNKNOWN`, `LOCAL`, Unix sockets): the connection's own addresses hold. */
  readonly ends: ProxiedEnds | undefined;
  readonly tlvs: readonly Tlv[];
  /** What follows belongs to the connection. */
  readonly byteLength: number;
}

/** Why bytes are no header. */
export interface HeaderProblem {
  /** The version that the bytes began with; 0 for neither. */
  readonly version: 0 | 1 | 2;
  readonly reason: string;
}

/** What every header of version 1 begins with. */
export const V1_SIGNATURE = Buffer.from('PROXY ', 'latin1');
/** What every header of version 2 begins with; no text protocol does. */
export const V2_SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');

/** Signature, version and command, family and transport, length. */
export const V2_FIXED_BYTES = 16;

/** Both addresses and ports of IPv4, of IPv6, and two paths of Unix sockets. */
export const V2_ADDRESS_BYTES = { inet: 12, inet6: 36, unix: 216 } as const;

/** Type and length of an item. */
export const TLV_HEAD_BYTES = 3;

/** The type of the item that carries a checksum over the whole header (§2.2.3). */
export const TLV_CRC32C = 0x03;

/** Whether the bytes that are there are those that the signature begins with. */
export function mayBegin(bytes: Buffer, signature: Buffer): boolean {
  const length = Math.min(bytes.length, signature.length);
  return bytes.compare(signature, 0, length, 0, length) === 0;
}

/** Whether a host can have the address: not the unspecified one, broadcast or multicast. As Envoy asks. */
export function isUnicast(text: string): boolean {
  const ip = parseIp(text);
  if (ip === undefined) return false;
  const { family, a, b, c, d } = ip;
  if (family === 4) return d !== 0 && d !== 0xffffffff && d >>> 28 !== 0xe;
  return (a !== 0 || b !== 0 || c !== 0 || d !== 0) && a >>> 24 !== 0xff;
}
