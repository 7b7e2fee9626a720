import { expect, test } from 'vitest';
import { cutLimit, linearAxis, logAxis, sizeAxis, sparseTicks } from '../../../../src/lab/report/chart/axis.ts';

function labels({ ticks }: { ticks: readonly { label: string }[] }): string[] {
  return ticks.map(({ label }) => label);
}

test('a linear axis has zero in it and round ticks', () => {
  expect(labels(linearAxis([0.31, 0.07]))).toEqual(['0', '0.05', '0.1', '0.15', '0.2', '0.25', '0.3', '0.35']);
  expect(labels(linearAxis([-3, 12]))).toEqual(['−5', '0', '5', '10', '15']);
  const { scale } = linearAxis([-3, 12]);
  expect([-5, 0, 15].map(scale)).toEqual([0, 0.25, 1]);
});

test('values beyond an axis are moved to its end, and told', () => {
  const { scale, isBeyond } = linearAxis([10]);
  expect([-1, 1e9].map(scale)).toEqual([0, 1]);
  expect([5, 1e9, -1].map(isBeyond)).toEqual([false, true, true]);
});

test('a logarithmic axis just holds its values, and the same ratio is the same way', () => {
  const { scale, ticks } = logAxis([12, 83]);
  expect(ticks.map(({ at }) => at)).toEqual([10, 20, 50, 100]);
  expect(scale(20) - scale(10)).toBeCloseTo(scale(100) - scale(50));
  expect([10, 100].map(scale)).toEqual([0, 1]);
});

test('over many powers of ten only these are ticks', () => {
  expect(logAxis([0.2, 3000]).ticks.map(({ at }) => at)).toEqual([1, 10, 100, 1000]);
});

test('each size is a tick', () => {
  const { ticks, scale } = sizeAxis([65_536, 16_384, 65_536, 1_048_576], String);
  expect(ticks.map(({ at }) => at)).toEqual([16_384, 65_536, 1_048_576]);
  expect(scale(65_536)).toBeCloseTo(1 / 3);
});

test.each([[[]], [[Number.NaN]], [[0, -4]], [[Number.POSITIVE_INFINITY]], [[1e300, 1e-300]], [[5e-324]]])(
  'axes of %j have finite ticks and shares',
  (values) => {
    for (const axis of [linearAxis(values), logAxis(values), sizeAxis(values, String)]) {
      expect(axis.ticks.length).toBeLessThan(700);
      for (const { at } of axis.ticks) expect(axis.scale(at)).toSatisfy((share) => share >= 0 && share <= 1);
    }
  },
);

test('ticks whose labels would touch are left out', () => {
  const ticks = [0, 1, 2, 3].map((at) => ({ at, label: String(at) }));
  expect(labels({ ticks: sparseTicks(ticks, (at) => at * 10, 20) })).toEqual(['0', '2']);
});

test('a bar that dwarfs all others is cut off, one that is merely longer is not', () => {
  expect(cutLimit([10, 20, 30, 40, 60])).toBe(60);
  expect(cutLimit([10, 20, 30, 40, 2000])).toBeCloseTo(44);
});
