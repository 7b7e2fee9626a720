import { expect, test } from 'vitest';
import { isTrustDomain, parseSpiffeId } from '../../../src/tls/spiffe/spiffe-id.ts';

test('an ID is a trust domain and a path', () => {
  expect(parseSpiffeId('spiffe://example.org/ns/shop/sa/cart')).toEqual({
    trustDomain: 'example.org',
    path: '/ns/shop/sa/cart',
  });
  expect(parseSpiffeId('spiffe://example.org')).toEqual({ trustDomain: 'example.org', path: '' });
});

test.each([
  '',
  'https://example.org/a',
  'SPIFFE://example.org/a',
  'spiffe://',
  'spiffe:///a',
  'spiffe://Example.org/a',
  'spiffe://example.org:8080/a',
  'spiffe://user@example.org/a',
  'spiffe://example.org/',
  'spiffe://example.org/a/',
  'spiffe://example.org//a',
  'spiffe://example.org/a?b',
  'spiffe://example.org/a#b',
  'spiffe://example.org/a/../b',
  'spiffe://example.org/./a',
  'spiffe://example.org/%61',
  'spiffe://example.org/a\n',
  `spiffe://example.org/${'a'.repeat(2048)}`,
])('%j is no SPIFFE ID', (text) => {
  expect(parseSpiffeId(text)).toBeUndefined();
});

test('names of trust domains have lower-case letters, digits, dots, dashes and underscores', () => {
  expect(isTrustDomain('prod.example-1_x.org')).toBe(true);
  for (const name of ['', 'Example.org', 'a/b', 'a b', 'a'.repeat(256)]) expect(isTrustDomain(name)).toBe(false);
});
