import { expect, test } from 'vitest';
import type { ProxyHeader } from '../../../src/network/proxy-protocol/header.ts';
import { readProxyHeader } from '../../../src/network/proxy-protocol/read-header.ts';
import { writeV1, writeV2 } from '../../../src/network/proxy-protocol/write-header.ts';

const ends = (sourceAddress: string, destinationAddress: string) => ({
  sourceAddress,
  sourcePort: 1111,
  destinationAddress,
  destinationPort: 2222,
});
const read = (bytes: Buffer): ProxyHeader => readProxyHeader(bytes) as ProxyHeader;

test('version 1 is one line, in the family that both addresses fit', () => {
  expect(writeV1(ends('1.2.3.4', '5.6.7.8')).toString()).toBe('PROXY TCP4 1.2.3.4 5.6.7.8 1111 2222\r\n');
  expect(writeV1(ends('2001:db8::1', '::1')).toString()).toBe('PROXY TCP6 2001:db8::1 ::1 1111 2222\r\n');
  expect(writeV1(ends('2001:db8::1', '5.6.7.8')).toString()).toBe(
    'PROXY TCP6 2001:db8::1 ::ffff:5.6.7.8 1111 2222\r\n',
  );
});

test('without two addresses version 1 says UNKNOWN, and version 2 LOCAL', () => {
  for (const none of [undefined, ends('', ''), ends('1.2.3.4', '/run/app.sock')]) {
    expect(writeV1(none).toString()).toBe('PROXY UNKNOWN\r\n');
    const { header, fits } = writeV2(none, [{ type: 5, value: Buffer.from('x') }]);
    expect(read(header)).toEqual({ version: 2, ends: undefined, tlvs: [], byteLength: 16 });
    expect(fits).toBe(true);
  }
});

test('version 2 is read as it was written', () => {
  const tlvs = [
    { type: 0xee, value: Buffer.from('hello') },
    { type: 5, value: Buffer.alloc(0) },
    { type: 0xee, value: Buffer.from('again') },
  ];
  for (const [source, destination] of [
    ['1.2.3.4', '5.6.7.8'],
    ['2001:db8::1', '2001:db8::2'],
  ] as const) {
    const { header, fits } = writeV2(ends(source, destination), tlvs);
    expect(fits).toBe(true);
    expect(read(header)).toEqual({
      version: 2,
      ends: ends(source, destination),
      tlvs,
      byteLength: header.length,
    });
  }
  expect(read(writeV2(ends('2001:db8::1', '5.6.7.8'), []).header).ends?.destinationAddress).toBe('::ffff:5.6.7.8');
});

test('an item that does not fit is left out, and those behind it that fit are not', () => {
  const small = { type: 2, value: Buffer.from('small') };
  const largest = { type: 1, value: Buffer.alloc(65535 - 12 - 3) };
  expect(writeV2(ends('1.2.3.4', '5.6.7.8'), [largest]).fits).toBe(true);
  const { header, fits } = writeV2(ends('1.2.3.4', '5.6.7.8'), [small, largest, small]);
  expect(fits).toBe(false);
  expect(read(header).tlvs).toEqual([small, small]);
});
