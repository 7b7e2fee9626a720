import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { SourceReader } from '../../../src/tls/secrets/source-reader.ts';
import { readTicketKeys, SHARED_KEYS_BYTES, SharedTicketKeys } from '../../../src/tls/secrets/ticket-keys.ts';

const HOUR_MS = 3_600_000;

function memory(): SharedArrayBuffer {
  return new SharedArrayBuffer(SHARED_KEYS_BYTES);
}

test('threads that share memory share keys', () => {
  const shared = memory();
  const one = new SharedTicketKeys(shared);
  const other = new SharedTicketKeys(shared);
  const { name, hmac, aes } = one.newest();
  expect(Buffer.concat([name, hmac, aes]).every((byte) => byte === 0)).toBe(false);
  expect(other.newest()).toEqual(one.newest());
  expect(other.find(Buffer.from(name))).toEqual(one.newest());
});

test('processes do not', () => {
  const name = Buffer.from(new SharedTicketKeys(memory()).newest().name);
  expect(new SharedTicketKeys(memory()).find(name)).toBeUndefined();
});

test('a key makes tickets for twelve hours, and opens them for twelve more', () => {
  let nowMs = 1_000_000;
  const shared = memory();
  const one = new SharedTicketKeys(shared, () => nowMs);
  const other = new SharedTicketKeys(shared, () => nowMs);
  const first = Buffer.from(one.newest().name);
  nowMs += 11 * HOUR_MS;
  expect(other.newest().name.equals(first)).toBe(true);
  nowMs += 2 * HOUR_MS;
  const second = Buffer.from(other.newest().name);
  expect(second.equals(first)).toBe(false);
  expect(one.newest().name.equals(second)).toBe(true);
  expect(one.find(first)).toBeDefined();
  nowMs += 12 * HOUR_MS;
  expect(one.find(first)).toBeUndefined();
  one.newest();
  expect(one.find(first)).toBeUndefined();
  expect(one.find(second)).toBeDefined();
});

test('a key from before the clock went back is not kept until that time comes again', () => {
  let nowMs = 1_000_000_000_000;
  const keys = new SharedTicketKeys(memory(), () => nowMs);
  nowMs += 1000 * HOUR_MS;
  const future = Buffer.from(keys.newest().name);
  nowMs -= 30;
  expect(keys.newest().name.equals(future)).toBe(true);
  nowMs -= 500 * HOUR_MS;
  const present = Buffer.from(keys.newest().name);
  expect(present.equals(future)).toBe(false);
  expect(keys.newest().name.equals(present)).toBe(true);
  nowMs += 13 * HOUR_MS;
  expect(keys.newest().name.equals(present)).toBe(false);
});

test('configured keys: the first one makes tickets, all are accepted', () => {
  const [a, b] = [randomBytes(80), randomBytes(80)];
  const keys = readTicketKeys({ keys: [{ inline_bytes: a }, { inline_bytes: b }] }, new SourceReader());
  expect(keys.newest().name.equals(a.subarray(0, 16))).toBe(true);
  expect(keys.newest().hmac.equals(a.subarray(16, 48))).toBe(true);
  expect(keys.find(b.subarray(0, 16))?.hmac.equals(b.subarray(16, 48))).toBe(true);
  expect(keys.find(randomBytes(16))).toBeUndefined();
});

test('a key of another size is refused, with its place', () => {
  const source = { keys: [{ inline_bytes: randomBytes(80) }, { inline_bytes: randomBytes(48) }] };
  expect(() => readTicketKeys(source, new SourceReader())).toThrow('session_ticket_keys.keys[1] has 48 bytes, not 80');
});
