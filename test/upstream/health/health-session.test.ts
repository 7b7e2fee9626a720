import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { healthFlagsText } from '../../../src/upstream/health-flags.ts';
import { checkedCluster, type ScriptedProbe } from './support.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** One endpoint and its probe, the first check under way. */
function session(check: Record<string, unknown> = {}, fields: Record<string, unknown> = {}) {
  const made = checkedCluster(check, fields);
  void made.cluster.start();
  const probe = made.probes[0] as ScriptedProbe;
  const { endpoint } = probe;
  const flags = (): string => healthFlagsText(endpoint.assignedHealth, endpoint.healthFlags);
  /** Waits for the next check to begin, and lets it end as told. */
  const next = (outcome: 'pass' | 'degraded' | 'no' | 'retriable' | 'network'): string => {
    const before = probe.begun;
    while (probe.begun === before) vi.advanceTimersToNextTimer();
    end(outcome);
    return flags();
  };
  const end = (outcome: 'pass' | 'degraded' | 'no' | 'retriable' | 'network'): void => {
    if (outcome === 'pass' || outcome === 'degraded') probe.events.onPass(outcome === 'degraded');
    else probe.events.onFail(outcome === 'network' ? 'network' : 'active', outcome === 'retriable');
  };
  return { ...made, probe, endpoint, flags, next, end };
}

const FAILED = '/failed_active_hc';

describe('an endpoint that is checked', () => {
  it('is unhealthy until its first check, which decides alone', () => {
    const { flags, end, stats, endpoint } = session();
    expect(flags()).toBe(FAILED);
    expect([endpoint.healthy, stats.healthy.value]).toEqual([false, 0]);
    end('pass');
    expect(flags()).toBe('healthy');
    expect([endpoint.healthy, stats.healthy.value, stats.success.value]).toEqual([true, 1, 1]);
  });

  it('then takes as many passes in a row as the threshold says', () => {
    const { end, next } = session();
    end('no');
    expect([next('pass'), next('pass'), next('no')]).toEqual([FAILED, FAILED, FAILED]);
    expect([next('pass'), next('pass'), next('pass')]).toEqual([FAILED, FAILED, 'healthy']);
  });

  it('is unhealthy after as many network failures in a row', () => {
    const { end, next, stats } = session();
    end('pass');
    expect([next('network'), next('pass'), next('network'), next('network')]).toEqual([
      'healthy',
      'healthy',
      'healthy',
      FAILED,
    ]);
    expect([stats.failure.value, stats.networkFailure.value, stats.healthy.value]).toEqual([3, 3, 0]);
  });

  it('is so at once when it answers wrongly, unless that answer is retriable', () => {
    const { end, next, stats } = session();
    end('pass');
    expect([next('retriable'), next('pass'), next('no')]).toEqual(['healthy', 'healthy', FAILED]);
    expect([stats.failure.value, stats.networkFailure.value]).toEqual([2, 0]);
  });

  it('is told apart when it does not answer in time', () => {
    const { flags, probe, next, stats } = session();
    vi.advanceTimersByTime(999);
    expect(probe.expired).toBe(0);
    vi.advanceTimersByTime(1);
    expect([probe.expired, flags()]).toEqual([1, `${FAILED}/active_hc_timeout`]);
    expect(stats.networkFailure.value).toBe(1);
    expect(next('network')).toBe(FAILED);
  });

  it('is degraded when it says so, which no threshold holds back', () => {
    const { end, next, endpoint, stats } = session();
    end('degraded');
    expect([endpoint.health, stats.degraded.value, stats.healthy.value]).toEqual(['degraded', 1, 1]);
    expect(next('pass')).toBe('healthy');
    expect(next('degraded')).toBe('/degraded_active_hc');
    expect(next('no')).toBe(`${FAILED}/degraded_active_hc`);
    expect(endpoint.health).toBe('unhealthy');
  });

  it('can fail itself with an ordinary response, and comes back by its checks', () => {
    const { end, next, flags, endpoint, stats, cluster } = session();
    end('pass');
    endpoint.onResponseHead({ status: 200, has: (name) => name === 'x-other' });
    expect(flags()).toBe('healthy');
    endpoint.onResponseHead({ status: 200, has: (name) => name === 'x-envoy-immediate-health-check-fail' });
    expect(flags()).toBe(`${FAILED}/excluded_via_immediate_hc_fail`);
    expect([stats.passiveFailure.value, stats.failure.value, stats.healthy.value]).toEqual([1, 1, 0]);
    expect(cluster.stats.membershipExcluded.value).toBe(1);
    expect([next('pass'), next('pass'), next('pass')].at(-1)).toBe('healthy');
    expect(cluster.stats.membershipExcluded.value).toBe(0);
  });

  it('does not count before its first check where that is configured', () => {
    const fields = { common_lb_config: { ignore_new_hosts_until_first_hc: true } };
    const { end, flags, cluster } = session({}, fields);
    expect(flags()).toBe(`${FAILED}/pending_active_hc`);
    expect(cluster.stats.membershipExcluded.value).toBe(1);
    end('no');
    expect(flags()).toBe(FAILED);
    expect(cluster.stats.membershipExcluded.value).toBe(0);
  });
});

describe('checks', () => {
  it('follow one another slowly while the cluster has no traffic, and as configured afterwards', () => {
    const { end, probe, cluster } = session();
    end('pass');
    vi.advanceTimersByTime(19_999);
    expect(probe.begun).toBe(1);
    vi.advanceTimersByTime(1);
    expect(probe.begun).toBe(2);
    cluster.stats.upstreamCxTotal.inc();
    end('pass');
    cluster.stats.upstreamCxTotal.value = 0;
    vi.advanceTimersByTime(9999);
    expect(probe.begun).toBe(2);
    vi.advanceTimersByTime(1);
    expect(probe.begun).toBe(3);
    end('pass');
    vi.advanceTimersByTime(10_000);
    expect(probe.begun).toBe(4);
  });

  it('are counted as attempts when they begin', () => {
    const { end, next, stats } = session();
    expect(stats.attempt.value).toBe(1);
    end('pass');
    next('pass');
    expect(stats.attempt.value).toBe(2);
  });

  it('do not run twice at once, whatever an endpoint says between them', () => {
    const { end, probe } = session();
    end('pass');
    probe.events.onFail('network', false);
    probe.events.onPass(false);
    vi.advanceTimersByTime(20_000);
    expect(probe.begun).toBe(2);
    expect(vi.getTimerCount()).toBe(1);
  });

  it('begin within the initial jitter', () => {
    const { probe } = session({ initial_jitter: '5s' });
    expect(probe.begun).toBe(0);
    vi.advanceTimersByTime(5000);
    expect(probe.begun).toBe(1);
  });

  it('end with their cluster, and leave no timer and no figure behind', () => {
    const { end, probe, cluster, stats } = session();
    end('degraded');
    expect([stats.healthy.value, stats.degraded.value]).toEqual([1, 1]);
    cluster.stop();
    expect([stats.healthy.value, stats.degraded.value, probe.closed]).toEqual([0, 0, true]);
    expect(vi.getTimerCount()).toBe(0);
    probe.events.onPass(false);
    probe.events.onFail('network', false);
    expect([vi.getTimerCount(), stats.success.value, stats.failure.value]).toEqual([0, 1, 0]);
  });
});
