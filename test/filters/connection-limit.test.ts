import { expect, test } from 'vitest';
import { ConnectionLimit, connectionLimit } from '../../filters/connection-limit.ts';
import { StatsStore } from '../../src/observe/stats.ts';
import { filterEnv, NetworkFilterHarness, readConfig, requestHead, TestStream } from '../support/filter-harness.ts';

const config = { stat_prefix: 'edge', max_connections: 2 };

test('refuses the connection too many until another has gone', () => {
  const filter = new NetworkFilterHarness(connectionLimit, config);
  const first = filter.connect();
  expect([first.verdict, filter.connect().verdict]).toEqual([undefined, undefined]);
  const third = filter.connect();
  expect(third.verdict).toEqual({ kind: 'stop', details: 'over_connection_limit' });
  expect(filter.stat('connection_limit.edge.active_connections')).toBe(3);
  expect(filter.stat('connection_limit.edge.limited_connections')).toBe(1);
  filter.hooks.onClose?.(third.stream);
  filter.hooks.onClose?.(first.stream);
  expect(filter.stat('connection_limit.edge.active_connections')).toBe(1);
  expect(filter.connect().verdict).toBeUndefined();
});

test('holds a refused connection for the delay', async () => {
  const filter = new NetworkFilterHarness(connectionLimit, { ...config, max_connections: 1, delay: '0.03s' });
  filter.connect();
  const begin = performance.now();
  expect(await filter.connect().verdict).toMatchObject({ kind: 'stop' });
  expect(performance.now() - begin).toBeGreaterThan(25);
});

test('threads with the same configuration share one limit', () => {
  const parsed = readConfig(ConnectionLimit, config);
  const memory = new Map<string, SharedArrayBuffer>();
  const workers = [1, 2].map(() => connectionLimit.create(parsed, filterEnv<never>(new StatsStore(), { memory })));
  const accepted = [0, 1, 0, 1].map((worker) => {
    const verdict = workers[worker]?.onConnection?.(new TestStream(requestHead()));
    return verdict === undefined;
  });
  expect(accepted).toEqual([true, true, false, false]);
});

test('does nothing where it is switched off', () => {
  const off = new NetworkFilterHarness(connectionLimit, { ...config, runtime_enabled: { default_value: false } });
  expect(off.hooks.onConnection).toBeUndefined();
});

test('needs a limit of at least one', () => {
  expect(() => new NetworkFilterHarness(connectionLimit, { stat_prefix: 'x', max_connections: 0 })).toThrow(
    'max_connections',
  );
});
