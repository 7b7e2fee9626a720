import { expect, test } from 'vitest';
import { healthCheckRequest, saysServing } from '../../../src/upstream/health/grpc-health-message.ts';

/** A message behind its length prefix. */
function framed(...message: number[]): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, Buffer.from(message)]);
}

test('a request names its service in field 1, and nothing for the whole server', () => {
  expect(healthCheckRequest('')).toEqual(Buffer.from([0, 0, 0, 0, 0]));
  expect(healthCheckRequest('ab')).toEqual(Buffer.from([0, 0, 0, 0, 4, 0x0a, 2, 0x61, 0x62]));
  const long = 'ä'.repeat(100);
  expect(healthCheckRequest(long)).toEqual(
    Buffer.concat([Buffer.from([0, 0, 0, 0, 203, 0x0a, 0xc8, 0x01]), Buffer.from(long)]),
  );
});

test('SERVING alone is a pass', () => {
  expect([0, 1, 2, 3].map((status) => saysServing(framed(0x08, status)))).toEqual([false, true, false, false]);
  expect(saysServing(framed())).toBe(false);
  expect(saysServing(Buffer.alloc(0))).toBe(false);
});

test('unknown fields of every kind are passed over, and the last status counts', () => {
  const fields = [0x12, 2, 9, 9, 0x1d, 1, 2, 3, 4, 0x21, 1, 2, 3, 4, 5, 6, 7, 8, 0x28, 0xff, 0x01];
  expect(saysServing(framed(...fields, 0x08, 2, 0x08, 1))).toBe(true);
  expect(saysServing(framed(0x08, 1, ...fields, 0x08, 2))).toBe(false);
  expect(saysServing(framed(0x0a, 1, 1))).toBe(false);
});

test('one message with content is allowed, empty ones do not count', () => {
  expect(saysServing(Buffer.concat([framed(), framed(0x08, 1), framed()]))).toBe(true);
  expect(saysServing(Buffer.concat([framed(0x08, 1), framed(0x08, 1)]))).toBe(false);
});

test.each([
  ['cut within the prefix', framed(0x08, 1).subarray(0, 3)],
  ['cut within the message', framed(0x08, 1).subarray(0, 6)],
  ['compressed', Buffer.concat([Buffer.from([1]), framed(0x08, 1).subarray(1)])],
  ['a varint without an end', framed(0x08, 0x81)],
  ['a varint that is too long', framed(0x08, ...new Array(10).fill(0x81), 1)],
  ['a field that goes beyond the message', framed(0x08, 1, 0x12, 9, 1)],
  ['a group', framed(0x08, 1, 0x13)],
  ['field 0', framed(0x08, 1, 0x00, 1)],
])('%s is no answer', (_name, body) => {
  expect(saysServing(body)).toBe(false);
});

test('random bytes never throw', () => {
  for (let i = 0; i < 2000; i++) {
    const bytes = Array.from({ length: i % 24 }, () => Math.floor(Math.random() * 256));
    expect(typeof saysServing(framed(...bytes))).toBe('boolean');
    expect(typeof saysServing(Buffer.from(bytes))).toBe('boolean');
  }
});
