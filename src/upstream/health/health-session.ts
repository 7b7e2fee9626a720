import { MAX_DELAY_MS } from '../../network/timer.ts';
import type { Endpoint, HealthMonitor } from '../endpoint.ts';
import { HEALTH_FLAG } from '../health-flags.ts';
import type { Transition } from './check-intervals.ts';
import type { ClusterHealth } from './cluster-health.ts';
import type { FailureType } from './health-event-log.ts';
import type { Probe, ProbeEvents, ProbeFailure } from './probe.ts';

/** How often a thread that lets another one check looks whether that one still does. */
const MIN_FOLLOW_MS = 100;
const MAX_FOLLOW_MS = 5000;
/** The same while it waits for the first check. */
const FIRST_FOLLOW_MS = 20;

/**
 * Checks one endpoint again and again, and makes its health of what comes out. Of several threads one does so, and the
 * others take over what it finds; when it ends or crashes, another one takes its place.
 */
export class HealthSession implements ProbeEvents, HealthMonitor {
  readonly endpoint: Endpoint;
  private readonly owner: ClusterHealth;
  private readonly probe: Probe;
  private interval: NodeJS.Timeout | undefined = undefined;
  private timeout: NodeJS.Timeout | undefined = undefined;
  private passedInRow = 0;
  private failedInRow = 0;
  /** No check is over yet. */
  isFirst = true;
  private isChecker = false;
  private stopped = false;

  constructor(owner: ClusterHealth, endpoint: Endpoint) {
    this.owner = owner;
    this.endpoint = endpoint;
    this.probe = owner.createProbe(endpoint, this);
    endpoint.healthMonitor = this;
  }

  start(): void {
    if (!this.checks()) return;
    const delayMs = this.owner.intervals.initialDelayMs();
    if (delayMs === 0) this.check();
    else this.schedule(delayMs);
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.interval);
    clearTimeout(this.timeout);
    this.endpoint.healthMonitor = undefined;
    this.probe.close();
    if (this.isChecker) this.owner.leaveChecks(this.endpoint);
    const { stats } = this.owner;
    if (this.isChecker && this.has(HEALTH_FLAG.DEGRADED_ACTIVE_HC)) stats.degraded.dec();
  }

  /** Whether this thread checks the endpoint. If not, it looks again later. */
  private checks(): boolean {
    const { owner, endpoint } = this;
    this.isChecker ||= owner.becomeChecker(endpoint);
    if (this.isChecker) return true;
    owner.adoptShared();
    if (endpoint.wasChecked) {
      // The version may have been seen before the endpoint joined.
      endpoint.adoptShared();
      this.isFirst = false;
    }
    this.schedule(this.isFirst ? FIRST_FOLLOW_MS : followMs(owner.config.interval));
    owner.settleFirstRound();
    return false;
  }

  private readonly check = (): void => {
    if (!this.checks()) return;
    const { owner } = this;
    clearTimeout(this.timeout);
    this.timeout = setTimeout(this.onTimeout, Math.min(owner.config.timeout, MAX_DELAY_MS)).unref();
    owner.stats.attempt.inc();
    this.probe.begin();
  };

  private readonly onTimeout = (): void => {
    this.probe.expire();
    this.failed('NETWORK_TIMEOUT', false, 0);
  };

  /** A later call takes an earlier one's place. */
  private schedule(delayMs: number): void {
    if (this.stopped) return;
    clearTimeout(this.interval);
    clearTimeout(this.timeout);
    this.interval = setTimeout(this.check, Math.min(delayMs, MAX_DELAY_MS)).unref();
  }

  private has(flag: number): boolean {
    return (this.endpoint.healthFlags & flag) !== 0;
  }

  // ── outcomes ──

  onPass(degraded: boolean): void {
    if (this.stopped) return;
    const { owner, endpoint } = this;
    owner.adoptShared();
    const transition = this.passed(degraded);
    owner.stats.success.inc();
    this.isFirst = false;
    owner.onChecked(endpoint, transition);
    owner.onPassed(endpoint);
    this.schedule(owner.intervals.nextDelayMs(true, transition, owner.hadTraffic()));
  }

  private passed(degraded: boolean): Transition {
    const { owner, endpoint } = this;
    this.failedInRow = 0;
    let transition: Transition = 'unchanged';
    if (this.has(HEALTH_FLAG.FAILED_ACTIVE_HC)) {
      // The very first check decides alone: a proxy that starts should not hold its endpoints back.
      if (this.isFirst || ++this.passedInRow === owner.config.healthy_threshold) {
        const { FAILED_ACTIVE_HC, ACTIVE_HC_TIMEOUT, EXCLUDED_VIA_IMMEDIATE_HC_FAIL } = HEALTH_FLAG;
        endpoint.markHealth(0, FAILED_ACTIVE_HC | ACTIVE_HC_TIMEOUT | EXCLUDED_VIA_IMMEDIATE_HC_FAIL);
        this.passedInRow = 0;
        owner.log(endpoint, { add_healthy_event: { first_check: this.isFirst } });
        transition = 'changed';
      } else {
        transition = 'pending';
      }
    }
    if (transition !== 'changed' && owner.config.always_log_health_check_success)
      owner.log(endpoint, { successful_health_check_event: {} });
    transition = this.clearPending(transition);
    if (degraded === this.has(HEALTH_FLAG.DEGRADED_ACTIVE_HC)) return transition;
    if (degraded) {
      endpoint.markHealth(HEALTH_FLAG.DEGRADED_ACTIVE_HC, 0);
      owner.stats.degraded.inc();
      owner.log(endpoint, { degraded_healthy_host: {} });
    } else {
      endpoint.markHealth(0, HEALTH_FLAG.DEGRADED_ACTIVE_HC);
      owner.log(endpoint, { no_longer_degraded_host: {} });
    }
    return transition === 'unchanged' ? 'changed' : transition;
  }

  onFail(failure: ProbeFailure, retriable: boolean, httpStatus = 0): void {
    this.failed(failure === 'active' ? 'ACTIVE' : 'NETWORK', retriable, httpStatus);
  }

  /** An ordinary response of the endpoint's said that it wants no more of them (`x-envoy-immediate-health-check-fail`). */
  failNow(): void {
    const { owner, endpoint } = this;
    if (endpoint.markHealth(HEALTH_FLAG.EXCLUDED_VIA_IMMEDIATE_HC_FAIL, 0)) owner.onChecked(endpoint, 'changed');
    this.setUnhealthy('PASSIVE', false, 0);
  }

  private failed(type: FailureType, retriable: boolean, httpStatus: number): void {
    if (this.stopped) return;
    const { owner } = this;
    owner.adoptShared();
    const transition = this.setUnhealthy(type, retriable, httpStatus);
    this.schedule(owner.intervals.nextDelayMs(false, transition, owner.hadTraffic()));
  }

  private setUnhealthy(type: FailureType, retriable: boolean, httpStatus: number): Transition {
    const { owner, endpoint } = this;
    const { stats, config } = owner;
    const facts = { failure_type: type, http_status_code: httpStatus };
    const isNetwork = type === 'NETWORK' || type === 'NETWORK_TIMEOUT';
    this.passedInRow = 0;
    let transition: Transition = 'unchanged';
    if (!this.has(HEALTH_FLAG.FAILED_ACTIVE_HC)) {
      // An endpoint that answers, and says no, is believed at once.
      if ((!isNetwork && !retriable) || ++this.failedInRow === config.unhealthy_threshold) {
        endpoint.markHealth(HEALTH_FLAG.FAILED_ACTIVE_HC, 0);
        owner.log(endpoint, { eject_unhealthy_event: facts });
        transition = 'changed';
      } else {
        transition = 'pending';
      }
    }
    const timedOut = type === 'NETWORK_TIMEOUT' && this.has(HEALTH_FLAG.FAILED_ACTIVE_HC);
    endpoint.markHealth(timedOut ? HEALTH_FLAG.ACTIVE_HC_TIMEOUT : 0, timedOut ? 0 : HEALTH_FLAG.ACTIVE_HC_TIMEOUT);
    transition = this.clearPending(transition);
    if (this.isFirst || config.always_log_health_check_failures)
      owner.log(endpoint, { health_check_failure_event: { ...facts, first_check: this.isFirst } });
    stats.failure.inc();
    if (isNetwork) stats.networkFailure.inc();
    else if (type === 'PASSIVE') stats.passiveFailure.inc();
    this.isFirst = false;
    owner.onChecked(endpoint, transition);
    return transition;
  }

  /** An endpoint that was not to count until now counts from now on. */
  private clearPending(transition: Transition): Transition {
    if (!this.has(HEALTH_FLAG.PENDING_ACTIVE_HC)) return transition;
    this.endpoint.markHealth(0, HEALTH_FLAG.PENDING_ACTIVE_HC);
    return 'changed';
  }
}

function followMs(intervalMs: number): number {
  return Math.max(MIN_FOLLOW_MS, Math.min(intervalMs, MAX_FOLLOW_MS));
}
