import { expect, test } from 'vitest';
import { MessageCounter } from '../../../filters/grpc-stats/message-counter.ts';

function message(bytes: number): Buffer {
  const prefix = Buffer.alloc(5 + bytes, 0xff);
  prefix[0] = 0;
  prefix.writeUInt32BE(bytes, 1);
  return prefix;
}

const BODY = Buffer.concat([message(0), message(1), message(300), message(0), message(70_000)]);

test('counts messages when they begin, however the body is cut', () => {
  for (const size of [1, 2, 3, 4, 5, 6, 7, 11, 305, 306, 65_536, BODY.length]) {
    const counter = new MessageCounter();
    let sum = 0;
    for (let at = 0; at < BODY.length; at += size) sum += counter.add(BODY.subarray(at, at + size));
    expect([size, sum, counter.count]).toEqual([size, 5, 5]);
  }
});

test('a message counts with its first byte', () => {
  const counter = new MessageCounter();
  expect(counter.add(Buffer.from([0]))).toBe(1);
  expect(counter.add(Buffer.from([0, 0, 0]))).toBe(0);
  expect(counter.add(Buffer.alloc(0))).toBe(0);
  expect(counter.add(Buffer.from([1, 9, 0]))).toBe(1);
});

test('lengths above 2 GiB are lengths', () => {
  const counter = new MessageCounter();
  counter.add(Buffer.from([0, 0xff, 0xff, 0xff, 0xff]));
  expect(counter.add(Buffer.alloc(1000))).toBe(0);
  expect(counter.count).toBe(1);
});
