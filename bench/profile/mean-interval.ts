/** 97.5 % quantiles of Student's t by degrees of freedom, from 1. */
const STUDENT_T = [
  12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131, 2.12, 2.11,
  2.101, 2.093, 2.086, 2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048, 2.045, 2.042,
];
const NORMAL = 1.96;

/** Mean with its 95 % interval, by Student's t. The interval of one value alone is not a number. */
export function meanInterval(values: readonly number[]): { mean: number; low: number; high: number } {
  const count = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (count - 1);
  const half = (STUDENT_T[count - 2] ?? NORMAL) * Math.sqrt(variance / count);
  return { mean, low: mean - half, high: mean + half };
}
