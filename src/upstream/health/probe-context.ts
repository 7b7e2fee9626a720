import type { Cluster } from '../cluster.ts';
import type { ConnectTarget } from '../connect.ts';
import type { OpenClient } from './exchange-probe.ts';
import type { HealthCheckStats } from './health-check-stats.ts';

/** What the probes of a cluster have in common. */
export interface ProbeContext {
  readonly cluster: Cluster;
  readonly target: ConnectTarget;
  readonly stats: HealthCheckStats;
  readonly timeoutMs: number;
  readonly reuseConnection: boolean;
  /** Of the protocol that checks are made in. */
  readonly openClient: OpenClient;
}
