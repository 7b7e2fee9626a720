import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { additiveModel, type MixCheck, predict } from '../../../src/lab/characterize/additive-model.ts';
import type { Characterization } from '../../../src/lab/characterize/characterization.ts';
import { breakdown, characterization, configuration, paperLike, peerOf } from './characterization.ts';

function mixOf(c: Characterization, name: string, peer = 'outrigger'): MixCheck {
  const found = additiveModel(c).mixes.find((mix) => mix.configuration === name && mix.peer === peer);
  if (found === undefined) throw new Error(`no mix ${name}`);
  return found;
}

/** http, a and b, and both of them, with these rounds. */
function twoFilters(http: number[], a: number[], b: number[], both: number[], errors = 0): Characterization {
  const of = (values: number[]) => [peerOf('outrigger', values, { errors })];
  return characterization([
    configuration('http', of(http)),
    configuration('a', of(a), { base: 'http' }),
    configuration('b', of(b), { base: 'http' }),
    configuration('both', of(both), { base: 'http', parts: ['a', 'b'] }),
  ]);
}

test('a mix is its base and the costs of its parts, round by round', () => {
  // What the machine loses in the second round is lost by all: pairs do not see it.
  const mix = mixOf(twoFilters([100, 150, 100], [110, 160, 110], [105, 155, 105], [116, 166, 116]), 'both');
  expect(mix.predicted).toMatchObject({ values: [115, 165, 115], median: 115, isPaired: true });
  expect(mix.measured?.values).toEqual([116, 166, 116]);
  expect(mix.predictedFilter?.values).toEqual([15, 15, 15]);
  expect(mix.measuredFilter?.values).toEqual([16, 16, 16]);
  expect(mix.errorPercent?.median).toBeCloseTo(-100 / 116);
  expect(mix.filterErrorPercent?.median).toBeCloseTo(-6.25);
  expect(mix).toMatchObject({ parts: ['a', 'b'], base: 'http', notes: [] });
  expect(mix.why).toBeUndefined();
});

test('the cost of a filter is what it costs more than its base, in the same round', () => {
  const { costs } = additiveModel(twoFilters([100, 200], [110, 230], [90, 190], [120, 220]));
  expect(costs.map(({ configuration }) => configuration)).toEqual(['a', 'b', 'both']);
  expect(costs[0]).toMatchObject({ micros: { values: [10, 30], min: 10, max: 30 }, base: 'http' });
  expect(costs[0]!.relative?.values).toEqual([0.1, 0.15]);
  // Noise may make it negative: it is shown as it is.
  expect(costs[1]!.micros?.values).toEqual([-10, -10]);
});

test('any list of configurations can be asked for', () => {
  const c = paperLike();
  expect(predict(c, 'outrigger', ['ratelimit', 'iptag']).predicted?.median).toBe(112);
  expect(predict(c, 'outrigger', ['iptag', 'iptag']).predicted?.median).toBe(116);
  expect(predict(c, 'outrigger', ['http']).predicted?.median).toBe(100);
  expect(predict(c, 'outrigger', ['http', 'logging']).predicted?.median).toBe(120);
  expect(predict(c, 'outrigger', ['iprate_iptag', 'logging']).predicted?.median).toBe(132);
});

test('what stands before bytes is added to HTTP by what it costs more than TCP', () => {
  const of = (micros: number) => [peerOf('outrigger', [micros])];
  const c = characterization([
    configuration('tcp', of(20), { protocol: 'tcp' }),
    configuration('tls', of(50), { protocol: 'tcp', base: 'tcp' }),
    configuration('http', of(60)),
    configuration('tag', of(65), { base: 'http' }),
    configuration('tls_http', of(88), { base: 'http', parts: ['tls'] }),
  ]);
  expect(mixOf(c, 'tls_http')).toMatchObject({ predicted: { median: 90 }, predictedFilter: { median: 30 } });
  expect(predict(c, 'outrigger', ['tls', 'tag']).predicted?.median).toBe(95);
  expect(predict(c, 'outrigger', ['tls']).predicted?.median).toBe(50);
  expect(predict(c, 'outrigger', ['tls'], 'http').predicted?.median).toBe(90);
});

const HTTP_ONLY = [configuration('http', [peerOf('outrigger', [100])])];

test.each<[string, Characterization, RegExp]>([
  [
    'a part is open',
    characterization([...HTTP_ONLY, configuration('a', [], { base: 'http', open: 'later' }), mix()]),
    /a is open: later/,
  ],
  ['a part is not there', characterization([...HTTP_ONLY, mix()]), /there is no configuration a/],
  ['a peer lacks a part', characterization([...HTTP_ONLY, part([]), mix()]), /a was not measured with outrigger/],
  [
    'a part failed',
    characterization([
      ...HTTP_ONLY,
      part([{ ...peerOf('outrigger', []), cpuMicros: undefined as never, error: 'did not start' }]),
      mix(),
    ]),
    /a: did not start/,
  ],
  [
    'a part has no CPU time',
    characterization([...HTTP_ONLY, part([{ peer: 'outrigger', errors: 0, levels: [] }]), mix()]),
    /a: outrigger has no CPU time/,
  ],
  [
    'a figure is no number',
    characterization([...HTTP_ONLY, part([peerOf('outrigger', [Number.NaN])]), mix()]),
    /a: the CPU time of outrigger is no number above 0/,
  ],
  [
    'a figure is null, as NaN is in JSON',
    JSON.parse(JSON.stringify(characterization([...HTTP_ONLY, part([peerOf('outrigger', [Number.NaN])]), mix()]))),
    /no number above 0/,
  ],
  [
    'a figure is negative',
    characterization([...HTTP_ONLY, part([peerOf('outrigger', [-4])]), mix()]),
    /no number above 0/,
  ],
  [
    'a figure has no rounds',
    characterization([...HTTP_ONLY, part([peerOf('outrigger', [])]), mix()]),
    /no number above 0/,
  ],
  [
    'the mix itself is open',
    characterization([...HTTP_ONLY, part([peerOf('outrigger', [110])]), { ...mix(), open: 'not yet' }]),
    /both is open: not yet/,
  ],
  [
    'its base is not there',
    characterization([part([peerOf('outrigger', [110])]), mix()]),
    /there is no configuration http/,
  ],
  [
    'no round has all of them',
    characterization([
      configuration('http', [peerOf('outrigger', [100, Number.NaN])]),
      part([peerOf('outrigger', [Number.NaN, 110])]),
      mix([115, 115]),
    ]),
    /no round in common/,
  ],
])('where %s, the row says so and has no figure', (_, c, why) => {
  const row = mixOf(c, 'both');
  expect(row.why).toMatch(why);
  expect(row.errorPercent).toBeUndefined();
  expect(row.filterErrorPercent).toBeUndefined();
});

function part(peers: Characterization['configurations'][number]['peers']) {
  return configuration('a', peers, { base: 'http' });
}

function mix(values: number[] = [115]) {
  return configuration('both', [peerOf('outrigger', values)], { base: 'http', parts: ['a'] });
}

test.each<[string, string[], RegExp]>([
  ['nothing', [], /nothing to add up/],
  ['what is not there', ['ratelimit', 'nonsense'], /no configuration nonsense/],
  ['names of the language', ['constructor'], /no configuration constructor/],
])('a prediction of %s says why there is none', (_, parts, why) => {
  expect(predict(paperLike(), 'outrigger', parts)).toMatchObject({ why: expect.stringMatching(why) });
});

test('a peer that is not there has no prediction', () => {
  expect(predict(paperLike(), 'envoy', ['ratelimit']).why).toBe('http was not measured with envoy');
});

test('parts of different bases of one protocol are not added up', () => {
  const c = characterization([
    configuration('x', [peerOf('outrigger', [10])]),
    configuration('y', [peerOf('outrigger', [20])]),
    configuration('a', [peerOf('outrigger', [11])], { base: 'x' }),
    configuration('b', [peerOf('outrigger', [21])], { base: 'y' }),
  ]);
  expect(predict(c, 'outrigger', ['a', 'b']).why).toBe('the parts have different bases: x, y');
});

test('rounds that are missing somewhere make it medians, and the row says so', () => {
  const row = mixOf(twoFilters([100, 100, 100], [110, 110], [105, 105, 105], [115, 115, 115]), 'both');
  expect(row).toMatchObject({ predicted: { values: [115], isPaired: false }, errorPercent: { median: 0 } });
  expect(row.notes).toEqual(['not all have the same number of rounds: medians, not pairs']);
});

test('a round in which one of them failed counts for none', () => {
  const row = mixOf(twoFilters([100, 100, 100], [110, Number.NaN, 120], [105, 105, 105], [115, 115, 115]), 'both');
  expect(row.predicted?.values).toEqual([115, 125]);
});

test('failed requests are told, and the figures stay', () => {
  const row = mixOf(twoFilters([100], [110], [105], [115], 3), 'both');
  expect(row.errorPercent?.median).toBe(0);
  expect(row.notes).toContain('a: 3 requests failed');
});

test('a cost below the rounds’ own differences is not divided by', () => {
  const row = mixOf(twoFilters([100, 101], [100, 101], [100, 101], [101, 100]), 'both');
  expect(row.filterErrorPercent).toBeUndefined();
  expect(row.errorPercent).toBeDefined();
  expect(row.notes).toEqual(['both is not dearer than http in every round']);
});

test('by symbols: what the profiles call filters, less those of the base, and the total that follows', () => {
  const profiled = (name: string, micros: number, samples: Record<string, number>, rest = {}) =>
    configuration(name, [peerOf('outrigger', [micros], { breakdown: breakdown(micros, samples) })], rest);
  const c = characterization([
    profiled('http', 100, { http_parse: 990, 'filter/always': 10 }),
    profiled(
      'a',
      110,
      { http_parse: 900, 'filter/always': 20, 'filter/envoy.filters.http.ip_tagging': 80 },
      { base: 'http' },
    ),
    profiled('b', 120, { http_parse: 900, tls: 100 }, { base: 'http' }),
    profiled(
      'both',
      130,
      { http_parse: 800, 'filter/envoy.filters.http.ip_tagging': 200 },
      { base: 'http', parts: ['a', 'b'] },
    ),
  ]);
  const { costs } = additiveModel(c);
  // (20 + 80) / 1000 of 110 µs, less 10 / 1000 of 100.
  expect(costs[0]!.symbols?.micros).toBeCloseTo(10);
  expect(costs[0]!.estimate?.median).toBeCloseTo(110);
  expect(costs[0]!.estimateErrorPercent?.median).toBeCloseTo(0);
  // Standard deviation of counts is their root: √100 samples of 0.11 µs, and √10 of 0.1.
  expect(costs[0]!.symbols?.deviation).toBeCloseTo(Math.hypot(1.1, Math.sqrt(10) * 0.1));
  // TLS is a filter to the paper.
  expect(costs[1]!.symbols?.micros).toBeCloseTo(11);
  const row = mixOf(c, 'both');
  expect(row.measuredSymbols?.micros).toBeCloseTo(25);
  expect(row.predictedSymbols?.micros).toBeCloseTo(21);
  expect(row.symbolsErrorPercent).toBeCloseTo(-16);
});

test('differences of configurations are not taken for symbols', () => {
  const parts = breakdown(100, { http_parse: 90, 'filter/x': 10 });
  const guessed = { ...parts, parts: parts.parts.map((one) => ({ ...one, basis: 'by difference' as const })) };
  const c = characterization([
    configuration('http', [peerOf('envoy', [90], { breakdown: parts })]),
    configuration('a', [peerOf('envoy', [100], { breakdown: guessed })], { base: 'http' }),
  ]);
  expect(additiveModel(c).costs[0]).not.toHaveProperty('symbols');
});

const micros = fc.double({ min: 1, max: 1000, noNaN: true });

test('exact additivity gives no error, whatever the costs and however the machine drifts', () => {
  const cost = fc.double({ min: 0.5, max: 100, noNaN: true });
  const rounds = fc.array(fc.double({ min: 0.1, max: 10, noNaN: true }), { minLength: 1, maxLength: 7 });
  fc.assert(
    fc.property(micros, fc.array(cost, { minLength: 1, maxLength: 6 }), rounds, (base, costs, drift) => {
      const of = (value: number) => [
        peerOf(
          'outrigger',
          drift.map((factor) => value * factor),
        ),
      ];
      const singles = costs.map((one, i) => configuration(`f${i}`, of(base + one), { base: 'http' }));
      const all = of(base + costs.reduce((sum, one) => sum + one, 0));
      const mix = configuration('all', all, { base: 'http', parts: singles.map(({ name }) => name) });
      const row = mixOf(characterization([configuration('http', of(base)), ...singles, mix]), 'all');
      expect(Math.max(...row.errorPercent!.values.map(Math.abs))).toBeLessThan(1e-6);
      expect(Math.max(...row.filterErrorPercent!.values.map(Math.abs))).toBeLessThan(1e-6);
    }),
  );
});

test('the order of rounds, of parts and of configurations does not matter', () => {
  const four = fc.tuple(micros, micros, micros, micros);
  const orders = fc
    .array(four, { minLength: 1, maxLength: 6 })
    .chain((rows) =>
      fc.record({ rows: fc.constant(rows), other: fc.shuffledSubarray(rows, { minLength: rows.length }) }),
    );
  fc.assert(
    fc.property(orders, fc.boolean(), ({ rows, other }, isReversed) => {
      const of = (table: typeof rows) =>
        twoFilters(
          ...([0, 1, 2, 3].map((column) => table.map((row) => row[column]!)) as [
            number[],
            number[],
            number[],
            number[],
          ]),
        );
      const changed = of(other);
      const configurations = isReversed ? changed.configurations.toReversed() : changed.configurations;
      const turned = configurations.map((one) => ({ ...one, parts: one.parts.toReversed() }));
      const a = mixOf(of(rows), 'both');
      const b = mixOf({ ...changed, configurations: turned }, 'both');
      expect(b.predicted!.median).toBeCloseTo(a.predicted!.median, 6);
      expect(b.errorPercent!.median).toBeCloseTo(a.errorPercent!.median, 6);
      expect([b.errorPercent!.min, b.errorPercent!.max].map((one) => one.toFixed(6))).toEqual(
        [a.errorPercent!.min, a.errorPercent!.max].map((one) => one.toFixed(6)),
      );
    }),
  );
});

test('whatever the rounds hold, every row has a finite error or a reason', () => {
  const any = fc.array(fc.oneof(fc.double(), fc.constant(Number.NaN), fc.constant(0), fc.constant(null)), {
    maxLength: 4,
  });
  fc.assert(
    fc.property(any, any, any, any, (http, a, b, both) => {
      const c = twoFilters(http as number[], a as number[], b as number[], both as number[]);
      const { mixes, costs } = additiveModel(c);
      for (const { errorPercent, why } of mixes)
        expect(why !== undefined || Number.isFinite(errorPercent?.median)).toBe(true);
      for (const { micros: cost, why } of costs) expect(why !== undefined || Number.isFinite(cost?.median)).toBe(true);
    }),
  );
});

test('an empty characterization has an empty model', () => {
  expect(additiveModel(characterization([]))).toEqual({ costs: [], mixes: [], sizes: [] });
});
