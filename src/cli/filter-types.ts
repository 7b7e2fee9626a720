import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { outriggerEntry, testingEntry } from '../filter/module-hooks.ts';

/** The result of a type check; `missing` when there is no TypeScript to make it. */
export type TypeCheck =
  | { readonly kind: 'ok'; readonly by: string }
  | { readonly kind: 'errors'; readonly errors: readonly string[] }
  | { readonly kind: 'missing'; readonly hint: string };

const HERE = fileURLToPath(import.meta.url);

/** Type-checks a filter and its test with the strictest settings that a filter needs. */
export async function checkTypes(files: readonly string[]): Promise<TypeCheck> {
  const [first] = files;
  if (first === undefined || !/\.m?ts$/.test(first)) return { kind: 'ok', by: 'nothing to check in JavaScript' };
  const manifest = resolveFrom([first, join(process.cwd(), 'x.js'), HERE], 'typescript/package.json');
  if (manifest === undefined) {
    return {
      kind: 'missing',
      hint: `types were not checked: TypeScript is not installed (npm i -D typescript @types/node)`,
    };
  }
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-types-'));
  try {
    const project = join(folder, 'tsconfig.json');
    writeFileSync(project, JSON.stringify(projectFor(files, first)));
    const compiler = join(dirname(manifest), 'bin/tsc');
    const version = (createRequire(manifest)(manifest) as { version: string }).version;
    const output = await runCompiler([compiler, '--project', project, '--pretty', 'false']);
    const errors = errorsOf(output, files);
    return errors.length === 0 ? { kind: 'ok', by: `TypeScript ${version}` } : { kind: 'errors', errors };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Compiler options that make `outrigger`, `outrigger/testing` and `valibot` known to editors in a folder that has no packages. */
export function editorPaths(folder: string): {
  paths: Record<string, string[]>;
  types?: string[];
  typeRoots?: string[];
} {
  const paths: Record<string, string[]> = {
    outrigger: [typesOf(outriggerEntry())],
    'outrigger/testing': [typesOf(testingEntry())],
  };
  const from = join(folder, 'x.js');
  if (resolveFrom([from], 'valibot') === undefined) {
    const valibot = resolveFrom([HERE], 'valibot');
    if (valibot !== undefined) paths.valibot = [declarationsBeside(valibot)];
  }
  const node = resolveFrom([from, HERE], '@types/node/package.json');
  if (node === undefined) return { paths };
  return { paths, types: ['node'], typeRoots: [resolve(dirname(node), '..')] };
}

function projectFor(files: readonly string[], first: string): object {
  const { paths, types = [], typeRoots = [] } = editorPaths(dirname(first));
  return {
    compilerOptions: {
      target: 'ES2024',
      lib: ['ESNext'],
      module: 'Preserve',
      strict: true,
      noEmit: true,
      erasableSyntaxOnly: true,
      allowImportingTsExtensions: true,
      resolveJsonModule: true,
      skipLibCheck: true,
      noImplicitOverride: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      paths,
      types,
      typeRoots,
    },
    files,
  };
}

/** The declarations of an entry: itself in a checkout, dist/types in a package. */
function typesOf(entry: string): string {
  if (entry.endsWith('.ts')) return entry;
  const name = basename(entry) === 'filter.js' ? 'index' : 'harness';
  return join(dirname(entry), `types/src/filter/${name}.d.ts`);
}

/** `index.d.mts` beside `index.cjs`, or the like. */
function declarationsBeside(file: string): string {
  const stem = file.replace(/\.[cm]?js$/, '');
  return ['.d.mts', '.d.ts', '.d.cts'].map((end) => stem + end).find((path) => existsSync(path)) ?? file;
}

function resolveFrom(files: readonly string[], specifier: string): string | undefined {
  for (const file of files) {
    try {
      return createRequire(file).resolve(specifier);
    } catch {
      // Not seen from there.
    }
  }
  return undefined;
}

async function runCompiler(args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 16 * 1024 * 1024 });
    return stdout;
  } catch (error) {
    const { stdout, code } = error as { stdout?: string; code?: unknown };
    if (typeof code === 'number' && stdout !== undefined) return stdout;
    throw error;
  }
}

/** The errors of the author's files; ours are not theirs to mend. Paths as the author named them. */
function errorsOf(output: string, files: readonly string[]): string[] {
  const own = files.map((file) => dirname(realpathSync(file)));
  const errors: string[] = [];
  let isOwn = false;
  for (const line of output.split('\n')) {
    const match = /^(.+?)\((\d+),(\d+)\): error (TS\d+: .*)$/.exec(line);
    if (match !== null) {
      const file = resolve(match[1] as string);
      isOwn = own.some((folder) => file.startsWith(`${folder}/`)) && existsSync(file);
      const shown = relative(process.cwd(), file);
      if (isOwn) errors.push(`${shown.startsWith('..') ? file : shown}:${match[2]}:${match[3]}: ${match[4]}`);
    } else if (isOwn && /^\s+\S/.test(line)) {
      errors.push(line);
    } else if (/^error TS/.test(line)) {
      errors.push(line);
    }
  }
  return errors;
}
