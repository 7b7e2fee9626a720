import { expect, test } from 'vitest';
import { correctRate, guessRate } from '../../../bench/characterize/calibrate.ts';

const SATURATED = { requestsPerSecond: 40_000, cpuMicros: 25 };

test('the first guess is what a share of a core would do at the cost of saturation', () => {
  expect(guessRate(SATURATED, 0.2)).toBe(8000);
  expect(guessRate(SATURATED, 0.5)).toBe(20_000);
});

test('without a cost, the guess is a share of saturation', () => {
  expect(guessRate({ ...SATURATED, cpuMicros: 0 }, 0.2)).toBe(8000);
});

test('no rate is above what the proxy can do, or too low to say anything', () => {
  // Something else was the limit: the proxy never gets to half a core.
  expect(guessRate({ requestsPerSecond: 9000, cpuMicros: 25 }, 0.5)).toBe(9000);
  expect(guessRate({ requestsPerSecond: 12, cpuMicros: 900_000 }, 0.2)).toBe(10);
  expect(correctRate(30_000, SATURATED, 0.5, { achievedRate: 30_000, cpuPercent: 20 })).toBe(40_000);
});

test('a probe corrects the rate by what a request has cost in it', () => {
  // 40 % at 10,000: 40 µs each, so half a core does 12,500.
  expect(correctRate(10_000, SATURATED, 0.5, { achievedRate: 10_000, cpuPercent: 40 })).toBe(12_500);
  expect(correctRate(10_000, SATURATED, 0.2, { achievedRate: 10_000, cpuPercent: 40 })).toBe(5000);
});

test('a load that could not keep up does not make the rate higher still', () => {
  // Asked for 20,000 and came to 10,000 at 40 %: again 40 µs each.
  expect(correctRate(20_000, SATURATED, 0.5, { achievedRate: 10_000, cpuPercent: 40 })).toBe(12_500);
});

test('a probe too short to tell, or of a bad moment, moves the rate little or not', () => {
  expect(correctRate(8000, SATURATED, 0.2, { achievedRate: 8000, cpuPercent: 0 })).toBe(8000);
  expect(correctRate(8000, SATURATED, 0.2, { achievedRate: 0, cpuPercent: 20 })).toBe(8000);
  expect(correctRate(6000, SATURATED, 0.2, { achievedRate: 6000, cpuPercent: 100 })).toBe(2000);
});
