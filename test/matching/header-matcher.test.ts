import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { HeaderMatcher } from '../../src/config/schema/route-matchers.ts';
import { RequestHead } from '../../src/http/message.ts';
import { compileHeaderMatcher, compileHeaderMatchers } from '../../src/matching/header-matcher.ts';

function head(...lines: [name: string, value: string][]): RequestHead {
  const request = new RequestHead();
  request.method = 'GET';
  request.path = '/p?q';
  request.authority = 'shop.test';
  for (const [name, value] of lines) request.add(name, value);
  return request;
}

function matches(config: object, ...lines: [string, string][]): boolean {
  return compileHeaderMatcher(v.parse(HeaderMatcher, { name: 'X-H', ...config }))(head(...lines));
}

describe('compileHeaderMatcher', () => {
  it.each([
    [{ exact_match: 'ab' }, 'ab', 'abc'],
    [{ prefix_match: 'ab' }, 'abc', 'xab'],
    [{ suffix_match: 'ab' }, 'xab', 'abx'],
    [{ contains_match: 'ab' }, 'xaby', 'a b'],
    [{ safe_regex_match: { regex: 'a.' } }, 'ab', 'abc'],
    [{ string_match: { exact: 'AB', ignore_case: true } }, 'ab', 'abc'],
    [{ range_match: { start: -10, end: 10 } }, '-10', '10'],
    [{ range_match: { start: -10, end: 10 } }, '+9', '9x'],
    [{ range_match: { start: 0, end: 10 } }, '0', '1.5'],
  ])('%j matches %s and not %s', (config, yes, no) => {
    expect(matches(config, ['x-h', yes])).toBe(true);
    expect(matches(config, ['x-h', no])).toBe(false);
    expect(matches({ ...config, invert_match: true }, ['x-h', yes])).toBe(false);
    expect(matches({ ...config, invert_match: true }, ['x-h', no])).toBe(true);
  });

  it('does not match a missing header, inverted or not', () => {
    expect(matches({ string_match: { exact: 'a' } })).toBe(false);
    expect(matches({ string_match: { exact: 'a' }, invert_match: true })).toBe(false);
  });

  it('takes a missing header for an empty one where it is told to', () => {
    const config = { string_match: { exact: 'a' }, treat_missing_header_as_empty: true };
    expect(matches(config)).toBe(false);
    expect(matches({ ...config, invert_match: true })).toBe(true);
    expect(matches({ ...config, string_match: { exact: '' } })).toBe(true);
    expect(matches({ present_match: true, treat_missing_header_as_empty: true })).toBe(true);
  });

  it('asks for presence, absence, and presence where nothing is asked for', () => {
    expect(matches({ present_match: true }, ['x-h', ''])).toBe(true);
    expect(matches({ present_match: true })).toBe(false);
    expect(matches({ present_match: false })).toBe(true);
    expect(matches({ present_match: false }, ['x-h', 'v'])).toBe(false);
    expect(matches({ present_match: true, invert_match: true })).toBe(true);
    expect(matches({ present_match: true, invert_match: true }, ['x-h', 'v'])).toBe(false);
    expect(matches({}, ['x-h', 'v'])).toBe(true);
    expect(matches({})).toBe(false);
  });

  it('matches a repeated header by any of its lines, and inverted by none', () => {
    const lines: [string, string][] = [
      ['x-h', 'a'],
      ['x-h', 'b'],
    ];
    for (const exact of ['a', 'b']) {
      expect(matches({ string_match: { exact } }, ...lines)).toBe(true);
      expect(matches({ string_match: { exact }, invert_match: true }, ...lines)).toBe(false);
    }
    expect(matches({ string_match: { exact: 'a,b' } }, ...lines)).toBe(false);
    expect(matches({ string_match: { exact: 'c' }, invert_match: true }, ...lines)).toBe(true);
    expect(matches({ string_match: { exact: 'a,b' } }, ['x-h', 'a,b'])).toBe(true);
  });

  it('matches pseudo-headers and host', () => {
    const on = (name: string, exact: string): boolean =>
      compileHeaderMatcher(v.parse(HeaderMatcher, { name, string_match: { exact } }))(head());
    expect(on(':path', '/p?q')).toBe(true);
    expect(on(':method', 'GET')).toBe(true);
    expect(on(':authority', 'shop.test')).toBe(true);
    expect(on('Host', 'shop.test')).toBe(true);
  });

  it('accepts any value for the deprecated exact_match when it is empty', () => {
    expect(matches({ exact_match: '' }, ['x-h', 'anything'])).toBe(true);
    expect(matches({ exact_match: '' })).toBe(false);
  });
});

describe('compileHeaderMatchers', () => {
  const all = (count: number): ReturnType<typeof compileHeaderMatchers> =>
    compileHeaderMatchers(
      Array.from({ length: count }, (_, i) => v.parse(HeaderMatcher, { name: `x-${i}`, present_match: true })),
    );

  it.each([1, 2, 3, 4])('needs all of %i', (count) => {
    const lines = Array.from({ length: count }, (_, i): [string, string] => [`x-${i}`, 'v']);
    expect(all(count)?.(head(...lines))).toBe(true);
    for (let missing = 0; missing < count; missing++) {
      expect(all(count)?.(head(...lines.filter((_, i) => i !== missing)))).toBe(false);
    }
  });

  it('is nothing for none', () => {
    expect(all(0)).toBeUndefined();
  });
});
