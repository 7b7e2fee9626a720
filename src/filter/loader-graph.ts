import { createHash } from 'node:crypto';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { basename, dirname, extname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import vm from 'node:vm';
import * as outrigger from './index.ts';
import { FilterLoadError, syntaxErrorPlace } from './loader-error.ts';
import { placeInFilter } from './loader-owners.ts';
import { type ModuleImport, type ModuleText, transformModule } from './loader-transform.ts';
import { installModuleHooks } from './module-hooks.ts';

/** What a module exports, by name. */
export type Namespace = Readonly<Record<string, unknown>>;

interface ModuleNode {
  /** Where it is read from: symbolic links resolved. */
  readonly realFile: string;
  /** How errors and stack traces name it. */
  readonly file: string;
  text: ModuleText | undefined;
  namespace: Namespace | undefined;
  /** Set while it is being evaluated. */
  pending: Promise<Namespace> | undefined;
}

type ModuleFunction = (
  imports: readonly Namespace[],
  load: (specifier: unknown) => Promise<Namespace>,
  meta: object,
) => Promise<Namespace>;

/**
 * A filter's source files, linked and evaluated by ourselves. Files (relative and absolute specifiers) belong to the
 * graph and are read afresh by every new graph; packages and `node:` modules are imported natively and shared.
 * Nothing but the graph's users holds it: an old version is collected when the last stream on it ends.
 */
export class ModuleGraph {
  readonly #entry: string;
  readonly #realEntry: string;
  readonly #nodes = new Map<string, ModuleNode>();
  readonly #missing: string[] = [];
  readonly #sources = new Map<string, string>();

  readonly #onFile: (file: string) => void;

  /** `onFile` learns of every file before it is evaluated. */
  constructor(entry: string, onFile: (file: string) => void) {
    this.#entry = entry;
    this.#onFile = onFile;
    this.#realEntry = realpathSync(entry);
  }

  /** Every file that was read, as errors name them, and those that were looked for in vain. */
  get files(): string[] {
    return [...[...this.#nodes.values()].map((node) => node.file), ...this.#missing];
  }

  /** A digest of all sources: the same for the same text. */
  get version(): string {
    return digest(this.#sources);
  }

  /** Loads and evaluates the entry. @throws FilterLoadError */
  async evaluate(): Promise<Namespace> {
    try {
      return await this.#evaluate(this.#node(this.#realEntry, this.#entry), []);
    } catch (error) {
      const known = error instanceof FilterLoadError ? error : this.#evaluationError(error);
      known.dependencies = this.files;
      throw known;
    }
  }

  #evaluationError(error: unknown): FilterLoadError {
    const place = placeInFilter(error);
    const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    return new FilterLoadError(
      `throws while loading: ${text}`,
      place?.file ?? this.#entry,
      place?.line,
      place?.column,
      error,
    );
  }

  #node(realFile: string, file: string): ModuleNode {
    let node = this.#nodes.get(realFile);
    if (node !== undefined) return node;
    const source = readFileSync(realFile, 'utf8');
    this.#sources.set(file, source);
    this.#onFile(file);
    node = { realFile, file, text: undefined, namespace: undefined, pending: undefined };
    this.#nodes.set(realFile, node);
    if (extname(realFile) === '.json') node.namespace = { default: parseJson(source, file) };
    else node.text = transformModule(source, file);
    return node;
  }

  #evaluate(node: ModuleNode, importers: readonly ModuleNode[]): Promise<Namespace> {
    if (node.namespace !== undefined) return Promise.resolve(node.namespace);
    node.pending ??= this.#run(node, node.text as ModuleText, [...importers, node]);
    return node.pending;
  }

  async #run(node: ModuleNode, text: ModuleText, path: readonly ModuleNode[]): Promise<Namespace> {
    const run = compile(text, node.file);
    const namespaces: Namespace[] = [];
    for (const statement of text.imports) namespaces.push(await this.#import(statement, node, path));
    for (const specifier of text.dynamicImports) this.#preload(specifier, node);
    const url = pathToFileURL(node.file).href;
    const meta = {
      url,
      filename: node.file,
      dirname: dirname(node.file),
      main: false,
      resolve: (specifier: string) => new URL(specifier, url).href,
    };
    const load = (specifier: unknown): Promise<Namespace> =>
      this.#import({ ...NO_NAMES, specifier: String(specifier), json: String(specifier).endsWith('.json') }, node, []);
    const own = await run(namespaces, load, meta);
    node.namespace = withReexports(own, text.imports, namespaces);
    return node.namespace;
  }

  async #import(statement: ModuleImport, from: ModuleNode, path: readonly ModuleNode[]): Promise<Namespace> {
    const fail = (problem: string, cause?: unknown): FilterLoadError =>
      new FilterLoadError(problem, from.file, statement.line || undefined, statement.column || undefined, cause);
    const namespace = isFile(statement.specifier)
      ? await this.#importFile(statement, from, path, fail)
      : await importPackage(statement.specifier, from.realFile).catch((error: Error) => {
          throw fail(`cannot import '${statement.specifier}': ${error.message}`, error);
        });
    for (const { imported } of [...statement.bindings, ...statement.reexports]) {
      if (imported === '*' || imported in namespace) continue;
      const names = Object.keys(namespace).slice(0, 20).join(', ');
      throw fail(`'${statement.specifier}' exports no '${imported}'; it exports ${names === '' ? 'nothing' : names}`);
    }
    return namespace;
  }

  async #importFile(
    statement: ModuleImport,
    from: ModuleNode,
    path: readonly ModuleNode[],
    fail: (problem: string) => FilterLoadError,
  ): Promise<Namespace> {
    const located = this.#locate(statement.specifier, from);
    if (typeof located === 'string') throw fail(located);
    const isJson = extname(located.realFile) === '.json';
    if (isJson && !statement.json)
      throw fail(`a JSON file is imported with { type: 'json' } behind '${statement.specifier}'`);
    const node = this.#node(located.realFile, located.file);
    if (path.includes(node)) {
      if (statement.bindings.length + statement.reexports.length === 0) return {};
      const cycle = [...path.slice(path.indexOf(node)), node].map((step) => basename(step.file)).join(' → ');
      throw fail(`files of a filter cannot import each other in a circle (${cycle}); use import type for types`);
    }
    return this.#evaluate(node, path);
  }

  /** Reads what a literal `import(…)` names, so that it is watched; it is evaluated when the call is made. */
  #preload(specifier: string, from: ModuleNode): void {
    if (!isFile(specifier)) return;
    const located = this.#locate(specifier, from);
    if (typeof located !== 'string') this.#node(located.realFile, located.file);
  }

  /** The file that a specifier names, or what is wrong with it. */
  #locate(specifier: string, from: ModuleNode): { realFile: string; file: string } | string {
    const path = specifier.startsWith('file:') ? fileURLToPath(specifier) : resolve(dirname(from.realFile), specifier);
    if (!existsSync(path)) {
      this.#missing.push(path);
      return `cannot find '${specifier}'${hint(path)}`;
    }
    if (!/\.(?:m?[jt]s|json)$/.test(path)) {
      return `cannot import '${specifier}': a filter's files are ES modules (.ts, .js, .mts, .mjs) or .json`;
    }
    const realFile = realpathSync(path);
    return { realFile, file: this.#shownName(realFile) };
  }

  /** The name under the folder that the entry was named in, where links lead there (a ConfigMap's `..data`). */
  #shownName(realFile: string): string {
    const inside = relative(dirname(this.#realEntry), realFile);
    if (inside.startsWith(`..${sep}`)) return realFile;
    const shown = join(dirname(this.#entry), inside);
    return existsSync(shown) && realpathSync(shown) === realFile ? shown : realFile;
  }
}

/** The version that a graph of these files would have now: unlike `ModuleGraph.version`, without loading them. */
export function versionOfFiles(files: readonly string[]): string {
  return digest(new Map(files.filter((file) => existsSync(file)).map((file) => [file, readFileSync(file, 'utf8')])));
}

function digest(sources: ReadonlyMap<string, string>): string {
  const hash = createHash('sha256');
  for (const [file, source] of sources) hash.update(`${file}\0${source}\0`);
  return hash.digest('hex').slice(0, 12);
}

const NO_NAMES = { bindings: [], reexports: [], line: 0, column: 0 };

function isFile(specifier: string): boolean {
  return /^(?:\.{1,2}\/|\/|file:)/.test(specifier);
}

function hint(path: string): string {
  const stem = path.replace(/\.m?js$/, '');
  const found = ['.ts', '.js', '.mts', '.mjs', '/index.ts', '/index.js'].find((end) => existsSync(stem + end));
  return found === undefined ? '' : `; there is ${basename(stem)}${found}: a filter names files with their extension`;
}

function parseJson(source: string, file: string): unknown {
  try {
    return JSON.parse(source);
  } catch (error) {
    throw new FilterLoadError((error as Error).message, file, undefined, undefined, error);
  }
}

function compile(text: ModuleText, file: string): ModuleFunction {
  try {
    return new vm.Script(text.code, { filename: file }).runInThisContext() as ModuleFunction;
  } catch (error) {
    const place = syntaxErrorPlace(error);
    const shift = place?.line === 1 ? text.prologueLength : 0;
    const column = place?.column === undefined ? undefined : place.column - shift;
    throw new FilterLoadError(`syntax error: ${(error as Error).message}`, file, place?.line, column, error);
  }
}

function withReexports(
  own: Namespace,
  statements: readonly ModuleImport[],
  namespaces: readonly Namespace[],
): Namespace {
  const all: Record<string, unknown> = Object.assign(Object.create(null), own);
  statements.forEach(({ reexports }, index) => {
    const from = namespaces[index] as Namespace;
    for (const { imported, local } of reexports) {
      if (local !== '') {
        all[local] = imported === '*' ? from : from[imported];
        continue;
      }
      for (const name of Object.keys(from)) if (name !== 'default' && !(name in all)) all[name] = from[name];
    }
  });
  return Object.freeze(all);
}

type Importer = (specifier: string) => Promise<Namespace>;
const importers = new Map<string, Importer>();

/** Imports a package or built-in module as the file itself would, through Node's own loader. */
async function importPackage(specifier: string, from: string): Promise<Namespace> {
  if (specifier === 'outrigger') return outrigger as unknown as Namespace;
  return nativeImporter(from)(specifier);
}

/** `import()` whose specifiers are resolved from a file; made once per folder, since Node keeps what it compiled. */
export function nativeImporter(file: string): Importer {
  installModuleHooks();
  const folder = dirname(file);
  let importer = importers.get(folder);
  if (importer === undefined) {
    importer = vm.compileFunction('return import(specifier)', ['specifier'], {
      filename: join(folder, 'outrigger-import.js'),
      importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    }) as Importer;
    importers.set(folder, importer);
  }
  return importer;
}
