/**
 * Makes dist/: what a package or an image runs, since Node strips no types under node_modules.
 *
 *   outrigger.js   the command line; every command but `run` in chunks that are loaded when it is called
 *   run.cjs        `outrigger run`, in one file: each module that Node loads costs half a millisecond of the start
 *   run-*.cache    V8's code for it, for the Node that builds, taken from a short run (src/cli/compiled-script.ts)
 *   run-*.snapshot it evaluated, for Node to start from (scripts/snapshot.ts)
 *   filter.js      what `import … from 'outrigger'` means
 *   testing.js     `outrigger/testing`, the harness of filter tests
 *   types/         declarations of both
 *   cache/         Node's compile cache for the rest
 *
 * All files lie flat in dist: `new URL('./x.ts', import.meta.url)` in a source becomes an entry of its own beside them.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { type BuildOptions, build, type Metafile, type OutputFile, type Plugin } from 'esbuild';
import { builtinNames, rewriteBuiltinImports, virtualBuiltins } from './builtin-imports.ts';
import { fillCache } from './fill-cache.ts';
import { onDemandPackages, PACKAGES, packageEntry } from './on-demand-packages.ts';
import {
  chunkEntry,
  chunkScript,
  divide,
  mainEntry,
  otherParts,
  type SharedNames,
  withChunkImports,
} from './run-chunks.ts';

const ROOT = resolve(import.meta.dirname, '..');
const DIST = join(ROOT, 'dist');

const NAMED_ENTRIES: Readonly<Record<string, string>> = {
  'src/cli/main.ts': 'outrigger',
  'src/filter/index.ts': 'filter',
  'src/filter/harness.ts': 'testing',
};

const RUN = 'src/cli/run.ts';

/** Bundled in one file each, with their own copy of everything. */
const STANDALONE: Readonly<Record<string, string>> = {
  'src/cli/run-bundle.ts': 'run',
  'src/threads/worker.ts': 'worker',
};

const SIBLING_URL = /new URL\(\s*'(\.{1,2}\/[^']+\.ts)',\s*import\.meta\.url,?\s*\)/g;

/** Yaml's CommonJS build, which Node gets, cannot be shaken; its ES build is the same code. */
const ALIAS = { yaml: join(ROOT, 'node_modules/yaml/browser/index.js') };

const COMMON: BuildOptions = {
  absWorkingDir: ROOT,
  outdir: DIST,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  // Found in the user's own installation where they are needed at all.
  external: ['typescript', 'autocannon', 'esbuild', 'vitest'],
  alias: ALIAS,
  // Commander is CommonJS and asks for Node's own modules only.
  banner: { js: 'const require = (name) => process.getBuiltinModule(name);' },
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: 'linked',
  logLevel: 'warning',
  write: false,
};

/** Entry name by source file: the named ones, and every file that another one starts by URL (threads, processes). */
function findEntries(): Map<string, string> {
  const entries = new Map(Object.entries({ ...NAMED_ENTRIES, ...STANDALONE }));
  for (const file of globSync('{src,filters,policies,bench}/**/*.ts', { cwd: ROOT })) {
    for (const [, specifier = ''] of readFileSync(join(ROOT, file), 'utf8').matchAll(SIBLING_URL)) {
      const target = relative(ROOT, resolve(ROOT, dirname(file), specifier));
      if (existsSync(join(ROOT, target)) && !entries.has(target)) {
        entries.set(target, target.replace(/\.ts$/, '').replaceAll('/', '-'));
      }
    }
  }
  return entries;
}

/** Points `new URL('./x.ts', import.meta.url)` at the entry that was made of the file. */
function siblingUrls(entries: ReadonlyMap<string, string>): Plugin {
  return {
    name: 'sibling-urls',
    setup(builder) {
      builder.onLoad({ filter: /\/(?:src|filters|policies|bench)\/.*\.ts$/ }, ({ path }) => {
        const contents = readFileSync(path, 'utf8').replace(SIBLING_URL, (all, specifier: string) => {
          const name = entries.get(relative(ROOT, resolve(dirname(path), specifier)));
          return name === undefined ? all : `new URL('./${name}.js', import.meta.url)`;
        });
        return { contents, loader: 'ts' };
      });
    },
  };
}

/** Asked anew each time: what is started from the snapshot learns only then where it lies. */
const IMPORT_META = `const importMeta = {
  get url() { return process.getBuiltinModule('url').pathToFileURL(module.filename).href; },
  get dirname() { return process.getBuiltinModule('path').dirname(module.filename); },
  get filename() { return module.filename; },
};
const nodePerformance = globalThis.performance;`;

/** Loads the parts of `run` that lie in files of their own, each when it is first needed. */
const LOAD_PARTS = `const loadPart = (name) =>
  module.exports.loadPart(process.getBuiltinModule('path').join(importMeta.dirname, 'run-' + name + '.cjs'));
const chunks = new Map();
const loadChunk = (name) => {
  if (!chunks.has(name)) chunks.set(name, loadPart(name).open(module.exports.shared, { loadPart, loadChunk, importChunk }));
  return chunks.get(name);
};
const importChunk = async (name, file) => loadChunk(name)[file]();`;

/** What makes the bundle of `run` a CommonJS file, the only kind that V8 takes with code from outside. */
const COMMON_JS = {
  format: 'cjs',
  outExtension: { '.js': '.cjs' },
  banner: { js: `${IMPORT_META}\n${LOAD_PARTS}` },
  define: {
    'import.meta.url': 'importMeta.url',
    'import.meta.dirname': 'importMeta.dirname',
    'import.meta.filename': 'importMeta.filename',
    // The global is a getter of Node's, which the data path would call each time that it looks at the clock.
    performance: 'nodePerformance',
  },
} satisfies BuildOptions;

/** Makes imports of `src/cli/run.ts` load the file that is bundled of it. */
const runIsElsewhere: Plugin = {
  name: 'run-is-elsewhere',
  setup(builder) {
    builder.onLoad({ filter: /\/src\/cli\/run\.ts$/ }, () => ({
      contents: `
        import { loadCompiled } from './compiled-script.ts';
        import { join } from 'node:path';
        export const { run } = loadCompiled(join(import.meta.dirname, 'run.cjs'));`,
      resolveDir: join(ROOT, dirname(RUN)),
      loader: 'ts',
    }));
  },
};

async function bundle(): Promise<void> {
  const entries = findEntries();
  const plugins = [siblingUrls(entries)];
  const split = await build({
    ...COMMON,
    entryPoints: [...entries]
      .filter(([file]) => STANDALONE[file] === undefined)
      .map(([file, name]) => ({ in: join(ROOT, file), out: name })),
    splitting: true,
    chunkNames: '[name]-[hash]',
    plugins: [runIsElsewhere, ...plugins],
  });
  for (const { path, text } of split.outputFiles ?? []) {
    put(path, path.endsWith('.js') ? rewriteBuiltinImports(text) : text);
  }
  for (const [file, name] of Object.entries(STANDALONE)) {
    const entry: BuildOptions = { ...COMMON, entryPoints: [{ in: join(ROOT, file), out: name }] };
    // Unshaken: what is dropped in the end is looked up all the same.
    const plain = await build({ ...entry, plugins, treeShaking: false, metafile: true });
    const code = textOf(plain);
    const lazily = [...plugins, virtualBuiltins(builtinNames(code))];
    if (name === 'run') await bundleRun(file, plain.metafile, lazily);
    else putAll(await build({ ...entry, plugins: [...lazily, onDemandPackages(ALIAS)] }));
  }
  // Read at run time, relative to the module that reads them.
  cpSync(join(ROOT, 'bench/scenarios'), join(DIST, 'scenarios'), { recursive: true });
  // The planner's solver (policies/planner/solver-worker.ts).
  cpSync(join(ROOT, 'node_modules/highs/build/highs.wasm'), join(DIST, 'highs.wasm'));
}

/** Makes run.cjs, and of what few configurations need run-….cjs (`run-chunks.ts`). */
async function bundleRun(file: string, metafile: Metafile, morePlugins: Plugin[]): Promise<void> {
  const plugins = [...morePlugins, onDemandPackages(ALIAS, (name) => `loadPart(${JSON.stringify(name)})`)];
  for (const name of Object.keys(PACKAGES)) {
    const entryPoints = [{ in: 'virtual-entry', out: `run-${name}` }];
    const { outExtension } = COMMON_JS;
    const entry = virtualEntry(packageEntry(name, ALIAS));
    putAll(await build({ ...COMMON, format: 'cjs', outExtension, banner: {}, entryPoints, plugins: [entry] }));
  }
  const division = divide(metafile.inputs, file);
  const names: SharedNames = new Map();
  const otherPartsOf = (chunk?: string): Plugin => otherParts(division, chunk, (path) => relative(ROOT, path));
  for (const [chunk, roots] of division.chunks) {
    const result = await build({
      ...COMMON,
      define: COMMON_JS.define,
      outExtension: COMMON_JS.outExtension,
      banner: {},
      entryPoints: [{ in: 'virtual-entry', out: `run-${chunk}` }],
      plugins: [virtualEntry(chunkEntry(roots)), otherPartsOf(chunk), ...plugins],
    });
    for (const { path, text } of result.outputFiles ?? []) {
      put(path, path.endsWith('.cjs') ? chunkScript(text, IMPORT_META, names) : text);
    }
  }
  const result = await build({
    ...COMMON,
    ...COMMON_JS,
    entryPoints: [{ in: 'virtual-entry', out: 'run' }],
    plugins: [virtualEntry(mainEntry(file, names)), otherPartsOf(), ...plugins],
  });
  for (const { path, text } of result.outputFiles ?? []) put(path, withChunkImports(text));
}

/** An entry that lies in no file. */
function virtualEntry(contents: string): Plugin {
  return {
    name: 'virtual-entry',
    setup(builder) {
      builder.onResolve({ filter: /^virtual-entry$/ }, ({ path }) => ({ path, namespace: path }));
      builder.onLoad({ filter: /./, namespace: 'virtual-entry' }, () => ({ contents, resolveDir: ROOT }));
    },
  };
}

function textOf({ outputFiles = [] }: { outputFiles?: OutputFile[] | undefined }): string {
  return outputFiles.find(({ path }) => path.endsWith('.js'))?.text ?? '';
}

function putAll({ outputFiles = [] }: { outputFiles?: OutputFile[] | undefined }): void {
  for (const { path, text } of outputFiles) put(path, text);
}

function put(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

function declarations(): void {
  const tsc = join(ROOT, 'node_modules/.bin/tsc');
  const { status } = spawnSync(tsc, ['-p', join(ROOT, 'scripts/tsconfig.types.json')], { stdio: 'inherit' });
  if (status !== 0) throw new Error('tsc could not emit the declarations');
}

rmSync(DIST, { recursive: true, force: true });
await bundle();
declarations();
await fillCache(ROOT);
