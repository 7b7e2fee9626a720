import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { ListStringMatcher, StringMatcher } from '../../src/config/schema/matcher.ts';
import { compileStringMatcher, compileStringMatcherList } from '../../src/matching/string-matcher.ts';

const matcher = (config: unknown): ((value: string) => boolean) => compileStringMatcher(v.parse(StringMatcher, config));

describe('compileStringMatcher', () => {
  const cases: [config: object, yes: string[], no: string[]][] = [
    [{ exact: 'Foo' }, ['Foo'], ['foo', 'Foo ', '', 'xFoo']],
    [{ exact: '' }, [''], ['x']],
    [{ exact: 'Foo', ignore_case: true }, ['Foo', 'fOO'], ['fo', 'fooo']],
    [{ prefix: 'Ab' }, ['Ab', 'Abc'], ['ab', 'xAb', 'A']],
    [{ prefix: 'Ab', ignore_case: true }, ['aB', 'ABc'], ['xab', 'a']],
    [{ suffix: 'Yz' }, ['Yz', 'xYz'], ['yz', 'Yzx', 'z']],
    [{ suffix: 'Yz', ignore_case: true }, ['xyZ'], ['yzx', 'z']],
    [{ contains: 'Mn' }, ['Mn', 'aMnb'], ['mn', 'M']],
    [{ contains: 'Mn', ignore_case: true }, ['amNb'], ['m n']],
    [{ safe_regex: { regex: 'a+' } }, ['a', 'aaa'], ['b', 'ab', '']],
  ];
  it.each(cases)('%j', (config, yes, no) => {
    const matches = matcher(config);
    for (const value of yes) expect(matches(value), value).toBe(true);
    for (const value of no) expect(matches(value), value).toBe(false);
  });

  it('compares text outside ASCII with the bytes of the wire, and only ASCII letters without case', () => {
    const wire = (text: string): string => Buffer.from(text).toString('latin1');
    expect(matcher({ exact: 'zürich' })(wire('zürich'))).toBe(true);
    expect(matcher({ exact: 'ZüRICH', ignore_case: true })(wire('zürich'))).toBe(true);
    expect(matcher({ exact: 'Ü', ignore_case: true })(wire('ü'))).toBe(false);
    // 0xC3 and 0xE3 are Ã and ã in latin1, but parts of other characters here.
    expect(matcher({ exact: '\u00c3', ignore_case: true })('\u00e3\u0083')).toBe(false);
  });
});

describe('compileStringMatcherList', () => {
  it('matches when one of the patterns does', () => {
    const matches = compileStringMatcherList(
      v.parse(ListStringMatcher, { patterns: [{ exact: 'a' }, { exact: 'B', ignore_case: true }, { prefix: 'x-' }] }),
    );
    for (const value of ['a', 'b', 'B', 'x-1']) expect(matches(value)).toBe(true);
    for (const value of ['A', 'c', '']) expect(matches(value)).toBe(false);
  });
});
