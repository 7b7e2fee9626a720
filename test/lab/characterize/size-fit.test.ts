import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { SizeResult } from '../../../src/lab/characterize/characterization.ts';
import { type SizeFit, sizeFits } from '../../../src/lab/characterize/size-fit.ts';
import { characterization, peerOf, sizes } from './characterization.ts';

const KIB = 1024;

function fitOf(rows: readonly SizeResult[]): SizeFit {
  const [fit, ...more] = sizeFits(characterization([], { sizes: rows }));
  expect(more).toEqual([]);
  return fit!;
}

test('a line through sizes that lie on one', () => {
  const fit = fitOf(
    sizes('http', 'outrigger', { [1024 * KIB]: [542, 542], [16 * KIB]: [38], [64 * KIB]: [62, 62, 62] }),
  );
  expect(fit).toMatchObject({ configuration: 'http', peer: 'outrigger', isLinear: true });
  expect(fit.interceptMicros).toBeCloseTo(30);
  expect(fit.microsPerKiB).toBeCloseTo(0.5);
  expect(fit.rSquared).toBeCloseTo(1);
  expect(fit.points.map(({ bytes }) => bytes / KIB)).toEqual([16, 64, 1024]);
  for (const { residualPercent } of fit.points) expect(residualPercent).toBeCloseTo(0);
  expect(fit).not.toHaveProperty('why');
});

test('a size that the line misses is told, though the largest sizes make R² good', () => {
  const fit = fitOf(
    sizes('tls', 'outrigger', { [16 * KIB]: [100], [64 * KIB]: [110], [256 * KIB]: [400], [1024 * KIB]: [1600] }),
  );
  expect(fit.rSquared).toBeGreaterThan(0.95);
  expect(fit.isLinear).toBe(false);
  expect(fit.why).toMatch(/^the line is \d+ % off at 16 KiB$/);
});

test('what does not follow the size is no line', () => {
  const fit = fitOf(sizes('http', 'outrigger', { [KIB]: [100], [2 * KIB]: [104], [3 * KIB]: [97], [4 * KIB]: [102] }));
  expect(fit.isLinear).toBe(false);
  expect(fit.why).toMatch(/^the size explains \d+ % of the variance only$/);
});

test('what is flat is wholly explained by a flat line', () => {
  const fit = fitOf(sizes('http', 'outrigger', { [KIB]: [100], [2 * KIB]: [100], [3 * KIB]: [100] }));
  expect(fit).toMatchObject({ isLinear: true, rSquared: 1 });
  expect(fit.microsPerKiB).toBeCloseTo(0);
});

test.each<[string, readonly SizeResult[], RegExp]>([
  ['two sizes', sizes('http', 'outrigger', { 1024: [10], 2048: [20] }), /^fewer than 3 sizes were measured$/],
  [
    'one size thrice',
    [1, 2, 3].flatMap((value) => sizes('http', 'outrigger', { 1024: [value] })),
    /^fewer than 3 sizes were measured$/,
  ],
  [
    'a size that failed',
    sizes('http', 'outrigger', { 1024: [10], 2048: [20], 4096: [Number.NaN] }),
    /fewer than 3 sizes were measured; 4096 bytes: the CPU time of outrigger is no number above 0/,
  ],
  [
    'a peer that could not',
    sizes('http', 'outrigger', { 1024: [10], 2048: [20] }).concat({
      configuration: 'http',
      bytes: 4096,
      command: '',
      peers: [{ peer: 'outrigger', errors: 0, levels: [], error: 'did not start' }],
    }),
    /4096 bytes: did not start/,
  ],
])('%s: there is no line, and the reason stands there', (_, rows, why) => {
  const fit = fitOf(rows);
  expect(fit.why).toMatch(why);
  expect(fit.interceptMicros).toBeUndefined();
  expect(fit.isLinear).toBeUndefined();
});

test('a size that is missing is told beside the line through the others', () => {
  const fit = fitOf(sizes('http', 'outrigger', { 1024: [10], 2048: [20], 3072: [30], 4096: [Number.NaN] }));
  expect(fit.isLinear).toBe(true);
  expect(fit.why).toMatch(/^4096 bytes: /);
});

test('each peer and each configuration has a line of its own', () => {
  const rows = sizes('http', 'outrigger', { 1024: [10], 2048: [20], 3072: [30] });
  const both = rows.map((row) => ({ ...row, peers: [...row.peers, peerOf('envoy', [50])] }));
  const fits = sizeFits(characterization([], { sizes: [...both, ...sizes('tcp', 'envoy', { 1024: [1] })] }));
  expect(fits.map(({ configuration, peer }) => `${configuration} ${peer}`)).toEqual([
    'http outrigger',
    'http envoy',
    'tcp envoy',
  ]);
});

test('any line is found again, and the order of sizes does not matter', () => {
  const line = fc.record({
    a: fc.double({ min: 1, max: 500, noNaN: true }),
    b: fc.double({ min: 0, max: 5, noNaN: true }),
    kib: fc.uniqueArray(fc.integer({ min: 1, max: 1024 }), { minLength: 3, maxLength: 8 }),
  });
  fc.assert(
    fc.property(line, ({ a, b, kib }) => {
      const rows = kib.map((size) => sizes('http', 'outrigger', { [size * KIB]: [a + b * size] })[0]!);
      const fit = fitOf(rows);
      expect(fit.interceptMicros).toBeCloseTo(a, 4);
      expect(fit.microsPerKiB).toBeCloseTo(b, 5);
      expect(fitOf(rows.toReversed())).toEqual(fit);
    }),
  );
});
