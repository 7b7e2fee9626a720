import type { PlannedPolicy } from './planned-policy.ts';

/** What a call graph says: who calls whom how often, and which policies hold. */
export interface CallGraph {
  readonly services: readonly Service[];
  readonly calls: readonly Call[];
  readonly policies: readonly PlannedPolicy[];
  readonly nodes: readonly Node[];
  readonly cluster: Cluster;
}

export interface Service {
  readonly name: string;
  /** Outside of the cluster: it gets no sidecar, and nothing here decides who it is. */
  readonly external: boolean;
  /** Whether a sidecar may be put beside it; false for what is managed elsewhere. */
  readonly takesSidecar: boolean;
  readonly replicas: number;
  /** Names of nodes over which its replicas are spread evenly. */
  readonly nodes: readonly string[];
  /** What one replica's sidecar may use; Infinity unless given. */
  readonly sidecarCpuCores: number;
  readonly sidecarMemoryMiB: number;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Where its app listens, `host:port`; needed for sidecar files alone. */
  readonly app: string | undefined;
  /** Where its sidecar listens for callers. */
  readonly listen: string | undefined;
  /** Addresses that its connections come from, by which a receiver tells callers apart. */
  readonly source: readonly string[];
}

/** Calls of one service by another; indices of services. */
export interface Call {
  readonly from: number;
  readonly to: number;
  /** Requests per second, of all replicas together. */
  readonly rate: number;
  /** Mean size of the bodies of request and response together, KiB. */
  readonly bodyKiB: number;
  /** Where the caller's sidecar listens for its own app's calls to this service. */
  readonly via: string | undefined;
}

/** A machine with what is left on it for sidecars. */
export interface Node {
  readonly name: string;
  readonly cpuCores: number;
  readonly memoryMiB: number;
}

export interface Cluster {
  /** Whether the cluster's network enforces Kubernetes NetworkPolicy: only then can one close a receiver. */
  readonly networkPolicies: 'enforced' | 'absent';
  /** `none`: somebody vouches that nobody calls a service who is not in the graph. */
  readonly undeclaredCallers: 'possible' | 'none';
}

/** Calls into each service, as indices of calls. */
export function callsInto({ services, calls }: Pick<CallGraph, 'services' | 'calls'>): number[][] {
  const into: number[][] = services.map(() => []);
  for (const [index, { to }] of calls.entries()) into[to]!.push(index);
  return into;
}
