import { expect, test } from 'vitest';
import {
  FIRST_CONNECTION_WINDOW_BYTES,
  FIRST_STREAM_WINDOW_BYTES,
  WindowGrowth,
} from '../../../src/http/http2/window-growth.ts';

const MIB = 1024 * 1024;
const sizes = (growth: WindowGrowth) => [growth.streamWindowBytes, growth.connectionWindowBytes];

/** A round trip in which so many bytes arrive. True when the windows have grown. */
function roundTrip(growth: WindowGrowth, bytes: number): boolean {
  let left = bytes;
  while (!growth.onBytes(1000)) left -= 1000;
  growth.onBytes(left);
  return growth.onRoundTrip();
}

test('windows begin with a guess, or with what is configured where that is less', () => {
  expect(sizes(new WindowGrowth(16 * MIB, 24 * MIB))).toEqual([
    FIRST_STREAM_WINDOW_BYTES,
    FIRST_CONNECTION_WINDOW_BYTES,
  ]);
  expect(sizes(new WindowGrowth(65_535, 65_535))).toEqual([65_535, 65_535]);
});

test('a round trip that brought most of a window doubles the windows, up to what is configured', () => {
  const growth = new WindowGrowth(1 * MIB, 3 * MIB);
  expect(roundTrip(growth, 2 * FIRST_STREAM_WINDOW_BYTES)).toBe(true);
  expect(sizes(growth)).toEqual([512 * 1024, 2 * MIB]);
  expect(roundTrip(growth, 4 * FIRST_STREAM_WINDOW_BYTES)).toBe(true);
  expect(sizes(growth)).toEqual([1 * MIB, 3 * MIB]);
  // Nothing more to find out: no PING is sent any more.
  for (let i = 0; i < 10_000; i++) expect(growth.onBytes(10_000)).toBe(false);
});

test('a round trip that brought little changes nothing, and the next look is much later', () => {
  const growth = new WindowGrowth(16 * MIB, 24 * MIB);
  while (!growth.onBytes(1000));
  expect(growth.onRoundTrip()).toBe(false);
  expect(sizes(growth)).toEqual([FIRST_STREAM_WINDOW_BYTES, FIRST_CONNECTION_WINDOW_BYTES]);
  let bytes = 1000;
  while (!growth.onBytes(1000)) bytes += 1000;
  expect(bytes).toBeGreaterThanOrEqual(16 * FIRST_STREAM_WINDOW_BYTES);
});

test('one question is under way at a time, and answers to none change nothing', () => {
  const growth = new WindowGrowth(16 * MIB, 24 * MIB);
  expect(growth.onRoundTrip()).toBe(false);
  while (!growth.onBytes(1000));
  for (let i = 0; i < 1000; i++) expect(growth.onBytes(1000)).toBe(false);
  expect(growth.onRoundTrip()).toBe(true);
  const grown = sizes(growth);
  for (let i = 0; i < 10; i++) expect(growth.onRoundTrip()).toBe(false);
  expect(sizes(growth)).toEqual(grown);
});
