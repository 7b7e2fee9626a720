import { describe, expect, it } from 'vitest';
import { mergeTimes, Probe } from '../../src/observe/probe.ts';

describe('Probe', () => {
  it('samples one stream in so many', () => {
    const probe = new Probe(4);
    const sampled = Array.from({ length: 12 }, () => probe.sample());
    expect(sampled.map(Number)).toEqual([0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1]);
  });

  it('samples nothing when it is off, and everything at one', () => {
    expect(new Probe(0).sample()).toBe(false);
    expect(new Probe(1).sample()).toBe(true);
  });

  it('tells the mean per filter in the order of the chain', () => {
    const probe = new Probe(1);
    const rbac = probe.timer('in', 'rbac');
    probe.timer('in', 'router');
    rbac.add(0.001);
    rbac.add(0.003);
    expect(probe.timer('in', 'rbac')).toBe(rbac);
    expect(probe.times()).toEqual([
      { chain: 'in', filter: 'rbac', samples: 2, meanNs: 2000 },
      { chain: 'in', filter: 'router', samples: 0, meanNs: 0 },
    ]);
    probe.retain((timer) => timer.filter === 'router');
    expect(probe.times().map((time) => time.filter)).toEqual(['router']);
  });

  it('weights the means of threads by their samples', () => {
    const time = { chain: 'in', filter: 'rbac' };
    const lists = [
      [{ ...time, samples: 3, meanNs: 100 }],
      [
        { ...time, samples: 1, meanNs: 500 },
        { ...time, filter: 'router', samples: 0, meanNs: 0 },
      ],
    ];
    expect(mergeTimes(lists)).toEqual([
      { ...time, samples: 4, meanNs: 200 },
      { ...time, filter: 'router', samples: 0, meanNs: 0 },
    ]);
  });
});
