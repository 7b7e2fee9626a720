import type { Path } from '../../src/config/errors.ts';
import { runSchema } from '../../src/config/schema/schema.ts';
import { type Finding, findingOf } from '../../src/config/validate.ts';
import type { Policy, PolicyKind } from '../policy.ts';
import type { CostEntry, PolicyEntry } from './call-graph-schema.ts';
import type { PlannedPolicy, PlanningSemantics, RequestCost } from './planned-policy.ts';
import { findKind, semanticsOf } from './policy-semantics.ts';

interface Place {
  readonly to: readonly number[] | undefined;
  readonly from: readonly number[] | undefined;
  readonly file: string;
  readonly place: string;
}

/** A policy as the graph's file has it, or what is wrong with it, with paths from its entry. */
export function readPolicyEntry(entry: PolicyEntry, at: Place): PlannedPolicy | Finding[] {
  const kind = findKind(entry.kind);
  const findings: Finding[] = [];
  const wrong = (path: Path, message: string, allowed?: string): void => {
    findings.push({ path, message, allowed, suggestion: undefined });
  };
  if (kind === undefined && entry.spec !== undefined) wrong(['spec'], 'a Custom policy has none', 'filters');
  if (kind !== undefined && entry.filters !== undefined) wrong(['filters'], 'are for kind Custom', 'spec');
  if (kind !== undefined && entry.semantics !== undefined) wrong(['semantics'], `follow from kind ${kind.kind}`);
  const document = kind === undefined ? undefined : documentOf(kind, entry, at, findings);
  const semantics = kind === undefined ? customSemantics(entry) : semanticsOf(kind, document, entry.shared);
  const { sides } = semantics;
  if (entry.side !== undefined && sides !== 'either' && sides !== entry.side)
    wrong(
      ['side'],
      `contradicts what the policy is: ${sides === 'both' ? 'it ' : ''}${semantics.because}`,
      sides === 'both' ? undefined : sides,
    );
  if (findings.length > 0) return findings;
  return {
    name: entry.name,
    kind: entry.kind,
    to: at.to,
    from: at.from,
    side: entry.side,
    after: entry.after,
    beside: entry.beside,
    unordered: entry.unordered,
    semantics,
    cost: costsOf(entry.cost),
    document,
    filters: entry.filters,
    place: at.place,
  };
}

/** A document of `outrigger policy`: it holds for the services that it selects, at their usual end of a call. */
export function plannedDocument(policy: Policy, services: readonly number[]): PlannedPolicy {
  const semantics = semanticsOf(policy.kind, policy, false);
  const isOfSenders = semantics.home === 'sender';
  return {
    name: policy.metadata.name,
    kind: policy.kind.kind,
    to: isOfSenders ? undefined : services,
    from: isOfSenders ? services : undefined,
    side: undefined,
    after: [],
    beside: [],
    unordered: false,
    semantics,
    cost: {},
    document: policy,
    filters: undefined,
    place: `${policy.file}:${policy.line}`,
  };
}

function documentOf(kind: PolicyKind, entry: PolicyEntry, at: Place, findings: Finding[]): Policy | undefined {
  if (entry.spec === undefined) return undefined;
  const result = runSchema(kind.spec, entry.spec, {});
  for (const issue of result.issues ?? []) {
    const finding = findingOf(issue);
    findings.push({ ...finding, path: ['spec', ...finding.path] });
  }
  if (result.issues !== undefined) return undefined;
  const [, line = '1'] = /:(\d+)$/.exec(at.place) ?? [];
  const position = { line: Number(line), column: 1 };
  return {
    kind,
    metadata: { name: entry.name, namespace: 'default' },
    selector: undefined,
    spec: result.value,
    file: at.file,
    line: position.line,
    locate: () => position,
  };
}

function customSemantics({ semantics, shared }: PolicyEntry): PlanningSemantics {
  const { sides = 'either', state = 'none', home = 'receiver', payload = false } = semantics ?? {};
  const words = { either: '', both: 'has a part at each end', sender: 'is', receiver: 'is' }[sides];
  return {
    sides,
    because: words === 'is' ? `it says that it is for the ${sides}'s side only` : words,
    state: state === 'process' && shared ? 'mesh' : state,
    home: sides === 'sender' || sides === 'receiver' ? sides : home,
    payload,
    protects: semantics?.protects ?? 'security',
    stage: semantics?.stage ?? 'other',
    needsClaims: false,
    isAllow: false,
  };
}

function costsOf(cost: PolicyEntry['cost']): PlannedPolicy['cost'] {
  return {
    ...(cost?.sender === undefined ? {} : { sender: costOf(cost.sender) }),
    ...(cost?.receiver === undefined ? {} : { receiver: costOf(cost.receiver) }),
  };
}

/** What takes the processor takes at least as long. */
function costOf({ cpu_us, latency_us }: CostEntry): RequestCost {
  return { cpuMicros: cpu_us, latencyMicros: latency_us ?? cpu_us };
}
