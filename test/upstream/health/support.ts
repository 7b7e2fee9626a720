import type { Endpoint } from '../../../src/upstream/endpoint.ts';
import { ClusterHealth } from '../../../src/upstream/health/cluster-health.ts';
import type { HealthCheckStats } from '../../../src/upstream/health/health-check-stats.ts';
import { HealthCheckStats as Stats } from '../../../src/upstream/health/health-check-stats.ts';
import type { Probe, ProbeEvents } from '../../../src/upstream/health/probe.ts';
import { CounterRandom } from '../../../src/upstream/random.ts';
import { clusterConfig, type lbEndpoint, makeCluster, RecordingLogger, TableResolver } from '../support.ts';

/** A probe whose outcomes the test decides. */
export class ScriptedProbe implements Probe {
  readonly endpoint: Endpoint;
  readonly events: ProbeEvents;
  begun = 0;
  expired = 0;
  closed = false;

  constructor(endpoint: Endpoint, events: ProbeEvents) {
    this.endpoint = endpoint;
    this.events = events;
  }

  begin(): void {
    this.begun++;
  }
  expire(): void {
    this.expired++;
  }
  close(): void {
    this.closed = true;
  }
}

export const CHECK = {
  timeout: '1s',
  interval: '10s',
  no_traffic_interval: '20s',
  unhealthy_threshold: 2,
  healthy_threshold: 3,
  tcp_health_check: {},
};

/** A cluster whose endpoints are checked by scripted probes. */
export function checkedCluster(
  check: Record<string, unknown> = {},
  fields: Record<string, unknown> = {},
  endpoints: readonly (string | ReturnType<typeof lbEndpoint>)[] = ['10.0.0.1:80'],
) {
  const config = clusterConfig({ health_checks: [{ ...CHECK, ...check }], ...fields }, endpoints);
  const resolver = new TableResolver();
  const { cluster, store } = makeCluster(config, resolver);
  const probes: ScriptedProbe[] = [];
  const stats: HealthCheckStats = new Stats(cluster.stats.scope);
  const createProbe = (endpoint: Endpoint, events: ProbeEvents): Probe => {
    const probe = new ScriptedProbe(endpoint, events);
    probes.push(probe);
    return probe;
  };
  const [healthCheck] = config.health_checks;
  if (healthCheck === undefined) throw new Error('no health check');
  cluster.health = new ClusterHealth(cluster, healthCheck, {
    stats,
    createProbe,
    random: new CounterRandom(1),
    log: new RecordingLogger(),
    traffic: new Int32Array(1),
  });
  return { cluster, probes, stats, store, resolver };
}
