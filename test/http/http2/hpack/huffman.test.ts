import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  decodeHuffman,
  encodeHuffman,
  HUFFMAN,
  huffmanBound,
  huffmanBytes,
  huffmanFlags,
} from '../../../../src/http/http2/hpack/huffman.ts';
import { hex } from './hpack-fixture.ts';

function decode(coded: Buffer): string {
  const out = Buffer.alloc(huffmanBound(coded.length));
  const length = decodeHuffman(coded, 0, coded.length, out);
  return out.latin1Slice(0, length);
}

function encode(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  const out = Buffer.alloc(huffmanBytes(bytes, bytes.length));
  expect(encodeHuffman(bytes, bytes.length, out, 0)).toBe(out.length);
  return out;
}

function fails(coded: string): boolean {
  decode(hex(coded));
  return (huffmanFlags() & HUFFMAN.ERROR) !== 0;
}

test('every byte comes back, alone, doubled and among others', () => {
  for (let byte = 0; byte < 256; byte++) {
    const char = String.fromCharCode(byte);
    for (const text of [char, char + char, `a${char}`, `${char}a`, `/p${char}\xff${char}0`]) {
      expect(decode(encode(text))).toBe(text);
      expect(huffmanFlags() & HUFFMAN.ERROR).toBe(0);
    }
  }
});

test('any text comes back', () => {
  const latin1 = fc.array(fc.nat(255)).map((bytes) => Buffer.from(bytes).latin1Slice());
  fc.assert(fc.property(latin1, (text) => decode(encode(text)) === text && (huffmanFlags() & HUFFMAN.ERROR) === 0));
});

/** The first byte of each length of code, as RFC 7541 Appendix B has it. */
const CODES: [byte: number, bits: string][] = [
  [48, '00000'],
  [32, '010100'],
  [58, '1011100'],
  [38, '11111000'],
  [33, '1111111000'],
  [39, '11111111010'],
  [35, '111111111010'],
  [0, '1111111111000'],
  [94, '11111111111100'],
  [60, '111111111111100'],
  [92, '1111111111111110000'],
  [128, '11111111111111100110'],
  [153, '111111111111111011100'],
  [129, '1111111111111111010010'],
  [1, '11111111111111111011000'],
  [9, '111111111111111111101010'],
  [199, '1111111111111111111101100'],
  [192, '11111111111111111111100000'],
  [203, '111111111111111111111011110'],
  [2, '1111111111111111111111100010'],
  [10, '111111111111111111111111111100'],
];

test('codes are those of RFC 7541 Appendix B', () => {
  expect(encode('www.example.com')).toEqual(hex('f1e3 c2e5 f23a 6ba0 ab90 f4ff'));
  for (const [byte, bits] of CODES) {
    const octets = bits.padEnd(Math.ceil(bits.length / 8) * 8, '1').match(/.{8}/g) ?? [];
    const coded = Buffer.from(octets.map((octet) => Number.parseInt(octet, 2)));
    expect(encode(String.fromCharCode(byte))).toEqual(coded);
    expect(decode(coded)).toBe(String.fromCharCode(byte));
  }
});

test('bytes that may not stand in a value are found', () => {
  for (let byte = 0; byte < 256; byte++) {
    decode(encode(`ab${String.fromCharCode(byte)}c`));
    const isAllowed = byte === 9 || (byte >= 0x20 && byte !== 0x7f);
    expect((huffmanFlags() & HUFFMAN.BAD_VALUE) === 0, `byte ${byte}`).toBe(isAllowed);
  }
});

test('padding is at most 7 bits, all ones', () => {
  // 'a' is 00011; 'aaaaaaaa' fills 5 bytes.
  expect(fails('1f')).toBe(false);
  expect(fails('1e')).toBe(true);
  expect(fails('18')).toBe(true);
  expect(fails('1f ff')).toBe(true);
  expect(fails('18 c6 31 8c 63')).toBe(false);
  expect(fails('18 c6 31 8c 63 ff')).toBe(true);
  expect(fails('')).toBe(false);
  expect(fails('ff')).toBe(true);
  // ':' has 7 bits (1011100), '&' has 8 (11111000): 1 and no bits of padding.
  expect(fails('b9')).toBe(false);
  expect(fails('b8')).toBe(true);
  expect(fails('f8')).toBe(false);
});

test('EOS is an error wherever it stands', () => {
  expect(fails('ff ff ff fc')).toBe(true);
  expect(fails('ff ff ff ff')).toBe(true);
  // Behind an 'a', and with an 'a' behind it that would end the string well.
  expect(fails('1f ff ff ff e3')).toBe(true);
  expect(fails(`1f ff ff ff e0 ${'00'.repeat(8)}`)).toBe(true);
});
