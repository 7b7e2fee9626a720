import { expect, test } from 'vitest';
import { crc32c } from '../../../src/network/proxy-protocol/crc32c.ts';
import type { HeaderProblem, ProxyHeader } from '../../../src/network/proxy-protocol/header.ts';
import { readProxyHeader } from '../../../src/network/proxy-protocol/read-header.ts';
import { TCP4_ENDS, TCP6_ENDS, tlv, v2 } from './headers.ts';

const ENDS4 = { sourceAddress: '1.2.3.4', sourcePort: 1111, destinationAddress: '5.6.7.8', destinationPort: 2222 };
const ENDS6 = {
  sourceAddress: '2001:db8::1',
  sourcePort: 1111,
  destinationAddress: '2001:db8::2',
  destinationPort: 2222,
};

function header(bytes: string | Buffer): ProxyHeader {
  const read = readProxyHeader(Buffer.from(bytes as string, 'latin1'));
  if (typeof read === 'number' || 'reason' in read) throw new Error(`no header: ${JSON.stringify(read)}`);
  return read;
}

function problem(bytes: string | Buffer): HeaderProblem | number | undefined {
  const read = readProxyHeader(Buffer.from(bytes as string, 'latin1'));
  return typeof read === 'number' || 'reason' in read ? read : undefined;
}

test('a line of version 1 names both ends, and what follows it is left', () => {
  const text = 'PROXY TCP4 1.2.3.4 5.6.7.8 1111 2222\r\n';
  expect(header(`${text}GET /`)).toEqual({ version: 1, ends: ENDS4, tlvs: [], byteLength: text.length });
  expect(header('PROXY TCP6 2001:db8::1 2001:db8::2 1111 2222\r\n').ends).toEqual(ENDS6);
  expect(header('PROXY TCP4 1.2.3.4 5.6.7.8 0 65535\r\n').ends?.destinationPort).toBe(65535);
});

test('UNKNOWN says nothing of the ends, whatever follows it in the line', () => {
  for (const text of ['PROXY UNKNOWN\r\n', 'PROXY UNKNOWN ::1 what ever\r\n'])
    expect(header(text)).toEqual({ version: 1, ends: undefined, tlvs: [], byteLength: text.length });
});

test.each([
  ['PROXY TCP4 1.2.3.4 5.6.7.8 1111 2222\n', 'without carriage return'],
  ['PROXY TCP5 1.2.3.4 5.6.7.8 1111 2222\r\n', 'other than TCP4'],
  ['PROXY tcp4 1.2.3.4 5.6.7.8 1111 2222\r\n', 'other than TCP4'],
  ['PROXY \r\n', 'other than TCP4'],
  ['PROXY UNKNOWNS\r\n', 'other than TCP4'],
  ['PROXY TCP4 1.2.3.4 5.6.7.8 1111\r\n', 'two ports'],
  ['PROXY TCP4 1.2.3.4 5.6.7.8 1111 2222 3333\r\n', 'two ports'],
  ['PROXY TCP4  1.2.3.4 5.6.7.8 1111 2222\r\n', 'two ports'],
  ['PROXY TCP4 1.2.3.4 5.6.7.8 1111 2222 \r\n', 'two ports'],
  ['PROXY TCP4 1.2.3.4 5.6.7.8 1111 65536\r\n', '65535'],
  ['PROXY TCP4 1.2.3.4 5.6.7.8 01 2222\r\n', '65535'],
  ['PROXY TCP4 1.2.3.4 5.6.7.8 +1 2222\r\n', '65535'],
  ['PROXY TCP4 1.2.3.4 5.6.7.8 -1 2222\r\n', '65535'],
  ['PROXY TCP4 1.2.3.4 5.6.7.8 0x1 2222\r\n', '65535'],
  ['PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n', 'no address of TCP4'],
  ['PROXY TCP4 1.2.3.04 5.6.7.8 1 2\r\n', 'no address of TCP4'],
  ['PROXY TCP4 ::1 ::2 1 2\r\n', 'no address of TCP4'],
  ['PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n', 'no address of TCP6'],
  ['PROXY TCP6 fe80::1%eth0 ::2 1 2\r\n', 'no address of TCP6'],
  ['PROXY TCP6 :::1 ::2 1 2\r\n', 'no address of TCP6'],
  ['PROXY TCP4 0.0.0.0 5.6.7.8 1 2\r\n', 'no host has'],
  ['PROXY TCP4 255.255.255.255 5.6.7.8 1 2\r\n', 'no host has'],
  ['PROXY TCP4 1.2.3.4 224.0.0.1 1 2\r\n', 'no host has'],
  ['PROXY TCP6 :: ::2 1 2\r\n', 'no host has'],
  ['PROXY TCP6 ::1 ff02::1 1 2\r\n', 'no host has'],
])('version 1 refuses %j', (text, reason) => {
  expect(problem(text)).toMatchObject({ version: 1, reason: expect.stringContaining(reason) });
});

test('a line has at most 107 bytes, its end included', () => {
  const filled = (length: number) => `PROXY UNKNOWN ${'x'.repeat(length - 16)}\r\n`;
  expect(header(filled(107)).byteLength).toBe(107);
  expect(problem(filled(108))).toMatchObject({ reason: expect.stringContaining('107') });
  expect(problem(`PROXY UNKNOWN ${'x'.repeat(92)}`)).toBe(107);
  expect(problem(`PROXY UNKNOWN ${'x'.repeat(93)}`)).toMatchObject({ version: 0 });
});

test.each(['GET / HTTP/1.1\r\n', '\x16\x03\x01', 'PROXX', '\r\n\r\n\0\r\nQUIX', '\0', 'PROXYTCP4 '])(
  '%j is no header of either version, as soon as that is clear',
  (text) => {
    expect(problem(text)).toEqual({ version: 0, reason: 'no PROXY protocol header' });
  },
);

test('version 2 names both ends, and carries items', () => {
  const body = Buffer.concat([TCP4_ENDS, tlv(5, 'abc'), tlv(0xea, ''), tlv(5, 'again')]);
  const bytes = v2(1, 0x11, body);
  expect(header(Buffer.concat([bytes, Buffer.from('rest')]))).toEqual({
    version: 2,
    ends: ENDS4,
    tlvs: [
      { type: 5, value: Buffer.from('abc') },
      { type: 0xea, value: Buffer.alloc(0) },
      { type: 5, value: Buffer.from('again') },
    ],
    byteLength: bytes.length,
  });
  expect(header(v2(1, 0x21, TCP6_ENDS)).ends).toEqual(ENDS6);
  // Datagrams, over a stream all the same: as Envoy has it.
  expect(header(v2(1, 0x12, TCP4_ENDS)).ends).toEqual(ENDS4);
});

test('addresses of IPv6 are written in their shortest form', () => {
  const cases = {
    '00000000000000000000000000000001': '::1',
    '20010db8000000000001000000000001': '2001:db8::1:0:0:1',
    '20010db800010001000100010001000a': '2001:db8:1:1:1:1:1:a',
    '00010000000200030004000500060007': '1:0:2:3:4:5:6:7',
    '00000000000000000000ffff01020304': '::ffff:1.2.3.4',
    '20010000000000000000000000000000': '2001::',
  };
  for (const [hex, text] of Object.entries(cases)) {
    const body = Buffer.concat([Buffer.from(hex, 'hex'), TCP6_ENDS.subarray(16)]);
    expect(header(v2(1, 0x21, body)).ends?.sourceAddress).toBe(text);
  }
});

test('LOCAL, unspecified families and Unix sockets leave the ends as they are', () => {
  const unix = Buffer.alloc(216, 'a');
  for (const bytes of [
    v2(0, 0, Buffer.alloc(0)),
    // What comes with LOCAL is skipped, be it what it may.
    v2(0, 0xff, Buffer.from('no items')),
    v2(1, 0, Buffer.alloc(0)),
    v2(1, 0x31, unix),
  ])
    expect(header(bytes)).toMatchObject({ ends: undefined, tlvs: [], byteLength: bytes.length });
  expect(header(v2(1, 0x31, Buffer.concat([unix, tlv(5, 'id')]))).tlvs).toHaveLength(1);
});

test.each([
  ['another version', Buffer.concat([v2(1, 0x11, TCP4_ENDS).fill(0x11, 12, 13)]), 'other than 2'],
  ['another command', v2(2, 0x11, TCP4_ENDS), 'other than LOCAL'],
  ['an unknown family', v2(1, 0x41, TCP4_ENDS), 'family'],
  ['an unknown transport', v2(1, 0x13, TCP4_ENDS), 'transport'],
  ['a family without transport', v2(1, 0x10, TCP4_ENDS), 'transport'],
  ['a length that has no room for the addresses', v2(1, 0x11, TCP4_ENDS, 11), 'shorter'],
  ['no room for two paths', v2(1, 0x31, Buffer.alloc(215)), 'shorter'],
  ['an item of one byte', v2(1, 0x11, Buffer.concat([TCP4_ENDS, Buffer.from([5])])), 'ends before its length'],
  ['an item of two bytes', v2(1, 0x11, Buffer.concat([TCP4_ENDS, Buffer.from([5, 0])])), 'ends before its length'],
  ['an item that is too long', v2(1, 0x11, Buffer.concat([TCP4_ENDS, Buffer.from([5, 0, 2, 1])])), 'longer'],
  ['the unspecified address', v2(1, 0x11, Buffer.from('00000000050607080001ffff', 'hex')), 'no host has'],
])('version 2 refuses %s', (_, bytes, reason) => {
  expect(problem(bytes)).toMatchObject({ version: 2, reason: expect.stringContaining(reason) });
});

test('a checksum covers the whole header, and must be right', () => {
  // RFC 3720 appendix B.4: 32 bytes of zeros.
  expect(crc32c(Buffer.alloc(32)).toString(16)).toBe('8a9136aa');
  const bytes = v2(1, 0x11, Buffer.concat([TCP4_ENDS, tlv(3, '\0\0\0\0'), tlv(5, 'id')]));
  bytes.writeUInt32BE(crc32c(bytes), 16 + 12 + 3);
  expect(header(bytes).ends).toEqual(ENDS4);
  for (let at = 16; at < bytes.length; at++) {
    // Its type: then it is no checksum any more.
    if (at === 28) continue;
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] as number) ^ 1;
    expect(problem(changed), `byte ${at}`).toMatchObject({ version: 2 });
  }
  expect(problem(v2(1, 0x11, Buffer.concat([TCP4_ENDS, tlv(3, '\0\0\0')])))).toMatchObject({
    reason: expect.stringContaining('four bytes'),
  });
});

test('every beginning of a header asks for more, and never for more than the header has', () => {
  const long = v2(1, 0x21, Buffer.concat([TCP6_ENDS, tlv(9, Buffer.alloc(65535 - 36 - 3))]));
  for (const bytes of [
    Buffer.from('PROXY TCP4 1.2.3.4 5.6.7.8 1111 2222\r\n'),
    v2(1, 0x11, Buffer.concat([TCP4_ENDS, tlv(5, 'abc')])),
    v2(0, 0, Buffer.alloc(0)),
    long,
  ]) {
    for (let length = 0; length < bytes.length; length = length < 300 ? length + 1 : length + 6007) {
      const needed = readProxyHeader(bytes.subarray(0, length));
      expect(needed, `of ${length} bytes`).toBeGreaterThan(length);
      expect(needed).toBeLessThanOrEqual(bytes.length);
    }
    expect(header(bytes).byteLength).toBe(bytes.length);
  }
});

test('no bytes whatever make the reader fail, read beyond them, or accept more than came', () => {
  // A fixed generator (Numerical Recipes), so that a failure comes again.
  let state = 1;
  const random = (below: number): number => {
    state = (state * 1664525 + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const seeds = [
    Buffer.from('PROXY TCP6 2001:db8::1 2001:db8::2 1111 2222\r\n'),
    v2(1, 0x11, Buffer.concat([TCP4_ENDS, tlv(5, 'abc'), tlv(0xee, 'x'.repeat(300))])),
    v2(1, 0x21, TCP6_ENDS),
    v2(0, 0, Buffer.alloc(3)),
  ];
  let accepted = 0;
  for (let round = 0; round < 20_000; round++) {
    const bytes = Buffer.from(seeds[random(seeds.length)] as Buffer);
    for (let change = random(4); change > 0; change--) bytes[random(bytes.length)] = random(256);
    const cut = random(4) === 0 ? bytes.subarray(0, random(bytes.length + 1)) : bytes;
    const read = readProxyHeader(cut);
    if (typeof read === 'number') expect(read).toBeGreaterThan(cut.length);
    else if ('reason' in read) expect(read.reason).not.toBe('');
    else {
      accepted++;
      expect(read.byteLength).toBeLessThanOrEqual(cut.length);
    }
  }
  expect(accepted).toBeGreaterThan(1000);
});
