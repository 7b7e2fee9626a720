import { expect, test } from 'vitest';
import { ClosedStreams } from '../../../src/http/http2/closed-streams.ts';

test('a stream that was never closed is not known', () => {
  const closed = new ClosedStreams();
  expect([closed.has(1), closed.ignores(1), closed.has(2049), closed.ignores(2049)]).toEqual(Array(4).fill(false));
});

test('late frames of a stream are ignored when we reset it, and are a fault when it had ended', () => {
  const closed = new ClosedStreams();
  closed.add(1, true);
  closed.add(3, false);
  expect([closed.has(1), closed.ignores(1)]).toEqual([true, true]);
  expect([closed.has(3), closed.ignores(3)]).toEqual([true, false]);
});

test('1024 streams are remembered, and those before them get the benefit of the doubt', () => {
  const closed = new ClosedStreams();
  for (let id = 1; id < 2 * 2000; id += 2) closed.add(id, false);
  const last = 2 * 2000 - 1;
  expect([closed.has(last), closed.ignores(last)]).toEqual([true, false]);
  expect([closed.has(last - 2 * 1023), closed.ignores(last - 2 * 1023)]).toEqual([true, false]);
  expect([closed.has(last - 2 * 1024), closed.ignores(last - 2 * 1024)]).toEqual([false, true]);
});

test('ids go up to the last one there is', () => {
  const closed = new ClosedStreams();
  closed.add(0x7fff_ffff, true);
  expect([closed.has(0x7fff_ffff), closed.ignores(0x7fff_ffff)]).toEqual([true, true]);
});
