import { parseIp } from '../ip.ts';
import { type HeaderProblem, isUnicast, mayBegin, type ProxyHeader, V1_SIGNATURE, V2_SIGNATURE } from './header.ts';
import { readV2 } from './read-v2.ts';

/** The longest line of version 1 (§2.1), its line end included. */
export const MAX_V1_BYTES = 107;

/**
 * Reads the header that a connection begins with. A number says that it may still become one, and how many bytes there
 * must be at least to see more.
 */
export function readProxyHeader(bytes: Buffer): ProxyHeader | HeaderProblem | number {
  if (bytes.length === 0) return 1;
  if (mayBegin(bytes, V2_SIGNATURE)) return bytes.length < V2_SIGNATURE.length ? bytes.length + 1 : readV2(bytes);
  if (mayBegin(bytes, V1_SIGNATURE)) return readV1(bytes);
  return { version: 0, reason: 'no PROXY protocol header' };
}

/** `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n`, or `PROXY UNKNOWN …\r\n`. */
function readV1(bytes: Buffer): ProxyHeader | HeaderProblem | number {
  const lineEnd = bytes.subarray(0, MAX_V1_BYTES).indexOf(0x0a);
  if (lineEnd < 0) {
    if (bytes.length < MAX_V1_BYTES) return bytes.length + 1;
    return { version: 0, reason: `a line of more than ${MAX_V1_BYTES} bytes` };
  }
  if (bytes[lineEnd - 1] !== 0x0d) return broken('a line end without carriage return');
  const line = bytes.latin1Slice(V1_SIGNATURE.length, lineEnd - 1);
  const byteLength = lineEnd + 1;
  // What follows it is to be ignored.
  if (line === 'UNKNOWN' || line.startsWith('UNKNOWN ')) return { version: 1, ends: undefined, tlvs: [], byteLength };
  const parts = line.split(' ');
  const [protocol, source = '', destination = '', sourceText = '', destinationText = ''] = parts;
  if (protocol !== 'TCP4' && protocol !== 'TCP6') return broken('a protocol other than TCP4, TCP6 and UNKNOWN');
  if (parts.length !== 5) return broken('not two addresses and two ports');
  const sourcePort = readPort(sourceText);
  const destinationPort = readPort(destinationText);
  if (sourcePort < 0 || destinationPort < 0) return broken('a port that is no number from 0 to 65535');
  const isIpv6 = protocol === 'TCP6';
  if (!isAddress(source, isIpv6) || !isAddress(destination, isIpv6)) return broken(`no address of ${protocol}`);
  if (!isUnicast(source) || !isUnicast(destination)) return broken('an address that no host has');
  const ends = { sourceAddress: source, sourcePort, destinationAddress: destination, destinationPort };
  return { version: 1, ends, tlvs: [], byteLength };
}

/** A decimal number without sign and leading zeros, or -1. */
function readPort(text: string): number {
  if (!/^(0|[1-9][0-9]{0,4})$/.test(text)) return -1;
  const port = Number(text);
  return port <= 65535 ? port : -1;
}

function isAddress(text: string, isIpv6: boolean): boolean {
  // A zone (`%eth0`) means nothing to another host.
  return text.includes(':') === isIpv6 && !text.includes('%') && parseIp(text) !== undefined;
}

function broken(reason: string): HeaderProblem {
  return { version: 1, reason };
}
