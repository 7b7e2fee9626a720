import { parseFully, type SourceDocument } from '../src/config/document.ts';
import { ConfigError, type ConfigProblem, formatPath, type Path } from '../src/config/errors.ts';
import { readText } from '../src/config/load.ts';
import { enumOf, message, optional } from '../src/config/schema/building-blocks.ts';
import { camelCase } from '../src/config/schema/message.ts';
import { type Dataset, describe, type Problem, runSchema } from '../src/config/schema/schema.ts';
import { isRecord } from '../src/config/sidecar/units.ts';
import { nearest } from '../src/config/suggest.ts';
import { type Finding, findingOf } from '../src/config/validate.ts';
import { POLICY_KINDS } from './index.ts';
import { inputKind, otherKind } from './input-kind.ts';
import { Annotations, Labels, NamespaceName, ObjectName } from './kubernetes-names.ts';
import type { Policy, PolicyKind } from './policy.ts';

/** What `apiVersion` says. */
export const API_VERSION = 'outrigger.dev/v1';

const Metadata = message({
  name: ObjectName,
  namespace: optional(NamespaceName, 'default'),
  labels: optional(Labels, {}),
  annotations: optional(Annotations, {}),
});

const Selector = message({ match_labels: optional(Labels, {}) });

/** Everything but the spec, which the kind reads. */
const Envelope = message({
  api_version: enumOf([API_VERSION]),
  kind: enumOf(POLICY_KINDS.map(({ kind }) => kind)),
  metadata: Metadata,
});

/** The policies of a file, in its order. @throws ConfigError with everything that is wrong in it */
export function readPolicies(file: string): Policy[] {
  return parsePolicies(file, readText(file));
}

/** The policies of several files, in which none may be there twice. @throws ConfigError */
export function readPolicyFiles(files: readonly string[]): Policy[] {
  const places = new Map<string, string>();
  return files.flatMap((file) => {
    const policies = readPolicies(file);
    const problems = policies.flatMap((policy): ConfigProblem[] => {
      const there = places.get(titleOf(policy));
      const message = `${titleOf(policy)} is there already, in ${there}`;
      return there === undefined ? [] : [{ line: policy.line, column: 1, path: '', message }];
    });
    if (problems.length > 0) throw new ConfigError(file, problems);
    for (const policy of policies) places.set(titleOf(policy), `${file}:${policy.line}`);
    return policies;
  });
}

/** Likewise of text at hand; `file` is for error messages. @throws ConfigError */
export function parsePolicies(file: string, text: string): Policy[] {
  const problems: ConfigProblem[] = [];
  const policies: Policy[] = [];
  for (const { text: part, lineOffset } of documentsOf(text)) {
    const result = parseDocument(file, part, lineOffset);
    if (Array.isArray(result)) problems.push(...result.map((one) => ({ ...one, line: one.line + lineOffset })));
    else if (result !== undefined) policies.push(result);
  }
  problems.push(...duplicates(policies));
  if (problems.length === 0 && policies.length === 0) {
    const allowed = `apiVersion: ${API_VERSION}, kind, metadata and spec`;
    problems.push({ line: 1, column: 1, path: '', message: 'the file has no policy', allowed });
  }
  if (problems.length > 0) throw new ConfigError(file, problems);
  return policies;
}

/** The documents of a YAML stream (YAML 1.2 §9.1.2), with the line before each. */
function documentsOf(text: string): { text: string; lineOffset: number }[] {
  const found: { text: string; lineOffset: number }[] = [];
  let lines: string[] = [];
  let lineOffset = 0;
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (!/^(---|\.\.\.)(\s|$)/.test(line)) {
      lines.push(line);
      continue;
    }
    found.push({ text: lines.join('\n'), lineOffset });
    // What follows the marker on its line belongs to the document; its place stays.
    lines = [line.startsWith('---') ? line.replace('---', '   ') : ''];
    lineOffset = index;
  }
  found.push({ text: lines.join('\n'), lineOffset });
  return found;
}

/** The policy of one document, or what is wrong with it; undefined for an empty one. */
function parseDocument(file: string, text: string, lineOffset: number): Policy | ConfigProblem[] | undefined {
  const source = parseFully(text);
  if (Array.isArray(source)) return source;
  if (source.data === null || source.data === undefined) return undefined;
  const line = text.slice(0, Math.max(0, text.search(/^[^#\s]/m))).split('\n').length;
  if (!isRecord(source.data)) {
    return [{ line, column: 1, path: '', message: `expected a policy, got ${describe(source.data)}` }];
  }
  const other = otherKind(source.data, 'policy');
  if (other !== undefined && inputKind(source.data) !== 'kubernetes') return [{ ...other, line }];
  const { spec: rawSpec, ...envelope } = source.data as Record<string, unknown>;
  const outer = runSchema(Envelope, envelope, {});
  const findings = findingsOf(outer, []);
  const kind = kindOf(envelope.kind);
  if (kind === undefined) return problemsOf(named(findings, envelope.kind), source);
  const { selector, spec, issues } = readSpec(kind, rawSpec);
  findings.push(...issues);
  if (findings.length > 0) return problemsOf(findings, source);
  const { metadata } = outer.value as { metadata: Policy['metadata'] };
  return {
    kind,
    metadata: { name: metadata.name, namespace: metadata.namespace },
    selector,
    spec,
    file,
    line: line + lineOffset,
    locate: (path) => {
      const place = source.locate(path);
      return { ...place, line: place.line + lineOffset };
    },
  };
}

function kindOf(name: unknown): PolicyKind | undefined {
  return POLICY_KINDS.find(({ kind }) => kind === name);
}

/** Istio's names lead to ours. */
const KNOWN_ELSEWHERE: Readonly<Record<string, string>> = {
  Telemetry: 'Tracing or AccessLog',
  DestinationRule: 'CircuitBreaker, or PeerAuthentication for TLS',
  VirtualService: 'RetryPolicy',
  EnvoyFilter: 'RateLimit',
};

function named(findings: readonly Finding[], kind: unknown): Finding[] {
  const meant = typeof kind === 'string' ? KNOWN_ELSEWHERE[kind] : undefined;
  if (meant === undefined) return [...findings];
  return findings.map((one) => (one.path[0] === 'kind' ? { ...one, suggestion: meant } : one));
}

interface ReadSpec {
  readonly selector: Policy['selector'];
  readonly spec: unknown;
  readonly issues: Finding[];
}

/** Every kind has a selector beside its own fields. */
function readSpec(kind: PolicyKind, raw: unknown): ReadSpec {
  if (!isRecord(raw)) {
    const message = raw === undefined || raw === null ? 'is required' : `expected a map, got ${describe(raw)}`;
    return {
      selector: undefined,
      spec: undefined,
      issues: [{ path: ['spec'], message, allowed: undefined, suggestion: undefined }],
    };
  }
  const { selector: rawSelector, ...fields } = raw as Record<string, unknown>;
  const spec = runSchema(kind.spec, fields, {});
  const issues = findingsOf(spec, ['spec']).map((one) => withSelector(one));
  if (rawSelector === undefined || rawSelector === null) return { selector: undefined, spec: spec.value, issues };
  const selector = runSchema(Selector, rawSelector, {});
  issues.push(...findingsOf(selector, ['spec', 'selector']));
  const labels = (selector.value as { match_labels?: Record<string, string> } | undefined)?.match_labels;
  return { selector: labels, spec: spec.value, issues };
}

/** A misspelt selector is an unknown field of the kind, which does not know that there is one. */
function withSelector(finding: Finding): Finding {
  const key = finding.path.at(-1);
  if (finding.path.length !== 2 || finding.message !== 'unknown field' || finding.suggestion !== undefined)
    return finding;
  return { ...finding, suggestion: nearest(String(key), ['selector']) };
}

function findingsOf(dataset: Dataset, prefix: Path): Finding[] {
  return (dataset.issues ?? []).map(findingOf).map((one) => ({ ...one, path: [...prefix, ...one.path] }));
}

function problemsOf(findings: readonly Finding[], source: SourceDocument): ConfigProblem[] {
  return findings
    .map(({ path, message, allowed, suggestion }) => ({
      ...source.locate(path),
      path: formatPath(message === 'is required' ? path.map(asWritten) : path),
      message,
      allowed,
      suggestion,
    }))
    .sort((a, b) => a.line - b.line || a.column - b.column);
}

/** Two policies of one kind, namespace and name: the second would replace the first in a cluster. */
function duplicates(policies: readonly Policy[]): ConfigProblem[] {
  const lineByKey = new Map<string, number>();
  return policies.flatMap(({ kind, metadata, line }) => {
    const key = `${kind.kind} ${metadata.namespace}/${metadata.name}`;
    const first = lineByKey.get(key);
    lineByKey.set(key, first ?? line);
    return first === undefined
      ? []
      : [{ line, column: 1, path: '', message: `${key} is there already, in line ${first}` }];
  });
}

/** Why a policy cannot be enforced on a side, with its place in the file. */
export function placedProblem(policy: Policy, problem: Problem): ConfigProblem {
  const path: Path = ['spec', ...problem.path];
  return {
    ...policy.locate(path),
    path: formatPath(path.map(asWritten)),
    message: problem.message,
    allowed: problem.allowed,
    suggestion: problem.suggestion,
  };
}

/** The names that the documents have. */
function asWritten(key: string | number): string | number {
  return typeof key === 'string' ? camelCase(key) : key;
}

/** True when a workload with these labels is meant. */
export function selects(policy: Policy, labels: Readonly<Record<string, string>>): boolean {
  return Object.entries(policy.selector ?? {}).every(([key, value]) => labels[key] === value);
}

/** A policy's own name in messages. */
export function titleOf({ kind, metadata }: Pick<Policy, 'kind' | 'metadata'>): string {
  return `${kind.kind} ${metadata.namespace}/${metadata.name}`;
}
