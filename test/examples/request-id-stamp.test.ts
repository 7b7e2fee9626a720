import { expect, test } from 'vitest';
import filter from '../../examples/filters/request-id-stamp.ts';
import { testFilter } from '../../src/filter/harness.ts';

test('stamps ids that differ and sort by time, on the request and the response', async () => {
  const stamp = await testFilter(filter);
  const first = await stamp.request();
  await new Promise((done) => setTimeout(done, 3));
  const second = await stamp.request();
  const id = first.forwarded?.headers['x-request-id'] as string;
  expect(id).toMatch(/^[0-9A-HJKMNP-TV-Z]{26}$/);
  expect(first.headers['x-request-id']).toBe(id);
  expect((second.forwarded?.headers['x-request-id'] as string) > id).toBe(true);
  expect(stamp.env.counter('request_id.stamped')).toBe(2);
});

test('keeps a good id of the client, replaces a strange one, and keeps none where clients are not trusted', async () => {
  const stamp = await testFilter(filter, { config: { header: 'X-Trace' } });
  const kept = await stamp.request({ headers: { 'x-trace': 'abc-12345' } });
  expect(kept.forwarded?.headers['x-trace']).toBe('abc-12345');
  const strange = await stamp.request({ headers: { 'x-trace': 'a b\u00ff"long enough' } });
  expect(strange.forwarded?.headers['x-trace']).toHaveLength(26);
  const strict = await testFilter(filter, { config: { trust_client: false } });
  const replaced = await strict.request({ headers: { 'x-request-id': 'abc-12345' } });
  expect(replaced.forwarded?.headers['x-request-id']).toHaveLength(26);
});

test('refuses a header name that is none', async () => {
  await expect(testFilter(filter, { config: { header: 'a b' } })).rejects.toThrow('header: a header name');
});
