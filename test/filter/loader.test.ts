import { execFileSync } from 'node:child_process';
import { mkdirSync, renameSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { type LoadFilterOptions, loadFilterModule } from '../../src/filter/loader.ts';
import type { FilterLoadError } from '../../src/filter/loader-error.ts';
import { outriggerEntry } from '../../src/filter/module-hooks.ts';
import { RequestHead } from '../../src/http/message.ts';
import { stampFilter, tempFolder, writeIn } from './temp-folder.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

function load(folder: string, spec = './x.ts', options: Partial<LoadFilterOptions<'http'>> = {}) {
  return loadFilterModule(spec, { baseDir: folder, anywhere: true, kind: 'http', ...options });
}

async function problem(folder: string, spec = './x.ts', options: Partial<LoadFilterOptions<'http'>> = {}) {
  const loaded = load(folder, spec, options);
  const error = await loaded.then(
    () => undefined,
    (reason: FilterLoadError) => reason,
  );
  if (error === undefined) throw new Error('it loads');
  return error.message.replaceAll(`${folder}/`, '');
}

/** What the filter of a folder makes of `x-version`. */
async function version(folder: string, spec = './x.ts', options: Partial<LoadFilterOptions<'http'>> = {}) {
  const { definition } = await load(folder, spec, options);
  const request = new RequestHead();
  await definition.create(undefined, {} as never).onRequest?.(request, {} as never);
  return request.get('x-version');
}

describe('a filter module', () => {
  test('is TypeScript of any folder, imports outrigger, helpers, JSON and packages, and uses top-level await', async () => {
    const folder = tempFolder({
      'x.ts': stampFilter(
        'text',
        `import { join } from 'node:path';
         import * as v from 'valibot';
         import data, { type Unused } from './data.json' with { type: 'json' };
         import Greeter, { greet as hello } from './lib/greet.ts';
         import * as all from './lib/all.ts';
         const more: { more: string } = await import('./lib/more.ts');
         const text: string = [v.parse(v.string(), hello()), join('a', 'b'), data.n, new Greeter().name, Object.keys(all).join('+'), more.more].join(' ');`.replace(
          ', { type Unused }',
          '',
        ),
      ),
      'data.json': '{"n": 7}',
      'lib/greet.ts':
        'export default class Greeter { name = "g"; }\nexport function greet(): string { return "hi"; }\n',
      'lib/all.ts':
        'export * from "./greet.ts";\nexport { greet as again } from "./greet.ts";\nexport * as ns from "./more.ts";\nconst a = 1, b = 2;\nexport { a, b as "the b" };\nexport const { c, d: [e] } = { c: 3, d: [4] };\nexport {};\n',
      'lib/more.ts': `export const more = import.meta.filename.endsWith('/lib/more.ts') ? 'more' : 'less';\n`,
    });
    expect(await version(folder)).toBe('hi a/b 7 g a+the b+c+e+greet+again+ns more');
    const loaded = await load(folder);
    expect(loaded.dependencies.map((file) => file.slice(folder.length + 1)).sort()).toEqual([
      'data.json',
      'lib/all.ts',
      'lib/greet.ts',
      'lib/more.ts',
      'x.ts',
    ]);
  });

  test('is read afresh by every load, with its helpers, and has the version of its text', async () => {
    const folder = tempFolder({
      'x.ts': stampFilter('helper', `import { helper } from './h.ts';`),
      'h.ts': `export const helper = 'one';`,
    });
    const first = await load(folder);
    expect(await version(folder)).toBe('one');
    writeIn(folder, 'h.ts', `export const helper = 'two';`);
    expect(await version(folder)).toBe('two');
    expect((await load(folder)).version).not.toBe(first.version);
    writeIn(folder, 'h.ts', `export const helper = 'one';`);
    expect((await load(folder)).version).toBe(first.version);
  });

  test('keeps exports, imports and regular expressions apart from text that looks like them', async () => {
    const folder = tempFolder({
      'x.ts': stampFilter(
        'text',
        `const text = [/[/]export default {}/.source.length, \`import x from '\${'y'}'; \${\`export let z\`}\`, "import.meta"].join('|'); // import q from 'q'
         /* export default 1; */`,
      ),
    });
    expect(await version(folder)).toBe(`20|import x from 'y'; export let z|import.meta`);
  });

  test('exports several filters, of which one is named behind #', async () => {
    const one = (name: string) =>
      `{ name: '${name}', semantics: { side: 'either', state: 'none', body: 'none' }, create: () => ({ onRequest(r) { r.set('x-version', '${name}'); } }) }`;
    const folder = tempFolder({ 'x.js': `export default [${one('a')}, ${one('b')}];` });
    expect(await version(folder, './x.js#b')).toBe('b');
    expect(await problem(folder, './x.js')).toBe('x.js: exports 2 filters (a, b); name one: ./x.js#a');
    expect(await problem(folder, './x.js#c')).toContain(`exports no filter 'c'; it exports a, b`);
  });

  test('is a package, whose import of outrigger is ours', async () => {
    const folder = tempFolder({
      'node_modules/stamper/package.json': '{"name":"stamper","type":"module","exports":{"import":"./main.js"}}',
      'node_modules/stamper/main.js': stampFilter(`'packaged'`),
    });
    const script = `
      import { loadFilterModule } from ${JSON.stringify(join(root, 'src/filter/loader.ts'))};
      const loaded = await loadFilterModule('stamper', { baseDir: ${JSON.stringify(folder)}, anywhere: true, kind: 'http' });
      console.log(loaded.definition.name, loaded.version);`;
    const printed = execFileSync(process.execPath, ['--no-warnings', '--input-type=module', '-e', script]);
    expect(printed.toString().trim()).toBe('stamp package');
    expect(await problem(folder, 'nowhere')).toContain('nowhere: no such package, seen from');
  });

  test('resolves outrigger to the sources in a checkout', () => {
    expect(outriggerEntry()).toBe(join(root, 'src/filter/index.ts'));
  });
});

describe('a module that cannot be used says why and where', () => {
  const cases: [name: string, files: Record<string, string>, message: string | RegExp][] = [
    ['a type error in the syntax', { 'x.ts': 'const a = 1;\nconst b: = 2;' }, /^x\.ts:2:10: /],
    ['a syntax error in JavaScript', { 'x.js': '\nexport default { a: 1 b: 2 };' }, /^x\.js:2:2\d: /],
    [
      'a syntax error in the first line',
      { 'x.ts': 'let a = 1; let a = 2; export default a;' },
      /^x\.ts:1:16: .*already been declared/,
    ],
    ['an enum', { 'x.ts': 'export enum A { B }' }, /^x\.ts:1:\d+: .*enum.*not supported.*plain JavaScript/],
    [
      'no default export',
      { 'x.ts': 'export const filter = 1;' },
      /has no default export \(it exports filter\): export default/,
    ],
    ['a default export of another shape', { 'x.ts': 'export default 7;' }, /the default export is a number/],
    ['a filter without a name', { 'x.ts': 'export default {};' }, /has no name/],
    ['a filter without create', { 'x.ts': `export default { name: 'a' };` }, /'a' has no create/],
    [
      'semantics that do not exist',
      {
        'x.ts': `export default { name: 'a', create() {}, semantics: { side: 'both', state: 'none', body: 'none' } };`,
      },
      /semantics\.side "both"; one of ingress, egress, either/,
    ],
    [
      'code that throws at load',
      { 'x.ts': '\n\n  null.x;\nexport default 1;' },
      /^x\.ts:3:8: throws while loading: TypeError/,
    ],
    [
      'a helper that throws',
      { 'x.ts': `import './h.ts';`, 'h.ts': '\nthrow new Error("no");' },
      /^h\.ts:2:7: throws while loading: Error: no/,
    ],
    [
      'a helper that is not there',
      { 'x.ts': `\nimport './h.js';`, 'h.ts': '' },
      /^x\.ts:2:1: cannot find '\.\/h\.js'; there is h\.ts/,
    ],
    [
      'a name that a helper does not export',
      { 'x.ts': `import { q } from './h.ts';`, 'h.ts': 'export const p = 1;' },
      /^x\.ts:1:1: '\.\/h\.ts' exports no 'q'; it exports p/,
    ],
    ['a package that is not there', { 'x.ts': `import 'nowhere';` }, /^x\.ts:1:1: cannot import 'nowhere'/],
    [
      'an exported variable that can change',
      { 'x.ts': '\nexport let n = 0;' },
      /^x\.ts:2:1: a filter exports constants: make `n` a const/,
    ],
    [
      'a circle',
      {
        'x.ts': `import { a } from './h.ts'; export const b = a;`,
        'h.ts': `import { b } from './x.ts'; export const a = b;`,
      },
      /^h\.ts:1:1: .*circle \(x\.ts → h\.ts → x\.ts\)/,
    ],
    [
      'JSON without its type',
      { 'x.ts': `import a from './a.json';`, 'a.json': '1' },
      /^x\.ts:1:1: a JSON file is imported with/,
    ],
    ['a CommonJS file', { 'x.ts': `import './a.cjs';`, 'a.cjs': '' }, /cannot import '\.\/a\.cjs'/],
  ];
  for (const [name, files, message] of cases) {
    test(name, async () => {
      const folder = tempFolder(files);
      expect(await problem(folder, `./${Object.keys(files)[0]}`)).toMatch(message);
    });
  }

  test('a top-level await that never settles', async () => {
    const folder = tempFolder({ 'x.ts': 'await new Promise(() => {}); export default 1;' });
    expect(await problem(folder, './x.ts', { timeoutMs: 50 })).toContain('still loading after 50 ms');
  });

  test('create that throws, and hooks that do not exist', async () => {
    const filter = (create: string) =>
      `export default { name: 'a', semantics: { side: 'either', state: 'none', body: 'none' },\ncreate() { ${create} } };`;
    const folder = tempFolder();
    const create = async (text: string) => {
      writeIn(folder, 'x.ts', filter(text));
      const { definition } = await load(folder);
      definition.create(undefined, {} as never);
    };
    await expect(create('throw new Error("bad")')).rejects.toThrow(`x.ts:2:18: create of 'a' throws Error: bad`);
    await expect(create('return { onRequests() {} }')).rejects.toThrow(
      'unknown hook onRequests; hooks of http filters are',
    );
    await expect(create('return { onData() {} }')).rejects.toThrow('onData, which belongs to network filters');
    await expect(create('return { onRequest: 1 }')).rejects.toThrow('onRequest, which is not a function');
    await expect(create('')).rejects.toThrow('create returned undefined');
    await expect(create('return Promise.resolve({})')).rejects.toThrow('create returned a promise');
  });
});

describe('errors of a running filter', () => {
  test('keep the line and column of the TypeScript file', async () => {
    const folder = tempFolder({
      'x.ts': `import { helper } from './h.ts';\nexport default { name: 'a', semantics: { side: 'either', state: 'none', body: 'none' },\n  create: () => ({ onRequest() { helper(); } }) };`,
      'h.ts':
        'interface Long { a: string; }\nexport function helper(a?: Long): void {\n  const b: Long = a as Long; throw new Error(String(b));\n}\n',
    });
    const { definition } = await load(folder);
    const hooks = definition.create(undefined, {} as never);
    let stack = '';
    try {
      hooks.onRequest?.({} as never, {} as never);
    } catch (error) {
      stack = (error as Error).stack as string;
    }
    expect(stack).toContain(`${folder}/h.ts:3:36`);
    expect(stack).toMatch(/x\.ts:3:34/);
  });
});

describe('--filter-dir', () => {
  test('refuses what a configuration names outside of it, and everything where it is not set', async () => {
    const folder = tempFolder({ 'in/x.ts': stampFilter(`'in'`), 'x.ts': stampFilter(`'out'`) });
    const filterDir = join(folder, 'in');
    const options = { anywhere: false, filterDir };
    expect(await version(folder, './in/x.ts', options)).toBe('in');
    expect(await problem(folder, '../x.ts', { ...options, baseDir: filterDir })).toBe(
      'x.ts: lies outside of --filter-dir in',
    );
    expect(await problem(folder, './x.ts', { anywhere: false })).toContain(
      'only under --filter-dir DIR, which is not set',
    );
  });

  test('is not left through a link, nor by a name that begins alike', async () => {
    const folder = tempFolder({ 'in/y.ts': '', 'out/x.ts': stampFilter(`'out'`), 'in-2/x.ts': stampFilter(`'2'`) });
    symlinkSync(join(folder, 'out/x.ts'), join(folder, 'in/x.ts'));
    const options = { anywhere: false, filterDir: join(folder, 'in') };
    expect(await problem(folder, './in/x.ts', options)).toContain('lies outside of --filter-dir');
    expect(await problem(folder, './in-2/x.ts', options)).toContain('lies outside of --filter-dir');
  });

  test('may be a mounted ConfigMap, whose files are links into a folder that is swapped', async () => {
    const folder = tempFolder({
      'real/..v1/x.ts': stampFilter('text', `import { text } from './h.ts';`),
      'real/..v1/h.ts': `export const text = 'one';`,
      'real/..v2/x.ts': stampFilter('text', `import { text } from './h.ts';`),
      'real/..v2/h.ts': `export const text = 'two';`,
    });
    const real = join(folder, 'real');
    symlinkSync('..v1', join(real, '..data'));
    for (const name of ['x.ts', 'h.ts']) symlinkSync(`..data/${name}`, join(real, name));
    mkdirSync(join(folder, 'etc'));
    symlinkSync(real, join(folder, 'etc/filters'));
    const filterDir = join(folder, 'etc/filters');
    const options = { anywhere: false, filterDir, baseDir: filterDir };
    expect(await version(folder, './x.ts', options)).toBe('one');
    expect((await load(folder, './x.ts', options)).dependencies).toEqual([
      join(filterDir, 'x.ts'),
      join(filterDir, 'h.ts'),
    ]);
    symlinkSync('..v2', join(real, '..data_tmp'));
    renameSync(join(real, '..data_tmp'), join(real, '..data'));
    expect(await version(folder, './x.ts', options)).toBe('two');
  });
});
