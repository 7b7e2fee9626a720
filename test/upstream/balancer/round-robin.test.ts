import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createBalancer } from '../../../src/upstream/balancer/index.ts';
import { countPicks, drawing, makeEndpoint, makeEndpoints, makeOptions, picksOf } from './support.ts';

const POLICY = { kind: 'ROUND_ROBIN' } as const;

describe('round robin', () => {
  it('takes one after the other', () => {
    const endpoints = makeEndpoints(4);
    const balancer = createBalancer(endpoints, makeOptions(POLICY, { random: drawing(0.5) }));
    const order = Array.from({ length: 8 }, () => endpoints.indexOf(balancer.pick(undefined)!));
    expect(order).toEqual([2, 3, 0, 1, 2, 3, 0, 1]);
  });

  it('starts anywhere, so that workers do not march in step', () => {
    const endpoints = makeEndpoints(4);
    const starts = [0, 0.3, 0.6, 0.99].map((number) =>
      endpoints.indexOf(createBalancer(endpoints, makeOptions(POLICY, { random: drawing(number) })).pick(undefined)!),
    );
    expect(starts).toEqual([0, 1, 2, 3]);
  });

  it('spreads a heavy endpoint evenly instead of in one run', () => {
    const endpoints = [makeEndpoint(1, { weight: 3 }), makeEndpoint(2, { weight: 2 }), makeEndpoint(3, { weight: 1 })];
    const balancer = createBalancer(endpoints, makeOptions(POLICY, { random: drawing(0) }));
    const order = Array.from({ length: 12 }, () => endpoints.indexOf(balancer.pick(undefined)!)).join('');
    expect(order).not.toContain('000');
    expect(order).not.toContain('11');
  });

  it('gives each endpoint exactly its weight in every sum of weights, give or take one', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 2, maxLength: 8 }), (weights) => {
        const endpoints = weights.map((weight, i) => makeEndpoint(i, { weight }));
        const sum = weights.reduce((a, b) => a + b, 0);
        const balancer = createBalancer(endpoints, makeOptions(POLICY, { random: drawing(0) }));
        const picks = picksOf(countPicks(balancer, 10 * sum), endpoints);
        for (const [i, weight] of weights.entries()) expect(Math.abs(picks[i]! - 10 * weight)).toBeLessThanOrEqual(1);
      }),
    );
  });
});
