import type { Family } from './rule.ts';

const SYN_LENGTH = 20;
const TCP = 6;

export interface Syn {
  readonly family: Family;
  readonly source: bigint;
  readonly sourcePort: number;
  readonly destination: bigint;
  readonly destinationPort: number;
}

/** An Ethernet frame with the first packet of a TCP connection (RFC 9293 §3.1, RFC 791, RFC 8200). */
export function synFrame(syn: Syn, toMac: Uint8Array, fromMac: Uint8Array): Uint8Array<ArrayBuffer> {
  const segment = tcpSegment(syn);
  const header = syn.family === 4 ? ipv4Header(syn) : ipv6Header(syn);
  const etherType = syn.family === 4 ? [0x08, 0x00] : [0x86, 0xdd];
  return Uint8Array.from([...toMac, ...fromMac, ...etherType, ...header, ...segment]);
}

function tcpSegment({ family, source, sourcePort, destination, destinationPort }: Syn): Uint8Array {
  const segment = new DataView(new ArrayBuffer(SYN_LENGTH));
  segment.setUint16(0, sourcePort);
  segment.setUint16(2, destinationPort);
  segment.setUint32(4, 1);
  // Five words of header, the flag SYN, the widest window.
  segment.setUint16(12, 0x5002);
  segment.setUint16(14, 0xffff);
  const pseudo = [...addressBytes(family, source), ...addressBytes(family, destination), 0, TCP, 0, SYN_LENGTH];
  segment.setUint16(16, checksum([...pseudo, ...bytesOf(segment)]));
  return bytesOf(segment);
}

function ipv4Header({ source, destination }: Syn): Uint8Array {
  const header = new DataView(new ArrayBuffer(20));
  header.setUint16(0, 0x4500);
  header.setUint16(2, 20 + SYN_LENGTH);
  header.setUint16(8, (64 << 8) | TCP);
  header.setUint32(12, Number(source));
  header.setUint32(16, Number(destination));
  header.setUint16(10, checksum([...bytesOf(header)]));
  return bytesOf(header);
}

function ipv6Header({ source, destination }: Syn): number[] {
  return [0x60, 0, 0, 0, 0, SYN_LENGTH, TCP, 64, ...addressBytes(6, source), ...addressBytes(6, destination)];
}

function addressBytes(family: Family, address: bigint): number[] {
  const length = family === 4 ? 4 : 16;
  return Array.from({ length }, (_, i) => Number((address >> BigInt(8 * (length - 1 - i))) & 0xffn));
}

/** The Internet checksum (RFC 1071) of an even number of bytes. */
function checksum(bytes: readonly number[]): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function bytesOf(view: DataView<ArrayBuffer>): Uint8Array {
  return new Uint8Array(view.buffer);
}
