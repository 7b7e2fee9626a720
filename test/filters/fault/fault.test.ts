import { describe, expect, test } from 'vitest';
import { fault } from '../../../filters/fault/fault.ts';
import { HttpFilterHarness, type StreamFacts } from '../../support/filter-harness.ts';

const always = { numerator: 100 };
const abort = { http_status: 503, percentage: always };

function harness(config: object, options = {}) {
  return new HttpFilterHarness(fault, config, options);
}

function stat(filter: HttpFilterHarness, name: string) {
  return filter.stat(`http.test.fault.${name}`);
}

async function timed<T>(work: Promise<T> | T): Promise<{ value: T; tookMs: number }> {
  const begin = performance.now();
  return { value: await work, tookMs: performance.now() - begin };
}

describe('envoy.filters.http.fault', () => {
  test('answers in place of the upstream', () => {
    const filter = harness({ abort });
    const { stream, verdict } = filter.request();
    expect(verdict).toEqual({
      kind: 'reply',
      status: 503,
      body: 'fault filter abort',
      headers: {},
      flag: 'FI',
      details: 'fault_filter_abort',
      grpcStatus: undefined,
    });
    expect([stat(filter, 'aborts_injected'), stat(filter, 'active_faults')]).toEqual([1, 1]);
    filter.hooks.onDone?.(stream);
    expect(stat(filter, 'active_faults')).toBe(0);
  });

  test('aborts with a gRPC status', () => {
    const filter = harness({ abort: { grpc_status: 5, percentage: always } });
    expect(filter.request().verdict).toMatchObject({ status: 200, grpcStatus: 5 });
  });

  test('holds a request, then aborts it or lets it go on', async () => {
    const filter = harness({ delay: { fixed_delay: '0.03s', percentage: always } });
    const { stream, verdict } = filter.request({ 'x-envoy-downstream-service-cluster': 'shop' });
    const { value, tookMs } = await timed(verdict);
    expect(value).toBeUndefined();
    expect(tookMs).toBeGreaterThan(25);
    expect(stream.flags).toBe('DI');
    expect([stat(filter, 'delays_injected'), stat(filter, 'shop.delays_injected')]).toEqual([1, 1]);

    const both = harness({ delay: { fixed_delay: '0.01s', percentage: always }, abort });
    const second = both.request();
    expect(await second.verdict).toMatchObject({ status: 503 });
    expect(stat(both, 'active_faults')).toBe(1);
  });

  test('a delay and an abort leave metadata, nothing else does', () => {
    const filter_metadata = { reason: 'drill', more: { level: 2 } };
    const left = (config: object, fields = {}) => {
      const filter = harness({ filter_metadata, ...config });
      const { stream } = filter.request(fields);
      filter.hooks.onDone?.(stream);
      return stream.getMetadata('under-test');
    };
    expect(left({ abort })).toEqual(filter_metadata);
    expect(left({ delay: { fixed_delay: '10s', percentage: always } })).toEqual(filter_metadata);
    expect(left({ abort, headers: [{ name: 'x-f' }] })).toBeUndefined();
    expect(left({ response_rate_limit: { fixed_limit: { limit_kbps: 1 }, percentage: always } })).toBeUndefined();
  });

  test('a client that goes away ends the wait', () => {
    const filter = harness({ delay: { fixed_delay: '3600s', percentage: always } });
    const { stream, verdict } = filter.request();
    expect(verdict).toBeInstanceOf(Promise);
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const before = timers();
    filter.hooks.onDone?.(stream);
    expect(timers()).toBe(before - 1);
    expect(stat(filter, 'active_faults')).toBe(0);
  });

  test('without a percentage nothing happens, and a share is hit about that often', () => {
    const untouched = harness({ abort: { http_status: 503 } });
    expect(untouched.request().verdict).toBeUndefined();
    const half = harness({ abort: { http_status: 503, percentage: { numerator: 50 } } });
    let aborted = 0;
    for (let i = 0; i < 2000; i++) if (half.request().verdict !== undefined) aborted++;
    expect(aborted).toBeGreaterThan(800);
    expect(aborted).toBeLessThan(1200);
  });

  test('the client controls faults with headers where the configuration lets it', async () => {
    const filter = harness({
      delay: { header_delay: {}, percentage: always },
      abort: { header_abort: {}, percentage: always },
    });
    expect(filter.request().verdict).toBeUndefined();
    expect(filter.request({ 'x-envoy-fault-abort-request': '418' }).verdict).toMatchObject({ status: 418 });
    expect(filter.request({ 'x-envoy-fault-abort-request': '+418' }).verdict).toMatchObject({ status: 418 });
    expect(filter.request({ 'x-envoy-fault-abort-request': ['418', '500'] }).verdict).toMatchObject({ status: 418 });
    expect(filter.request({ 'x-envoy-fault-abort-request': '99' }).verdict).toBeUndefined();
    expect(filter.request({ 'x-envoy-fault-abort-grpc-request': '7' }).verdict).toMatchObject({ grpcStatus: 7 });
    const delayed = filter.request({ 'x-envoy-fault-delay-request': '30' });
    expect((await timed(delayed.verdict)).tookMs).toBeGreaterThan(25);
  });

  test('a header may lower the share but not raise it', () => {
    const filter = harness({ abort: { header_abort: {}, percentage: always } });
    const fields = { 'x-envoy-fault-abort-request': '500', 'x-envoy-fault-abort-request-percentage': '0' };
    expect(filter.request(fields).verdict).toBeUndefined();
    const none = harness({ abort: { header_abort: {}, percentage: { numerator: 0 } } });
    expect(none.request({ ...fields, 'x-envoy-fault-abort-request-percentage': '100' }).verdict).toBeUndefined();
  });

  test.each<[string, object, Record<string, string>, StreamFacts, boolean]>([
    ['its cluster', { upstream_cluster: 'app' }, {}, { route: { clusterName: 'app' } }, true],
    ['another cluster', { upstream_cluster: 'app' }, {}, { route: { clusterName: 'db' } }, false],
    ['no route', { upstream_cluster: 'app' }, {}, {}, false],
    ['its node', { downstream_nodes: ['n1'] }, { 'x-envoy-downstream-service-node': 'n1' }, {}, true],
    ['another node', { downstream_nodes: ['n1'] }, {}, {}, false],
    ['its headers', { headers: [{ name: 'x-f' }] }, { 'x-f': '' }, {}, true],
    ['other headers', { headers: [{ name: 'x-f' }] }, {}, {}, false],
  ])('with %s', (_name, condition, fields, facts, hit) => {
    expect(harness({ abort, ...condition }).request(fields, facts).verdict !== undefined).toBe(hit);
  });

  test('at most max_active_faults are active at once', () => {
    const filter = harness({ abort, max_active_faults: 1 });
    const first = filter.request();
    expect(first.verdict).toBeDefined();
    expect(filter.request().verdict).toBeUndefined();
    expect(stat(filter, 'faults_overflow')).toBe(1);
    filter.hooks.onDone?.(first.stream);
    expect(filter.request().verdict).toBeDefined();
  });

  test('slows a response down to the rate, bytes unchanged', async () => {
    const filter = harness({ response_rate_limit: { fixed_limit: { limit_kbps: 100 }, percentage: always } });
    const { stream } = filter.request();
    const chunk = Buffer.alloc(2560, 'a');
    const begin = performance.now();
    const first = filter.hooks.onResponseBody?.(chunk, false, stream);
    const second = filter.hooks.onResponseBody?.(chunk, true, stream);
    chunk.fill('b');
    expect(await first).toEqual(Buffer.alloc(2560, 'a'));
    expect(await second).toHaveLength(2560);
    // 5 KiB at 100 KiB/s.
    expect(performance.now() - begin).toBeGreaterThan(45);
    expect(stat(filter, 'response_rl_injected')).toBe(1);
    expect(harness({ abort }).hooks.onResponseBody).toBeUndefined();
  });

  test('a route override replaces the faults', () => {
    const filter = harness({ abort }, { routeConfigs: [{ abort: { http_status: 404, percentage: always } }] });
    expect(filter.request().verdict).toMatchObject({ status: 404 });
  });

  test.each([
    [{ abort: { percentage: always } }, 'required'],
    [{ abort: { http_status: 199 } }, 'out of range'],
    [{ delay: { fixed_delay: '0s' } }, 'too short'],
    [{ response_rate_limit: { fixed_limit: { limit_kbps: 0 } } }, 'out of range'],
  ])('refuses %j', (config, message) => {
    expect(() => harness(config)).toThrow(message);
  });
});
