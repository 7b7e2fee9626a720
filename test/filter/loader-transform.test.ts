import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import vm from 'node:vm';
import { describe, expect, test } from 'vitest';
import { MODULE_PARAMETERS, transformModule } from '../../src/filter/loader-transform.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The exports of a module without imports. */
async function exportsOf(source: string, file = 'x.js'): Promise<Record<string, unknown>> {
  const { code } = transformModule(source, file);
  const run = new vm.Script(code).runInThisContext() as (...args: unknown[]) => Promise<Record<string, unknown>>;
  return run([], undefined, { url: 'file:///x.js' });
}

describe('the function that a module becomes', () => {
  test('exports what the module exports, in every form of the statement', async () => {
    const exported = await exportsOf(`
      export const a = 1, { b, c: [d = 4] } = { b: 2, c: [] };
      export function f() { return 'f'; } export async function* g() {}
      export class K { static s = 's'; }
      const x = 'x', y = 'y';
      export { x as renamed, y, /* } */ x as "a string" };
      export { };
    `);
    expect(Object.keys(exported)).toEqual(['a', 'b', 'd', 'f', 'g', 'K', 'renamed', 'y', 'a string']);
    expect(exported).toMatchObject({ a: 1, b: 2, d: 4, renamed: 'x', y: 'y', 'a string': 'x' });
  });

  const defaults: [source: string, check: (value: never) => unknown, wanted: unknown][] = [
    ['export default 7', (value) => value, 7],
    ['export default { a: 1 };', (value: { a: number }) => value.a, 1],
    ['export default function () { return 1; }', (value: () => number) => value(), 1],
    ['export default async () => 1;', (value: () => unknown) => value() instanceof Promise, true],
    ['export default function named() { return named.name; }', (value: () => string) => value(), 'named'],
    ['export /* c */ default class Named {}', (value: { name: string }) => value.name, 'Named'],
    ['export default class extends Array {}', (Value: new () => unknown) => Array.isArray(new Value()), true],
    ['const v = 3;\nexport { v as default };', (value) => value, 3],
    ['export default\n  5', (value) => value, 5],
    ['export default (1, 2)', (value) => value, 2],
  ];
  for (const [source, check, wanted] of defaults) {
    test(`default export: ${source.replaceAll('\n', ' ')}`, async () => {
      expect(check((await exportsOf(source)).default as never)).toBe(wanted);
    });
  }

  test('is strict, has no this, and knows import.meta', async () => {
    const exported = await exportsOf(`
      export const strict = (() => { try { undeclared = 1; return false; } catch { return true; } })();
      export const self = this; export const { url } = import . meta;`);
    expect(exported).toMatchObject({ strict: true, self: undefined, url: 'file:///x.js' });
  });

  test('takes every form of import', () => {
    const { imports, dynamicImports } = transformModule(
      `import 'side'; import d from "d"; import * as ns from 'ns'; import e, * as all from 'e';
       import f, { g, h as i, default as j } from 'f';
       import { /* nothing */ } from 'empty';
       import {
         from, as as of, // comment }
       } from 'words';
       import data from './data.json' with { type: 'json' };
       export { l, m as n } from 'l'; export * from 'star'; export * as o from 'o';
       const p = await import('./lazy.ts'); await import(p.q);`,
      'x.js',
    );
    expect(imports.map(({ specifier, bindings, reexports }) => [specifier, ...bindings, ...reexports])).toEqual([
      ['side'],
      ['d', { imported: 'default', local: 'd' }],
      ['ns', { imported: '*', local: 'ns' }],
      ['e', { imported: 'default', local: 'e' }, { imported: '*', local: 'all' }],
      [
        'f',
        { imported: 'default', local: 'f' },
        { imported: 'g', local: 'g' },
        { imported: 'h', local: 'i' },
        { imported: 'default', local: 'j' },
      ],
      ['empty'],
      ['words', { imported: 'from', local: 'from' }, { imported: 'as', local: 'of' }],
      ['./data.json', { imported: 'default', local: 'data' }],
      ['l', { imported: 'l', local: 'l' }, { imported: 'm', local: 'n' }],
      ['star', { imported: '*', local: '' }],
      ['o', { imported: '*', local: 'o' }],
    ]);
    expect(imports.map(({ json }) => json).indexOf(true)).toBe(7);
    expect(imports.map(({ line }) => line)).toEqual([1, 1, 1, 1, 2, 3, 4, 7, 8, 8, 8]);
    expect(dynamicImports).toEqual(['./lazy.ts']);
  });

  test('keeps every line, and every column but the first line\u2019s', () => {
    const source = `import { a } from 'a';\nexport const b = 1; import.meta.url; const c = 2;\nexport default c;\nawait import('x'); const here = 3;`;
    const { code, prologueLength } = transformModule(source, 'x.js');
    const lines = code.slice(prologueLength).split('\n');
    for (const [text, line] of [
      ['const c', 1],
      ['c;', 2],
      ['const here', 3],
    ] as const) {
      expect(lines[line]?.indexOf(text)).toBe(source.split('\n')[line]?.indexOf(text));
    }
  });

  test('its parameters are as long as what they stand for', () => {
    expect(MODULE_PARAMETERS.map((name) => name.length)).toEqual([8, 'import'.length, 'import.meta'.length]);
  });
});

test('every source file of the proxy and its packages becomes a function that compiles', () => {
  const files = [
    ...globSync('src/**/*.ts', { cwd: root }),
    ...globSync('node_modules/{valibot,vitest,yaml,commander,es-module-lexer}/**/*.mjs', { cwd: root }),
  ];
  expect(files.length).toBeGreaterThan(60);
  const failed: string[] = [];
  for (const file of files) {
    try {
      const { code } = transformModule(readFileSync(join(root, file), 'utf8'), file);
      new vm.Script(code, { filename: file });
    } catch (error) {
      // The one thing that is refused on purpose.
      if (!/a filter exports constants/.test((error as Error).message))
        failed.push(`${file}: ${(error as Error).message}`);
    }
  }
  expect(failed).toEqual([]);
});
