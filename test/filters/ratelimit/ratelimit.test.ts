import { describe, expect, test } from 'vitest';
import { rateLimit } from '../../../filters/ratelimit/ratelimit.ts';
import { RateLimit } from '../../../src/config/schema/rate-limit.ts';
import type { Verdict } from '../../../src/filter/index.ts';
import { type RateLimitRequest, readRateLimitRequest } from '../../../src/http/grpc/rate-limit-request.ts';
import { RateLimitResponseWriter } from '../../../src/http/grpc/rate-limit-response.ts';
import {
  type HarnessOptions,
  HttpFilterHarness,
  readConfig,
  requestHead,
  type StreamFacts,
  TestStream,
} from '../../support/filter-harness.ts';

const OK = Buffer.from([0x08, 1]);
const OVER = Buffer.from([0x08, 2]);
const byClient = { actions: [{ request_headers: { header_name: 'x-client', descriptor_key: 'client' } }] };
const service = {
  transport_api_version: 'V3',
  grpc_service: { envoy_grpc: { cluster_name: 'limits' } },
};

/** The filter with a service that answers as told, and what the service was asked. */
function filterWith(fields: object = {}, answer: Uint8Array | Error = OK, options: HarnessOptions = {}) {
  const asked: RateLimitRequest[] = [];
  const config = { domain: 'shop', rate_limit_service: service, rate_limits: [byClient], ...fields };
  const filter = new HttpFilterHarness(rateLimit, config, {
    ...options,
    calls: {
      unary(cluster, path, message) {
        expect([cluster, path]).toEqual(['limits', '/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit']);
        asked.push(readRateLimitRequest(Buffer.from(message)));
        if (answer instanceof Error) throw answer;
        return answer;
      },
    },
  });
  return { filter, asked };
}

const APP = { clusterName: 'app' };
const limits = (...configs: object[]) => configs.map((config) => readConfig(RateLimit, config));

/** What a route with these limits makes of requests. */
function route(own: object[], host: object[] = [], includesVirtualHost = false): StreamFacts {
  return {
    route: { ...APP, rateLimits: { route: limits(...own), virtualHost: limits(...host), includesVirtualHost } },
  };
}

async function send(
  filter: HttpFilterHarness,
  fields: Record<string, string> = {},
  facts: StreamFacts = { route: APP },
) {
  const { stream, request, verdict } = filter.request(fields, facts);
  const settled = (await verdict) as Verdict | undefined;
  return { stream, request, verdict: settled };
}

const key = (value: string) => ({ actions: [{ generic_key: { descriptor_value: value } }] });
const values = (asked: RateLimitRequest[]) =>
  asked.map(({ descriptors }) => descriptors.map(({ entries }) => entries.map(({ value }) => value).join('+')));

describe('envoy.filters.http.ratelimit', () => {
  test('asks the service for requests that a limit concerns, and for no others', async () => {
    const { filter, asked } = filterWith();
    expect((await send(filter, { 'x-client': 'a' })).verdict).toBeUndefined();
    expect(filter.request({}, { route: APP }).verdict).toBeUndefined();
    expect(filter.request({ 'x-client': 'a' }, {}).verdict).toBeUndefined();
    expect(asked.length).toBe(1);
    expect(asked[0]).toEqual({
      domain: 'shop',
      descriptors: [{ entries: [{ key: 'client', value: 'a' }], limit: undefined, hitsAddend: undefined }],
      hitsAddend: 0,
    });
    expect(filter.stat('cluster.app.ratelimit.ok')).toBe(1);
  });

  test('a verdict of over limit refuses with flag, details, statistics and header', async () => {
    const { filter } = filterWith({ stat_prefix: 'edge' }, OVER);
    const { verdict, stream } = await send(filter, { 'x-client': 'a' });
    expect(verdict).toEqual({
      kind: 'reply',
      status: 429,
      body: '',
      headers: {},
      flag: 'RL',
      details: 'request_rate_limited',
      grpcStatus: undefined,
    });
    expect(filter.response(stream).response.get('x-envoy-ratelimited')).toBe('true');
    const stats = ['ratelimit.edge.over_limit', 'upstream_rq_429', 'upstream_rq_4xx', 'upstream_rq_completed'];
    expect(stats.map((name) => filter.stat(`cluster.app.${name}`))).toEqual([1, 1, 1, 1]);
  });

  test("status, headers and grpc-status of a refusal are the configuration's", async () => {
    const fields = {
      rate_limited_status: { code: 503 },
      rate_limited_as_resource_exhausted: true,
      disable_x_envoy_ratelimited_header: true,
      response_headers_to_add: [{ header: { key: 'x-limited', value: '%PROTOCOL%' } }],
    };
    const { filter } = filterWith(fields, OVER);
    const { verdict, stream } = await send(filter, { 'x-client': 'a' });
    expect(verdict).toMatchObject({ status: 503, grpcStatus: 8 });
    Object.assign(stream, { responseCodeDetails: 'request_rate_limited' });
    const { response } = filter.response(stream);
    expect([response.get('x-limited'), response.has('x-envoy-ratelimited')]).toEqual(['HTTP/1.1', false]);
    const odd = filterWith({ rate_limited_status: { code: 200 } }, OVER);
    expect((await send(odd.filter, { 'x-client': 'a' })).verdict).toMatchObject({ status: 429 });
  });

  test('a service that fails lets requests pass, or refuses them, as configured', async () => {
    const open = filterWith({}, new Error('down'));
    expect((await send(open.filter, { 'x-client': 'a' })).verdict).toBeUndefined();
    const stats = ['error', 'failure_mode_allowed'].map((name) => open.filter.stat(`cluster.app.ratelimit.${name}`));
    expect(stats).toEqual([1, 1]);
    const closed = filterWith({ failure_mode_deny: true }, Buffer.from([0x12, 9]));
    expect((await send(closed.filter, { 'x-client': 'a' })).verdict).toMatchObject({
      status: 500,
      flag: 'RLSE',
      details: 'rate_limiter_error',
    });
    expect(closed.filter.stat('cluster.app.ratelimit.error')).toBe(1);
    expect(closed.filter.stat('cluster.app.ratelimit.failure_mode_allowed')).toBe(0);
    const percent = {
      failure_mode_deny_percent: { default_value: { numerator: 100 } },
      status_on_error: { code: 504 },
    };
    const other = filterWith(percent, new Error('down'));
    expect((await send(other.filter, { 'x-client': 'a' })).verdict).toMatchObject({ status: 504 });
  });

  test('the three headers show the limit with the least left, and all limits', async () => {
    const statuses = [
      { code: 1, currentLimit: { requestsPerUnit: 10, unit: 1, name: '' }, remaining: 9, resetSeconds: 1 },
      { code: 1, currentLimit: undefined, remaining: 0, resetSeconds: 0 },
      { code: 1, currentLimit: { requestsPerUnit: 500, unit: 3, name: 'per-hour' }, remaining: 3, resetSeconds: 1800 },
    ];
    const answer = new RateLimitResponseWriter().write(1, statuses);
    const { filter } = filterWith({ enable_x_ratelimit_headers: 'DRAFT_VERSION_03' }, answer);
    const { stream } = await send(filter, { 'x-client': 'a' });
    const { response } = filter.response(stream);
    expect(['limit', 'remaining', 'reset'].map((name) => response.get(`x-ratelimit-${name}`))).toEqual([
      '500, 10;w=1, 500;w=3600;name="per-hour"',
      '3',
      '1800',
    ]);
    const hidden = filterWith({}, answer);
    const passed = await send(hidden.filter, { 'x-client': 'a' });
    expect(hidden.filter.response(passed.stream).response.has('x-ratelimit-limit')).toBe(false);
  });

  test('headers, body and metadata that the service sends are taken over, but no header that forges another', async () => {
    const header = (field: string, name: string, value: string) => {
      const pair = `0a${hexText(name)}12${hexText(value)}`;
      return `${field}${(pair.length / 2).toString(16).padStart(2, '0')}${pair}`;
    };
    const hexText = (value: string) => value.length.toString(16).padStart(2, '0') + Buffer.from(value).toString('hex');
    const metadata = '32100a0e0a046b696e6412061a0474657374';
    const ok = Buffer.from(
      `0801${header('1a', 'x-tier', 'gold')}${header('22', 'x-quota', 'q')}${header('22', 'x-bad', 'a\r\nb: c')}${header('22', ':path', '/x')}${metadata}`,
      'hex',
    );
    const { filter } = filterWith({}, ok);
    const { request, stream } = await send(filter, { 'x-client': 'a' });
    expect([request.get('x-quota'), request.has('x-bad'), request.path]).toEqual(['q', false, '/']);
    expect(filter.response(stream).response.get('x-tier')).toBe('gold');
    expect(stream.getMetadata('envoy.filters.http.ratelimit', 'kind')).toBe('test');
    const over = filterWith({}, Buffer.from(`0802${header('1a', 'content-type', 'a/b')}2a026e6f`, 'hex'));
    const refused = await send(over.filter, { 'x-client': 'a' });
    expect(refused.verdict).toMatchObject({ status: 429, body: 'no' });
    expect(over.filter.response(refused.stream).response.get('content-type')).toBe('a/b');
  });

  test('a limit that is not enforced is counted and shown only', async () => {
    const { filter } = filterWith({ filter_enforced: { default_value: { numerator: 0 } } }, OVER);
    const { verdict, stream } = await send(filter, { 'x-client': 'a' });
    expect(verdict).toBeUndefined();
    expect(filter.response(stream).response.get('x-envoy-ratelimited')).toBe('true');
    const off = filterWith({ filter_enabled: { default_value: { numerator: 0 } } }, OVER);
    expect(off.filter.request({ 'x-client': 'a' }, { route: APP }).verdict).toBeUndefined();
  });

  test('internal and external requests are told by x-envoy-internal', async () => {
    for (const [type, internal, external] of [
      ['internal', 1, 0],
      ['external', 0, 1],
      ['both', 1, 1],
    ] as const) {
      const { filter, asked } = filterWith({ request_type: type });
      await send(filter, { 'x-client': 'a', 'x-envoy-internal': 'true' });
      expect(asked.length).toBe(internal);
      await send(filter, { 'x-client': 'a', 'x-envoy-internal': 'false' });
      expect(asked.length).toBe(internal + external);
    }
  });

  test('the limits of a route count, those of its virtual host where it has none or includes them', async () => {
    const cases: [facts: StreamFacts, override: object | undefined, expected: string[]][] = [
      [route([key('r')], [key('v')]), undefined, ['r']],
      [route([], [key('v')]), undefined, ['v']],
      [route([key('r')], [key('v')], true), { vh_rate_limits: 'IGNORE' }, ['r', 'v']],
      [route([key('r')], [key('v')]), { vh_rate_limits: 'INCLUDE' }, ['r', 'v']],
      [route([], [key('v')]), { vh_rate_limits: 'IGNORE' }, []],
      [route([], [key('v')]), { vh_rate_limits: 'INCLUDE', override_option: 'IGNORE_POLICY' }, ['v']],
      [route([key('r')], [key('v')]), { override_option: 'INCLUDE_POLICY' }, ['r']],
      [route([key('r')], [key('v')]), { rate_limits: [key('own')] }, ['own']],
      [route([{ ...key('other stage'), stage: 1 }], [key('v')]), undefined, []],
    ];
    for (const [facts, override, expected] of cases) {
      const options = override === undefined ? {} : { routeConfigs: [override] };
      const { filter, asked } = filterWith({ rate_limits: undefined }, OK, options);
      await send(filter, {}, facts);
      await send(filter, {}, facts);
      expect(values(asked)).toEqual(expected.length === 0 ? [] : [expected, expected]);
    }
  });

  test('a stage has its own limits, and a route its own domain', async () => {
    const facts = route([{ ...key('one'), stage: 1 }, key('zero')]);
    const first = filterWith({ rate_limits: undefined, stage: 1 });
    await send(first.filter, {}, facts);
    expect(values(first.asked)).toEqual([['one']]);
    const other = filterWith({ rate_limits: undefined }, OK, { routeConfigs: [{ domain: 'other' }] });
    await send(other.filter, {}, facts);
    expect(other.asked[0]?.domain).toBe('other');
  });

  test('a limit may come from metadata, and count more than one', async () => {
    const metadata_key = { key: 'plan', path: [{ key: 'limit' }] };
    const config = [
      { ...key('a'), limit: { dynamic_metadata: { metadata_key } }, hits_addend: { number: 5 } },
      { ...key('b'), hits_addend: { format: '%DYNAMIC_METADATA(plan:tokens)%' } },
    ];
    const { filter, asked } = filterWith({ rate_limits: config });
    const plans: Record<string, unknown>[] = [
      { limit: { requests_per_unit: 7, unit: 'HOUR' }, tokens: 40 },
      { limit: { requests_per_unit: '7', unit: 'EON' }, tokens: 'many' },
    ];
    for (const plan of plans) {
      const stream = new TestStream(requestHead(), { route: APP });
      for (const [name, value] of Object.entries(plan)) stream.setMetadata('plan', name, value);
      await filter.hooks.onRequest?.(stream.request, stream);
    }
    expect(asked.map(({ descriptors }) => descriptors.map(({ limit, hitsAddend }) => [limit, hitsAddend]))).toEqual([
      [
        [{ requestsPerUnit: 7, unit: 3 }, 5],
        [undefined, 40],
      ],
      // What should be a number and is none makes no descriptor, as in Envoy.
      [[undefined, 5]],
    ]);
  });

  test('limits for the end of the stream are told then, and nobody waits for the answer', async () => {
    const config = [
      { ...key('bytes'), apply_on_stream_done: true, hits_addend: { format: '%BYTES_SENT%' } },
      key('now'),
    ];
    const { filter, asked } = filterWith({ rate_limits: config }, OK);
    const { stream } = await send(filter, {});
    expect(values(asked)).toEqual([['now']]);
    Object.assign(stream, { bytesSent: 1234 });
    filter.hooks.onDone?.(stream);
    expect(values(asked)).toEqual([['now'], ['bytes']]);
    expect(asked[1]?.descriptors[0]?.hitsAddend).toBe(1234);
  });
});
