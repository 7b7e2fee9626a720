/**
 * Makes dist/: what a package or an image runs, since Node strips no types under node_modules.
 *
 *   outrigger.js   the command line; every command, and what a configuration may not need, in chunks loaded lazily
 *   filter.js      what `import … from 'outrigger'` means; shares its chunks with the proxy, so there is one of each class
 *   testing.js     `outrigger/testing`, the harness of filter tests
 *   types/         declarations of both
 *   cache/         V8's compile cache for the Node that builds, filled by a short run
 *
 * All files lie flat in dist: `new URL('./x.ts', import.meta.url)` in a source becomes an entry of its own beside them.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, globSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { build, type Plugin } from 'esbuild';
import { fillCache } from './fill-cache.ts';

const ROOT = resolve(import.meta.dirname, '..');
const DIST = join(ROOT, 'dist');

const NAMED_ENTRIES: Readonly<Record<string, string>> = {
  'src/cli/main.ts': 'outrigger',
  'src/filter/index.ts': 'filter',
  'src/filter/harness.ts': 'testing',
};

const SIBLING_URL = /new URL\(\s*'(\.{1,2}\/[^']+\.ts)',\s*import\.meta\.url,?\s*\)/g;

/** Loaded from the user's own installation where they are needed at all. */
const EXTERNAL = ['typescript', 'autocannon', 'esbuild', 'vitest'];

/** Entry name by source file: the named ones, and every file that another one starts by URL (threads, processes). */
function findEntries(): Map<string, string> {
  const entries = new Map(Object.entries(NAMED_ENTRIES).filter(([file]) => existsSync(join(ROOT, file))));
  for (const file of globSync('{src,filters,bench}/**/*.ts', { cwd: ROOT })) {
    const text = readFileSync(join(ROOT, file), 'utf8');
    for (const [, specifier = ''] of text.matchAll(SIBLING_URL)) {
      const target = relative(ROOT, resolve(ROOT, dirname(file), specifier));
      if (!existsSync(join(ROOT, target)) || entries.has(target)) continue;
      entries.set(target, target.replace(/\.ts$/, '').replaceAll('/', '-'));
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
        const text = readFileSync(path, 'utf8');
        const contents = text.replace(SIBLING_URL, (all, specifier: string) => {
          const name = entries.get(relative(ROOT, resolve(dirname(path), specifier)));
          return name === undefined ? all : `new URL('./${name}.js', import.meta.url)`;
        });
        return { contents, loader: 'ts' };
      });
    },
  };
}

async function bundle(): Promise<void> {
  const entries = findEntries();
  await build({
    absWorkingDir: ROOT,
    entryPoints: [...entries].map(([file, name]) => ({ in: join(ROOT, file), out: name })),
    outdir: DIST,
    bundle: true,
    splitting: true,
    chunkNames: '[name]-[hash]',
    format: 'esm',
    platform: 'node',
    target: 'node24',
    external: EXTERNAL,
    // Yaml's CommonJS build, which Node gets, cannot be shaken; its ES build is the same code.
    alias: { yaml: join(ROOT, 'node_modules/yaml/browser/index.js') },
    // Commander is CommonJS and asks for Node's own modules only.
    banner: { js: 'const require = (name) => process.getBuiltinModule(name);' },
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: 'linked',
    logLevel: 'warning',
    plugins: [siblingUrls(entries)],
  });
  // Read at run time, relative to the module that reads them.
  if (existsSync(join(ROOT, 'bench/scenarios'))) {
    cpSync(join(ROOT, 'bench/scenarios'), join(DIST, 'scenarios'), { recursive: true });
  }
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
