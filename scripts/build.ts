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
import { type BuildOptions, build, type Plugin } from 'esbuild';
import { builtinNames, rewriteBuiltinImports, virtualBuiltins } from './builtin-imports.ts';
import { fillCache } from './fill-cache.ts';
import { onDemandPackages } from './on-demand-packages.ts';

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
  for (const file of globSync('{src,filters,bench}/**/*.ts', { cwd: ROOT })) {
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
      builder.onLoad({ filter: /\/(?:src|filters|bench)\/.*\.ts$/ }, ({ path }) => {
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

/** What makes the bundle of `run` a CommonJS file, the only kind that V8 takes with code from outside. */
const COMMON_JS: BuildOptions = {
  format: 'cjs',
  outExtension: { '.js': '.cjs' },
  banner: { js: IMPORT_META },
  define: {
    'import.meta.url': 'importMeta.url',
    'import.meta.dirname': 'importMeta.dirname',
    'import.meta.filename': 'importMeta.filename',
    // The global is a getter of Node's, which the data path would call each time that it looks at the clock.
    performance: 'nodePerformance',
  },
};

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
    const plain = await build({ ...entry, plugins, treeShaking: false });
    const options = name === 'run' ? { ...entry, ...COMMON_JS } : entry;
    const code = plain.outputFiles?.find(({ path }) => path.endsWith('.js'))?.text ?? '';
    const lazily = [virtualBuiltins(builtinNames(code)), onDemandPackages(ALIAS)];
    const result = await build({ ...options, plugins: [...plugins, ...lazily] });
    for (const { path, text } of result.outputFiles ?? []) put(path, text);
  }
  // Read at run time, relative to the module that reads them.
  cpSync(join(ROOT, 'bench/scenarios'), join(DIST, 'scenarios'), { recursive: true });
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
