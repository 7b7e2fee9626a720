import { expect, test } from 'vitest';
import { TokenCache } from '../../../filters/jwt-authn/token-cache.ts';
import type { Verified } from '../../../filters/jwt-authn/verified.ts';

const verified = (issuer: string): Verified => ({
  expiredAtMs: 0,
  issuer,
  audiences: [],
  headers: [],
  payload: undefined,
  header: undefined,
});

test('a token is found by its whole text', () => {
  const cache = new TokenCache(10, 0);
  cache.set('a.b.c', verified('x'));
  expect(cache.get('a.b.c')?.issuer).toBe('x');
  expect(cache.get('a.b.d')).toBeUndefined();
});

test('it never holds more than its size, and keeps what is used', () => {
  const cache = new TokenCache(3, 0);
  cache.set('used', verified('used'));
  for (let i = 0; i < 100; i++) {
    cache.set(`token-${i}`, verified(String(i)));
    expect(cache.size).toBeLessThanOrEqual(3);
    expect(cache.get('used')).toBeDefined();
  }
  expect(cache.get('token-0')).toBeUndefined();
});

test('with everything in use the oldest goes', () => {
  const cache = new TokenCache(2, 0);
  cache.set('a', verified('a'));
  cache.set('b', verified('b'));
  cache.get('a');
  cache.get('b');
  cache.set('c', verified('c'));
  expect([cache.get('a'), cache.get('b')?.issuer, cache.get('c')?.issuer]).toEqual([undefined, 'b', 'c']);
});

test('long tokens are left out, 0 means 100 tokens of 4096 bytes', () => {
  const cache = new TokenCache(0, 0);
  cache.set('x'.repeat(4097), verified('long'));
  expect(cache.size).toBe(0);
  for (let i = 0; i < 200; i++) cache.set(String(i).padEnd(4096, '.'), verified('fits'));
  expect(cache.size).toBe(100);
});
