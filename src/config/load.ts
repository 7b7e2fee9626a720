import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { FilterRegistry } from '../filter/registry.ts';
import { MAX_FILE_BYTES, type Position, parseSource, type SourceDocument } from './document.ts';
import { ConfigError, type ConfigProblem, formatPath, type Path } from './errors.ts';
import type { Bootstrap } from './schema/bootstrap.ts';
import { readSidecar } from './sidecar/index.ts';
import { isSidecarFile } from './sidecar/is-sidecar-file.ts';
import { type Finding, validateBootstrap } from './validate.ts';

/** A configuration that is valid as a whole. */
export interface LoadedConfig {
  readonly file: string;
  readonly bootstrap: Bootstrap;
  /** The same as it was written, in Envoy's form: what the admin server shows. */
  readonly canonical: Readonly<Record<string, unknown>>;
  /** Fingerprint of the canonical form: comments, order of keys and the choice of form do not change it. */
  readonly hash: string;
  /** Line and column of a part of the bootstrap in the file, for errors that are found later. */
  locate(path: (string | number)[]): Position;
}

export interface LoadOptions {
  readonly registry: FilterRegistry;
  /** The file's content when the caller has it already. */
  readonly text?: string;
}

/**
 * Reads and validates a configuration file: Envoy's v3 bootstrap or a sidecar file, as YAML or JSON.
 *
 * @throws ConfigError with every problem of the file, or of reading it
 */
export function loadConfig(file: string, options: LoadOptions): LoadedConfig {
  const text = options.text ?? readText(file);
  const source = parseSource(text);
  if (Array.isArray(source)) throw new ConfigError(file, source);
  const { canonical, sourcePathOf } = toCanonical(file, source);
  const result = validateBootstrap(canonical, options.registry);
  if (Array.isArray(result)) throw new ConfigError(file, problemsOf(result, source, sourcePathOf));
  let fingerprint: string | undefined;
  return {
    file,
    bootstrap: result,
    canonical: canonical as Record<string, unknown>,
    // On demand: nothing asks before the first reload, and crypto takes its time to load.
    get hash() {
      fingerprint ??= hash('sha256', canonicalJson(canonical));
      return fingerprint;
    },
    locate: (path) => locateLater(text, sourcePathOf(path)),
  };
}

interface Canonical {
  readonly canonical: unknown;
  /** Where in the file a part of the canonical form comes from. */
  readonly sourcePathOf: (path: Path) => Path;
}

/** The canonical form of a document in either form. @throws ConfigError */
export function toCanonical(file: string, source: SourceDocument): Canonical {
  if (typeof source.data !== 'object' || source.data === null || Array.isArray(source.data)) {
    throw new ConfigError(file, [
      {
        line: 1,
        column: 1,
        path: '',
        message: 'the file must hold a map',
        allowed: 'static_resources, admin, … or a sidecar file with app and listen',
      },
    ]);
  }
  if (!isSidecarFile(source.data)) return { canonical: source.data, sourcePathOf: (path) => path };
  const result = readSidecar(source.data);
  if ('findings' in result)
    throw new ConfigError(
      file,
      problemsOf(result.findings, source, (path) => path),
    );
  return { canonical: result.bootstrap, sourcePathOf: result.sourcePathOf };
}

/** Why a file cannot be read, by the system's code. */
const UNREADABLE: Readonly<Record<string, string>> = {
  EACCES: 'no permission to read it',
  EISDIR: 'it is a folder',
  ENOENT: 'the file does not exist',
};

/** Reads a configuration file as text. @throws ConfigError */
export function readText(file: string): string {
  let content: Buffer;
  try {
    content = readFileSync(file);
  } catch (error) {
    const reason = UNREADABLE[(error as NodeJS.ErrnoException).code ?? ''] ?? (error as Error).message;
    throw new ConfigError(file, [{ line: 1, column: 1, path: '', message: reason }]);
  }
  if (content.length > MAX_FILE_BYTES) {
    const message = `the file has ${content.length} bytes`;
    throw new ConfigError(file, [
      { line: 1, column: 1, path: '', message, allowed: `at most ${MAX_FILE_BYTES} bytes` },
    ]);
  }
  return content.toString('utf8').replace(/^\uFEFF/, '');
}

/** Findings with their places, in the order of the file. */
export function problemsOf(
  findings: readonly Finding[],
  source: SourceDocument,
  sourcePathOf: (path: Path) => Path,
): ConfigProblem[] {
  const problems = findings.map(({ path, message, allowed, suggestion }) => {
    const sourcePath = sourcePathOf(path);
    return { ...source.locate(sourcePath), path: formatPath(sourcePath), message, allowed, suggestion };
  });
  return problems.sort((a, b) => a.line - b.line || a.column - b.column);
}

/** Parses again: errors after loading are rare, and the parsed document would cost more memory than its text. */
function locateLater(text: string, path: Path): Position {
  const source = parseSource(text);
  return Array.isArray(source) ? { line: 1, column: 1 } : source.locate(path);
}

/** JSON with keys in order, so that equal configurations give equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => {
    if (typeof part !== 'object' || part === null || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
