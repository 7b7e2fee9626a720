import { expect, test } from 'vitest';
import { WARMUP_WINDOWS, warmUp } from '../../../bench/characterize/warm-up.ts';

/** Windows that cost so much, one after the other. */
function windows(...costs: readonly number[]): { next: () => Promise<number>; taken: () => number } {
  let taken = 0;
  return { next: async () => costs[Math.min(taken++, costs.length - 1)] as number, taken: () => taken };
}

test.each([
  ['what is warm from the start takes two windows', [40, 40.5], 2],
  ['what gets cheaper is loaded until it no longer does', [90, 60, 45, 44], 4],
  ['noise upwards ends it as well', [90, 60, 63], 3],
  ['a proxy that never gets there is not loaded for ever', [640, 320, 160, 80, 40, 20, 10, 5], WARMUP_WINDOWS],
  ['one that answers nothing is not loaded on', [Number.NaN, Number.NaN, 1], 2],
])('%s', async (_, costs, expected) => {
  const { next, taken } = windows(...costs);
  expect(await warmUp(next)).toBe(expected);
  expect(taken()).toBe(expected);
});
