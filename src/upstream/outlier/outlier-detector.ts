import type { OutlierDetection } from '../../config/schema/outlier-detection.ts';
import type { Cluster } from '../cluster.ts';
import type { Endpoint } from '../endpoint.ts';
import { CELL, type EndpointSlots, HEAD, processClockMs } from '../endpoint-slots.ts';
import { HEALTH_FLAG } from '../health-flags.ts';
import { fraction, type Random } from '../random.ts';
import { ejectionMs, longestEjectionMs } from './ejection-time.ts';
import type { OutlierEventLog } from './outlier-event-log.ts';
import { type MonitorOwner, type Origin, OutlierMonitor } from './outlier-monitor.ts';
import { type EjectionCause, OutlierStats } from './outlier-stats.ts';
import { NO_RATES, type RateLimits, rateLimits } from './success-rate.ts';

const { FAILED_OUTLIER_CHECK, FAILED_ACTIVE_HC } = HEALTH_FLAG;

/** What the detector gets from around it. */
export interface OutlierEnv {
  readonly slots: EndpointSlots;
  readonly random: Random;
  readonly eventLog?: OutlierEventLog | undefined;
  /** Now, in milliseconds as an Int32 that wraps around, the same in all threads. */
  readonly clockMs?: () => number;
}

/** An endpoint with enough requests to be compared. */
interface Compared {
  readonly monitor: OutlierMonitor;
  /** Percent. */
  readonly rate: number;
}

/** The percents that a cluster's outliers were found by, −1 where none could be. */
export interface OutlierRates {
  readonly external: RateLimits;
  readonly local: RateLimits;
}

/**
 * Finds out which endpoints of a cluster do worse than they should, takes them out for a while and lets them come back
 * (intro/arch_overview/upstream/outlier). Counts and ejections are those of the process: whichever thread sees the last
 * failure ejects, and one of them looks at success rates in each interval.
 */
export class OutlierDetector implements MonitorOwner {
  readonly config: OutlierDetection;
  private readonly cluster: Cluster;
  private readonly env: OutlierEnv;
  private readonly clockMs: () => number;
  private readonly stats: OutlierStats;
  private readonly monitors = new Map<Endpoint, OutlierMonitor>();
  private readonly timer: NodeJS.Timeout;
  /** Ejected endpoints that the gauge has of this cluster. */
  private counted = 0;

  constructor(cluster: Cluster, config: OutlierDetection, env: OutlierEnv) {
    this.cluster = cluster;
    this.config = config;
    this.env = env;
    this.clockMs = env.clockMs ?? processClockMs;
    this.stats = new OutlierStats(cluster.stats.scope);
    this.claimSweep();
    this.timer = setInterval(() => this.onInterval(), Math.min(config.interval, 0x7fff_ffff)).unref();
  }

  /** The cluster's endpoints have changed; those that joined have their slots. */
  follow(joined: readonly Endpoint[], left: readonly Endpoint[]): void {
    for (const endpoint of left) {
      endpoint.failureMonitor = undefined;
      this.monitors.delete(endpoint);
    }
    for (const endpoint of joined) {
      if (endpoint.slot === undefined) continue;
      const monitor = new OutlierMonitor(this, endpoint, endpoint.slot);
      this.monitors.set(endpoint, monitor);
      endpoint.failureMonitor = monitor;
    }
    this.publish();
  }

  stop(): void {
    clearInterval(this.timer);
    for (const endpoint of this.monitors.keys()) endpoint.failureMonitor = undefined;
    this.monitors.clear();
    this.publish();
    this.env.eventLog?.close();
  }

  /** Brings the gauge up to date: another thread may have ejected. */
  publish(): void {
    const ejected = this.countEjected();
    // The cluster that takes this one's place counts in the same gauge.
    this.stats.active.value += ejected - this.counted;
    this.counted = ejected;
  }

  /** Percent of the endpoint's requests that succeeded in the last interval; −1 when there were not enough. */
  successRate(endpoint: Endpoint, origin: Origin): number {
    return this.monitors.get(endpoint)?.successRate(origin) ?? -1;
  }

  get rates(): OutlierRates {
    const { doubles } = this.env.slots.head;
    const at = (index: number): number => (doubles[index / 2] ?? 0) - 1;
    return {
      external: { average: at(HEAD.AVERAGE), threshold: at(HEAD.THRESHOLD) },
      local: { average: at(HEAD.LOCAL_AVERAGE), threshold: at(HEAD.LOCAL_THRESHOLD) },
    };
  }

  // ── failures in a row ──

  onFailuresInRow(monitor: OutlierMonitor, cause: EjectionCause): void {
    if (!this.monitors.has(monitor.endpoint)) return;
    const changed = this.env.slots.locked(() => {
      if (isEjected(monitor.endpoint)) return false;
      this.stats.countDetected(cause);
      const ejected = this.eject(monitor, cause);
      monitor.forget(cause);
      return ejected;
    });
    if (changed) this.cluster.onHealthChanged();
  }

  /** Answers whether the endpoint is out now. Called with the lock. */
  private eject(monitor: OutlierMonitor, cause: EjectionCause): boolean {
    const { config, stats } = this;
    const { endpoint } = monitor;
    if (!this.mayEject()) {
      stats.overflow.inc();
      return false;
    }
    stats.countAllowed(cause);
    const enforced = fraction(this.env.random) * 100 < this.enforcing(cause);
    if (enforced) {
      stats.countEnforced(cause);
      endpoint.shareHealth(FAILED_OUTLIER_CHECK, 0);
      this.env.slots.announce();
      monitor.set(CELL.EJECTIONS, monitor.get(CELL.EJECTIONS) + 1);
      monitor.set(CELL.EJECTED_AT_MS, this.clockMs());
      monitor.set(CELL.JITTER_MS, Math.floor(fraction(this.env.random) * config.max_ejection_time_jitter));
      const backOff = monitor.get(CELL.BACK_OFF);
      // Grows no further once ejections last as long as they may, or coming back to normal would take as long.
      if (backOff * config.base_ejection_time < longestEjectionMs(config) + config.base_ejection_time)
        monitor.set(CELL.BACK_OFF, backOff + 1);
      this.publish();
    }
    this.env.eventLog?.logEjection(monitor, cause, enforced, this.rates);
    return enforced;
  }

  /** Whether one more may be out, of all endpoints whatever their priority. */
  private mayEject(): boolean {
    const { config, monitors } = this;
    const ejected = this.countEjected();
    if (config.always_eject_one_host && ejected === 0) return true;
    return (100 * (ejected + 1)) / monitors.size <= config.max_ejection_percent;
  }

  private countEjected(): number {
    let count = 0;
    for (const endpoint of this.monitors.keys()) if (isEjected(endpoint)) count++;
    return count;
  }

  private enforcing(cause: EjectionCause): number {
    const { config } = this;
    switch (cause) {
      case 'consecutive_5xx':
        return config.enforcing_consecutive_5xx;
      case 'consecutive_gateway_failure':
        return config.enforcing_consecutive_gateway_failure;
      case 'consecutive_local_origin_failure':
        return config.enforcing_consecutive_local_origin_failure;
      case 'success_rate':
        return config.enforcing_success_rate;
      case 'local_origin_success_rate':
        return config.enforcing_local_origin_success_rate;
      case 'failure_percentage':
        return config.enforcing_failure_percentage;
      case 'local_origin_failure_percentage':
        return config.enforcing_failure_percentage_local_origin;
    }
  }

  // ── each interval ──

  /** Looks at all endpoints, if no other thread has done so in this interval. */
  onInterval(): void {
    const changed = this.env.slots.locked(() => {
      if (!this.claimSweep()) return false;
      let any = false;
      for (const monitor of this.monitors.values()) {
        if (this.letComeBack(monitor)) any = true;
        monitor.setSuccessRate('external', -1);
        monitor.setSuccessRate('local', -1);
      }
      if (this.compare('external')) any = true;
      if (this.compare('local')) any = true;
      return any;
    });
    if (changed) this.cluster.onHealthChanged();
    this.publish();
  }

  /** True when it is time, and this thread's turn. The very first look comes an interval after the first detector began. */
  private claimSweep(): boolean {
    const { cells, shared } = this.env.slots.head;
    const nowMs = this.clockMs();
    const elapsedMs = (nowMs - (cells[HEAD.SWEPT_AT_MS] as number)) | 0;
    const wasSwept = cells[HEAD.WAS_SWEPT] === 1;
    // Timers of threads fire a little early or late.
    if (shared && wasSwept && elapsedMs < this.config.interval * 0.95) return false;
    cells[HEAD.SWEPT_AT_MS] = nowMs;
    cells[HEAD.WAS_SWEPT] = 1;
    return wasSwept;
  }

  private letComeBack(monitor: OutlierMonitor): boolean {
    if (!isEjected(monitor.endpoint)) {
      const backOff = monitor.get(CELL.BACK_OFF);
      if (backOff > 0) monitor.set(CELL.BACK_OFF, backOff - 1);
      return false;
    }
    const elapsedMs = (this.clockMs() - monitor.get(CELL.EJECTED_AT_MS)) | 0;
    if (ejectionMs(this.config, monitor.get(CELL.BACK_OFF)) + monitor.get(CELL.JITTER_MS) > elapsedMs) return false;
    this.uneject(monitor);
    return true;
  }

  private uneject(monitor: OutlierMonitor): void {
    monitor.endpoint.shareHealth(0, FAILED_OUTLIER_CHECK);
    this.env.slots.announce();
    monitor.set(CELL.UNEJECTED_AT_MS, this.clockMs());
    // Counts that stopped short of their limit would eject it again after very few failures.
    monitor.forget('consecutive_5xx');
    monitor.forget('consecutive_gateway_failure');
    monitor.forget('consecutive_local_origin_failure');
    this.env.eventLog?.logReturn(monitor);
  }

  /** An active check of the endpoint has passed. */
  onCheckPassed(endpoint: Endpoint): void {
    const monitor = this.monitors.get(endpoint);
    if (monitor === undefined || !this.config.successful_active_health_check_uneject_host) return;
    if (!isEjected(endpoint) || (endpoint.healthFlags & FAILED_ACTIVE_HC) !== 0) return;
    this.env.slots.locked(() => this.uneject(monitor));
    this.publish();
    this.cluster.onHealthChanged();
  }

  /** Ejects by success rate and by failure percentage. Answers whether any endpoint is out for it. */
  private compare(origin: Origin): boolean {
    const { config, monitors } = this;
    let limits = NO_RATES;
    let any = false;
    const byRate: Compared[] = [];
    const byPercentage: Compared[] = [];
    for (const monitor of monitors.values()) {
      const { total, successes } = monitor.takeCounts(origin);
      if (total === 0 || isEjected(monitor.endpoint) || !this.hasEnoughEndpoints()) continue;
      const rate = (100 * successes) / total;
      const { success_rate_request_volume: rateVolume, failure_percentage_request_volume: percentageVolume } = config;
      if (total >= Math.min(rateVolume, percentageVolume)) monitor.setSuccessRate(origin, rate);
      if (total >= rateVolume) byRate.push({ monitor, rate });
      if (total >= percentageVolume) byPercentage.push({ monitor, rate });
    }
    const causes = origin === 'external' ? EXTERNAL_CAUSES : LOCAL_CAUSES;
    if (byRate.length > 0 && byRate.length >= config.success_rate_minimum_hosts) {
      limits = rateLimits(
        byRate.map(({ rate }) => rate),
        config.success_rate_stdev_factor / 1000,
      );
      this.setRates(origin, limits);
      for (const { monitor, rate } of byRate) {
        if (rate < limits.threshold && this.detect(monitor, causes.rate)) any = true;
      }
    } else {
      this.setRates(origin, NO_RATES);
    }
    if (byPercentage.length > 0 && byPercentage.length >= config.failure_percentage_minimum_hosts) {
      for (const { monitor, rate } of byPercentage) {
        if (100 - rate >= config.failure_percentage_threshold && this.detect(monitor, causes.percentage)) any = true;
      }
    }
    return any;
  }

  private hasEnoughEndpoints(): boolean {
    const { success_rate_minimum_hosts: forRate, failure_percentage_minimum_hosts: forPercentage } = this.config;
    return this.monitors.size >= Math.min(forRate, forPercentage);
  }

  private detect(monitor: OutlierMonitor, cause: EjectionCause): boolean {
    // Both comparisons may find the same one.
    if (isEjected(monitor.endpoint)) return false;
    this.stats.countDetected(cause);
    return this.eject(monitor, cause);
  }

  private setRates(origin: Origin, { average, threshold }: RateLimits): void {
    const { doubles } = this.env.slots.head;
    doubles[(origin === 'external' ? HEAD.AVERAGE : HEAD.LOCAL_AVERAGE) / 2] = average + 1;
    doubles[(origin === 'external' ? HEAD.THRESHOLD : HEAD.LOCAL_THRESHOLD) / 2] = threshold + 1;
  }
}

const EXTERNAL_CAUSES = { rate: 'success_rate', percentage: 'failure_percentage' } as const;
const LOCAL_CAUSES = { rate: 'local_origin_success_rate', percentage: 'local_origin_failure_percentage' } as const;

function isEjected(endpoint: Endpoint): boolean {
  return (endpoint.knownFlags() & FAILED_OUTLIER_CHECK) !== 0;
}
