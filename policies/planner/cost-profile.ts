import { parseSource } from '../../src/config/document.ts';
import { ConfigError } from '../../src/config/errors.ts';
import { problemsOf, readText } from '../../src/config/load.ts';
import { check, list, mapOf, message, optional, Problem, string } from '../../src/config/schema/building-blocks.ts';
import { describe, runSchema } from '../../src/config/schema/schema.ts';
import { isRecord } from '../../src/config/sidecar/units.ts';
import { nearest } from '../../src/config/suggest.ts';
import { findingOf } from '../../src/config/validate.ts';
import { refuseOtherKind } from '../input-kind.ts';
import type { Side } from '../policy.ts';
import { CostEntry, GRAPH_KINDS, quantity } from './call-graph-schema.ts';
import type { PlannedPolicy, RequestCost } from './planned-policy.ts';

/** What sidecars cost: once per request that passes one, per policy and side, and in memory. */
export interface CostProfile {
  /** Where the figures come from, one sentence. */
  readonly source: string;
  /** A request's way through a sidecar without any policy. */
  readonly pass: RequestCost;
  /** Resident memory of one sidecar, MiB, and what each policy adds. */
  readonly memoryMiB: number;
  readonly memoryPerPolicyMiB: number;
  /** Of a policy that reads or keeps bodies, per KiB. */
  readonly payloadCpuMicrosPerKiB: number;
  readonly policies: Readonly<Record<string, { readonly [side in Side]?: RequestCost }>>;
  /** Where each kind's figures come from, or that there are none. */
  readonly notes: readonly string[];
}

/** Shown on a terminal. */
const LINE = { pattern: /^\P{Cc}*$/u, allowed: 'one line of text without control characters' };

const ProfileFile = message(
  {
    source: string({ ...LINE, minLength: 1 }),
    pass: CostEntry,
    memory_mib: quantity(),
    memory_per_policy_mib: optional(quantity(), 0),
    payload_cpu_us_per_kib: optional(quantity(), 0),
    policies: mapOf(message({ sender: optional(CostEntry), receiver: optional(CostEntry) })),
    notes: optional(list(string(LINE)), []),
  },
  check(({ policies }) => {
    const unknown = Object.keys(policies).find((kind) => !GRAPH_KINDS.includes(kind));
    if (unknown === undefined) return undefined;
    const suggestion = nearest(unknown, GRAPH_KINDS);
    return new Problem(`there is no kind "${unknown}"`, { path: ['policies', unknown], suggestion });
  }),
);

/** A cost profile as `outrigger plan --costs` reads it. @throws ConfigError */
export function readCostProfile(file: string): CostProfile {
  return parseCostProfile(file, readText(file));
}

/** Likewise of text at hand. @throws ConfigError */
export function parseCostProfile(file: string, text: string): CostProfile {
  const source = parseSource(text);
  if (Array.isArray(source)) throw new ConfigError(file, source);
  if (!isRecord(source.data)) {
    const message = `expected a cost profile, got ${describe(source.data)}`;
    throw new ConfigError(file, [
      { line: 1, column: 1, path: '', message, allowed: 'source, pass, memory_mib, policies' },
    ]);
  }
  refuseOtherKind(file, source.data, 'costProfile');
  const result = runSchema(ProfileFile, source.data, {});
  if (result.issues !== undefined)
    throw new ConfigError(
      file,
      problemsOf(result.issues.map(findingOf), source, (path) => path),
    );
  const data = result.value as {
    source: string;
    pass: CostEntry;
    memory_mib: number;
    memory_per_policy_mib: number;
    payload_cpu_us_per_kib: number;
    policies: Record<string, { sender?: CostEntry; receiver?: CostEntry }>;
    notes: string[];
  };
  return {
    source: `${data.source} (${file})`,
    pass: requestCost(data.pass),
    memoryMiB: data.memory_mib,
    memoryPerPolicyMiB: data.memory_per_policy_mib,
    payloadCpuMicrosPerKiB: data.payload_cpu_us_per_kib,
    policies: Object.fromEntries(
      Object.entries(data.policies).map(([kind, { sender, receiver }]) => [
        kind,
        {
          ...(sender === undefined ? {} : { sender: requestCost(sender) }),
          ...(receiver === undefined ? {} : { receiver: requestCost(receiver) }),
        },
      ]),
    ),
    notes: data.notes,
  };
}

/** The time that the processor works on a request is a part of its latency. */
function requestCost({ cpu_us, latency_us }: CostEntry): RequestCost {
  return { cpuMicros: cpu_us, latencyMicros: latency_us ?? cpu_us };
}

const NOTHING: RequestCost = { cpuMicros: 0, latencyMicros: 0 };

/** What one request costs at a side for this policy: its own figures, its kind's, those of the other side, or nothing. */
export function costOfPolicy(profile: CostProfile, policy: PlannedPolicy, side: Side, bodyKiB: number): RequestCost {
  const other: Side = side === 'sender' ? 'receiver' : 'sender';
  const kind = profile.policies[policy.kind];
  const cost = policy.cost[side] ?? policy.cost[other] ?? kind?.[side] ?? kind?.[other] ?? NOTHING;
  if (!policy.semantics.payload || bodyKiB === 0) return cost;
  const more = bodyKiB * profile.payloadCpuMicrosPerKiB;
  return { cpuMicros: cost.cpuMicros + more, latencyMicros: cost.latencyMicros + more };
}
