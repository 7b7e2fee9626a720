import fc from 'fast-check';
import { RE2JS } from 're2js';
import { describe, expect, it } from 'vitest';
import { compileRegex, compileSubstitution, RegexError } from '../../src/matching/regex.ts';

describe('compileRegex', () => {
  it('matches the whole text', () => {
    const regex = compileRegex('/api/v[0-9]+');
    expect(regex.matches('/api/v12')).toBe(true);
    expect(regex.matches('/api/v12/x')).toBe(false);
    expect(regex.matches('x/api/v12')).toBe(false);
  });

  it('refuses what RE2 does not know, naming the expression', () => {
    expect(() => compileRegex('(ab')).toThrow(RegexError);
    expect(() => compileRegex('(ab')).toThrow("'(ab': missing closing )");
    expect(() => compileRegex('a(?=b)')).toThrow(RegexError);
    expect(() => compileRegex('(a)\\1')).toThrow(RegexError);
  });

  it('reads bytes of the wire as UTF-8', () => {
    const wire = Buffer.from('/café').toString('latin1');
    for (const pattern of ['/café', '/caf.', '/caf[é]', '/c.*é', '/(café|tea)']) {
      expect(compileRegex(pattern).matches(wire), pattern).toBe(true);
    }
    expect(compileRegex('/caf..').matches(wire)).toBe(false);
  });

  it('takes time linear in the text for a pattern that makes backtracking explode', () => {
    const regex = compileRegex('(a+)+b');
    const started = performance.now();
    expect(regex.matches('a'.repeat(50_000))).toBe(false);
    expect(performance.now() - started).toBeLessThan(2000);
  });

  it('does not let a wildcard cross a line feed', () => {
    for (const pattern of ['/a.*', '/a.*z', '.*z', '.+']) expect(compileRegex(pattern).matches('/a\nz')).toBe(false);
  });

  const piece = fc.constantFrom(
    'a',
    'b',
    '/',
    '.*',
    '.+',
    '.',
    '\\.',
    '\\/',
    '|',
    '(',
    ')',
    '(?:',
    '[ab]',
    '[|]',
    '[a(]',
    '^',
    '$',
    '*',
    '+',
    '?',
    '\\d',
    '1',
    '{2}',
    '\\Q',
    '\\E',
  );
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '/', '.', '1', '|', '(', '\n', 'Q'), maxLength: 6 });

  it('agrees with the engine on every pattern, whatever shortcut it takes', () => {
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join('')),
        fc.array(text, { maxLength: 20 }),
        (pattern, texts) => {
          let engine: RE2JS;
          try {
            engine = RE2JS.compile(pattern);
          } catch {
            expect(() => compileRegex(pattern)).toThrow(RegexError);
            return;
          }
          const regex = compileRegex(pattern);
          for (const candidate of [...texts, pattern, `${regex.prefix}b`]) {
            const expected = engine.testExact(candidate);
            expect(regex.matches(candidate), `${pattern} on ${JSON.stringify(candidate)}`).toBe(expected);
            if (expected) expect(candidate.startsWith(regex.prefix), `prefix of ${pattern}`).toBe(true);
          }
        },
      ),
      { numRuns: 3000 },
    );
  });

  it('knows the literal with which every match begins', () => {
    expect(compileRegex('/api/v1/users/[^/]+').prefix).toBe('/api/v1/users/');
    expect(compileRegex('^/a\\.b(c|d)').prefix).toBe('/a.b');
    expect(compileRegex('/ab*').prefix).toBe('/a');
    expect(compileRegex('/a|/b').prefix).toBe('');
    expect(compileRegex('(?i)/a').prefix).toBe('');
  });
});

describe('compileSubstitution', () => {
  it('replaces every match, with groups, the match itself and backslashes', () => {
    expect(compileSubstitution('/(\\w+)/(\\w+)', '/\\2/\\1')('/a/b/c/d')).toBe('/b/a/d/c');
    expect(compileSubstitution('b+', '<\\0>')('abba')).toBe('a<bb>a');
    expect(compileSubstitution('b', '\\\\')('abc')).toBe('a\\c');
    expect(compileSubstitution('b', '$1')('abc')).toBe('a$1c');
  });

  it('takes only one digit for a group', () => {
    expect(compileSubstitution('(b)', '\\12')('abc')).toBe('ab2c');
  });

  it('replaces empty matches as RE2 does: none right behind another match', () => {
    expect(compileSubstitution('a*', 'x')('baac')).toBe('xbxcx');
    expect(compileSubstitution('', '-')('ab')).toBe('-a-b-');
  });

  it('writes nothing for a group that took no part', () => {
    expect(compileSubstitution('(a)|b', '[\\1]')('ab')).toBe('[a][]');
  });

  it('returns the very text when nothing matches', () => {
    expect(compileSubstitution('x', 'y')('abc')).toBe('abc');
  });

  it('keeps text outside ASCII as bytes', () => {
    const wire = (text: string): string => Buffer.from(text).toString('latin1');
    expect(compileSubstitution('é(.)', '\\1ü')(wire('/éñ'))).toBe(wire('/ñü'));
  });

  it('refuses a group that does not exist and a bad escape', () => {
    expect(() => compileSubstitution('(a)', '\\2')).toThrow(/\\2 is used, but '\(a\)' has 1 groups/);
    expect(() => compileSubstitution('a', '\\x')).toThrow(/backslash/);
    expect(() => compileSubstitution('a', 'x\\')).toThrow(/backslash/);
  });
});
