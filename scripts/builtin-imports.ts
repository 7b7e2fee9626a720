import { readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { initSync, parse } from 'es-module-lexer';
import type { Plugin } from 'esbuild';

/**
 * An `import … from 'node:http'` makes a module namespace, for which Node reads every export once, and with them loads
 * what it otherwise would only when it is used: undici and its WebSocket for node:http (45 ms), parseArgs and diff for
 * node:util, promises for node:fs. A bundle therefore takes the names that it uses from `process.getBuiltinModule`.
 */

/** Names taken from each of Node's modules, by its name without `node:`. */
export type BuiltinNames = Map<string, Set<string>>;

interface BuiltinImport {
  readonly module: string;
  readonly start: number;
  readonly end: number;
  /** Name of the binding for the module as a whole; '' without. */
  readonly whole: string;
  /** `a as b`, `c`. */
  readonly names: readonly string[];
}

initSync();

/** Rewrites the static imports of Node's modules in a bundle, each where it stands. */
export function rewriteBuiltinImports(code: string): string {
  let result = '';
  let at = 0;
  for (const { module, start, end, whole, names } of builtinImports(code)) {
    const source = `process.getBuiltinModule("${module}")`;
    const bindings = whole === '' ? [] : [`${whole}=${source}`];
    if (names.length > 0) bindings.push(`{${names.map((name) => name.replace(' as ', ':')).join(',')}}=${source}`);
    result += code.slice(at, start) + (bindings.length === 0 ? '' : `const ${bindings.join(',')};`);
    at = end;
  }
  return result + code.slice(at);
}

/** What a bundle whose imports of Node's modules were left alone takes from them. */
export function builtinNames(code: string): BuiltinNames {
  const found: BuiltinNames = new Map();
  for (const { module, whole, names } of builtinImports(code)) {
    const all = found.get(module) ?? new Set();
    found.set(module, all);
    if (whole !== '') all.add('default');
    for (const name of names) all.add(name.split(' as ')[0] as string);
  }
  return found;
}

/**
 * Makes a module of each of Node's modules that has only the names in use. Unlike a rewritten import at the top of the
 * bundle, it is evaluated lazily where only lazily imported parts use it.
 */
export function virtualBuiltins(names: BuiltinNames): Plugin {
  return {
    name: 'virtual-builtins',
    setup(builder) {
      builder.onResolve({ filter: /^(?:node:)?[a-z0-9_/]+$/ }, ({ path, kind, importer }) => {
        const module = path.replace(/^node:/, '');
        if (!builtinModules.includes(module) || kind === 'require-call') return undefined;
        // Of `await import('node:http')` any name may be taken: getters that read it only when it is.
        let namespace = 'builtin';
        if (kind === 'dynamic-import') namespace = 'builtin-whole';
        else if (ON_DEMAND.has(module) && takesFunctionsOnly(importer, module)) namespace = 'builtin-on-demand';
        return { path: module, namespace, sideEffects: false };
      });
      builder.onLoad({ filter: /.*/, namespace: 'builtin-on-demand' }, ({ path }) => ({
        contents: onDemandModule(path, [...(names.get(path) ?? [])]),
        loader: 'js',
      }));
      builder.onLoad({ filter: /.*/, namespace: 'builtin-whole' }, ({ path }) => ({
        contents: `module.exports = process.getBuiltinModule("${path}");`,
        loader: 'js',
      }));
      builder.onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => {
        return { contents: builtinModule(path, [...(names.get(path) ?? [])]), loader: 'js' };
      });
    },
  };
}

/** Slow to load, and of use to few: a function of theirs loads its module when it is called. */
const ON_DEMAND = new Set(['child_process', 'crypto', 'dns', 'dns/promises', 'http', 'os', 'worker_threads']);

/** The names that stay what they are when their module is loaded by the first call. */
function onDemandModule(module: string, names: readonly string[]): string {
  const source = `process.getBuiltinModule("${module}")`;
  const wrappers = names
    .filter((name) => isFunctionOf(module, name))
    .map((name) => `export const ${name} = (...args) => (module ??= ${source}).${name}(...args);`);
  return `let module; ${wrappers.join(' ')}`;
}

function builtinModule(module: string, names: readonly string[]): string {
  const named = names.filter((name) => name !== 'default').join(',');
  return `const module = process.getBuiltinModule("${module}"); export const {${named}} = module; ${names.includes('default') ? 'export default module;' : ''}`;
}

/** Whether a source file takes nothing of a module but functions: its neighbours may need classes and constants of it. */
function takesFunctionsOnly(importer: string, module: string): boolean {
  const clauses = readFileSync(importer, 'utf8').matchAll(
    /^import\s+(?!type\b)([^;]*?)\s+from\s+['"](?:node:)?([\w/]+)['"]/gm,
  );
  for (const [, clause = '', from] of clauses) {
    if (from !== module) continue;
    const braces = /^\{([^}]*)\}$/.exec(clause);
    if (braces === null) return false;
    const names = (braces[1] as string).split(',').map((name) => name.trim());
    const values = names.filter((name) => name !== '' && !name.startsWith('type '));
    if (!values.every((name) => isFunctionOf(module, name.split(' as ')[0] as string))) return false;
  }
  return true;
}

function isFunctionOf(module: string, name: string): boolean {
  return isPlainFunction((process.getBuiltinModule(module) as Record<string, unknown> | undefined)?.[name]);
}

/** A class must stay itself; a function may be wrapped. */
function isPlainFunction(value: unknown): boolean {
  return typeof value === 'function' && /^[a-z]/.test(value.name);
}

function builtinImports(code: string): BuiltinImport[] {
  const found: BuiltinImport[] = [];
  for (const { t, n, ss, s, se } of parse(code)[0]) {
    const module = n?.replace(/^node:/, '');
    if (t !== 1 || module === undefined || !builtinModules.includes(module)) continue;
    const clause = code.slice(ss, s - 1);
    const match = /^import\s*(?:([\w$]+)\s*,?\s*)?(?:\*\s*as\s+([\w$]+)|\{([^}]*)\})?\s*(?:from\s*)?$/.exec(clause);
    if (match === null) throw new Error(`cannot read the import ${clause}`);
    const [, first, star, braces = ''] = match;
    const names = braces.split(',').map((name) => name.trim().replace(/\s+/g, ' '));
    const end = code.charAt(se) === ';' ? se + 1 : se;
    found.push({ module, start: ss, end, whole: first ?? star ?? '', names: names.filter((name) => name !== '') });
  }
  return found;
}
