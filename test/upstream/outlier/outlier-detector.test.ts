import { describe, expect, it } from 'vitest';
import { healthFlagsText } from '../../../src/upstream/health-flags.ts';
import { answer, answerMany, detectingCluster } from './support.ts';

describe('consecutive server errors', () => {
  it('eject an endpoint, which gets no more requests', async () => {
    using web = await detectingCluster(3, { consecutive_5xx: 3 });
    answer(web.at(0), 500, 500);
    expect(web.out()).toEqual([]);
    answer(web.at(0), 500);
    expect(web.out()).toEqual([1]);
    const picked = new Set(Array.from({ length: 300 }, () => web.cluster.pick(undefined)?.address));
    expect(picked).toEqual(new Set(['10.0.0.2:80', '10.0.0.3:80']));
    expect(healthFlagsText(web.at(0).assignedHealth, web.at(0).healthFlags)).toBe('/failed_outlier_check');
    expect(web.stat('ejections_active')).toBe(1);
    expect(web.stat('ejections_enforced_total')).toBe(1);
    expect(web.stat('ejections_enforced_consecutive_5xx')).toBe(1);
    expect(web.stat('ejections_detected_consecutive_5xx')).toBe(1);
    expect(web.stat('ejections_total')).toBe(1);
    expect(web.stat('ejections_consecutive_5xx')).toBe(1);
    expect(web.cluster.stats.membershipHealthy.value).toBe(2);
  });

  it('have to come without another answer in between', async () => {
    using web = await detectingCluster(3, { consecutive_5xx: 3 });
    for (let i = 0; i < 10; i++) answer(web.at(0), 500, 503, 404);
    expect(web.out()).toEqual([]);
  });

  it('are counted by endpoint', async () => {
    using web = await detectingCluster(3, { consecutive_5xx: 3 });
    for (let i = 0; i < 2; i++) for (let j = 0; j < 3; j++) answer(web.at(j), 500);
    expect(web.out()).toEqual([]);
  });

  it('are counted on while the endpoint is out, and eject it not twice', async () => {
    using web = await detectingCluster(3, { consecutive_5xx: 3 });
    answer(web.at(0), 500, 500, 500, 500, 500, 500, 500);
    expect(web.stat('ejections_enforced_total')).toBe(1);
    expect(web.stat('ejections_detected_consecutive_5xx')).toBe(1);
  });

  it('begin anew when the endpoint is back', async () => {
    using web = await detectingCluster(3, { consecutive_5xx: 3 });
    answer(web.at(0), 500, 500, 500, 500, 500);
    web.interval();
    expect(web.out()).toEqual([]);
    answer(web.at(0), 500, 500);
    expect(web.out()).toEqual([]);
    answer(web.at(0), 500);
    expect(web.out()).toEqual([1]);
  });

  it('without a limit that can be reached never eject', async () => {
    using web = await detectingCluster(3, { consecutive_5xx: 0, consecutive_gateway_failure: 0 });
    answerMany(web.at(0), 50, 50);
    expect(web.out()).toEqual([]);
  });
});

describe('gateway failures', () => {
  it('are found out by default, and eject where that is enforced', async () => {
    using lax = await detectingCluster(3, { consecutive_5xx: 100, consecutive_gateway_failure: 2 });
    answer(lax.at(0), 502, 504);
    expect(lax.out()).toEqual([]);
    expect(lax.stat('ejections_detected_consecutive_gateway_failure')).toBe(1);
    expect(lax.stat('ejections_enforced_total')).toBe(0);
    using strict = await detectingCluster(3, {
      consecutive_gateway_failure: 2,
      enforcing_consecutive_gateway_failure: 100,
    });
    answer(strict.at(0), 502, 500, 503);
    expect(strict.out()).toEqual([]);
    answer(strict.at(0), 504);
    expect(strict.out()).toEqual([1]);
    expect(strict.stat('ejections_enforced_consecutive_gateway_failure')).toBe(1);
  });
});

describe('failures without an answer', () => {
  it('count as 503, time-outs as 504', async () => {
    using web = await detectingCluster(3, {
      consecutive_gateway_failure: 2,
      enforcing_consecutive_gateway_failure: 100,
    });
    web.at(0).onReset(false);
    web.at(0).onTimeout(true);
    expect(web.out()).toEqual([1]);
    expect(web.at(0).stats.rqError).toBe(1);
    expect(web.at(0).stats.rqTimeout).toBe(1);
  });

  it('of our own limits do not count, nor time-outs of requests that were not sent', async () => {
    using web = await detectingCluster(3, { consecutive_5xx: 1 });
    web.at(0).onReset(true);
    web.at(0).onTimeout(false);
    expect(web.out()).toEqual([]);
  });

  it('count by themselves where the origins of errors are split', async () => {
    using web = await detectingCluster(3, {
      consecutive_5xx: 2,
      consecutive_local_origin_failure: 3,
      split_external_local_origin_errors: true,
    });
    web.at(0).onReset(false);
    web.at(0).onReset(false);
    web.at(0).failureMonitor?.onConnected();
    web.at(0).onReset(false);
    web.at(0).onTimeout(true);
    expect(web.out()).toEqual([]);
    web.at(0).onReset(false);
    expect(web.out()).toEqual([1]);
    expect(web.stat('ejections_enforced_consecutive_local_origin_failure')).toBe(1);
    expect(web.stat('ejections_detected_consecutive_5xx')).toBe(0);
  });

  it('of TCP sessions eject, and a session that has its connection is a success', async () => {
    using web = await detectingCluster(3, { consecutive_5xx: 2 });
    web.at(0).failureMonitor?.onFailure();
    web.at(0).failureMonitor?.onTcpConnected();
    web.at(0).failureMonitor?.onFailure();
    expect(web.out()).toEqual([]);
    web.at(0).failureMonitor?.onTimeout();
    expect(web.out()).toEqual([1]);
  });
});

describe('the share of endpoints that are out', () => {
  it('is bounded', async () => {
    using web = await detectingCluster(10, { consecutive_5xx: 1, max_ejection_percent: 30 });
    for (let i = 0; i < 10; i++) answer(web.at(i), 500);
    expect(web.out()).toEqual([1, 2, 3]);
    expect(web.stat('ejections_overflow')).toBe(7);
    expect(web.stat('ejections_enforced_total')).toBe(3);
    expect(web.stat('ejections_detected_consecutive_5xx')).toBe(10);
  });

  it('may be one endpoint at least, where the configuration says so', async () => {
    using none = await detectingCluster(3, { consecutive_5xx: 1, max_ejection_percent: 10 });
    answer(none.at(0), 500);
    expect(none.out()).toEqual([]);
    using one = await detectingCluster(3, {
      consecutive_5xx: 1,
      max_ejection_percent: 10,
      always_eject_one_host: true,
    });
    answer(one.at(0), 500);
    answer(one.at(1), 500);
    expect(one.out()).toEqual([1]);
  });

  it('falls when one of them leaves the cluster or comes back', async () => {
    using web = await detectingCluster(2, { consecutive_5xx: 1, max_ejection_percent: 50 });
    answer(web.at(0), 500);
    answer(web.at(1), 500);
    expect(web.out()).toEqual([1]);
    web.interval();
    answer(web.at(1), 500);
    expect(web.out()).toEqual([2]);
    expect(web.stat('ejections_active')).toBe(1);
  });
});

describe('a chance to be ejected', () => {
  it('is kept over many failures', async () => {
    using web = await detectingCluster(1, { consecutive_5xx: 1, enforcing_consecutive_5xx: 30 });
    for (let i = 0; i < 5000; i++) {
      answer(web.at(0), 500);
      web.interval();
    }
    expect(web.stat('ejections_detected_consecutive_5xx')).toBe(5000);
    expect(web.stat('ejections_enforced_total')).toBeGreaterThan(1350);
    expect(web.stat('ejections_enforced_total')).toBeLessThan(1650);
  });
});

describe('the time of an ejection', () => {
  it('grows with each one in short order, up to its maximum, and shrinks with quiet intervals', async () => {
    using web = await detectingCluster(3, {
      consecutive_5xx: 1,
      base_ejection_time: '10s',
      max_ejection_time: '25s',
    });
    const lasts = (): number => {
      let seconds = 0;
      while (web.out().length > 0) {
        seconds++;
        web.interval(1000);
      }
      return seconds;
    };
    const times: number[] = [];
    for (let i = 0; i < 5; i++) {
      answer(web.at(0), 500);
      times.push(lasts());
    }
    expect(times).toEqual([10, 20, 25, 25, 25]);
    // Four intervals without an ejection take back the growth that goes on up to the maximum and once beyond.
    for (let i = 0; i < 10; i++) web.interval(1000);
    answer(web.at(0), 500);
    expect(lasts()).toBe(10);
  });

  it('has a random part', async () => {
    using web = await detectingCluster(3, {
      consecutive_5xx: 1,
      base_ejection_time: '1s',
      max_ejection_time_jitter: '20s',
    });
    const times = new Set<number>();
    for (let i = 0; i < 40; i++) {
      answer(web.at(0), 500);
      let seconds = 0;
      while (web.out().length > 0) {
        seconds++;
        web.interval(1000);
      }
      times.add(seconds);
      web.interval(1000);
    }
    expect(Math.min(...times)).toBeGreaterThanOrEqual(1);
    expect(Math.max(...times)).toBeLessThanOrEqual(22);
    expect(times.size).toBeGreaterThan(8);
  });
});

describe('success rates', () => {
  const fields = { success_rate_minimum_hosts: 5, success_rate_request_volume: 100, consecutive_5xx: 10_000 };

  it('eject what lies too far below the others', async () => {
    using web = await detectingCluster(6, fields);
    for (let i = 0; i < 6; i++) answerMany(web.at(i), 200, i === 2 ? 100 : 2);
    web.interval();
    expect(web.out()).toEqual([3]);
    expect(web.stat('ejections_enforced_success_rate')).toBe(1);
    expect(web.stat('ejections_success_rate')).toBe(1);
    expect(web.outliers.successRate(web.at(2), 'external')).toBe(50);
    expect(web.outliers.successRate(web.at(0), 'external')).toBe(99);
    const { average, threshold } = web.outliers.rates.external;
    expect(average).toBeCloseTo((5 * 99 + 50) / 6);
    expect(threshold).toBeCloseTo(average - 1.9 * Math.sqrt((5 * (99 - average) ** 2 + (50 - average) ** 2) / 6));
  });

  it('are those of one interval', async () => {
    using web = await detectingCluster(6, fields);
    for (let i = 0; i < 6; i++) answerMany(web.at(i), 60, i === 2 ? 30 : 0);
    web.interval();
    for (let i = 0; i < 6; i++) answerMany(web.at(i), 60, i === 2 ? 30 : 0);
    web.interval();
    expect(web.out()).toEqual([]);
    expect(web.outliers.successRate(web.at(2), 'external')).toBe(50);
    expect(web.outliers.rates.external).toEqual({ average: -1, threshold: -1 });
    web.interval();
    expect(web.outliers.successRate(web.at(2), 'external')).toBe(-1);
  });

  it('are not compared while too few endpoints have enough requests', async () => {
    using web = await detectingCluster(6, fields);
    for (let i = 0; i < 4; i++) answerMany(web.at(i), 200, i === 2 ? 200 : 0);
    web.interval();
    expect(web.out()).toEqual([]);
  });

  it('of connecting are compared by themselves', async () => {
    using web = await detectingCluster(6, { ...fields, split_external_local_origin_errors: true });
    for (let i = 0; i < 6; i++) {
      for (let j = 0; j < 200; j++) {
        if (i === 4 && j % 2 === 0) web.at(i).onReset(false);
        else web.at(i).failureMonitor?.onConnected();
      }
    }
    web.interval();
    expect(web.out()).toEqual([5]);
    expect(web.stat('ejections_enforced_local_origin_success_rate')).toBe(1);
    expect(web.outliers.successRate(web.at(4), 'local')).toBe(50);
    expect(web.outliers.successRate(web.at(4), 'external')).toBe(-1);
  });
});

describe('failure percentages', () => {
  const fields = {
    failure_percentage_threshold: 60,
    failure_percentage_minimum_hosts: 3,
    failure_percentage_request_volume: 50,
    enforcing_failure_percentage: 100,
    enforcing_success_rate: 0,
    consecutive_5xx: 10_000,
  };

  it('eject whatever reaches the threshold, be it all', async () => {
    using web = await detectingCluster(4, fields);
    for (let i = 0; i < 4; i++) answerMany(web.at(i), 100, [59, 60, 61, 100][i] as number);
    web.interval();
    expect(web.out()).toEqual([2, 3, 4]);
    expect(web.stat('ejections_enforced_failure_percentage')).toBe(3);
    expect(web.stat('ejections_detected_failure_percentage')).toBe(3);
  });

  it('need enough requests and enough endpoints', async () => {
    using web = await detectingCluster(4, fields);
    answerMany(web.at(0), 49, 49);
    answerMany(web.at(1), 50, 50);
    answerMany(web.at(2), 50, 50);
    web.interval();
    expect(web.out()).toEqual([]);
  });

  it('eject nothing by default', async () => {
    using web = await detectingCluster(4, { ...fields, enforcing_failure_percentage: 0 });
    for (let i = 0; i < 4; i++) answerMany(web.at(i), 100, 100);
    web.interval();
    expect(web.out()).toEqual([]);
    expect(web.stat('ejections_detected_failure_percentage')).toBe(4);
  });
});

describe('an endpoint whose active checks pass', () => {
  it('comes back at once', async () => {
    using web = await detectingCluster(3, { consecutive_5xx: 1 });
    answer(web.at(0), 500);
    web.outliers.onCheckPassed(web.at(0));
    expect(web.out()).toEqual([]);
    expect(web.stat('ejections_active')).toBe(0);
  });

  it('stays out where the configuration says so', async () => {
    using web = await detectingCluster(3, { consecutive_5xx: 1, successful_active_health_check_uneject_host: false });
    answer(web.at(0), 500);
    web.outliers.onCheckPassed(web.at(0));
    expect(web.out()).toEqual([1]);
  });
});
