import { describe, expect, test } from 'vitest';
import { grpcDeadlineMs, grpcTimeout, parseGrpcTimeoutMs } from '../../../src/http/grpc/timeout.ts';

test.each([
  ['1H', 3_600_000],
  ['2M', 120_000],
  ['3S', 3000],
  ['4m', 4],
  ['5000u', 5],
  ['5001u', 6],
  ['1n', 1],
  ['1000001n', 2],
  ['0S', 0],
  ['99999999H', 99_999_999 * 3_600_000],
])('grpc-timeout: %s is %i ms', (text, ms) => {
  expect(parseGrpcTimeoutMs(text)).toBe(ms);
});

test.each(['', 'S', '5', '5s', '5x', '-5S', '+5S', '1.5S', ' 5S', '5 S', '123456789m', '5SS'])(
  'grpc-timeout: %j is none',
  (text) => {
    expect(parseGrpcTimeoutMs(text)).toBeUndefined();
  },
);

test.each([
  [0, '0m'],
  [0.2, '1m'],
  [1500, '1500m'],
  [99_999_999, '99999999m'],
  [100_000_000, '100000S'],
  [99_999_999 * 1000 + 1000, '1666666M'],
  [99_999_999 * 60_000 + 60_000, '1666666H'],
  [Number.MAX_SAFE_INTEGER * 1000, '99999999H'],
])('%i ms are written as %s', (ms, text) => {
  expect(grpcTimeout(ms)).toBe(text);
});

describe('how long a call may last', () => {
  const rules = (grpcTimeoutMaxMs: number | undefined, grpcTimeoutOffsetMs = 0) => ({
    grpcTimeoutMaxMs,
    grpcTimeoutOffsetMs,
  });

  test.each([
    ['the route does not ask', rules(undefined), '5S', undefined],
    ['the call does not say', rules(0), undefined, undefined],
    ['the call says nonsense', rules(0), '5', undefined],
    ['no bound', rules(0), '5S', 5000],
    ['below the bound', rules(6000), '5S', 5000],
    ['above the bound', rules(4000), '5S', 4000],
    ['an offset', rules(0, 1000), '5S', 4000],
    ['an offset from the bound', rules(4000, 1000), '5S', 3000],
    ['an offset that takes all', rules(0, 6000), '5S', 0],
    ['no time', rules(0), '0m', 0],
  ])('%s', (_, route, header, ms) => {
    expect(grpcDeadlineMs(route, header)).toBe(ms);
  });
});
