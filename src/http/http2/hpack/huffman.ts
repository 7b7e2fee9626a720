import { VALUE_BYTE } from '../../http1/chars.ts';

/**
 * Bits of the code of each byte, and of EOS at the end (RFC 7541 Appendix B). The code is canonical: codes of one length
 * are consecutive numbers in the order of their bytes, so the lengths are all of it.
 */
// biome-ignore format: one row of 16 for each high nibble
const CODE_LENGTHS = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
  28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
  5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
  6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
  24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
  21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
  26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
  30,
];
const EOS = 256;
const MAX_CODE_BITS = 30;

/** What `decodeHuffman` found, one bit each, in the place that the table's entries have them. */
export const HUFFMAN = {
  /** A byte that may not stand in a field value. */
  BAD_VALUE: 1 << 26,
  /** EOS in the data, padding of more than 7 bits, or padding that is not all ones: a compression error. */
  ERROR: 1 << 27,
} as const;

const LENGTHS: Uint8Array = Uint8Array.from(CODE_LENGTHS);
const CODES: Uint32Array = assignCodes();

/** Two children for each inner node: the number of a node, or ~symbol for a leaf. */
const CHILDREN: Int32Array = buildTree();

/**
 * The decoder reads a byte at a time. Its state is the inner node of the code's tree at which it stands between bytes:
 * 256 of them. Entry `state << 8 | byte` has, from the lowest bit on: the first byte decoded (8 bits), the second one (8),
 * the next state (8), how many bytes were decoded (2), and the flags of `HUFFMAN`. No entry is 0: that is one which was not
 * needed yet. All of them would take 10 ms of every start.
 */
const TRANSITIONS: Int32Array = new Int32Array(256 * 256);

/** The nodes on the path of ones down to 7 bits are the first ones: what a string may end in. */
const LAST_ACCEPTED_STATE = 7;

function assignCodes(): Uint32Array {
  const codes = new Uint32Array(LENGTHS.length);
  let code = 0;
  for (let bits = 1; bits <= MAX_CODE_BITS; bits++) {
    code <<= 1;
    for (let symbol = 0; symbol <= EOS; symbol++) if (LENGTHS[symbol] === bits) codes[symbol] = code++;
  }
  return codes;
}

function buildTree(): Int32Array {
  const children = new Int32Array(512);
  let nodes = 1;
  const addPath = (symbol: number): void => {
    let node = 0;
    for (let bit = (LENGTHS[symbol] as number) - 1; bit > 0; bit--) {
      const side = node * 2 + (((CODES[symbol] as number) >>> bit) & 1);
      if (children[side] === 0) children[side] = nodes++;
      node = children[side] as number;
    }
    children[node * 2 + ((CODES[symbol] as number) & 1)] = ~symbol;
  };
  // EOS is all ones. Coming first, it numbers the nodes of its path by their depth.
  for (let symbol = EOS; symbol >= 0; symbol--) addPath(symbol);
  return children;
}

/** Computes the entry for a state, in the place where entries have it, and a byte. */
function addTransition(state: number, byte: number): number {
  let node = state >> 8;
  let entry = 0;
  let count = 0;
  for (let bit = 7; bit >= 0; bit--) {
    node = CHILDREN[node * 2 + ((byte >>> bit) & 1)] as number;
    if (node >= 0) continue;
    const symbol = ~node;
    node = 0;
    if (symbol === EOS) {
      entry |= HUFFMAN.ERROR;
      continue;
    }
    entry |= symbol << (8 * count++);
    if (VALUE_BYTE[symbol] === 0) entry |= HUFFMAN.BAD_VALUE;
  }
  entry |= (node << 16) | (count << 24);
  TRANSITIONS[state | byte] = entry;
  return entry;
}

/** Flags of the string that was decoded last. */
let flags = 0;

/** What the last `decodeHuffman` found: bits of `HUFFMAN`. */
export function huffmanFlags(): number {
  return flags;
}

/** Bytes that `out` needs for a Huffman string of so many bytes: no code is shorter than 5 bits. */
export function huffmanBound(encodedBytes: number): number {
  return Math.floor((encodedBytes * 8) / 5) + 2;
}

/** Decodes `buffer[start, end)` to the begin of `out`, which has `huffmanBound` bytes. Returns how many bytes it wrote. */
export function decodeHuffman(buffer: Uint8Array, start: number, end: number, out: Uint8Array): number {
  let state = 0;
  let length = 0;
  let seen = 0;
  for (let i = start; i < end; i++) {
    let entry = TRANSITIONS[state | (buffer[i] as number)] as number;
    if (entry === 0) entry = addTransition(state, buffer[i] as number);
    out[length] = entry;
    out[length + 1] = entry >>> 8;
    length += (entry >>> 24) & 3;
    state = (entry >>> 8) & 0xff00;
    seen |= entry;
  }
  flags = state > LAST_ACCEPTED_STATE << 8 ? seen | HUFFMAN.ERROR : seen;
  return length;
}

/** Bytes that `bytes[0, length)` has as a Huffman string. */
export function huffmanBytes(bytes: Uint8Array, length: number): number {
  let bits = 0;
  for (let i = 0; i < length; i++) bits += LENGTHS[bytes[i] as number] as number;
  return (bits + 7) >>> 3;
}

/** Writes `bytes[0, length)` as a Huffman string. Returns the offset behind. */
export function encodeHuffman(bytes: Uint8Array, length: number, out: Uint8Array, at: number): number {
  let pending = 0;
  let bits = 0;
  for (let i = 0; i < length; i++) {
    const symbol = bytes[i] as number;
    let code = CODES[symbol] as number;
    let codeBits = LENGTHS[symbol] as number;
    // At most 7 bits wait: with a code of up to 30 they do not fit 32 bits, so a long code goes in two parts.
    if (codeBits > 24) {
      pending = (pending << (codeBits - 16)) | (code >>> 16);
      bits += codeBits - 16;
      while (bits >= 8) {
        bits -= 8;
        out[at++] = pending >>> bits;
      }
      code &= 0xffff;
      codeBits = 16;
    }
    pending = (pending << codeBits) | code;
    bits += codeBits;
    while (bits >= 8) {
      bits -= 8;
      out[at++] = pending >>> bits;
    }
  }
  // The padding is the begin of EOS: ones (RFC 7541 §5.2).
  if (bits > 0) out[at++] = (pending << (8 - bits)) | (0xff >>> bits);
  return at;
}
