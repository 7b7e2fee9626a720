import fc from 'fast-check';
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { QueryParameterMatcher } from '../../src/config/schema/route-matchers.ts';
import { compileQueryParameterMatcher, queryParameter } from '../../src/matching/query-parameter-matcher.ts';

const matches = (config: unknown, path: string): boolean =>
  compileQueryParameterMatcher(v.parse(QueryParameterMatcher, config))(path);

/** Splits the whole query, as one would without caring for allocations. */
function naive(path: string, name: string): string | undefined {
  const query = path.indexOf('?');
  if (query < 0) return undefined;
  for (const pair of path.substring(query + 1).split('&')) {
    const equals = pair.indexOf('=');
    if ((equals < 0 ? pair : pair.substring(0, equals)) === name) return equals < 0 ? '' : pair.substring(equals + 1);
  }
  return undefined;
}

describe('queryParameter', () => {
  it('finds the first value, not decoded', () => {
    expect(queryParameter('/p?a=1&b=%20x&b=2', 'b')).toBe('%20x');
    expect(queryParameter('/p?ab=1&a', 'a')).toBe('');
    expect(queryParameter('/a=1', 'a')).toBeUndefined();
    expect(queryParameter('/p?a=b=c', 'a')).toBe('b=c');
  });

  it('agrees with splitting the query', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '=', '&', '?', '/'), maxLength: 14 });
    const name = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(text, name, (path, parameter) => {
        expect(queryParameter(path, parameter)).toBe(naive(path, parameter));
      }),
      { numRuns: 5000 },
    );
  });
});

describe('compileQueryParameterMatcher', () => {
  it('compares the value', () => {
    expect(matches({ name: 'a', string_match: { prefix: 'x' } }, '/?a=xy')).toBe(true);
    expect(matches({ name: 'a', string_match: { prefix: 'x' } }, '/?a=y')).toBe(false);
    expect(matches({ name: 'a', string_match: { exact: '' } }, '/?b')).toBe(false);
  });

  it('asks for presence or absence', () => {
    expect(matches({ name: 'a' }, '/?a')).toBe(true);
    expect(matches({ name: 'a', present_match: true }, '/?a=1')).toBe(true);
    expect(matches({ name: 'a', present_match: true }, '/')).toBe(false);
    expect(matches({ name: 'a', present_match: false }, '/?b')).toBe(true);
    expect(matches({ name: 'a', present_match: false }, '/?a')).toBe(false);
  });
});
