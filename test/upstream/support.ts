import * as v from 'valibot';
import { type Cluster as ClusterConfig, Cluster as ClusterSchema } from '../../src/config/schema/cluster.ts';
import type { Logger } from '../../src/filter/env.ts';
import { StatsStore } from '../../src/observe/stats.ts';
import { Cluster, type ClusterEnv } from '../../src/upstream/cluster.ts';
import type { DnsAnswer, DnsResolver } from '../../src/upstream/dns.ts';
import { LIMIT_BYTES } from '../../src/upstream/limits.ts';
import { CounterRandom } from '../../src/upstream/random.ts';

/** An endpoint as the load assignment lists it, from `host:port` or `/path`. */
export function lbEndpoint(target: string, more: Record<string, unknown> = {}, hostname = '') {
  const [, address = '', port = ''] = /^(.*):(\d+)$/.exec(target) ?? [];
  return {
    endpoint: {
      address: /^[/@]/.test(target) ? { pipe: { path: target } } : { socket_address: { address, port_value: +port } },
      hostname,
    },
    ...more,
  };
}

/** A validated cluster configuration with one locality of the given endpoints. */
export function clusterConfig(
  fields: Record<string, unknown>,
  endpoints: readonly (string | ReturnType<typeof lbEndpoint>)[] = [],
): ClusterConfig {
  const lb_endpoints = endpoints.map((endpoint) => (typeof endpoint === 'string' ? lbEndpoint(endpoint) : endpoint));
  return v.parse(ClusterSchema, {
    name: 'web',
    load_assignment: { cluster_name: 'web', endpoints: [{ lb_endpoints }] },
    ...fields,
  });
}

/** A resolver that answers from a table: addresses, a whole answer, or an error; a name that it lacks has no address. */
export class TableResolver implements DnsResolver {
  readonly table = new Map<string, readonly string[] | DnsAnswer | Error>();
  readonly asked: string[] = [];
  cancelled = false;

  async resolve(name: string, family: string): Promise<DnsAnswer> {
    this.asked.push(`${name} ${family}`);
    const entry = this.table.get(name) ?? [];
    if (entry instanceof Error) throw entry;
    return 'addresses' in entry ? entry : { addresses: entry, ttlMs: undefined };
  }

  cancel(): void {
    this.cancelled = true;
  }
}

export class RecordingLogger implements Logger {
  readonly warnings: string[] = [];
  debug(): void {}
  info(): void {}
  warn(message: string): void {
    this.warnings.push(message);
  }
  error(): void {}
}

export function makeCluster(config: ClusterConfig, resolver: DnsResolver = new TableResolver()) {
  const store = new StatsStore();
  const log = new RecordingLogger();
  const env: ClusterEnv = {
    stats: store,
    log,
    resolver,
    random: new CounterRandom(1),
    limitCells: new Int32Array(LIMIT_BYTES / 4),
  };
  return { cluster: new Cluster(config, env), store, log };
}

export function addressesOf(cluster: Cluster): string[] {
  return cluster.endpoints.map((endpoint) => endpoint.address);
}
