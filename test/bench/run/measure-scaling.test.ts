import { describe, expect, it } from 'vitest';
import type { Peer } from '../../../bench/peers/peer.ts';
import { scalingResult } from '../../../bench/run/measure-scaling.ts';

const peer: Peer = {
  name: 'envoy',
  version: '1',
  description: '',
  supports: () => true,
  prepare: async () => undefined,
};

function points(error?: string) {
  const one = { peer, concurrency: 1, rates: [1000, 500, 800], micros: [20, 40, 25], cores: [0.9, 1, 1] };
  const two = { peer, concurrency: 2, rates: [1800, 900, 1440], micros: [25, 50, 31.25], cores: [1.8, 2, 1.9] };
  return [
    { ...one, errors: 0, error: undefined },
    { ...two, errors: 3, error },
  ];
}

describe('scaling', () => {
  it('compares the rounds pair by pair, so that a machine that slows down changes nothing', () => {
    const result = scalingResult(peer, points(), false);
    expect(result.cpuEfficiency).toMatchObject({ median: 0.8, min: 0.8, max: 0.8 });
    expect(result.rateEfficiency).toMatchObject({ median: 0.9, min: 0.9, max: 0.9 });
    expect(result.points.map(({ concurrency, coresUsed, errors }) => [concurrency, coresUsed, errors])).toEqual([
      [1, 1, 0],
      [2, 1.9, 3],
    ]);
  });

  it('has no efficiency of rates where the load is on the same cores', () => {
    const result = scalingResult(peer, points(), true);
    expect(result.sharesCores).toBe(true);
    expect(result.cpuEfficiency?.median).toBe(0.8);
    expect(result.rateEfficiency).toBeUndefined();
  });

  it('tells why a peer failed with either number of workers', () => {
    expect(scalingResult(peer, points('no start'), false).error).toBe('no start');
  });
});
