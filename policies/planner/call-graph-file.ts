import { resolve } from 'node:path';
import type { SourceDocument } from '../../src/config/document.ts';
import { ConfigError, type Path } from '../../src/config/errors.ts';
import { problemsOf, readText } from '../../src/config/load.ts';
import { describe, runSchema } from '../../src/config/schema/schema.ts';
import { isRecord } from '../../src/config/sidecar/units.ts';
import { nearest } from '../../src/config/suggest.ts';
import { type Finding, findingOf } from '../../src/config/validate.ts';
import { parsePolicies, selects, titleOf } from '../file.ts';
import { inputKind, refuseOtherKind } from '../input-kind.ts';
import { isLabelValue } from '../kubernetes-names.ts';
import type { Policy } from '../policy.ts';
import type { Call, CallGraph, Cluster, Node, Service } from './call-graph.ts';
import { CallGraphFile, MAX_CALLS, type ServiceEntry } from './call-graph-schema.ts';
import { fail, parseLarge, refuseTooManyPlacements, refuseTooMuch } from './graph-limits.ts';
import { orderingCycle } from './ordering.ts';
import type { PlannedPolicy } from './planned-policy.ts';
import { plannedDocument, readPolicyEntry } from './policy-entry.ts';

const MIB = 1024 * 1024;

/** A file with what is known of it so far. */
interface Part {
  readonly file: string;
  readonly source: SourceDocument;
  readonly data: CallGraphFile;
}

/**
 * The call graph of one or more files: services, calls and policies may stand in one file or in several, and policies of
 * `outrigger policy` in files of their own.
 *
 * @throws ConfigError with everything that is wrong in the first file that has problems
 */
export function readCallGraph(files: readonly string[]): CallGraph {
  const twice = files.find((file, at) =>
    files.some((other, before) => before < at && resolve(other) === resolve(file)),
  );
  if (twice !== undefined) fail(twice, 'is given twice', 'each file once');
  return parseCallGraph(files.map((file) => ({ file, text: readText(file) })));
}

/** Likewise of texts at hand. @throws ConfigError */
export function parseCallGraph(texts: readonly { readonly file: string; readonly text: string }[]): CallGraph {
  const documents: Policy[] = [];
  const parts: Part[] = [];
  for (const { file, text } of texts) {
    const part = /^apiVersion:/m.test(text) ? undefined : parsePart(file, text);
    if (part === undefined) documents.push(...parsePolicies(file, text));
    else parts.push(part);
  }
  const [first] = parts;
  if (first === undefined) fail(texts[0]!.file, 'has policies and no call graph', 'a file with services and calls too');
  const graph = assemble(parts, documents);
  if (graph.services.length === 0) fail(first.file, 'the call graph is empty', 'services, calls, policies');
  return graph;
}

/** Undefined when it is a policy. */
function parsePart(file: string, text: string): Part | undefined {
  const source = parseLarge(file, text);
  if (Array.isArray(source)) throw new ConfigError(file, source);
  const raw = source.data;
  if (raw === null || raw === undefined) fail(file, 'the file is empty', 'services, calls, policies');
  if (!isRecord(raw)) fail(file, `expected a map, got ${describe(raw)}`, 'services, calls, policies');
  if (inputKind(raw) === 'policy') return undefined;
  refuseOtherKind(file, raw, 'callGraph');
  refuseTooMuch(file, text, raw as Record<string, unknown>);
  const { services } = raw as { services?: Record<string, unknown> };
  if (isRecord(services)) for (const name of Object.keys(services!)) services![name] ??= {};
  const result = runSchema(CallGraphFile, raw, {});
  if (result.issues !== undefined)
    throw new ConfigError(
      file,
      problemsOf(result.issues.map(findingOf), source, (path) => path),
    );
  return { file, source, data: result.value as CallGraphFile };
}

/** Names of all files and what they stand for; problems are told by the file that has them. */
class Assembly {
  readonly indexByName = new Map<string, number>();
  readonly findings = new Map<Part, Finding[]>();

  report(part: Part, path: Path, message: string, details: { allowed?: string; suggestion?: string | undefined } = {}) {
    const finding = { path, message, allowed: details.allowed, suggestion: details.suggestion };
    this.findings.set(part, [...(this.findings.get(part) ?? []), finding]);
  }

  /** Indices of the services with these names; `*` is every one. */
  resolve(part: Part, path: Path, names: readonly string[]): number[] {
    const found: number[] = [];
    for (const [position, name] of names.entries()) {
      const index = this.indexByName.get(name);
      // Not spread: as many arguments would not fit onto the stack.
      if (name === '*') for (const each of this.indexByName.values()) found.push(each);
      else if (index !== undefined) found.push(index);
      else
        this.report(part, names.length === 1 ? path : [...path, position], `there is no service "${name}"`, {
          suggestion: nearest(name, this.indexByName.keys()),
        });
    }
    return [...new Set(found)];
  }

  /** Of a policy, where `*` is what nothing stands for: everybody, and whoever is not in the graph too. */
  resolveEnds(part: Part, path: Path, names: readonly string[] | undefined): number[] | undefined {
    const found = names === undefined ? undefined : this.resolve(part, path, names);
    return names?.includes('*') ? undefined : found;
  }

  throwIfAny(): void {
    for (const [{ file, source }, findings] of this.findings)
      throw new ConfigError(
        file,
        problemsOf(findings, source, (path) => path),
      );
  }
}

function assemble(parts: readonly Part[], documents: readonly Policy[]): CallGraph {
  const assembly = new Assembly();
  const nodes = readNodes(parts, assembly);
  const services = readServices(parts, nodes, assembly);
  const calls = readCalls(parts, services, assembly);
  const policies: PlannedPolicy[] = [];
  const places = new Map<string, [Part, Path]>();
  for (const part of parts) {
    for (const [index, entry] of part.data.policies.entries()) {
      const path: Path = ['policies', index];
      if (places.has(entry.name)) assembly.report(part, [...path, 'name'], `the policy "${entry.name}" is there twice`);
      places.set(entry.name, [part, path]);
      const to = assembly.resolveEnds(part, [...path, 'to'], entry.to);
      const from = assembly.resolveEnds(part, [...path, 'from'], entry.from);
      const read = readPolicyEntry(entry, { to, from, file: part.file, place: placeOf(part, path) });
      if (Array.isArray(read)) {
        for (const { path: below, ...rest } of read) {
          const details = {
            ...(rest.allowed === undefined ? {} : { allowed: rest.allowed }),
            suggestion: rest.suggestion,
          };
          assembly.report(part, [...path, ...below], rest.message, details);
        }
      } else policies.push(read);
    }
  }
  for (const document of documents) {
    const { name } = document.metadata;
    if (policies.some((one) => one.name === name))
      fail(document.file, `there is another policy "${name}"`, 'plans tell policies by their names');
    policies.push(plannedDocument(document, selected(document, services)));
  }
  checkNames(policies, places, assembly);
  assembly.throwIfAny();
  refuseTooManyPlacements(parts[0]!.file, { services, calls, policies });
  return { services, calls, policies, nodes, cluster: readCluster(parts) };
}

/** File and line. The line matters in explanations alone; large graphs do without, since it takes a second parse. */
function placeOf({ file, source, data }: Part, path: Path): string {
  return data.calls.length + data.policies.length > 5000 ? file : `${file}:${source.locate(path).line}`;
}

function selected(document: Policy, services: readonly Service[]): number[] {
  const found = services.flatMap(({ labels }, index) => (selects(document, labels) ? [index] : []));
  if (found.length > 0) return found;
  const message = `selects no service of the graph`;
  throw new ConfigError(document.file, [
    { line: document.line, column: 1, path: 'spec.selector', message: `${titleOf(document)} ${message}` },
  ]);
}

function checkNames(
  policies: readonly PlannedPolicy[],
  places: ReadonlyMap<string, [Part, Path]>,
  assembly: Assembly,
): void {
  const known = new Set(policies.map(({ name }) => name));
  for (const { name, after, beside } of policies) {
    const place = places.get(name);
    if (place === undefined) continue;
    for (const [key, list] of Object.entries({ after, beside })) {
      for (const [position, other] of list.entries()) {
        if (known.has(other) && other !== name) continue;
        const message = other === name ? 'a policy cannot be ordered by itself' : `there is no policy "${other}"`;
        const path = [...place[1], key, ...(list.length === 1 ? [] : [position])];
        assembly.report(place[0], path, message, { suggestion: other === name ? undefined : nearest(other, known) });
      }
    }
  }
  const cycle = orderingCycle(policies);
  const place = cycle === undefined ? undefined : places.get(cycle[0]!);
  if (cycle !== undefined && place !== undefined)
    assembly.report(place[0], [...place[1], 'after'], `policies wait for each other: ${cycle.join(' after ')}`);
}

/** Names become those of files and of objects of the cluster. */
const MAX_NAME = 200;
const NAMES = `letters, digits, - . and _, at most ${MAX_NAME}`;

function isName(name: string): boolean {
  return name.length <= MAX_NAME && /^[A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?$/.test(name);
}

/** A name from outside: neither endless nor with characters that a terminal would obey. */
function shown(name: string): string {
  return JSON.stringify(name.length > MAX_NAME ? `${name.slice(0, 40)}…` : name);
}

function readNodes(parts: readonly Part[], assembly: Assembly): Node[] {
  const nodes = new Map<string, Node>();
  for (const part of parts) {
    for (const [name, { cpu, memory }] of Object.entries(part.data.nodes)) {
      const path: Path = ['nodes', name];
      if (nodes.has(name)) assembly.report(part, path, `the node "${name}" is in another file too`);
      if (!isName(name)) assembly.report(part, path, `${shown(name)} is no name`, { allowed: NAMES });
      const cpuCores = cpu ?? Number.POSITIVE_INFINITY;
      nodes.set(name, { name, cpuCores, memoryMiB: memory === undefined ? Number.POSITIVE_INFINITY : memory / MIB });
    }
  }
  return [...nodes.values()];
}

function readServices(parts: readonly Part[], nodes: readonly Node[], assembly: Assembly): Service[] {
  const services: Service[] = [];
  const isEnforced = parts.some(({ data }) => data.cluster.network_policies === 'enforced');
  const nodeNames = new Set(nodes.map(({ name }) => name));
  for (const part of parts) {
    for (const [name, entry] of Object.entries(part.data.services)) {
      const path: Path = ['services', name];
      if (assembly.indexByName.has(name)) assembly.report(part, path, `the service "${name}" is in another file too`);
      if (!isName(name)) assembly.report(part, path, `${shown(name)} is no name`, { allowed: NAMES });
      for (const node of entry.node ?? []) {
        if (!nodeNames.has(node))
          assembly.report(part, [...path, 'node'], `there is no node "${node}"`, {
            suggestion: nearest(node, nodeNames),
          });
      }
      // Without labels of its own it is told by its name, where NetworkPolicies tell services apart.
      if (isEnforced && entry.labels === undefined && !entry.external && !isLabelValue(name))
        assembly.report(
          part,
          path,
          `the name is too long for the label app that tells its pods, ${name.length} characters`,
          {
            allowed: 'at most 63, or labels as its pods carry them',
          },
        );
      assembly.indexByName.set(name, services.length);
      services.push(service(name, entry));
    }
  }
  return services;
}

function service(name: string, entry: ServiceEntry): Service {
  const { sidecar } = entry;
  return {
    name,
    external: entry.external,
    takesSidecar: !entry.external && sidecar?.allowed !== false,
    replicas: entry.replicas,
    nodes: [...new Set(entry.node)],
    sidecarCpuCores: sidecar?.cpu ?? Number.POSITIVE_INFINITY,
    sidecarMemoryMiB: sidecar?.memory === undefined ? Number.POSITIVE_INFINITY : sidecar.memory / MIB,
    namespace: entry.namespace,
    labels: entry.labels ?? { app: name },
    app: entry.app,
    listen: entry.listen,
    source: entry.source ?? [],
  };
}

/** Calls of one pair are one: their rates add up. */
function readCalls(parts: readonly Part[], services: readonly Service[], assembly: Assembly): Call[] {
  const byPair = new Map<number, Call>();
  for (const part of parts) {
    for (const [index, entry] of part.data.calls.entries()) {
      const path: Path = ['calls', index];
      const from = assembly.resolve(part, [...path, 'from'], entry.from);
      const to = assembly.resolve(part, [...path, 'to'], entry.to);
      for (const sender of from) {
        for (const receiver of to) {
          if (sender === receiver) {
            if (!entry.to.includes('*') && !entry.from.includes('*'))
              assembly.report(part, path, `"${services[sender]!.name}" calls itself: no sidecar stands in between`);
            continue;
          }
          const key = sender * services.length + receiver;
          if (byPair.size >= MAX_CALLS && !byPair.has(key))
            fail(
              part.file,
              `calls[${index}] makes them more than ${MAX_CALLS} pairs of services`,
              'fewer, or fewer of *',
            );
          const there = byPair.get(key);
          const rate = entry.rate + (there?.rate ?? 0);
          const bodyKiB = Math.max(entry.body / 1024, there?.bodyKiB ?? 0);
          byPair.set(key, { from: sender, to: receiver, rate, bodyKiB, via: entry.via ?? there?.via });
        }
      }
    }
  }
  return [...byPair.values()];
}

function readCluster(parts: readonly Part[]): Cluster {
  for (const key of ['network_policies', 'undeclared_callers'] as const) {
    const [first, other] = new Set(parts.flatMap(({ data }) => data.cluster[key] ?? []));
    const last = parts.findLast(({ data }) => data.cluster[key] !== undefined);
    if (other !== undefined)
      fail(last!.file, `cluster.${key} is ${other} here and ${first} in another file`, 'one of them');
  }
  const isEnforced = parts.some(({ data }) => data.cluster.network_policies === 'enforced');
  const isComplete = parts.some(({ data }) => data.cluster.undeclared_callers === 'none');
  return {
    networkPolicies: isEnforced ? 'enforced' : 'absent',
    undeclaredCallers: isComplete ? 'none' : 'possible',
  };
}
