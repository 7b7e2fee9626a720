import type { HealthCheck } from '../../config/schema/health-check.ts';
import type { Logger } from '../../filter/env.ts';
import type { Cluster } from '../cluster.ts';
import type { Endpoint } from '../endpoint.ts';
import { HEALTH_FLAG } from '../health-flags.ts';
import type { Random } from '../random.ts';
import { CheckIntervals, type Transition } from './check-intervals.ts';
import { HealthCheckStats } from './health-check-stats.ts';
import { type HealthEvent, HealthEventLog } from './health-event-log.ts';
import { HealthSession } from './health-session.ts';
import type { Probe, ProbeEvents } from './probe.ts';
import type { ProbeContext } from './probe-context.ts';
import { probeTarget } from './probe-target.ts';

/** Makes the probe of one endpoint. */
type CreateProbe = (endpoint: Endpoint, events: ProbeEvents) => Probe;

/** What the checks of a cluster get from around them. */
export interface ClusterHealthEnv {
  readonly stats: HealthCheckStats;
  readonly createProbe: CreateProbe;
  readonly random: Random;
  readonly log: Logger;
  /** `TRAFFIC_BYTES` that the threads share, for whether the cluster ever had traffic. */
  readonly traffic: Int32Array;
}

export const TRAFFIC_BYTES = 4;

/** Active health checks of a cluster's endpoints. */
export class ClusterHealth {
  readonly config: HealthCheck;
  readonly intervals: CheckIntervals;
  readonly stats: HealthCheckStats;
  readonly createProbe: CreateProbe;
  private readonly cluster: Cluster;
  private readonly eventLog: HealthEventLog | undefined;
  private readonly sessions = new Map<Endpoint, HealthSession>();
  /** Healthy endpoints that the gauge has of this cluster. */
  private counted = 0;
  private onFirstRound: (() => void)[] = [];
  /** 1 once some thread had traffic: it stays, also when counters are reset. */
  private readonly traffic: Int32Array;

  constructor(cluster: Cluster, config: HealthCheck, env: ClusterHealthEnv) {
    this.cluster = cluster;
    this.config = config;
    this.stats = env.stats;
    this.createProbe = env.createProbe;
    this.traffic = env.traffic;
    this.intervals = new CheckIntervals(config, env.random);
    const path = config.event_log_path;
    this.eventLog = path === '' ? undefined : new HealthEventLog(path, checkerType(config), cluster.name, env.log);
  }

  /** Loads what the configured kind of check needs. */
  static async create(
    cluster: Cluster,
    config: HealthCheck,
    env: Omit<ClusterHealthEnv, 'stats' | 'createProbe'>,
  ): Promise<ClusterHealth> {
    const stats = new HealthCheckStats(cluster.stats.scope);
    const createProbe = await loadProbes(cluster, config, stats);
    return new ClusterHealth(cluster, config, { ...env, stats, createProbe });
  }

  /** An endpoint is to join the cluster: until its first check it counts as unhealthy, or not at all. */
  admit(endpoint: Endpoint): void {
    // Another thread may have checked it already.
    if (endpoint.healthCheck?.disabled === true || endpoint.wasChecked) return;
    const notYet = this.cluster.config.common_lb_config.ignore_new_hosts_until_first_hc;
    endpoint.markHealth(HEALTH_FLAG.FAILED_ACTIVE_HC | (notYet ? HEALTH_FLAG.PENDING_ACTIVE_HC : 0), 0);
  }

  /** Whether an endpoint that DNS knows no more stays: its own checks are believed more than DNS. */
  keeps(endpoint: Endpoint): boolean {
    if (this.cluster.config.ignore_health_on_host_removal || !this.sessions.has(endpoint)) return false;
    return (endpoint.healthFlags & HEALTH_FLAG.FAILED_ACTIVE_HC) === 0;
  }

  /** The cluster's endpoints have changed. */
  follow(joined: readonly Endpoint[], left: readonly Endpoint[]): void {
    for (const endpoint of left) {
      this.sessions.get(endpoint)?.stop();
      this.sessions.delete(endpoint);
    }
    const fresh = joined
      .filter((endpoint) => endpoint.healthCheck?.disabled !== true)
      .map((endpoint) => new HealthSession(this, endpoint));
    for (const session of fresh) this.sessions.set(session.endpoint, session);
    for (const session of fresh) session.start();
    this.recount();
    this.settleFirstRound();
  }

  /** Fulfils once every endpoint that is there was checked. */
  firstRound(): Promise<void> {
    return new Promise((resolve) => {
      this.onFirstRound.push(resolve);
      this.settleFirstRound();
    });
  }

  settleFirstRound(): void {
    if (this.onFirstRound.length === 0) return;
    for (const session of this.sessions.values()) if (session.isFirst) return;
    for (const resolve of this.onFirstRound.splice(0)) resolve();
  }

  stop(): void {
    for (const session of this.sessions.values()) session.stop();
    this.sessions.clear();
    this.recount();
    this.settleFirstRound();
    this.eventLog?.close();
  }

  // ── from the sessions ──

  onChecked(endpoint: Endpoint, transition: Transition): void {
    if (endpoint.publishChecks()) this.cluster.slots?.announce();
    if (transition === 'changed') {
      this.recount();
      this.cluster.onHealthChanged();
    }
    this.settleFirstRound();
  }

  /** A check of the endpoint has passed, which may end its ejection. */
  onPassed(endpoint: Endpoint): void {
    this.cluster.outliers?.onCheckPassed(endpoint);
  }

  /** Makes this thread the one that checks the endpoint; false when another one does. */
  becomeChecker(endpoint: Endpoint): boolean {
    const { slots } = this.cluster;
    return slots === undefined || endpoint.slot === undefined || slots.becomeChecker(endpoint.slot);
  }

  leaveChecks(endpoint: Endpoint): void {
    if (endpoint.slot !== undefined) this.cluster.slots?.leaveChecks(endpoint.slot);
  }

  /** Takes over what the threads that check have found out. */
  adoptShared(): void {
    this.cluster.adoptShared();
  }

  /** Endpoints whose checks pass, whichever thread makes them. */
  recount(): void {
    let healthy = 0;
    for (const { healthFlags } of this.sessions.keys())
      if ((healthFlags & HEALTH_FLAG.FAILED_ACTIVE_HC) === 0) healthy++;
    // The cluster that takes this one's place counts in the same gauge.
    this.stats.healthy.value += healthy - this.counted;
    this.counted = healthy;
  }

  hadTraffic(): boolean {
    if (this.cluster.stats.upstreamCxTotal.value > 0) Atomics.store(this.traffic, 0, 1);
    return Atomics.load(this.traffic, 0) === 1;
  }

  log(endpoint: Endpoint, event: HealthEvent): void {
    this.eventLog?.write(endpoint, event);
  }
}

function checkerType(config: HealthCheck): 'HTTP' | 'TCP' | 'GRPC' {
  if (config.http_health_check !== undefined) return 'HTTP';
  return config.tcp_health_check === undefined ? 'GRPC' : 'TCP';
}

async function loadProbes(cluster: Cluster, config: HealthCheck, stats: HealthCheckStats): Promise<CreateProbe> {
  const { http_health_check: http, tcp_health_check: tcp, grpc_health_check: grpc } = config;
  const target = probeTarget(cluster, config);
  if (tcp !== undefined) {
    const { tcpProbes } = await import('./tcp-probe.ts');
    return tcpProbes(tcp, target, config.reuse_connection);
  }
  const isHttp2 = grpc !== undefined || http?.codec_client_type === 'HTTP2';
  const { openClient } = await (isHttp2 ? import('./http2-probe-client.ts') : import('./http1-probe-client.ts'));
  const common = { cluster, target, stats, timeoutMs: config.timeout, reuseConnection: config.reuse_connection };
  const context: ProbeContext = { ...common, openClient };
  if (grpc !== undefined) return (await import('./grpc-probe.ts')).grpcProbes(grpc, context);
  if (http !== undefined) return (await import('./http-probe.ts')).httpProbes(http, context);
  throw new Error(`cluster ${cluster.name}: a health check without a kind`);
}
