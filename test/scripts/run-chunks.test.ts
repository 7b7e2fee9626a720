import { join } from 'node:path';
import { build } from 'esbuild';
import { expect, test } from 'vitest';
import { chunkScript, divide, mainEntry, otherParts, type SharedNames } from '../../scripts/run-chunks.ts';

type Inputs = Parameters<typeof divide>[0];

/** What esbuild tells of a graph: by file, what it imports; behind `~`, dynamically. */
function graph(files: Readonly<Record<string, readonly string[]>>): Inputs {
  const entries = Object.entries(files).map(([file, imports]) => {
    const all = imports.map((path) => ({
      path: path.replace('~', ''),
      kind: path.startsWith('~') ? ('dynamic-import' as const) : ('import-statement' as const),
    }));
    return [file, { bytes: 1, imports: all }];
  });
  return Object.fromEntries(entries) as Inputs;
}

test('what is imported statically, or preloaded, is the main bundle’s; what only imports(…) reach makes chunks', () => {
  const { main, chunks } = divide(
    graph({
      'entry.ts': ['src/cli/snapshot.ts', '~src/tls/tls.ts', '~src/other.ts'],
      'src/cli/snapshot.ts': ['~src/serve.ts'],
      'src/serve.ts': [],
      'src/tls/tls.ts': ['src/tls/keys.ts', 'src/serve.ts'],
      'src/tls/keys.ts': [],
      'src/other.ts': [],
    }),
    'entry.ts',
  );
  expect([...main].sort()).toEqual(['entry.ts', 'src/cli/snapshot.ts', 'src/serve.ts']);
  expect(chunks.get('tls')).toEqual(['src/tls/tls.ts']);
  expect(chunks.get('rest')).toEqual(['src/other.ts']);
});

test('what two chunks need is there once, in the main bundle', () => {
  const { main } = divide(
    graph({
      'entry.ts': ['~src/tls/tls.ts', '~src/http/http2/server-side.ts'],
      'src/tls/tls.ts': ['src/common.ts'],
      'src/http/http2/server-side.ts': ['src/common.ts'],
      'src/common.ts': [],
    }),
    'entry.ts',
  );
  expect([...main].sort()).toEqual(['entry.ts', 'src/common.ts']);
});

test('filters are chunks, though they are imported statically', () => {
  const { main, lazy } = divide(
    graph({
      'entry.ts': ['filters/index.ts'],
      'filters/index.ts': ['filters/cors.ts', 'src/filter/registry.ts'],
      'filters/cors.ts': ['filters/cors-match.ts'],
      'filters/cors-match.ts': [],
      'src/filter/registry.ts': [],
    }),
    'entry.ts',
  );
  expect(lazy.get('filters/cors.ts')).toBe('filters');
  expect([...main].sort()).toEqual(['entry.ts', 'filters/index.ts', 'src/filter/registry.ts']);
});

test('a chunk gets what it takes of the main bundle', () => {
  const names: SharedNames = new Map();
  const code = `import { one, two as second } from "shared:src/a.ts"; import * as all from "shared:src/b.ts";
    export const modules = { "x.ts": () => [one, second, all.three] }; export { modules };`.replace(
    'export const',
    'const',
  );
  const chunk: { open?: (shared: (file: string) => unknown, parts: object) => Record<string, () => unknown> } = {};
  new Function('exports', chunkScript(code, '', names))(chunk);
  const shared: Readonly<Record<string, object>> = {
    'src/a.ts': { one: 1, two: 2 },
    'src/b.ts': { '*': { three: 3 } },
  };
  expect(chunk.open?.((file) => shared[file], {})['x.ts']?.()).toEqual([1, 2, 3]);
  const entry = mainEntry('entry.ts', names);
  expect(entry).toContain('import { one as shared0 } from "./src/a.ts"');
  expect(entry).toContain('import * as shared2 from "./src/b.ts"');
});

test('a chunk that takes something whole says of what', () => {
  const code = 'import("shared:src/a.ts"); const modules = {}; export { modules };';
  expect(() => chunkScript(code, '', new Map())).toThrow('src/a.ts');
});

test('a chunk has its own copy of what it takes of Valibot, of which the main bundle then holds no more than it calls', async () => {
  const file = 'node_modules/valibot/dist/index.mjs';
  const division = { main: new Set([file, 'src/a.ts']), chunks: new Map(), lazy: new Map() };
  const atPlace = (path: string): string => (path.endsWith(file) ? file : 'src/a.ts');
  const { outputFiles } = await build({
    stdin: {
      contents: `import * as v from 'valibot'; import './run-chunks.ts'; export const schema = v.string();`,
      resolveDir: join(import.meta.dirname, '../../scripts'),
    },
    bundle: true,
    format: 'esm',
    platform: 'node',
    write: false,
    plugins: [otherParts(division, 'tls', atPlace)],
  });
  const text = outputFiles[0]?.text ?? '';
  expect(text).toContain('shared:src/a.ts');
  expect(text).not.toContain('shared:node_modules');
  expect(text.length).toBeLessThan(10_000);
});
