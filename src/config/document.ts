import {
  type Document,
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  type Scalar,
  type ScalarTag,
  visit,
} from 'yaml';
import type { ConfigProblem, Path } from './errors.ts';
import { readPlainYaml } from './plain-yaml.ts';
import { camelCase } from './schema/message.ts';

/** A place in a file; both count from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** A parsed configuration file: plain data, and where each part of it stands. */
export interface SourceDocument {
  readonly data: unknown;
  /** The place of the key or list item at the path, or of the nearest part above it that exists. */
  locate(path: Path): Position;
}

/** Configuration files larger than this are refused. */
export const MAX_FILE_BYTES = 64 * 1024 * 1024;
/** How many nodes all aliases together may add: a limit against files that explode when they are expanded. */
const MAX_ALIASES = 1000;

/** Envoy's parser also takes yes, no, on, off, y and n, in any case, as booleans when they are not quoted. */
const envoyBool: ScalarTag = {
  identify: (value) => typeof value === 'boolean',
  default: true,
  tag: 'tag:yaml.org,2002:bool',
  test: /^(?:[Yy]|YES|[Yy]es|[Nn]|NO|[Nn]o|TRUE|[Tt]rue|FALSE|[Ff]alse|ON|[Oo]n|OFF|[Oo]ff)$/,
  resolve: (text) => /^(?:y|yes|true|on)$/i.test(text),
};

/** Envoy drops entries of the root whose key carries this tag: a place for anchors. */
const IGNORE_TAG = '!ignore';

/**
 * Parses YAML or JSON.
 *
 * @returns the document, or what is wrong with its syntax
 */
export function parseSource(text: string): SourceDocument | ConfigProblem[] {
  const plain = readPlainYaml(text);
  if (plain === undefined) return parseFully(text);
  let full: SourceDocument | ConfigProblem[] | undefined;
  return {
    data: plain.data,
    locate: (path) => {
      full ??= parseFully(text);
      return Array.isArray(full) ? { line: 1, column: 1 } : full.locate(path);
    },
  };
}

/** Parses any YAML and remembers where everything stands. */
export function parseFully(text: string): SourceDocument | ConfigProblem[] {
  const lines = new LineCounter();
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  let document: Document;
  try {
    document = parseDocument(text, {
      lineCounter: lines,
      version: '1.2',
      customTags: (tags) => [envoyBool, ...tags.filter((tag) => typeof tag === 'string' || !isBoolTag(tag))],
      uniqueKeys: (a, b) => isScalar(a) && isScalar(b) && keyText(a) === keyText(b),
      prettyErrors: false,
      logLevel: 'silent',
    });
  } catch (error) {
    return [tooDeep(error)];
  }
  if (document.errors.length > 0) {
    // The parser catches its own stack overflows and reports them as errors of the text.
    if (document.errors.some(({ message }) => /call stack|stack overflow/i.test(message))) return [TOO_DEEP];
    // One error per place: the parser finds more in what follows from the first.
    const byOffset = new Map(document.errors.toReversed().map((error) => [error.pos[0], error.message]));
    return [...byOffset].sort(([a], [b]) => a - b).map(([offset, message]) => ({ ...at(offset), path: '', message }));
  }
  try {
    visit(document, { Pair: keepKeyAsWritten });
    const data: unknown = document.toJS({ maxAliasCount: MAX_ALIASES });
    dropIgnored(document, data);
    return { data, locate: (path) => locate(document, path, at) };
  } catch (error) {
    return [
      error instanceof ReferenceError ? { line: 1, column: 1, path: '', message: error.message } : tooDeep(error),
    ];
  }
}

function isBoolTag(tag: object): boolean {
  return (tag as { tag?: unknown }).tag === 'tag:yaml.org,2002:bool';
}

const TOO_DEEP: ConfigProblem = { line: 1, column: 1, path: '', message: 'the file is nested too deeply' };

function tooDeep(error: unknown): ConfigProblem {
  if (error instanceof RangeError) return TOO_DEEP;
  throw error;
}

/** Keys are names, never booleans or numbers: `on:` is the key "on". */
function keepKeyAsWritten(_: unknown, { key }: Pair): void {
  if (isScalar(key)) key.value = keyText(key);
}

function keyText(key: Scalar): string {
  return typeof key.value === 'string' ? key.value : (key.source ?? String(key.value));
}

/** Removes the ignored entries of the root; what they anchor has been resolved by then. */
function dropIgnored(document: Document, data: unknown): void {
  if (!isMap(document.contents) || typeof data !== 'object' || data === null) return;
  for (const { key } of document.contents.items) {
    if (isScalar(key) && key.tag === IGNORE_TAG) delete (data as Record<string, unknown>)[String(key.value)];
  }
}

function locate(document: Document, path: Path, at: (offset: number) => Position): Position {
  let node: unknown = document.contents;
  let offset = (node as Node | null)?.range?.[0] ?? 0;
  for (const key of path) {
    if (isAlias(node)) node = node.resolve(document);
    const next = isMap(node) ? findPair(node.items, String(key)) : isSeq(node) ? node.items[Number(key)] : undefined;
    if (next === undefined) break;
    if (isPair(next)) {
      offset = (next.key as Node | null)?.range?.[0] ?? offset;
      node = next.value;
    } else {
      node = next;
      offset = (next as Node).range?.[0] ?? offset;
    }
  }
  return at(offset);
}

/** A pair by its key, which may be written in snake_case or camelCase. */
function findPair(pairs: readonly Pair[], key: string): Pair | undefined {
  const named = (name: string) => pairs.find((pair) => String(isScalar(pair.key) ? pair.key.value : pair.key) === name);
  return named(key) ?? named(camelCase(key));
}
