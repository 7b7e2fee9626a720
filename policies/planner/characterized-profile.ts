import { toYaml } from '../../src/config/expand.ts';
import { predict } from '../../src/lab/characterize/additive-model.ts';
import type { Characterization, LevelFigures } from '../../src/lab/characterize/characterization.ts';
import { type Combined, characterOf, combine, configurationOf, cpuOf } from '../../src/lab/characterize/rounds.ts';
import type { CostProfile } from './cost-profile.ts';
import { SIDECAR_MEMORY_MIB } from './memory.ts';
import type { RequestCost } from './planned-policy.ts';

/**
 * The configurations of a characterization that do what a kind does, the best first. `ratelimit` is none of RateLimit:
 * a bucket in the proxy's own memory, where the kind asks a service. Nor is RBAC before bytes, asked by the read.
 */
const MEASURED_BY: Readonly<Record<string, readonly string[]>> = {
  RequestAuthentication: ['jwt'],
  Sidecar: ['http_rbac', 'authz'],
  AuthorizationPolicy: ['authz', 'http_rbac'],
  RateLimit: ['ratelimit_global'],
  Tracing: ['tracing'],
  AccessLog: ['access_log', 'logging'],
  PeerAuthentication: ['tls_http'],
  RetryPolicy: ['retry'],
  CircuitBreaker: ['circuit_breaking'],
};

/** A request's way through a proxy without filters. */
const PASS = 'http';

/** Latency is compared at this level: queues are short, and what a request waits for itself shows. */
const LATENCY_LEVEL = 0.2;

/**
 * What a peer's sidecars cost, from a characterization: each kind's configuration less its base, round by round. Kinds
 * that nothing measures are left out, and `notes` says so.
 *
 * @throws Error when not even a request without filters was measured
 */
export function costProfileOf(c: Characterization, peer = 'outrigger'): CostProfile {
  const whole = cpuOf(c, PASS, peer);
  if (whole.why !== undefined) throw new Error(`no cost profile: ${whole.why}`);
  const pass = round(combine([whole.value], ([micros]) => micros!)!.median);
  const notes = [`pass: ${pass} µs of CPU (configuration ${PASS})`];
  const policies: Record<string, { receiver: RequestCost }> = {};
  for (const [kind, names] of Object.entries(MEASURED_BY)) {
    const cost = kindCost(c, peer, kind, names, notes);
    if (cost !== undefined) policies[kind] = { receiver: cost };
  }
  return {
    source: `characterization of ${peer}, ${c.startedAt.slice(0, 10)}, ${c.machine.cpu}: ${c.command}`,
    pass: { cpuMicros: pass, latencyMicros: pass },
    memoryMiB: SIDECAR_MEMORY_MIB,
    memoryPerPolicyMiB: 0,
    payloadCpuMicrosPerKiB: 0,
    policies,
    notes: [...notes, `memory: ${SIDECAR_MEMORY_MIB} MiB per sidecar (docs/benchmark.md, scenario memory, idle)`],
  };
}

function kindCost(
  c: Characterization,
  peer: string,
  kind: string,
  names: readonly string[],
  notes: string[],
): RequestCost | undefined {
  const name = names.find((one) => configurationOf(c, one) !== undefined);
  if (name === undefined) {
    notes.push(`${kind}: not measured`);
    return undefined;
  }
  const { predictedFilter, base, why } = predict(c, peer, [name]);
  if (predictedFilter === undefined || base !== PASS) {
    notes.push(`${kind}: not measured: ${why ?? `${name} is compared with ${base}`}`);
    return undefined;
  }
  // Noise can make a cheap filter cheaper than none: it costs nothing then.
  const cpuMicros = round(Math.max(0, predictedFilter.median));
  const { min, max } = predictedFilter;
  const latency = latencyOf(c, peer, name, base);
  // Medians of latencies jump by more than most filters take: only what every round shows beyond the CPU time counts.
  const waits = latency !== undefined && latency.min > cpuMicros;
  const waiting = waits ? `, latency ${round(latency.median)} µs at ${100 * LATENCY_LEVEL} % load` : '';
  const range = `rounds ${round(min)} to ${round(max)}`;
  notes.push(`${kind}: ${cpuMicros} µs of CPU (configuration ${name} − ${base}, ${range})${waiting}`);
  return { cpuMicros, latencyMicros: waits ? round(latency.median) : cpuMicros };
}

/** By how much the median latency is longer than that of the base. */
function latencyOf(c: Characterization, peer: string, name: string, base: string): Combined | undefined {
  const [own, beside] = [name, base].map((one) => levelOf(c, one, peer));
  return own && beside && combine([own.p50, beside.p50], ([a, b]) => a! - b!);
}

function levelOf(c: Characterization, name: string, peer: string): LevelFigures | undefined {
  const row = characterOf(c, name, peer);
  return row.why === undefined ? row.value.levels.find(({ level }) => level === LATENCY_LEVEL) : undefined;
}

function round(micros: number): number {
  return Number(micros.toFixed(2));
}

/** As `outrigger plan --costs` reads it (cost-profile.ts). */
export function costProfileYaml({ source, pass, memoryMiB, policies, notes, ...more }: CostProfile): string {
  const side = ({ cpuMicros, latencyMicros }: RequestCost) => ({
    cpu_us: cpuMicros,
    ...(latencyMicros === cpuMicros ? {} : { latency_us: latencyMicros }),
  });
  const entries = Object.entries(policies).map(([kind, { sender, receiver }]) => [
    kind,
    { ...(sender && { sender: side(sender) }), ...(receiver && { receiver: side(receiver) }) },
  ]);
  const data = {
    source,
    pass: side(pass),
    memory_mib: memoryMiB,
    ...(more.memoryPerPolicyMiB === 0 ? {} : { memory_per_policy_mib: more.memoryPerPolicyMiB }),
    ...(more.payloadCpuMicrosPerKiB === 0 ? {} : { payload_cpu_us_per_kib: more.payloadCpuMicrosPerKiB }),
    policies: Object.fromEntries(entries),
    notes,
  };
  return toYaml(data);
}
