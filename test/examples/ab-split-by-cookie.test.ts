import { expect, test } from 'vitest';
import filter from '../../examples/filters/ab-split-by-cookie.ts';
import { testFilter } from '../../src/filter/harness.ts';

test('draws newcomers by weight, tells routes, and sets the cookie', async () => {
  const split = await testFilter(filter, { config: { variants: { a: 75, b: 25 } } });
  for (let i = 0; i < 2000; i++) {
    const { forwarded, headers, routeCacheCleared } = await split.request();
    const variant = forwarded?.headers['x-variant'];
    expect(headers['set-cookie']).toBe(`variant=${variant}; Path=/; Max-Age=2592000; SameSite=Lax; HttpOnly`);
    expect(routeCacheCleared).toBe(true);
  }
  // Standard deviation is 1 %: six of them.
  expect(split.env.counter('ab_split.a') + split.env.counter('ab_split.b')).toBe(2000);
  expect(Math.abs(split.env.counter('ab_split.b') / 2000 - 0.25)).toBeLessThan(0.06);
});

test('keeps a visitor whose cookie names a variant, wherever the cookie stands', async () => {
  const split = await testFilter(filter, { config: { cookie: 'ab', variants: { a: 1000, b: 0.001 } } });
  for (const cookie of ['ab=b', 'x=1; ab=b; y=2', ['x=1', 'ab=b']]) {
    const { forwarded, headers } = await split.request({ headers: { cookie } });
    expect(forwarded?.headers['x-variant']).toBe('b');
    expect(headers['set-cookie']).toBeUndefined();
  }
});

test('draws anew for an unknown variant and for one whose weight is 0, and ignores the client naming its own', async () => {
  const split = await testFilter(filter, { config: { variants: { a: 1, old: 0 } } });
  for (const cookie of ['variant=old', 'variant=evil', 'variant=', 'xvariant=old']) {
    const { forwarded, headers } = await split.request({ headers: { cookie, 'x-variant': 'old' } });
    expect(forwarded?.headers['x-variant']).toBe('a');
    expect(headers['set-cookie']).toContain('variant=a;');
  }
});

test('refuses variants that nobody can reach', async () => {
  await expect(testFilter(filter, { config: { variants: { a: 0 } } })).rejects.toThrow('at least one weight above 0');
});
