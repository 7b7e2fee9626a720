import { execFileSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const SOURCES = '{src,filters,policies,bench,test,examples,scripts}/**/*.ts';
const MAX_LINES = 500;

function read(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8');
}

const IMPORT = /(?:^|\n)(?:import|export)\s[^;]*?\sfrom\s+'([^']+)'|(?:^|\n)import '([^']+)'|\bimport\('([^']+)'\)/g;

/** Specifiers of a file's static and dynamic imports. */
function importsOf(file: string): string[] {
  return [...read(file).matchAll(IMPORT)].map((match) => match[1] ?? match[2] ?? match[3] ?? '');
}

/** Files of the repository that the given ones import, as `file -> import`. */
function edges(pattern: string): [from: string, to: string][] {
  return globSync(pattern, { cwd: ROOT }).flatMap((file) =>
    importsOf(file)
      .filter((specifier) => specifier.startsWith('.'))
      .map((specifier): [string, string] => [file, normalize(join(dirname(file), specifier))]),
  );
}

test('the lockfile names no registry', () => {
  expect(read('package-lock.json')).not.toMatch(/"resolved": *"https?:/);
});

test('the lockfile has every package that another one names, of all platforms, or npm ci refuses it', () => {
  type Entry = { dependencies?: Record<string, string>; optionalDependencies?: Record<string, string> };
  const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, Entry> };
  const missing = Object.entries(packages).flatMap(([path, entry]) =>
    Object.keys({ ...entry.dependencies, ...entry.optionalDependencies })
      .filter((name) => packages[`node_modules/${name}`] === undefined)
      .filter((name) => packages[`${path}/node_modules/${name}`] === undefined)
      .map((name) => `${path} -> ${name}`),
  );
  expect(missing).toEqual([]);
});

test(`no source file has more than ${MAX_LINES} lines`, () => {
  const long = globSync(SOURCES, { cwd: ROOT })
    .map((file) => `${file}: ${read(file).split('\n').length - 1}`)
    .filter((entry) => Number(entry.split(': ')[1]) > MAX_LINES);
  expect(long).toEqual([]);
});

test('file and folder names are kebab-case', () => {
  const odd = globSync(SOURCES, { cwd: ROOT }).filter((file) => !/^[a-z0-9\-/.]+$/.test(file));
  expect(odd).toEqual([]);
});

test('filters import only the filter interface, matchers, IP ranges and schemas', () => {
  // The heads, statistics and stream facts are what the interface is made of; routes match and mutate headers as filters
  // do, and the words of gRPC are the same everywhere.
  const ALLOWED =
    /^(filters\/|src\/filter\/|src\/matching\/|src\/config\/schema\/|src\/network\/ip\.ts|src\/http\/route\/(header-mutations|route-match|route-index|cookie)\.ts|src\/http\/(headers|message|response-flags)\.ts|src\/http\/grpc\/|src\/observe\/(stats|stream-info)\.ts|src\/observe\/format\/)/;
  const found = edges('filters/**/*.ts');
  expect(found.length).toBeGreaterThan(10);
  expect(found.filter(([, to]) => !ALLOWED.test(to)).map((edge) => edge.join(' -> '))).toEqual([]);
});

test('the proxy knows neither its command line nor its benchmark', () => {
  const wrong = edges('{src,filters}/**/*.ts').filter(
    ([from, to]) => !from.startsWith('src/cli/') && /^(src\/(cli|demo)|bench|test|scripts)\//.test(to),
  );
  expect(wrong.map((edge) => edge.join(' -> '))).toEqual([]);
});

test('every relative import names its file with the extension, as Node needs it', () => {
  const wrong = edges(SOURCES).filter(([, to]) => !/\.(ts|js|json|cjs|mjs)$/.test(to));
  expect(wrong.map((edge) => edge.join(' -> '))).toEqual([]);
});

test('nothing of a build or a measurement is committed', () => {
  const tracked = execFileSync('git', ['ls-files'], { cwd: ROOT, encoding: 'utf8' }).split('\n');
  expect(tracked.filter((file) => /^(dist|node_modules|\.bench|coverage)\/|\.tgz$|\.log$/.test(file))).toEqual([]);
});
