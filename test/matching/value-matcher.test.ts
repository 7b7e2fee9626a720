import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { MetadataMatcher, ValueMatcher } from '../../src/config/schema/matcher.ts';
import { compileMetadataMatcher, compileValueMatcher } from '../../src/matching/value-matcher.ts';

const value = (config: unknown): ((value: unknown) => boolean) => compileValueMatcher(v.parse(ValueMatcher, config));

describe('compileValueMatcher', () => {
  const cases: [config: object, yes: unknown[], no: unknown[]][] = [
    [{ null_match: {} }, [null], [undefined, 0, '']],
    [{ string_match: { prefix: 'a' } }, ['ab'], ['b', 1, null, undefined]],
    [{ double_match: { exact: 2 } }, [2], ['2', 3, undefined]],
    [{ double_match: { range: { start: 1, end: 2 } } }, [1, 1.9], [2, 0.9, '1']],
    [{ bool_match: false }, [false], [true, undefined, null]],
    [{ present_match: true }, [null, 0, ''], [undefined]],
    [{ present_match: false }, [], [undefined, 0]],
    [{ string_match: { prefix: 'é' } }, ['é', 'éa'], ['e', 'É']],
    [{ list_match: { one_of: { string_match: { exact: 'a' } } } }, [['b', 'a']], [['b'], 'a', []]],
    [{ or_match: { value_matchers: [{ bool_match: true }, { null_match: {} }] } }, [true, null], [false]],
  ];
  it.each(cases)('%j', (config, yes, no) => {
    for (const candidate of yes) expect(value(config)(candidate), String(candidate)).toBe(true);
    for (const candidate of no) expect(value(config)(candidate), String(candidate)).toBe(false);
  });
});

describe('compileMetadataMatcher', () => {
  const metadata: Record<string, Record<string, unknown>> = { 'envoy.lb': { tier: { name: 'gold' }, list: ['name'] } };
  const source = { getMetadata: (namespace: string, key?: string) => metadata[namespace]?.[key ?? ''] };
  const matches = (config: object): boolean =>
    compileMetadataMatcher(v.parse(MetadataMatcher, { filter: 'envoy.lb', ...config }))(source);
  const path = (...keys: string[]): { key: string }[] => keys.map((key) => ({ key }));

  it('follows the path', () => {
    const gold = { value: { string_match: { exact: 'gold' } } };
    expect(matches({ path: path('tier', 'name'), ...gold })).toBe(true);
    expect(matches({ path: path('tier', 'name'), ...gold, invert: true })).toBe(false);
    expect(matches({ path: path('tier', 'other'), ...gold })).toBe(false);
    expect(matches({ path: path('missing', 'name'), ...gold })).toBe(false);
    expect(matches({ path: path('missing', 'name'), ...gold, invert: true })).toBe(true);
  });

  it('does not step into lists or into what every object inherits', () => {
    const present = { value: { present_match: true } };
    expect(matches({ path: path('list', '0'), ...present })).toBe(false);
    expect(matches({ path: path('tier', 'constructor'), ...present })).toBe(false);
  });
});
