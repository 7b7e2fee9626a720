import { expect, onTestFinished, test, vi } from 'vitest';
import type { Http2Stream } from '../../../src/http/http2/http2-stream.ts';
import { SpareStreams } from '../../../src/http/http2/spare-streams.ts';

const stream = (): Http2Stream => ({}) as Http2Stream;

function countOf(spares: SpareStreams<Http2Stream>): number {
  const taken: Http2Stream[] = [];
  for (let next = spares.take(); next !== undefined; next = spares.take()) taken.push(next);
  for (const one of taken) spares.give(one);
  return taken.length;
}

test('streams are used again, the last one first', () => {
  const spares = new SpareStreams();
  onTestFinished(() => spares.stop());
  const [first, second] = [stream(), stream()];
  expect(spares.take()).toBeUndefined();
  spares.give(first);
  spares.give(second);
  expect(spares.take()).toBe(second);
  expect(spares.take()).toBe(first);
  expect(spares.take()).toBeUndefined();
});

test('a burst leaves no more than the bound', () => {
  const spares = new SpareStreams();
  onTestFinished(() => spares.stop());
  for (let i = 0; i < 1000; i++) spares.give(stream());
  expect(countOf(spares)).toBe(128);
});

test('spares that nobody needed for a while are let go, those in use stay', () => {
  const spares = new SpareStreams();
  onTestFinished(() => spares.stop());
  for (let i = 0; i < 100; i++) spares.give(stream());
  // The first look only sees those that were there when it was set.
  spares.onTimeout();
  // Thirty at a time are in use from then on: the others are not.
  const busy = Array.from({ length: 30 }, () => spares.take() as Http2Stream);
  for (const one of busy) spares.give(one);
  spares.onTimeout();
  expect(countOf(spares)).toBe(30);
  // That count took all of them, so all were of use; after a quiet time a few are left.
  spares.onTimeout();
  spares.onTimeout();
  expect(countOf(spares)).toBe(4);
});

test('a connection that ends leaves no timer and no stream', () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const spares = new SpareStreams();
  for (let i = 0; i < 10; i++) spares.give(stream());
  expect(spares.started).toBe(true);
  spares.stop();
  expect(spares.started).toBe(false);
  expect(spares.take()).toBeUndefined();
});
