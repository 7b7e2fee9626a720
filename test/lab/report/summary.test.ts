import { expect, test } from 'vitest';
import { additiveModel } from '../../../src/lab/characterize/additive-model.ts';
import type { Characterization, ConfigurationResult } from '../../../src/lab/characterize/characterization.ts';
import { summarize } from '../../../src/lab/report/summary.ts';
import { character, figure, sample } from './sample.ts';

function summaryOf(c: Characterization): string[] {
  return summarize(c, additiveModel(c)).map(({ verdict, text }) => `${verdict}: ${text}`);
}

/** The sample with other costs of some configurations. */
function withCosts(costs: Readonly<Record<string, readonly [outrigger: number, envoy: number]>>): Characterization {
  const c = sample();
  return {
    ...c,
    configurations: c.configurations.map((one): ConfigurationResult => {
      const cost = costs[one.name];
      return cost === undefined
        ? one
        : { ...one, peers: [character('outrigger', cost[0]), character('envoy', cost[1])] };
    }),
  };
}

test('ratios are said with their range, and what is not better is named', () => {
  const [cpu, rate] = summaryOf(sample());
  expect(cpu).toBe(
    'partly: Outrigger spends 0.39 × Envoy’s CPU time per request in the median of 11 configurations, from 0.17 (RBAC: ' +
      'Reject 1000) to 1.12 (TLS). Not better than Envoy’s in 1 of 11: TLS (1.12).',
  );
  expect(rate).toMatch(
    /^partly: Outrigger reaches 2\.\d\d × Envoy’s highest rate .* Not better than Envoy’s in 1 of 11/,
  );
});

test('a run in which all is better says so, and one in which most is worse says that', () => {
  expect(summaryOf(withCosts({ tls: [10, 20] }))[0]).toMatch(/^reached: .* It is not above Envoy’s in any\.$/);
  const names = sample().configurations.map(({ name }) => name);
  const worse = withCosts(Object.fromEntries(names.map((name) => [name, [30, 20] as const])));
  // A median that is worse is missed, whatever else is better.
  expect(summaryOf(worse)[0]).toMatch(/^missed: Outrigger spends 1\.50 × .* Not better than Envoy’s in 11 of 11/);
});

test('without Envoy there are no ratios, and that is said', () => {
  const c = sample();
  const alone = {
    ...c,
    configurations: c.configurations.map((one) => ({
      ...one,
      peers: one.peers.filter(({ peer }) => peer !== 'envoy'),
    })),
  };
  expect(summaryOf(alone)[0]).toBe(
    'open: No configuration has figures of both Outrigger and Envoy: there are no ratios.',
  );
});

test('the additive model is held to ten percent', () => {
  const good = summaryOf(sample()).filter((line) => line.includes('added up'));
  expect(good).toHaveLength(2);
  expect(good[0]).toMatch(/^reached: Outrigger: single filters, added up, .* of 2 mixes within 1\.23 % \(HTTP Mix 1/);
  const off = summaryOf(withCosts({ http_mix: [60, 74] })).find((line) => line.includes('added up'));
  expect(off).toMatch(/^missed: .* within 44\.0 %.* More than 10 % off: HTTP Mix 2: all policies except TLS\.$/);
});

test('time that nothing could attribute is held to ten percent', () => {
  const c = sample();
  const [first, ...others] = c.configurations;
  const [row, ...rest] = first!.peers;
  const parts = row!.breakdown!.parts.map((part) => (part.part === 'unattributed' ? { ...part, share: 0.3 } : part));
  const dark = { ...row!, breakdown: { ...row!.breakdown!, parts } };
  const spoiled = { ...c, configurations: [{ ...first!, peers: [dark, ...rest] }, ...others] };
  expect(summaryOf(c)).toContain(
    'reached: Outrigger: at most 2.0 % of the CPU time is unattributed (TCP); the aim is 10 %.',
  );
  expect(summaryOf(spoiled)).toContain(
    'missed: Outrigger: at most 30.0 % of the CPU time is unattributed (TCP); the aim is 10 %.',
  );
});

test('a rate that something else limited is not compared', () => {
  const c = sample();
  const idle = c.configurations.map((one) => ({
    ...one,
    peers: one.peers.map((row) => (one.name === 'tls' ? { ...row, cpuPercent: 30 } : row)),
  }));
  expect(summaryOf({ ...c, configurations: idle }).join('\n')).toContain('From TCP to HTTP');
  expect(summaryOf({ ...c, configurations: idle })[1]).toMatch(
    /^reached: Outrigger reaches .* in the median of 10 configurations, from 1\.17 \(TCP\).* It is not below Envoy’s in any\.$/,
  );
});

test('a latency that the load generator limited is not compared', () => {
  const c = sample();
  const late = c.configurations.map((one) => ({
    ...one,
    peers: one.peers.map((row) => ({
      ...row,
      levels: row.levels.map((level) => ({ ...level, generatorLimits: one.name === 'tls' ? ['sent late'] : [] })),
    })),
  }));
  expect(summaryOf({ ...c, configurations: late })[2]).toMatch(
    /^reached: Outrigger has .* median of 10 configurations/,
  );
});

test('of filters the dearest is named among those that the rounds can tell', () => {
  const costs = { ratelimit: [20, 62.4], iptag: [20, 61.2], header_read: [20, 63], tls: [5, 17] } as const;
  const lines = summaryOf(withCosts({ ...costs, rbac_accept_all: [5, 15], rbac_reject_1000: [5, 82] }));
  expect(lines).toContain(
    'finding: Outrigger: the dearest of 7 filter configurations is Logging with 8.50 µs per request (8.25 to 8.75). ' +
      '6 cost less than the rounds can tell: RBAC: Accept All, RBAC: Reject 1000, TLS, Header Read, Rate Limit, IP Tag 1.',
  );
  const none = summaryOf(
    withCosts({ ...costs, rbac_accept_all: [5, 15], rbac_reject_1000: [5, 82], logging: [20, 66] }),
  );
  expect(none.join('\n')).toContain(
    'missed: Outrigger: of 7 filter configurations, none costs more than the rounds can tell: RBAC: Accept All,',
  );
});

test('one round alone is said to be one', () => {
  expect(summaryOf({ ...sample(), rounds: 1 }).join('\n')).toContain('missed: There was one round only');
  expect(summaryOf(sample()).join('\n')).not.toContain('one round');
});

test('what went wrong and what is open is named', () => {
  const c = sample();
  const [first, ...others] = c.configurations;
  const [row, envoy] = first!.peers;
  const spoiled: Characterization = {
    ...c,
    configurations: [
      {
        ...first!,
        peers: [
          {
            ...row!,
            cpuPercent: 40,
            errors: 7,
            levels: row!.levels.map((level) => ({
              ...level,
              cpuPercent: figure(90),
              generatorLimits: level.level === 0.5 ? ['sent late'] : [],
            })),
          },
          { peer: 'envoy', error: 'it did not start\nat all', errors: 0, levels: envoy!.levels },
        ],
      },
      ...others,
    ],
  };
  const lines = summaryOf(spoiled);
  expect(lines).toContain(
    'missed: Not (wholly) measured: TCP, Outrigger: 7 requests failed; TCP, Envoy: it did not start.',
  );
  expect(lines).toContain('open: SQL is open: the MySQL filter is not there yet');
  expect(lines.join('\n')).toMatch(
    /In 1 of 21 closed loops the proxy used less than 80 % .*: TCP, Outrigger \(40\.0 %\)\./,
  );
  expect(lines.join('\n')).toMatch(
    /At 2 of 66 fixed rates the proxy used .*: TCP, Outrigger, 20 %; TCP, Outrigger, 50 %\./,
  );
  expect(lines.join('\n')).toMatch(/At 1 of 66 fixed rates the load generator .*: TCP, Outrigger, 50 %\./);
  expect(summaryOf(c).join('\n')).not.toMatch(/closed loops|fixed rates|wholly/);
});
