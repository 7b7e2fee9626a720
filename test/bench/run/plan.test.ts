import { describe, expect, it } from 'vitest';
import { parseSelection, scalingCores } from '../../../bench/run/plan.ts';

describe('figures of their own', () => {
  it('are selected by name, without a scenario', () => {
    const selection = parseSelection(['idle', 'scaling']);
    expect(selection).toEqual({ scenarios: [], memory: false, start: false, idle: true, scaling: true });
  });

  it('that take long are in no selection but all', () => {
    expect(parseSelection(['core'])).toMatchObject({ memory: true, start: true, idle: false, scaling: false });
    expect(parseSelection(['all'])).toMatchObject({ memory: true, start: true, idle: true, scaling: true });
  });
});

describe('cores for scaling', () => {
  it('give each worker one, and the load the same ones at every number of workers', () => {
    expect(scalingCores([0, 1, 2, 3], 1, 2)).toEqual({ proxy: [0], load: [2, 3], shared: false });
    expect(scalingCores([0, 1, 2, 3], 2, 2)).toEqual({ proxy: [0, 1], load: [2, 3], shared: false });
  });

  it('are shared by all where there are too few', () => {
    expect(scalingCores([0, 1], 1, 2)).toEqual({ proxy: [0, 1], load: [0, 1], shared: true });
    expect(scalingCores([], 2, 2)).toEqual({ proxy: [], load: [], shared: true });
  });
});
