import type { RouteView } from '../../src/filter/http.ts';
import { type CidrRangeConfig, CidrTrie } from '../../src/network/ip.ts';
import type { StreamInfo } from '../../src/observe/stream-info.ts';
import { PrefixTree } from './prefix-tree.ts';

/** What a rule may ask of the request; a connection without HTTP answers undefined for every name. */
export interface HeaderSource {
  get(name: string): string | undefined;
  getAll(name: string): readonly string[];
}

/** What a rule may ask of the stream; a TCP session has no route. */
export type RuleStream = StreamInfo & { readonly route?: RouteView | undefined };

export type Predicate = (head: HeaderSource, stream: RuleStream) => boolean;

/** Reads the text that keys of one source are compared with; several texts for the names of a certificate. */
export interface KeySource {
  /** Equal for sources that read the same. */
  readonly id: string;
  read(head: HeaderSource, stream: RuleStream): string | undefined;
  readMany?(stream: RuleStream): readonly string[];
  /** Of a text with a comma, which may be several lines of a header: each of them. */
  readLines?(head: HeaderSource): readonly string[];
}

/** A necessary condition of a rule that a table can look up. */
export type Key =
  | { readonly match: 'exact'; readonly source: KeySource; readonly value: string }
  | { readonly match: 'prefix'; readonly source: KeySource; readonly value: string }
  | { readonly match: 'range'; readonly source: KeySource; readonly value: CidrRangeConfig };

/**
 * What must hold when a rule matches: one key; one of several (`any`); each of several (`each`, of which the index
 * picks the most selective); or nothing that a table could look up (undefined).
 */
export type Cover =
  | { readonly kind: 'key'; readonly key: Key }
  | { readonly kind: 'any'; readonly of: readonly Cover[] }
  | { readonly kind: 'each'; readonly of: readonly Cover[] }
  | undefined;

export interface IndexedPolicy {
  readonly matches: Predicate;
  readonly cover: Cover;
}

/** Below this many policies a plain loop is faster than any table. */
const SMALLEST_INDEX = 4;
/** Preference among keys of which equally many policies have one: exact values cost least and mislead least. */
const KIND_PENALTY = { exact: 0, range: 0.25, prefix: 0.5 };

/**
 * Finds the first of many policies that matches, by evaluating only those whose key the request has. Gives the same
 * answer as evaluating one after the other, because every policy is filed under keys without which it cannot match,
 * or else is always evaluated.
 *
 * @returns a function that answers the position of the first policy that matches, or -1
 */
export function compileFirstMatch(
  policies: readonly IndexedPolicy[],
): (head: HeaderSource, stream: RuleStream) => number {
  const tests = policies.map((policy) => policy.matches);
  if (tests.length === 0) return () => -1;
  if (tests.length === 1) {
    const only = tests[0] as Predicate;
    return (head, stream) => (only(head, stream) ? 0 : -1);
  }
  if (tests.length < SMALLEST_INDEX) return compileLoop(tests);
  return compileIndex(policies, tests);
}

function compileLoop(tests: readonly Predicate[]): (head: HeaderSource, stream: RuleStream) => number {
  return (head, stream) => {
    for (let i = 0; i < tests.length; i++) if ((tests[i] as Predicate)(head, stream)) return i;
    return -1;
  };
}

function compileIndex(policies: readonly IndexedPolicy[], tests: readonly Predicate[]) {
  const weights = countKeys(policies);
  const builder = new TableBuilder();
  const always: number[] = [];
  policies.forEach((policy, id) => {
    const best = choose(policy.cover, weights);
    if (best === undefined || best.score >= policies.length) always.push(id);
    else for (const key of best.keys) builder.add(key, id);
  });
  const tables = builder.build();
  if (tables.length === 0) return compileLoop(tests);
  const count = tests.length;
  const evaluate = (ids: readonly number[], best: number, head: HeaderSource, stream: RuleStream): number => {
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i] as number;
      if (id >= best) return best;
      if ((tests[id] as Predicate)(head, stream)) return id;
    }
    return best;
  };
  const [first] = tables;
  if (first !== undefined && tables.length === 1 && always.length === 0) {
    return (head: HeaderSource, stream: RuleStream): number => {
      const best = first.probe(head, stream, count, evaluate);
      return best === count ? -1 : best;
    };
  }
  return (head: HeaderSource, stream: RuleStream): number => {
    let best = count;
    for (let i = 0; i < tables.length; i++) best = (tables[i] as Table).probe(head, stream, best, evaluate);
    best = evaluate(always, best, head, stream);
    return best === count ? -1 : best;
  };
}

/** Tests policies in ascending order until one matches or the best so far is reached; answers the new best. */
type Evaluate = (ids: readonly number[], best: number, head: HeaderSource, stream: RuleStream) => number;

interface Table {
  probe(head: HeaderSource, stream: RuleStream, best: number, evaluate: Evaluate): number;
}

function keyText(key: Key): string {
  const value = key.match === 'range' ? `${key.value.address_prefix}/${key.value.prefix_len ?? 0}` : key.value;
  return `${key.match} ${key.source.id} ${value}`;
}

/** How many policies mention each key. */
function countKeys(policies: readonly IndexedPolicy[]): Map<string, number> {
  const counts = new Map<string, number>();
  const collect = (cover: Cover, into: Set<string>): void => {
    if (cover === undefined) return;
    if (cover.kind === 'key') into.add(keyText(cover.key));
    else for (const part of cover.of) collect(part, into);
  };
  for (const policy of policies) {
    const texts = new Set<string>();
    collect(policy.cover, texts);
    for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  return counts;
}

interface Choice {
  readonly score: number;
  readonly keys: readonly Key[];
}

/** The keys to file a rule under, chosen so that few other policies share them; undefined when it has no cover. */
function choose(cover: Cover, weights: ReadonlyMap<string, number>): Choice | undefined {
  if (cover === undefined) return undefined;
  if (cover.kind === 'key') {
    const weight = weights.get(keyText(cover.key)) as number;
    return { score: weight + KIND_PENALTY[cover.key.match], keys: [cover.key] };
  }
  const choices = cover.of.map((part) => choose(part, weights));
  if (cover.kind === 'each') {
    let best: Choice | undefined;
    for (const choice of choices) {
      if (choice !== undefined && (best === undefined || choice.score < best.score)) best = choice;
    }
    return best;
  }
  if (choices.includes(undefined)) return undefined;
  const all = choices as Choice[];
  return { score: all.reduce((sum, choice) => sum + choice.score, 0), keys: all.flatMap((choice) => choice.keys) };
}

/** Collects keys and makes one table per source and way of matching. */
class TableBuilder {
  readonly #bySource = new Map<string, { source: KeySource; entries: { key: Key; id: number }[] }>();

  add(key: Key, id: number): void {
    const name = `${key.match} ${key.source.id}`;
    let group = this.#bySource.get(name);
    if (group === undefined) {
      group = { source: key.source, entries: [] };
      this.#bySource.set(name, group);
    }
    group.entries.push({ key, id });
  }

  build(): Table[] {
    return [...this.#bySource.values()].map(({ source, entries }) => {
      const match = (entries[0] as { key: Key }).key.match;
      if (match === 'range') return new RangeTable(source, groupIds(entries));
      return match === 'exact' ? new ExactTable(source, groupIds(entries)) : new PrefixTable(source, groupIds(entries));
    });
  }
}

/** The ids under each key, ascending and each once. */
function groupIds(entries: readonly { key: Key; id: number }[]): Map<string, { key: Key; ids: number[] }> {
  const groups = new Map<string, { key: Key; ids: number[] }>();
  for (const { key, id } of entries) {
    const text = keyText(key);
    const group = groups.get(text);
    if (group === undefined) groups.set(text, { key, ids: [id] });
    else if (group.ids.at(-1) !== id) group.ids.push(id);
  }
  return groups;
}

type Groups = ReadonlyMap<string, { readonly key: Key; readonly ids: number[] }>;

class ExactTable implements Table {
  readonly #source: KeySource;
  readonly #ids = new Map<string, readonly number[]>();

  constructor(source: KeySource, groups: Groups) {
    this.#source = source;
    for (const { key, ids } of groups.values()) this.#ids.set(key.value as string, ids);
  }

  probe(head: HeaderSource, stream: RuleStream, best: number, evaluate: Evaluate): number {
    const source = this.#source;
    if (source.readMany !== undefined) {
      let result = best;
      for (const text of source.readMany(stream)) {
        const ids = this.#ids.get(text);
        if (ids !== undefined) result = evaluate(ids, result, head, stream);
      }
      return result;
    }
    const text = source.read(head, stream);
    if (text === undefined) return best;
    if (source.readLines !== undefined && text.includes(',')) {
      let result = best;
      for (const line of source.readLines(head)) result = this.#evaluate(line, result, head, stream, evaluate);
      return result;
    }
    return this.#evaluate(text, best, head, stream, evaluate);
  }

  #evaluate(text: string, best: number, head: HeaderSource, stream: RuleStream, evaluate: Evaluate): number {
    const ids = this.#ids.get(text);
    return ids === undefined ? best : evaluate(ids, best, head, stream);
  }
}

class PrefixTable implements Table {
  readonly #source: KeySource;
  readonly #tree = new PrefixTree<number>();

  constructor(source: KeySource, groups: Groups) {
    this.#source = source;
    for (const { key, ids } of groups.values()) for (const id of ids) this.#tree.add(key.value as string, id);
  }

  probe(head: HeaderSource, stream: RuleStream, best: number, evaluate: Evaluate): number {
    const source = this.#source;
    if (source.readMany !== undefined) {
      let result = best;
      for (const text of source.readMany(stream)) result = this.#tree.fold(text, result, evaluate, head, stream);
      return result;
    }
    const text = source.read(head, stream);
    if (text === undefined) return best;
    if (source.readLines !== undefined && text.includes(',')) {
      let result = best;
      for (const line of source.readLines(head)) result = this.#tree.fold(line, result, evaluate, head, stream);
      return result;
    }
    return this.#tree.fold(text, best, evaluate, head, stream);
  }
}

class RangeTable implements Table {
  readonly #source: KeySource;
  readonly #trie: CidrTrie<readonly number[]>;

  constructor(source: KeySource, groups: Groups) {
    this.#source = source;
    this.#trie = new CidrTrie([...groups.values()].map(({ key, ids }) => [key.value as CidrRangeConfig, ids] as const));
  }

  probe(head: HeaderSource, stream: RuleStream, best: number, evaluate: Evaluate): number {
    const text = this.#source.read(head, stream);
    if (text === undefined) return best;
    const groups = this.#trie.lookupAll(text);
    let result = best;
    for (let i = 0; i < groups.length; i++) result = evaluate(groups[i] as readonly number[], result, head, stream);
    return result;
  }
}
