import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { builtinRegistry, HTTP_FILTERS, NETWORK_FILTERS } from '../../filters/index.ts';
import { StatsStore } from '../../src/observe/stats.ts';
import { filterEnv, readConfig } from '../support/filter-harness.ts';

const folder = fileURLToPath(new URL('../../filters/', import.meta.url));

/** The YAML behind `@example` in the docstrings of filters, by the type that it names. */
function readExamples(): Map<string, string> {
  const examples = new Map<string, string>();
  for (const file of globSync('**/*.ts', { cwd: folder })) {
    const source = readFileSync(`${folder}${file}`, 'utf8');
    for (const [, body] of source.matchAll(/ \* @example\n((?: \* .*\n)+)/g)) {
      const yaml = (body as string).replaceAll(/^ \* ?/gm, '');
      const type = /'@type': type\.googleapis\.com\/(\S+)/.exec(yaml)?.[1];
      if (type !== undefined) examples.set(type, yaml);
    }
  }
  return examples;
}

describe('the built-in filters', () => {
  const examples = readExamples();

  test('are registered under their configuration types, each once', () => {
    const registry = builtinRegistry();
    expect(registry.http.size).toBe(HTTP_FILTERS.length);
    expect(registry.network.size).toBe(NETWORK_FILTERS.length);
    expect([...registry.http.keys(), ...registry.network.keys()].sort()).toEqual([...examples.keys()].sort());
  });

  test.each([...HTTP_FILTERS, ...NETWORK_FILTERS].map((filter) => [filter.name, filter] as const))(
    '%s accepts and runs the example in its documentation',
    async (_name, filter) => {
      if ('prepare' in filter) await filter.prepare?.();
      const yaml = examples.get(filter.configType as string) as string;
      const parsed: unknown = readConfig(filter.config as never, parse(yaml));
      expect(filter.create(parsed, filterEnv<never>(new StatsStore()))).toBeTypeOf('object');
    },
  );
});
