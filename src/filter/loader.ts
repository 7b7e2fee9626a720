import { existsSync, realpathSync, statSync } from 'node:fs';
import { createRequire, findPackageJSON } from 'node:module';
import { basename, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { type AnyFilter, definitionProblem, type FilterKind, hooksProblem } from './loader-check.ts';
import { FilterLoadError } from './loader-error.ts';
import { ModuleGraph, type Namespace, nativeImporter } from './loader-graph.ts';
import { type FilterOwner, placeInFilter, registerOwner, runAsOwner } from './loader-owners.ts';
import type { AnyHttpFilter, AnyNetworkFilter } from './registry.ts';
import { watchHooks } from './watchdog.ts';

export interface LoadFilterOptions<K extends FilterKind | 'any' = FilterKind | 'any'> {
  /** Folder from which a relative path is meant: the configuration file's, or the working directory. */
  readonly baseDir: string;
  /** The folder of `--filter-dir`; a module must lie in it unless `anywhere` is set. */
  readonly filterDir?: string | undefined;
  /** For what a person names on the command line; never for what a configuration names. */
  readonly anywhere?: boolean;
  readonly kind: K;
  /** Longest time that evaluating the module may take, top-level await included; default 10,000 ms. */
  readonly timeoutMs?: number;
}

type DefinitionOf<K> = K extends 'http' ? AnyHttpFilter : K extends 'network' ? AnyNetworkFilter : AnyFilter;

/** One version of a custom filter, ready to be configured. */
export interface LoadedFilterModule<K extends FilterKind | 'any' = FilterKind | 'any'> {
  readonly spec: string;
  readonly options: LoadFilterOptions<K>;
  /** The filter. Its `create` also checks the hooks, names the filter to the watchdog, and marks its timers as its own. */
  readonly definition: DefinitionOf<K>;
  /** Path of the module, as it was named. */
  readonly file: string;
  /** All files that it was made of, the module itself first; packages are not among them. */
  readonly dependencies: readonly string[];
  /** Digest of the sources: the same version behaves the same. */
  readonly version: string;
}

/** The `version` of a package: it is loaded once, by Node, and never again. */
export const PACKAGE_VERSION = 'package';

/**
 * Loads a custom filter: a path of a `.ts`, `.js`, `.mts` or `.mjs` file or a package name, with `#name` behind it
 * where the module exports several filters. Every call reads the files afresh.
 *
 * @throws FilterLoadError that says what is wrong at which line.
 */
export async function loadFilterModule<K extends FilterKind | 'any'>(
  spec: string,
  options: LoadFilterOptions<K>,
): Promise<LoadedFilterModule<K>> {
  const [module, chosen] = splitName(spec);
  const source = locate(module, options);
  const { definitions, dependencies, version } = await loadDefinitions(source, options.timeoutMs ?? 10_000);
  try {
    const definition = choose(definitions, chosen, module, source.file);
    const owner = { name: definition.name, file: source.file };
    registerOwner(owner, [source.file, ...dependencies]);
    return {
      spec,
      options,
      definition: supervised(definition, owner, options.kind) as DefinitionOf<K>,
      file: source.file,
      dependencies,
      version,
    };
  } catch (error) {
    if (error instanceof FilterLoadError) error.dependencies = dependencies;
    throw error;
  }
}

/** Every filter that a module exports, for tools that show them all. @throws FilterLoadError */
export async function listFilters(spec: string, options: LoadFilterOptions): Promise<readonly AnyFilter[]> {
  const source = locate(splitName(spec)[0], options);
  return (await loadDefinitions(source, options.timeoutMs ?? 10_000)).definitions;
}

interface Source {
  readonly file: string;
  /** The specifier to import natively, for a package. */
  readonly packageName?: string;
  readonly from?: string;
}

function splitName(spec: string): [module: string, name: string | undefined] {
  const at = spec.lastIndexOf('#');
  return at > 0 ? [spec.slice(0, at), spec.slice(at + 1)] : [spec, undefined];
}

/** Finds the module and refuses it where it may not lie. */
function locate(module: string, options: LoadFilterOptions): Source {
  const isPath = isAbsolute(module) || /^\.{0,2}\//.test(module) || /\.m?[jt]s$/.test(module);
  const folders = [options.baseDir, ...(options.filterDir === undefined ? [] : [options.filterDir])];
  const source = isPath ? locateFile(module, folders) : locatePackage(module, folders);
  if (options.anywhere === true) return source;
  if (options.filterDir === undefined) {
    const problem = `a configuration may name filter modules only under --filter-dir DIR, which is not set (--filter-dir ${options.baseDir} would allow this one)`;
    throw new FilterLoadError(problem, source.file);
  }
  // Both sides real: a ConfigMap's file is a link to ..data/file, its folder itself often lies behind a link.
  if (!existsSync(options.filterDir)) throw new FilterLoadError('--filter-dir does not exist', options.filterDir);
  const inside = relative(realpathSync(options.filterDir), realpathSync(source.file));
  if (inside === '..' || inside.startsWith(`..${sep}`) || isAbsolute(inside)) {
    throw new FilterLoadError(`lies outside of --filter-dir ${options.filterDir}`, source.file);
  }
  return source;
}

function locateFile(module: string, folders: readonly string[]): Source {
  const candidates = folders.map((folder) => resolve(folder, module));
  const file = candidates.find((path) => existsSync(path));
  if (file === undefined) throw new FilterLoadError('no such file', candidates[0] as string);
  if (!statSync(file).isFile()) throw new FilterLoadError('is not a file', file);
  if (!/\.m?[jt]s$/.test(file)) {
    throw new FilterLoadError('a filter is an ES module: a .ts, .js, .mts or .mjs file', file);
  }
  return { file };
}

function locatePackage(module: string, folders: readonly string[]): Source {
  for (const folder of folders) {
    const from = join(resolve(folder), 'outrigger-import.js');
    const manifest = tryTo(() => findPackageJSON(module, from));
    if (manifest === undefined) continue;
    return { file: tryTo(() => createRequire(from).resolve(module)) ?? manifest, packageName: module, from };
  }
  throw new FilterLoadError(`no such package, seen from ${folders.join(' and ')} (a path begins with ./ or /)`, module);
}

function tryTo<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch {
    return undefined;
  }
}

interface Loaded {
  readonly definitions: readonly AnyFilter[];
  readonly dependencies: readonly string[];
  readonly version: string;
}

async function loadDefinitions(source: Source, timeoutMs: number): Promise<Loaded> {
  const owner: FilterOwner = { name: basename(source.file), file: source.file };
  if (source.packageName !== undefined) {
    const importer = nativeImporter(source.from as string);
    const namespace = await within(timeoutMs, source.file, () => importer(source.packageName as string)).catch(
      (error: Error) => {
        throw error instanceof FilterLoadError
          ? error
          : new FilterLoadError(error.message, source.file, undefined, undefined, error);
      },
    );
    return {
      definitions: definitionsOf(namespace, source.file),
      dependencies: [source.file],
      version: PACKAGE_VERSION,
    };
  }
  const graph = new ModuleGraph(source.file, (file) => registerOwner(owner, [file]));
  try {
    const namespace = await within(timeoutMs, source.file, () => runAsOwner(owner, () => graph.evaluate()));
    const definitions = definitionsOf(namespace, source.file);
    return { definitions, dependencies: graph.files, version: graph.version };
  } catch (error) {
    if (error instanceof FilterLoadError) error.dependencies = graph.files;
    throw error;
  }
}

function within<T>(timeoutMs: number, file: string, run: () => Promise<T>): Promise<T> {
  return new Promise((done, fail) => {
    const problem = `is still loading after ${timeoutMs} ms: a top-level await does not settle`;
    const timer = setTimeout(() => fail(new FilterLoadError(problem, file)), timeoutMs);
    run()
      .then(done, fail)
      .finally(() => clearTimeout(timer));
  });
}

function definitionsOf(namespace: Namespace, file: string): AnyFilter[] {
  if (!('default' in namespace)) {
    const names = Object.keys(namespace);
    const instead = names.length === 0 ? '' : ` (it exports ${names.join(', ')})`;
    throw new FilterLoadError(`has no default export${instead}: export default defineHttpFilter({ … })`, file);
  }
  const exported = namespace.default;
  const list = Array.isArray(exported) ? exported : [exported];
  if (list.length === 0) throw new FilterLoadError('exports an empty list of filters', file);
  list.forEach((definition: unknown, index) => {
    const problem = definitionProblem(definition);
    const which = list.length === 1 ? 'the default export' : `default export ${index + 1} of ${list.length}`;
    if (problem !== undefined) throw new FilterLoadError(`${which} ${problem}`, file);
  });
  return list as AnyFilter[];
}

function choose(definitions: readonly AnyFilter[], name: string | undefined, module: string, file: string): AnyFilter {
  const names = definitions.map((definition) => definition.name).join(', ');
  if (name === undefined) {
    if (definitions.length === 1) return definitions[0] as AnyFilter;
    const problem = `exports ${definitions.length} filters (${names}); name one: ${module}#${definitions[0]?.name}`;
    throw new FilterLoadError(problem, file);
  }
  const found = definitions.find((definition) => definition.name === name);
  if (found === undefined) throw new FilterLoadError(`exports no filter '${name}'; it exports ${names}`, file);
  return found;
}

/** The same filter, whose `create` runs as its owner and answers for the shape of its hooks. */
function supervised(definition: AnyFilter, owner: FilterOwner, kind: FilterKind | 'any'): AnyFilter {
  const create = (config: unknown, env: never): object => {
    let hooks: object;
    try {
      hooks = runAsOwner(owner, () => definition.create(config, env));
    } catch (error) {
      const place = placeInFilter(error);
      const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
      const problem = `create of '${owner.name}' throws ${text}`;
      throw new FilterLoadError(problem, place?.file ?? owner.file, place?.line, place?.column, error);
    }
    const problem = hooksProblem(hooks, kind);
    if (problem !== undefined) throw new FilterLoadError(`'${owner.name}': ${problem}`, owner.file);
    return watchHooks(hooks, owner);
  };
  return { ...definition, create } as AnyFilter;
}
