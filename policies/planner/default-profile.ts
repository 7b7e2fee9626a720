import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { costOf } from '../../bench/report/figures.ts';
import type { Characterization } from '../../src/lab/characterize/characterization.ts';
import { checkCharacterization, parseReportInput } from '../../src/lab/report/read-characterization.ts';
import { packageInfo } from '../../src/package-info.ts';
import { costProfileOf } from './characterized-profile.ts';
import type { CostProfile } from './cost-profile.ts';
import { SIDECAR_MEMORY_MIB } from './memory.ts';
import type { RequestCost } from './planned-policy.ts';

/** What each kind becomes, by the benchmark's names (`policy explain` uses the same). */
const PARTS: Readonly<Record<string, { readonly receiver: string; readonly sender: string }>> = {
  RequestAuthentication: both('envoy.filters.http.jwt_authn'),
  Sidecar: both('envoy.filters.http.rbac'),
  AuthorizationPolicy: both('envoy.filters.http.rbac'),
  RateLimit: both('envoy.filters.http.ratelimit'),
  Tracing: both('tracing'),
  AccessLog: both('access log'),
  PeerAuthentication: both('TLS, receiver'),
  RetryPolicy: both('retries'),
  CircuitBreaker: both('circuit breakers'),
};

function both(part: string): { receiver: string; sender: string } {
  return { receiver: part, sender: part };
}

/** The published characterization, in a checkout and in an installed package alike; null where there is none. */
export function publishedCharacterization(root = packageInfo().root): Characterization | null {
  const file = join(root, 'docs', 'characterization.json');
  return existsSync(file) ? checkCharacterization(file, parseReportInput(file, readFileSync(file, 'utf8')).data) : null;
}

let own: Characterization | null | undefined;

/** Read once: it does not change while a process runs. */
function ownCharacterization(): Characterization | null {
  if (own === undefined) own = publishedCharacterization();
  return own;
}

/**
 * The profile measured on this project: CPU per request from the published characterization, and where that lacks a kind
 * from the newest published runs of the benchmark. What neither tells of latency is the processor's time: what a request
 * is delayed by at least, without queues.
 */
export function defaultProfile(published: Characterization | null = ownCharacterization()): CostProfile {
  const benchmark = benchmarkProfile();
  if (published === null) return benchmark;
  const measured = costProfileOf(published);
  // Each cost is a difference within one run: those of two may stand beside each other, as their wholes may not.
  const lacking = benchmark.notes.filter((note) => {
    const [kind = ''] = note.split(':');
    return benchmark.policies[kind] !== undefined && measured.policies[kind] === undefined;
  });
  return {
    ...measured,
    source: `docs/characterization.json: ${measured.source}; kinds that it lacks are from ${benchmark.source}`,
    policies: { ...benchmark.policies, ...measured.policies },
    notes: [...measured.notes.filter((note) => !/: not measured/.test(note)), ...lacking],
  };
}

function benchmarkProfile(): CostProfile {
  const router = costOf('envoy.filters.http.router');
  const pass = router.whole?.outrigger ?? 0;
  const notes = [`pass: ${pass} µs of CPU (scenario ${router.scenario}, ${router.run?.date})`];
  const policies: Record<string, { receiver: RequestCost; sender: RequestCost }> = {};
  for (const [kind, { receiver, sender }] of Object.entries(PARTS)) {
    policies[kind] = { receiver: measured(kind, receiver, notes), sender: measured(kind, sender, undefined) };
  }
  return {
    source: 'docs/benchmark.json: CPU of the proxy’s process at saturation, less the plain router in the same run',
    pass: { cpuMicros: pass, latencyMicros: pass },
    memoryMiB: SIDECAR_MEMORY_MIB,
    memoryPerPolicyMiB: 0,
    payloadCpuMicrosPerKiB: 0,
    policies,
    notes: [...notes, `memory: ${SIDECAR_MEMORY_MIB} MiB per sidecar (docs/benchmark.md, scenario memory, idle)`],
  };
}

/** Noise can make a cheap filter cheaper than none: it costs nothing then. */
function measured(kind: string, part: string, notes: string[] | undefined): RequestCost {
  const { whole, base, scenario, run, command } = costOf(part);
  if (whole === undefined || base === undefined) {
    notes?.push(
      `${kind}: not measured, counted as nothing${command === undefined ? '' : `; measure it with ${command}`}`,
    );
    return { cpuMicros: 0, latencyMicros: 0 };
  }
  const micros = Math.max(0, Number((whole.outrigger - base.outrigger).toFixed(2)));
  notes?.push(`${kind}: ${micros} µs of CPU (scenario ${scenario}, ${run?.date})`);
  return { cpuMicros: micros, latencyMicros: micros };
}
