/**
 * Cuts the bundle of `run` into what an ordinary run needs, in one file that the start-up snapshot holds, and chunks that
 * are loaded when a configuration names them: text and functions cost each start, even those that nobody calls.
 *
 * A chunk is the code behind some `import(…)`, as a function. Modules that the main file has too are not copied: it hands
 * over what the chunk takes of them, so that each class and each variable is there once.
 */
import { init, parse } from 'es-module-lexer';
import type { Metafile, Plugin } from 'esbuild';

/** Chunk by the file that is imported, or the folder that it lies in; the first that fits. Others make the chunk `rest`. */
const CHUNKS: readonly (readonly [prefix: string, chunk: string])[] = [
  ['src/observe/admin/', 'admin'],
  ['src/proxy-view.ts', 'admin'],
  ['src/http/http2/', 'http2'],
  // They know both protocols.
  ['src/probe/', 'http2'],
  ['src/threads/', 'admin'],
  ['src/upstream/health/', 'http2'],
  ['src/upstream/http2-pool.ts', 'http2'],
  ['src/listener/tls-inspector.ts', 'tls'],
  ['src/tls/', 'tls'],
];

/** What the snapshot holds: these files are evaluated in it, with what they import, dynamically too. */
const PRELOADING = ['src/cli/snapshot.ts', 'src/preload.ts'];

/**
 * Imported statically, and yet evaluated when something of theirs is first looked at: what only configurations that name
 * it need, and what no class is exported from. The filters (`filters/index.ts`) are of this kind too.
 */
const LAZY: Readonly<Record<string, string>> = {
  'src/config/schema/health-check.ts': 'schemas',
  'src/config/schema/outlier-detection.ts': 'schemas',
  'src/config/schema/rate-limit.ts': 'schemas',
  'src/config/schema/spiffe.ts': 'schemas',
  'src/config/schema/tls.ts': 'schemas',
  'src/config/schema/tracing.ts': 'schemas',
};
const FILTERS = 'filters/index.ts';

/**
 * Main-bundle files that chunks copy: of what is shared whole (`import * as …`) nothing can be shaken, and of Valibot's
 * 130 KB an ordinary run calls six functions. Its functions keep nothing between calls.
 */
const COPIED = /(?:^|\/)node_modules\/valibot\//;

/** Size of the sources that chunks may have in common, and that each start pays for. */
const MAX_COMMON_BYTES = 50_000;

const SHARED = 'shared:';
const CHUNK = 'chunk:';

await init;

/** Which source file goes where. */
export interface Division {
  /** Files of the main bundle. */
  readonly main: ReadonlySet<string>;
  /** By chunk, the files that are imported from elsewhere. */
  readonly chunks: ReadonlyMap<string, readonly string[]>;
  /** By lazy file, its chunk. */
  readonly lazy: ReadonlyMap<string, string>;
}

/** Divides the modules behind an entry; `inputs` is what esbuild tells of the whole, bundled in one file. */
export function divide(inputs: Metafile['inputs'], entry: string): Division {
  const main = new Set<string>();
  const lazy = new Map(Object.entries(LAZY));
  for (const file of importsOf(inputs, FILTERS, 'import-statement')) {
    if (file.startsWith('filters/')) lazy.set(file, 'filters');
  }
  const reach = (file: string, into: Set<string>): Set<string> => {
    if (main.has(file) || into.has(file)) return into;
    into.add(file);
    for (const path of importsOf(inputs, file, 'import-statement')) if (!lazy.has(path)) reach(path, into);
    return into;
  };
  reach(entry, main);
  for (const file of PRELOADING) for (const path of importsOf(inputs, file, 'dynamic-import')) reach(path, main);

  const chunks = new Map<string, string[]>();
  for (const [file, chunk] of lazy) {
    const roots = chunks.get(chunk);
    if (roots === undefined) chunks.set(chunk, [file]);
    else roots.push(file);
  }
  for (const file of Object.keys(inputs)) {
    for (const path of importsOf(inputs, file, 'dynamic-import')) {
      if (main.has(path)) continue;
      const chunk = chunkOf(path);
      const roots = chunks.get(chunk) ?? [];
      chunks.set(chunk, roots);
      if (!roots.includes(path)) roots.push(path);
    }
  }
  // What several chunks need belongs to none of them.
  const seen = new Set<string>();
  const common = new Set<string>();
  for (const roots of chunks.values()) {
    const own = new Set<string>();
    for (const root of roots) reach(root, own);
    for (const file of own) (seen.has(file) ? common : seen).add(file);
  }
  const bytes = [...common].reduce((sum, file) => sum + (inputs[file]?.bytes ?? 0), 0);
  if (bytes > MAX_COMMON_BYTES) {
    throw new Error(`chunks have too much in common: bring together (CHUNKS) what needs ${[...common].join(', ')}`);
  }
  for (const file of common) main.add(file);
  return { main, chunks, lazy };
}

function chunkOf(file: string): string {
  return CHUNKS.find(([prefix]) => file.startsWith(prefix))?.[1] ?? 'rest';
}

function importsOf(inputs: Metafile['inputs'], file: string, kind: string): string[] {
  const imports = (inputs[file]?.imports ?? []).filter((each) => each.kind === kind && each.external !== true);
  return imports.map(({ path }) => path).filter((path) => inputs[path] !== undefined);
}

/** The source of a chunk's entry. */
export function chunkEntry(roots: readonly string[]): string {
  return `export const modules = { ${roots.map((file) => `${JSON.stringify(file)}: () => require("./${file}")`).join(', ')} };`;
}

/**
 * Leaves imports of other parts of the bundle alone: of the main bundle as `shared:…`, of chunks as `chunk:…`.
 *
 * @param chunk - the chunk that is bundled; undefined for the main bundle
 * @param relativePath - of a file, from the folder of the project
 */
export function otherParts(
  { main, chunks, lazy }: Division,
  chunk: string | undefined,
  relativePath: (file: string) => string,
): Plugin {
  return {
    name: 'other-parts',
    setup(builder) {
      builder.onResolve({ filter: /./ }, async ({ path, kind, namespace, pluginData, ...rest }) => {
        if (pluginData === CHUNK || kind === 'entry-point' || !['file', 'virtual-entry'].includes(namespace))
          return undefined;
        const resolved = await builder.resolve(path, { ...rest, namespace, kind, pluginData: CHUNK });
        if (resolved.errors.length > 0 || resolved.external || resolved.namespace !== 'file') return undefined;
        const file = relativePath(resolved.path);
        const lazyChunk = lazy.get(file);
        if (lazyChunk !== undefined && lazyChunk !== chunk)
          return { path: resolved.path, namespace: 'lazy', sideEffects: false };
        if (chunk !== undefined && main.has(file) && !COPIED.test(file)) return { path: SHARED + file, external: true };
        const home = kind === 'dynamic-import' && !main.has(file) ? chunkOf(file) : undefined;
        if (home === undefined || home === chunk || chunks.get(home)?.includes(file) !== true) return undefined;
        return { path: `${CHUNK}${home}:${file}`, external: true };
      });
      builder.onLoad({ filter: /./, namespace: 'lazy' }, async ({ path }) => {
        const file = relativePath(path);
        return { contents: lazyModule(await import(path), `loadChunk("${lazy.get(file)}")["${file}"]()`) };
      });
    },
  };
}

/**
 * The source of a module that stands for another one, and loads it when more is asked of it than what never changes:
 * texts and numbers, and which fields an object has not.
 */
function lazyModule(module: Readonly<Record<string, unknown>>, load: string): string {
  const stubs = Object.entries(module).map(([name, value]) => {
    if (typeof value === 'function') {
      if (/^class\b/.test(String(value))) throw new Error(`${name} is a class, which nothing can stand for`);
      return `export const ${name} = (...args) => load().${name}(...args);`;
    }
    if (isData(value)) return `export const ${name} = ${JSON.stringify(value)};`;
    if (Array.isArray(value)) throw new Error(`${name} is a list of more than data, which nothing can stand for`);
    const fields = Object.entries(value as object).filter(([, field]) =>
      /^(?:string|number|boolean)$/.test(typeof field),
    );
    const isPlain = Object.getPrototypeOf(value) === Object.prototype;
    const keys = isPlain ? JSON.stringify(Object.keys(value as object)) : 'undefined';
    return `export const ${name} = /* @__PURE__ */ stub("${name}", ${JSON.stringify(Object.fromEntries(fields))}, ${keys});`;
  });
  return `
    let module;
    const load = () => (module ??= ${load});
    const stub = (name, known, keys) => new Proxy({}, {
      get(_, key) {
        if (Object.hasOwn(known, key)) return known[key];
        if (keys !== undefined && !keys.includes(key)) return undefined;
        const whole = load()[name];
        const value = whole[key];
        return typeof value === 'function' ? value.bind(whole) : value;
      },
      has: (_, key) => key in load()[name],
      ownKeys: () => Reflect.ownKeys(load()[name]),
      getOwnPropertyDescriptor: (_, key) => ({ ...Object.getOwnPropertyDescriptor(load()[name], key), configurable: true }),
      getPrototypeOf: () => Object.getPrototypeOf(load()[name]),
    });
    ${stubs.join('\n')}`;
}

/** Whether a value can be written as JSON, whole. */
function isData(value: unknown): boolean {
  if (Array.isArray(value)) return value.every(isData);
  if (typeof value !== 'object' || value === null)
    return value === null || /^(?:string|number|boolean)$/.test(typeof value);
  return Object.getPrototypeOf(value) === Object.prototype && Object.values(value as object).every(isData);
}

/** Points imports of chunks at the function that loads them. */
export function withChunkImports(code: string): string {
  return code.replace(/\bimport\("chunk:(\w+):([^"]+)"\)/g, 'importChunk("$1","$2")');
}

/** Names that chunks take from modules of the main bundle, by file. */
export type SharedNames = Map<string, Set<string>>;

/**
 * Makes a chunk of an ES module with the imports that `otherParts` left: a CommonJS file that exports `open`, which gets
 * what is shared and gives the chunk's modules.
 *
 * @param names - what the chunk takes is added to it
 */
export function chunkScript(code: string, prologue: string, names: SharedNames): string {
  let body = '';
  let at = 0;
  for (const { t, n = '', ss, s, se } of parse(code)[0]) {
    if (!n.startsWith(SHARED)) continue;
    const file = n.slice(SHARED.length);
    const clause = /^import\s*(?:\{([^}]*)\}|(\*\s*as\s+[\w$]+))?\s*(?:from)?\s*$/.exec(code.slice(ss, s - 1));
    if (t !== 1 || clause === null) throw new Error(`a chunk can only import names of ${file}`);
    const [, braces = '', star] = clause;
    const all = names.get(file) ?? new Set();
    names.set(file, all);
    const bindings: string[] = [];
    for (const each of star === undefined ? braces.split(',') : [star]) {
      const [name = '', local = name] = each.trim().split(/\s*\bas\s+/);
      if (name === '') continue;
      all.add(name);
      bindings.push(name === '*' ? `"*":${local}` : `${name}:${local}`);
    }
    body += `${code.slice(at, ss)}const {${bindings.join(',')}}=shared(${JSON.stringify(file)});`;
    at = code.charAt(se) === ';' ? se + 1 : se;
  }
  body += code.slice(at);
  const inner = body.replace(
    /export\s*\{\s*([\w$]+)(?:\s+as\s+modules)?\s*\};?\s*((?:\/\*[^*]*\*\/\s*)?)$/,
    'return $1;\n$2',
  );
  if (inner === body) throw new Error('the chunk exports no modules');
  // In brackets, so that V8 compiles the function at once and keeps its code.
  const open = `"use strict";const {loadPart,loadChunk,importChunk}=parts;${withChunkImports(inner)}`;
  return `${prologue}\nexports.open=((shared,parts)=>{${open}});\n`;
}

/** The source of the main bundle's entry: what `entry` exports, and `shared`, which gives chunks what they take. */
export function mainEntry(entry: string, names: SharedNames): string {
  let count = 0;
  const imports: string[] = [];
  const cases: string[] = [];
  for (const [file, all] of names) {
    const values: string[] = [];
    for (const name of all) {
      const local = `shared${count++}`;
      imports.push(`import ${name === '*' ? `* as ${local}` : `{ ${name} as ${local} }`} from "./${file}";`);
      values.push(`${JSON.stringify(name)}: ${local}`);
    }
    cases.push(`case ${JSON.stringify(file)}: return { ${values.join(', ')} };`);
  }
  return `export * from "./${entry}";
    ${imports.join('\n')}
    export function shared(file) { switch (file) { ${cases.join('\n')} } }`;
}
