import { parseSource, type SourceDocument } from '../../src/config/document.ts';
import { ConfigError, type ConfigProblem } from '../../src/config/errors.ts';
import { readPlainYaml } from '../../src/config/plain-yaml.ts';
import { isRecord } from '../../src/config/sidecar/units.ts';
import type { CallGraph } from './call-graph.ts';
import { MAX_CALLS, MAX_POLICIES, MAX_SERVICES } from './call-graph-schema.ts';
import { parseJson } from './json-source.ts';
import { calleesOf, receiversOf } from './problem.ts';

/** A policy at a receiver is one placement; more than these, or pairs of them at their receivers, are refused. */
export const MAX_PLACEMENTS = 200_000;
export const MAX_PLACEMENT_PAIRS = 5_000_000;

/** YAML with anchors, tags or block texts is parsed a hundred times slower, and into a tree that is as much larger. */
const MAX_FULL_YAML_CHARACTERS = 4_000_000;
/** Shorter JSON goes through the parser of YAML. */
const LONG_JSON_CHARACTERS = 1_000_000;

/** The data of a file whatever its size, or what is wrong with it. @throws ConfigError */
export function parseLarge(file: string, text: string): SourceDocument | ConfigProblem[] {
  // What is no JSON is left to the parser of YAML, which says where it is wrong.
  const json = text.length > LONG_JSON_CHARACTERS && /^\s*\{/.test(text) ? parseJson(text) : undefined;
  if (json !== undefined) return json;
  if (text.length > MAX_FULL_YAML_CHARACTERS && readPlainYaml(text) === undefined)
    fail(
      file,
      `has ${text.length} characters`,
      `at most ${MAX_FULL_YAML_CHARACTERS} in YAML with anchors, tags or block texts`,
    );
  return parseSource(text);
}

export function fail(file: string, message: string, allowed: string): never {
  throw new ConfigError(file, [{ line: 1, column: 1, path: '', message, allowed }]);
}

/** Counted before anything is looked at: the places of parts of such a file would not fit into memory. @throws ConfigError */
export function refuseTooMuch(file: string, text: string, raw: Record<string, unknown>): void {
  const problems: ConfigProblem[] = [];
  for (const [key, max] of [
    ['services', MAX_SERVICES],
    ['calls', MAX_CALLS],
    ['policies', MAX_POLICIES],
  ] as const) {
    const part = raw[key];
    const count = Array.isArray(part) ? part.length : isRecord(part) ? Object.keys(part as object).length : 0;
    if (count <= max) continue;
    const line = text.slice(0, Math.max(0, text.search(new RegExp(`^["']?${key}["']?:`, 'm')))).split('\n').length;
    problems.push({ line, column: 1, path: key, message: `has ${count} entries`, allowed: `at most ${max}` });
  }
  if (problems.length > 0) throw new ConfigError(file, problems);
}

/** Lists and `*` multiply: few lines can ask for more than fits into memory. @throws ConfigError */
export function refuseTooManyPlacements(file: string, graph: Pick<CallGraph, 'services' | 'calls' | 'policies'>): void {
  const callees = calleesOf(graph);
  const counts = new Array<number>(graph.services.length).fill(0);
  let everywhere = 0;
  for (const policy of graph.policies) {
    const receivers = receiversOf(policy, callees);
    if (receivers === undefined) everywhere++;
    for (const receiver of receivers ?? []) counts[receiver]!++;
  }
  for (const service of counts.keys()) counts[service]! += everywhere;
  const placements = counts.reduce((sum, count) => sum + count, 0);
  const pairs = counts.reduce((sum, count) => sum + count * count, 0);
  if (placements > MAX_PLACEMENTS)
    fail(file, `asks for ${placements} policies at receivers`, `at most ${MAX_PLACEMENTS}`);
  if (pairs > MAX_PLACEMENT_PAIRS)
    fail(
      file,
      `has ${Math.max(...counts)} policies at one service`,
      `at most ${Math.floor(Math.sqrt(MAX_PLACEMENT_PAIRS))}, fewer where many services have as many`,
    );
}
