import { expect, test } from 'vitest';
import filter from '../../examples/filters/slow-request-logger.ts';
import { testFilter } from '../../src/filter/harness.ts';

const slowly = (ms: number) => async () => {
  await new Promise((done) => setTimeout(done, ms));
  return {};
};

test('writes a line for a slow request, without its query, and none for a fast one', async () => {
  const logger = await testFilter(filter, { config: { threshold_ms: 30 }, app: slowly(50) });
  await logger.request({ method: 'POST', path: '/slow?token=secret', headers: { 'x-request-id': 'r1' } });
  expect(logger.env.logged).toHaveLength(1);
  const { message, fields } = logger.env.logged[0] as (typeof logger.env.logged)[number];
  expect(message).toBe('slow request');
  expect(fields).toMatchObject({ method: 'POST', path: '/slow', status: 200, request_id: 'r1' });
  expect(fields.took_ms).toBeGreaterThan(40);
  const fast = await testFilter(filter, { config: { threshold_ms: 500 } });
  await fast.request();
  expect([fast.env.logged.length, fast.env.counter('slow_requests')]).toEqual([0, 0]);
});

test('goes by the longest prefix that has a threshold of its own, and leaves WebSockets alone', async () => {
  const config = { threshold_ms: 1, paths: { '/reports/': 500, '/reports/small': 5 } };
  const logger = await testFilter(filter, { config, app: slowly(20) });
  await logger.request({ path: '/reports/big' });
  await logger.request({ path: '/chat', upgrade: true });
  expect(logger.env.counter('slow_requests')).toBe(0);
  await logger.request({ path: '/reports/small/1' });
  expect(logger.env.counter('slow_requests')).toBe(1);
});

test('counts every slow request but writes only so many lines a second', async () => {
  const config = { threshold_ms: 1, max_lines_per_second: 2 };
  const logger = await testFilter(filter, { config, app: slowly(5) });
  await Promise.all(Array.from({ length: 10 }, () => logger.request()));
  expect([logger.env.logged.length, logger.env.counter('slow_requests')]).toEqual([2, 10]);
});
