import { describe, expect, test } from 'vitest';
import { localRateLimit } from '../../../filters/local-ratelimit/local-ratelimit.ts';
import { LocalRateLimit } from '../../../filters/local-ratelimit/schema.ts';
import { RateLimit } from '../../../src/config/schema/rate-limit.ts';
import { StatsStore } from '../../../src/observe/stats.ts';
import { filterEnv, HttpFilterHarness, readConfig, requestHead, TestStream } from '../../support/filter-harness.ts';

const all = { default_value: { numerator: 100 } };
const HOUR = '3600s';

/** A bucket that does not refill while a test runs. */
function bucket(tokens: number) {
  return { max_tokens: tokens, tokens_per_fill: 1, fill_interval: HOUR };
}

function configOf(fields: object) {
  return { stat_prefix: 'lrl', filter_enabled: all, filter_enforced: all, token_bucket: bucket(1), ...fields };
}

function harness(fields: object = {}, options = {}) {
  return new HttpFilterHarness(localRateLimit, configOf(fields), options);
}

/** The status that each request is answered with, 0 for those that pass. */
function statuses(filter: HttpFilterHarness, requests: Record<string, string>[], facts = {}): number[] {
  return requests.map((fields) => {
    const verdict = filter.request(fields, facts).verdict;
    return verdict === undefined ? 0 : (verdict as { status: number }).status;
  });
}

const byClient = { actions: [{ request_headers: { header_name: 'x-client', descriptor_key: 'client' } }] };

describe('envoy.filters.http.local_ratelimit', () => {
  test('answers 429 with flag and details once the bucket is empty', () => {
    const filter = harness({ response_headers_to_add: [{ header: { key: 'x-limited', value: '%PROTOCOL%' } }] });
    expect(filter.request().verdict).toBeUndefined();
    expect(filter.request().verdict).toEqual({
      kind: 'reply',
      status: 429,
      body: 'local_rate_limited',
      headers: { 'x-limited': 'HTTP/1.1' },
      flag: 'RL',
      details: 'local_rate_limited',
      grpcStatus: undefined,
    });
    const stats = ['enabled', 'ok', 'rate_limited', 'enforced'].map((name) =>
      filter.stat(`lrl.http_local_rate_limit.${name}`),
    );
    expect(stats).toEqual([2, 1, 1, 1]);
  });

  test('does nothing unless it is enabled, and only marks requests unless it is enforced', () => {
    expect(harness({ filter_enabled: undefined }).hooks.onRequest).toBeUndefined();
    const filter = harness({
      filter_enforced: undefined,
      request_headers_to_add_when_not_enforced: [{ header: { key: 'x-over', value: 'yes' } }],
    });
    const first = filter.request();
    const second = filter.request();
    expect([first.verdict, second.verdict]).toEqual([undefined, undefined]);
    expect([first.request.get('x-over'), second.request.get('x-over')]).toEqual([undefined, 'yes']);
    expect(filter.stat('lrl.http_local_rate_limit.rate_limited')).toBe(1);
    expect(filter.stat('lrl.http_local_rate_limit.enforced')).toBe(0);
  });

  test('takes the configured status unless it is no error, and RESOURCE_EXHAUSTED for gRPC when asked to', () => {
    expect(statuses(harness({ status: { code: 503 } }), [{}, {}])).toEqual([0, 503]);
    expect(statuses(harness({ status: { code: 200 } }), [{}, {}])).toEqual([0, 429]);
    const filter = harness({ rate_limited_as_resource_exhausted: true });
    filter.request();
    expect(filter.request().verdict).toMatchObject({ grpcStatus: 8 });
  });

  test('each descriptor has its own bucket, and the default one counts every request', () => {
    const filter = harness({
      token_bucket: bucket(3),
      rate_limits: [byClient],
      descriptors: [{ entries: [{ key: 'client', value: 'free' }], token_bucket: bucket(1) }],
    });
    const free = { 'x-client': 'free' };
    expect(statuses(filter, [free, free, { 'x-client': 'paid' }, {}, {}])).toEqual([0, 429, 0, 0, 429]);
  });

  test('the default bucket is left alone where a descriptor matched and it is not always consumed', () => {
    const filter = harness({
      always_consume_default_token_bucket: false,
      rate_limits: [byClient],
      descriptors: [{ entries: [{ key: 'client', value: 'free' }], token_bucket: bucket(2) }],
    });
    const free = { 'x-client': 'free' };
    expect(statuses(filter, [free, free, {}, {}, free])).toEqual([0, 0, 0, 429, 429]);
  });

  test('a descriptor with a wildcard makes a bucket for each value', () => {
    const filter = harness({
      token_bucket: bucket(100),
      rate_limits: [{ actions: [{ generic_key: { descriptor_value: 'per' } }, ...byClient.actions] }],
      descriptors: [{ entries: [{ key: 'generic_key', value: 'per' }, { key: 'client' }], token_bucket: bucket(1) }],
    });
    const client = (name: string) => ({ 'x-client': name });
    expect(statuses(filter, [client('a'), client('b'), client('a'), client('b'), client('c'), {}])).toEqual([
      0, 0, 429, 429, 0, 0,
    ]);
  });

  test.each([
    ['remote_address', { remote_address: {} }, { key: 'remote_address', value: '127.0.0.1' }],
    ['source_cluster', { source_cluster: {} }, { key: 'source_cluster', value: 'test-cluster' }],
    ['destination_cluster', { destination_cluster: {} }, { key: 'destination_cluster', value: 'app' }],
    [
      'query_parameters',
      { query_parameters: { query_parameter_name: 'q', descriptor_key: 'q' } },
      { key: 'q', value: '1' },
    ],
    [
      'header_value_match',
      {
        header_value_match: {
          descriptor_value: 'hit',
          headers: [{ name: ':method', string_match: { exact: 'POST' } }],
          expect_match: false,
        },
      },
      { key: 'header_match', value: 'hit' },
    ],
    [
      'query_parameter_value_match',
      {
        query_parameter_value_match: {
          descriptor_value: 'hit',
          query_parameters: [{ name: 'q', string_match: { exact: '1' } }],
        },
      },
      { key: 'query_match', value: 'hit' },
    ],
    [
      'a skipped header',
      { request_headers: { header_name: 'x-none', descriptor_key: 'none', skip_if_absent: true } },
      undefined,
    ],
  ])('describes requests by %s', (_name, action, entry) => {
    const entries = entry === undefined ? [] : [entry];
    const filter = harness({
      token_bucket: bucket(100),
      rate_limits: [{ actions: [action, { generic_key: { descriptor_value: 'g' } }] }],
      descriptors: [{ entries: [...entries, { key: 'generic_key', value: 'g' }], token_bucket: bucket(1) }],
    });
    const fields = { ':path': '/?q=1' };
    expect(statuses(filter, [fields, fields], { route: { clusterName: 'app' } })).toEqual([0, 429]);
  });

  test('shows limit, rest and reset of the decisive bucket', () => {
    const filter = harness({
      token_bucket: { max_tokens: 2, tokens_per_fill: 2, fill_interval: '20s' },
      enable_x_ratelimit_headers: 'DRAFT_VERSION_03',
    });
    const shown = [1, 2, 3].map(() => {
      const { response } = filter.response(filter.request().stream);
      return ['limit', 'remaining', 'reset'].map((part) => response.get(`x-ratelimit-${part}`));
    });
    expect(shown).toEqual([
      ['2', '1', '0'],
      ['2', '0', '10'],
      ['2', '0', '10'],
    ]);
  });

  test('two descriptors of a request limit it as a recorded run of Envoy 1.40 did', () => {
    const filter = harness({
      token_bucket: bucket(100),
      enable_x_ratelimit_headers: 'DRAFT_VERSION_03',
      rate_limits: [
        { actions: [{ generic_key: { descriptor_value: 'per' } }, ...byClient.actions] },
        { actions: [{ remote_address: {} }] },
      ],
      descriptors: [
        { entries: [{ key: 'generic_key', value: 'per' }, { key: 'client' }], token_bucket: bucket(1) },
        { entries: [{ key: 'remote_address', value: '127.0.0.1' }], token_bucket: bucket(5) },
      ],
    });
    const seen = ['a', 'b', 'a', 'b', '', 'c', 'd', '', ''].map((client) => {
      const { stream, verdict } = filter.request(client === '' ? {} : { 'x-client': client });
      const { response } = filter.response(stream);
      const shown = ['limit', 'remaining', 'reset'].map((part) => response.get(`x-ratelimit-${part}`));
      return `${verdict === undefined ? 200 : 429} ${shown.join(' ')}`;
    });
    expect(seen).toEqual([
      '200 1 0 3600',
      '200 1 0 3600',
      '429 1 0 3600',
      '429 1 0 3600',
      '200 5 2 0',
      '200 1 0 3600',
      '200 1 0 3600',
      '429 5 0 3600',
      '429 5 0 3600',
    ]);
  });

  test('a connection has a bucket of its own where the limit is per connection', () => {
    const filter = harness({ local_rate_limit_per_downstream_connection: true });
    const one = filter.request().stream.connection;
    expect(statuses(filter, [{}], { connection: one })).toEqual([429]);
    expect(statuses(filter, [{}])).toEqual([0]);
  });

  test('a route override limits alone, and routes under one virtual host share theirs', () => {
    const store = new StatsStore();
    const base = readConfig(LocalRateLimit, { stat_prefix: 'base' });
    const override = readConfig(LocalRateLimit, configOf({ stat_prefix: 'vhost' }));
    const same = readConfig(LocalRateLimit, configOf({ stat_prefix: 'vhost' }));
    const memory = new Map<string, SharedArrayBuffer>();
    const [routeA, routeB, otherHost] = [override, override, same].map((config) =>
      localRateLimit.create(base, filterEnv(store, { routeConfigs: [config], memory })),
    );
    const ask = (hooks: typeof routeA) => {
      const stream = new TestStream(requestHead());
      return hooks?.onRequest?.(stream.request, stream) === undefined;
    };
    expect([ask(routeA), ask(routeB), ask(otherHost), ask(otherHost)]).toEqual([true, false, true, false]);
    expect(store.counters.get('vhost.http_local_rate_limit.enforced')?.value).toBe(2);
  });

  test.each([
    [{ token_bucket: { max_tokens: 1, fill_interval: '0.04s' } }, 'at least 0.05s|refilled too often'],
    [{ local_cluster_rate_limit: {} }, 'this process'],
    [{ rate_limits: [{ actions: [{}] }] }, 'required'],
    [
      {
        descriptors: [1, 2].map(() => ({ entries: [{ key: 'a', value: 'b' }], token_bucket: bucket(1) })),
      },
      'given twice',
    ],
  ])('refuses %j', (fields, message) => {
    expect(() => harness(fields)).toThrow(new RegExp(message));
  });

  test('a route override needs a bucket', () => {
    const override = { stat_prefix: 'x' };
    expect(() => harness({}, { routeConfigs: [override] })).toThrow('token_bucket is required');
  });

  test('the limits of routes and virtual hosts of its stage describe requests, unless the filter has its own', () => {
    const descriptors = [{ entries: [{ key: 'client', value: 'a' }], token_bucket: bucket(1) }];
    const limits = (stage: number) => [readConfig(RateLimit, { ...byClient, stage })];
    const route = (own: number, host: number | undefined) => ({
      route: {
        rateLimits: {
          route: limits(own),
          virtualHost: host === undefined ? [] : limits(host),
          includesVirtualHost: false,
        },
      },
    });
    const token_bucket = bucket(100);
    const requests = [{ 'x-client': 'a' }, { 'x-client': 'a' }];
    expect(statuses(harness({ token_bucket, descriptors }), requests, route(0, undefined))).toEqual([0, 429]);
    expect(statuses(harness({ token_bucket, descriptors, stage: 1 }), requests, route(0, 1))).toEqual([0, 0]);
    const including = harness({ token_bucket, descriptors, stage: 1, vh_rate_limits: 'INCLUDE' });
    expect(statuses(including, requests, route(0, 1))).toEqual([0, 429]);
    const own = harness({ token_bucket, descriptors, rate_limits: [{ actions: [{ remote_address: {} }] }] });
    expect(statuses(own, requests, route(0, undefined))).toEqual([0, 0]);
  });
});
