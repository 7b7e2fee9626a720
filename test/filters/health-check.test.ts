import { describe, expect, test } from 'vitest';
import { healthCheck } from '../../filters/health-check.ts';
import { HttpFilterHarness, responseHead } from '../support/filter-harness.ts';

const headers = [{ name: ':path', string_match: { exact: '/healthz' } }];
const check = { ':path': '/healthz' };

function stats(filter: HttpFilterHarness, ...names: string[]) {
  return names.map((name) => filter.stat(`http.test.health_check.${name}`));
}

describe('envoy.filters.http.health_check', () => {
  test('answers checks itself, and names the cluster that was checked', () => {
    const filter = new HttpFilterHarness(healthCheck, { pass_through_mode: false, headers });
    const { stream, verdict } = filter.request(check);
    expect(verdict).toMatchObject({ status: 200, details: 'health_check_ok', flag: undefined });
    const { response } = filter.response(stream);
    expect(response.get('x-envoy-upstream-healthchecked-cluster')).toBe('test-cluster');
    expect(filter.request({ ':path': '/other' }).verdict).toBeUndefined();
    expect(stats(filter, 'request_total', 'ok', 'failed')).toEqual([1, 1, 0]);
  });

  test('fails checks once the proxy is to fail, and tells every other client too', () => {
    let healthy = true;
    const options = { healthy: () => healthy };
    for (const pass_through_mode of [true, false]) {
      healthy = false;
      const filter = new HttpFilterHarness(healthCheck, { pass_through_mode, headers }, options);
      expect(filter.request(check).verdict).toMatchObject({ status: 503, details: 'health_check_failed', flag: 'LH' });
      const other = () => filter.response(filter.request().stream).response.get('x-envoy-immediate-health-check-fail');
      expect(other()).toBe('true');
      healthy = true;
      expect(other()).toBeUndefined();
      expect(stats(filter, 'request_total', 'ok', 'failed')).toEqual([1, 0, 1]);
    }
  });

  test.each([
    [100, 200, 'health_check_ok_cluster_healthy'],
    [50, 200, 'health_check_ok_cluster_healthy'],
    [49.9, 503, 'health_check_failed_cluster_unhealthy'],
    [undefined, 503, 'health_check_failed_no_cluster_found'],
  ])('with %s percent of a cluster healthy answers %d', (percent, status, details) => {
    const config = { pass_through_mode: false, headers, cluster_min_healthy_percentages: { app: { value: 50 } } };
    const filter = new HttpFilterHarness(healthCheck, config, { healthyPercent: () => percent });
    expect(filter.request(check).verdict).toMatchObject({ status, details });
    expect(stats(filter, 'failed_cluster_not_found', 'failed_cluster_unhealthy')).toEqual([
      percent === undefined ? 1 : 0,
      percent === 49.9 ? 1 : 0,
    ]);
  });

  test('passes checks through and answers with what it heard for as long as the cache holds', async () => {
    const filter = new HttpFilterHarness(healthCheck, { pass_through_mode: true, cache_time: '0.05s', headers });
    const first = filter.request(check);
    expect(first.verdict).toBeUndefined();
    filter.response(first.stream, responseHead(500));
    const cached = filter.request(check);
    expect(cached.verdict).toMatchObject({ status: 500, details: 'health_check_cached', flag: 'LH' });
    filter.response(cached.stream, responseHead(500));
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(filter.request(check).verdict).toBeUndefined();
    expect(stats(filter, 'request_total', 'cached_response', 'failed')).toEqual([1, 1, 1]);
  });

  test.each([
    [{ headers }, 'required'],
    [{ pass_through_mode: false, cache_time: '1s' }, 'pass_through_mode: true'],
    [{ pass_through_mode: true, cluster_min_healthy_percentages: { a: { value: 1 } } }, 'pass_through_mode: false'],
  ])('refuses %j', (config, message) => {
    expect(() => new HttpFilterHarness(healthCheck, config)).toThrow(message);
  });
});
