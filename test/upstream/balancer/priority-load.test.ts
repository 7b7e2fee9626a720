import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { spreadLoad } from '../../../src/upstream/balancer/priority-load.ts';

type Row = [total: number, healthy: number, degraded?: number, excluded?: number];

function spread(rows: readonly Row[], panicThreshold = 50) {
  return spreadLoad(
    rows.map(([total, healthy, degraded = 0, excluded = 0]) => ({ total, healthy, degraded, excluded })),
    140,
    panicThreshold,
  );
}

describe('load of priorities', () => {
  it.each<[string, Row[], number[]]>([
    [
      'the first takes all while it is healthy',
      [
        [10, 10],
        [10, 10],
      ],
      [100, 0],
    ],
    [
      'the first takes all down to 72 % of its endpoints',
      [
        [100, 72],
        [10, 10],
      ],
      [100, 0],
    ],
    [
      'below, the second takes what the first cannot',
      [
        [100, 71],
        [10, 10],
      ],
      [99, 1],
    ],
    [
      'half of the first',
      [
        [10, 5],
        [10, 10],
      ],
      [70, 30],
    ],
    [
      'none of the first',
      [
        [10, 0],
        [10, 10],
      ],
      [0, 100],
    ],
    [
      'three priorities',
      [
        [100, 25],
        [100, 25],
        [100, 100],
      ],
      [35, 35, 30],
    ],
    [
      'too little in all is scaled up to 100 %',
      [
        [100, 20],
        [100, 20],
      ],
      [50, 50],
    ],
  ])('%s', (_, rows, healthy) => {
    expect(spread(rows, 0).healthy).toEqual(healthy);
  });

  // The table of Envoy's documentation, "Degraded endpoints".
  it.each<[Row, Row, number[], number[]]>([
    [
      [100, 100, 0],
      [100, 100, 0],
      [100, 0],
      [0, 0],
    ],
    [
      [100, 71, 0],
      [100, 0, 0],
      [100, 0],
      [0, 0],
    ],
    [
      [100, 71, 29],
      [100, 0, 0],
      [99, 0],
      [1, 0],
    ],
    [
      [100, 25, 65],
      [100, 100, 0],
      [35, 65],
      [0, 0],
    ],
    [
      [100, 5, 0],
      [100, 65, 35],
      [7, 91],
      [0, 2],
    ],
  ])('degraded endpoints take what no healthy one can carry: %j %j', (p0, p1, healthy, degraded) => {
    expect(spread([p0, p1])).toMatchObject({ healthy, degraded });
  });

  it('panics where too little is available, and only while all together cannot carry the load', () => {
    expect(
      spread([
        [10, 10],
        [10, 1],
      ]).panic,
    ).toEqual([false, false]);
    expect(
      spread([
        [10, 5],
        [10, 3],
      ]),
    ).toMatchObject({ healthy: [70, 30], panic: [false, false] });
    expect(spread([[10, 4]]).panic).toEqual([true]);
    expect(spread([[10, 5]]).panic).toEqual([false]);
    expect(
      spread([
        [10, 1],
        [10, 6],
      ]),
    ).toMatchObject({ healthy: [15, 85], panic: [true, false] });
  });

  it('does not hold endpoints that drain against the others', () => {
    expect(
      spread([
        [10, 3, 0, 7],
        [10, 10],
      ]),
    ).toMatchObject({ healthy: [100, 0], panic: [false, false] });
    expect(spread([[10, 3, 0, 6]]).panic).toEqual([false]);
    expect(spread([[10, 0, 0, 10]])).toMatchObject({ healthy: [100], panic: [true] });
  });

  it('goes by the number of endpoints when all priorities panic', () => {
    expect(
      spread([
        [30, 0],
        [10, 0],
      ]),
    ).toEqual({ healthy: [75, 25], degraded: [0, 0], panic: [true, true] });
    expect(
      spread([
        [0, 0],
        [3, 0],
        [3, 0],
        [3, 0],
      ]).healthy,
    ).toEqual([0, 34, 33, 33]);
  });

  it('leaves all load where nobody is when panic is disabled', () => {
    expect(
      spread(
        [
          [10, 0],
          [10, 0],
        ],
        0,
      ),
    ).toEqual({ healthy: [100, 0], degraded: [0, 0], panic: [false, false] });
  });

  it('has no endpoints to go by when there are none', () => {
    expect(spread([[0, 0]]).healthy).toEqual([100]);
  });

  it('always adds up to 100 % and gives nothing to a priority that has nobody', () => {
    const row = fc
      .tuple(fc.nat(50), fc.nat(50), fc.nat(50))
      .map(([healthy, degraded, unhealthy]): Row => [healthy + degraded + unhealthy, healthy, degraded]);
    fc.assert(
      fc.property(
        fc.array(row, { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 0, max: 100 }),
        (rows, threshold) => {
          const { healthy, degraded, panic } = spread(rows, threshold);
          expect([...healthy, ...degraded].reduce((a, b) => a + b, 0)).toBe(100);
          if (rows.every(([total]) => total === 0)) return;
          for (const [i, [total, ok, weak = 0]] of rows.entries()) {
            if (panic[i]) {
              if (total === 0) expect(healthy[i]).toBe(0);
            } else if (threshold > 0) {
              if (ok === 0) expect(healthy[i]).toBe(0);
              if (weak === 0) expect(degraded[i]).toBe(0);
            }
            if (total > 0 && ok === total && rows.slice(0, i).every(([t]) => t === 0)) expect(healthy[i]).toBe(100);
          }
        },
      ),
    );
  });
});
