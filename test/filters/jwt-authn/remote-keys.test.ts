import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { FAILURE } from '../../../filters/jwt-authn/failure.ts';
import { KeySet } from '../../../filters/jwt-authn/key-set.ts';
import { RemoteKeys } from '../../../filters/jwt-authn/remote-keys.ts';
import type { RemoteJwks } from '../../../filters/jwt-authn/schema.ts';
import type { CallRequest } from '../../../src/filter/calls.ts';
import { ScriptedCalls } from '../../../src/filter/harness-calls.ts';
import { Counter } from '../../../src/observe/stats.ts';
import { jwksOf, makeKey } from '../../support/jwt.ts';

let jwks: string;
beforeAll(async () => {
  jwks = jwksOf(await makeKey('EdDSA'));
});
beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Keys whose server answers with what `answer` gives: a set, or a failure for undefined. */
function start(config: Partial<RemoteJwks>, answer: () => string | undefined) {
  const requests: CallRequest[] = [];
  const warnings: string[] = [];
  const infos: string[] = [];
  const success = new Counter('success');
  const failed = new Counter('failed');
  let changes = 0;
  const calls = new ScriptedCalls({
    request(_cluster, call) {
      requests.push(call);
      const text = answer();
      return text === undefined ? { status: 500 } : { body: text };
    },
  });
  const silent = (): void => {};
  const log = {
    debug: silent,
    info: (line: string) => void infos.push(line),
    warn: (line: string) => void warnings.push(line),
    error: silent,
  };
  const http_uri = { uri: 'https://keys.test/a?b', cluster: 'keys', timeout: 700 };
  const keys = new RemoteKeys({ http_uri, cache_duration: 600_000, ...config } as RemoteJwks, {
    provider: 'p',
    calls,
    log,
    success,
    failed,
    onChange: () => changes++,
  });
  return { keys, requests, warnings, infos, success, failed, changes: () => changes };
}

const ASYNC = { async_fetch: { fast_listener: false, failed_refetch_duration: 1000 } };

test('a fetch asks the cluster, for as long and as much as is allowed', async () => {
  const { keys, requests } = start({}, () => jwks);
  await keys.current();
  expect(requests).toMatchObject([
    { method: 'GET', path: '/a?b', authority: 'keys.test', timeoutMs: 700, maxResponseBytes: 1024 * 1024 },
  ]);
  keys.stop();
});

test.each([
  ['http://keys.test:81/a', 'keys.test:81', '/a'],
  ['https://keys.test', 'keys.test', '/'],
  ['http://keys.test?a', 'keys.test', '/?a'],
  ['keys.test/a/b', 'keys.test', '/a/b'],
  ['http://[::1]:80/a', '[::1]:80', '/a'],
])('%s is asked for by host and path', async (uri, authority, path) => {
  const { keys, requests } = start({ http_uri: { uri, cluster: 'c', timeout: 1 } }, () => jwks);
  await keys.current();
  expect(requests).toMatchObject([{ authority, path }]);
  keys.stop();
});

test('nothing is fetched before somebody asks, unless async_fetch says so', async () => {
  const lazy = start({}, () => jwks);
  lazy.keys.start();
  const eager = start(ASYNC, () => jwks);
  eager.keys.start();
  await vi.advanceTimersByTimeAsync(0);
  expect([lazy.requests.length, eager.requests.length]).toEqual([0, 1]);
  expect(eager.keys.current()).toBeInstanceOf(KeySet);
  eager.keys.stop();
});

test('all who come while it runs share one fetch, and so does async_fetch', async () => {
  const { keys, requests } = start(ASYNC, () => jwks);
  keys.start();
  const results = await Promise.all(Array.from({ length: 100 }, () => keys.current()));
  expect(results.every((result) => result instanceof KeySet)).toBe(true);
  expect(requests.length).toBe(1);
  keys.stop();
});

test('only so many may wait', async () => {
  const { keys } = start({}, () => jwks);
  const waiting = Array.from({ length: 1000 }, () => keys.current());
  expect(keys.current()).toBe(FAILURE.JWKS_FETCH);
  await Promise.all(waiting);
  expect(keys.current()).toBeInstanceOf(KeySet);
  keys.stop();
});

test('keys are fetched anew whenever cache_duration is over; the same ones are no change', async () => {
  const { keys, requests, success, changes } = start({ cache_duration: 5000 }, () => jwks);
  const first = await keys.current();
  await vi.advanceTimersByTimeAsync(20_000);
  expect(requests.length).toBe(5);
  expect(success.value).toBe(5);
  expect(changes()).toBe(1);
  expect(keys.current()).toBe(first);
  keys.stop();
});

test('new keys take the place of the old ones without anybody waiting', async () => {
  let text = jwks;
  const { keys, changes } = start({ cache_duration: 5000 }, () => text);
  const first = await keys.current();
  text = jwksOf(await makeKey('ES256'));
  await vi.advanceTimersByTimeAsync(5000);
  const second = keys.current();
  expect(second).toBeInstanceOf(KeySet);
  expect(second).not.toBe(first);
  expect(changes()).toBe(2);
  keys.stop();
});

describe('while fetches fail', () => {
  test.each([
    ['a status', () => undefined],
    ['no JSON', () => 'x'],
  ])('old keys stay and it is tried again: %s', async (_, bad) => {
    let answer: () => string | undefined = () => jwks;
    const { keys, requests, failed, warnings, infos } = start({ cache_duration: 5000 }, () => answer());
    const first = await keys.current();
    answer = bad;
    await vi.advanceTimersByTimeAsync(5000 + 3500);
    expect(keys.current()).toBe(first);
    expect([requests.length, failed.value]).toEqual([5, 4]);
    expect(warnings[0]).toMatch(
      /provider p: the JWKS of https:\/\/keys\.test\/a\?b was not fetched: .*; the old keys stay/,
    );
    expect(warnings.length).toBe(1);
    answer = () => jwks;
    await vi.advanceTimersByTimeAsync(1000);
    expect(requests.length).toBe(6);
    expect(infos).toEqual(['provider p: the JWKS of https://keys.test/a?b is fetched again']);
    keys.stop();
  });

  test('and there are none yet, requests are denied at once until the next try', async () => {
    const { keys, requests } = start({}, () => undefined);
    expect(await keys.current()).toBe(FAILURE.JWKS_FETCH);
    for (let i = 0; i < 10; i++) expect(keys.current()).toBe(FAILURE.JWKS_FETCH);
    expect(requests.length).toBe(1);
    await vi.advanceTimersByTimeAsync(1000);
    // Without async_fetch only a request begins another fetch.
    expect(requests.length).toBe(1);
    await keys.current();
    expect(requests.length).toBe(2);
    keys.stop();
  });

  test('async_fetch goes on by itself', async () => {
    const { keys, requests } = start(ASYNC, () => undefined);
    keys.start();
    await vi.advanceTimersByTimeAsync(3500);
    expect(requests.length).toBe(4);
    keys.stop();
  });

  test('retry_policy tries again within one fetch, not for ever', async () => {
    const retry_policy = { num_retries: 3, retry_back_off: { base_interval: 100, max_interval: 200 } };
    const { keys, requests, failed } = start({ retry_policy } as Partial<RemoteJwks>, () => undefined);
    const result = keys.current();
    await vi.advanceTimersByTimeAsync(700);
    expect(await result).toBe(FAILURE.JWKS_FETCH);
    expect([requests.length, failed.value]).toEqual([4, 1]);
    keys.stop();
  });
});

test('what is stopped asks no more', async () => {
  const { keys, requests } = start({ cache_duration: 1000, ...ASYNC }, () => jwks);
  keys.start();
  await vi.advanceTimersByTimeAsync(0);
  keys.stop();
  expect(requests[0]?.signal?.aborted).toBe(true);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(requests.length).toBe(1);
});

test.each([
  ['in the background', ASYNC],
  ['by the first request', {}],
])('keys fetched %s are withdrawn by a set without keys, and not by what is none', async (_, config) => {
  let answer = jwks;
  const { keys, changes, failed } = start({ cache_duration: 5000, ...config }, () => answer);
  keys.start();
  expect(await keys.current()).toBeInstanceOf(KeySet);
  answer = '<html>';
  await vi.advanceTimersByTimeAsync(5000);
  expect([failed.value, keys.current() instanceof KeySet]).toEqual([1, true]);
  answer = '{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}';
  await vi.advanceTimersByTimeAsync(1000);
  expect([await keys.current(), changes()]).toEqual([FAILURE.JWKS_FETCH, 2]);
  answer = jwks;
  await vi.advanceTimersByTimeAsync(1000);
  expect(await keys.current()).toBeInstanceOf(KeySet);
  expect(changes()).toBe(3);
  keys.stop();
});
