import { afterAll, beforeAll, expect, test } from 'vitest';
import { findEnvoy, NO_ENVOY } from '../../support/envoy.ts';
import { type CheckedServer, httpServer } from '../../support/health-servers.ts';
import { unusedPort } from '../../support/proxy-process.ts';
import { differences, obedientServer, type Scenario, type Sent } from './scenarios.ts';

const stack = new AsyncDisposableStack();
let app: CheckedServer;
/** Answer 500. */
let bad: CheckedServer[];
let deadPort: number;

beforeAll(async () => {
  app = stack.use(await obedientServer());
  const refuse = () =>
    httpServer((_request, response) => {
      response.statusCode = 500;
      response.end();
    });
  bad = [stack.use(await refuse()), stack.use(await refuse()), stack.use(await refuse())];
  deadPort = await unusedPort();
});
afterAll(() => stack.disposeAsync());

const BREAKERS = ['cx_open', 'rq_open', 'rq_pending_open', 'rq_retry_open'];
const STATISTICS = [
  ...['retry', 'retry_success', 'retry_overflow', 'retry_limit_exceeded', 'retry_backoff_exponential'],
  ...['retry_backoff_ratelimited', 'timeout', 'per_try_timeout', 'per_try_idle_timeout', 'pending_overflow', 'total'],
].map((name) => `upstream_rq_${name}`);
const BREAKER_STATISTICS = [
  'upstream_cx_overflow',
  ...['default', 'high'].flatMap((priority) => BREAKERS.map((name) => `circuit_breakers.${priority}.${name}`)),
  ...['cx', 'rq', 'pending', 'retries'].map((name) => `circuit_breakers.default.remaining_${name}`),
];

const times = (count: number, path: string, headers: Readonly<Record<string, string>> = {}): Sent[] =>
  Array.from({ length: count }, () => ({ path, headers }));

const QUICK = { retry_back_off: { base_interval: '0.001s', max_interval: '0.01s' } };
const policy = (retry_on: string, more: object = {}): object => ({ retry_policy: { retry_on, ...QUICK, ...more } });

/** A load assignment with an endpoint of each priority. */
function byPriority(name: string, ports: readonly number[]): object {
  const endpoints = ports.map((port_value, priority) => ({
    priority,
    lb_endpoints: [{ endpoint: { address: { socket_address: { address: '127.0.0.1', port_value } } } }],
  }));
  return { load_assignment: { cluster_name: name, endpoints } };
}

const predicate = (name: string, type: string, more: object = {}): object => ({
  retry_host_predicate: [
    {
      name: `envoy.retry_host_predicates.${name}`,
      typed_config: { '@type': `type.googleapis.com/envoy.extensions.retry.host.${name}.v3.${type}`, ...more },
    },
  ],
  host_selection_retry_max_attempts: 30,
});

const previousPriorities = (update_frequency: number): object => ({
  retry_priority: {
    name: 'envoy.retry_priorities.previous_priorities',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig',
      update_frequency,
    },
  },
});

const lb = (values: object): object => ({ metadata: { filter_metadata: { 'envoy.lb': values } } });

function scenarios(): Scenario[] {
  const one = [app.port];
  const three = bad.map(({ port }) => port);
  const grpc = { 'content-type': 'application/grpc', te: 'trailers' };
  const budget = (budget_percent: number, min_retry_concurrency: number): object => ({
    circuit_breakers: {
      thresholds: [{ retry_budget: { budget_percent: { value: budget_percent }, min_retry_concurrency } }],
    },
  });
  const limit = (threshold: object): object => ({ circuit_breakers: { thresholds: [threshold] } });
  const rateLimited = (max_interval: string): object => ({
    rate_limited_retry_back_off: { reset_headers: [{ name: 'retry-after', format: 'SECONDS' }], max_interval },
  });
  return [
    { name: '5xx', ports: one, route: policy('5xx', { num_retries: 2 }), send: times(1, '/500') },
    { name: '5xx-not-404', ports: one, route: policy('5xx'), send: times(1, '/404') },
    { name: 'gateway-500', ports: one, route: policy('gateway-error'), send: times(1, '/500') },
    { name: 'gateway-504', ports: one, route: policy('gateway-error'), send: times(1, '/504') },
    { name: 'reset', ports: one, route: policy('reset'), send: times(1, '/reset') },
    { name: 'before-request', ports: one, route: policy('reset-before-request'), send: times(1, '/reset') },
    { name: 'before-request-dead', ports: [deadPort], route: policy('reset-before-request'), send: times(1, '/') },
    { name: 'connect', ports: [deadPort], route: policy('connect-failure', { num_retries: 3 }), send: times(1, '/') },
    { name: 'connect-not-reset', ports: one, route: policy('connect-failure'), send: times(1, '/reset') },
    { name: 'refused-not-reset', ports: one, route: policy('refused-stream'), send: times(1, '/reset') },
    { name: 'cut', ports: one, route: policy('5xx,reset'), send: times(1, '/cut') },
    { name: 'ratelimited', ports: one, route: policy('envoy-ratelimited'), send: times(1, '/ratelimited-429') },
    { name: 'not-ratelimited', ports: one, route: policy('5xx'), send: times(1, '/ratelimited-500') },
    { name: '4xx', ports: one, route: policy('retriable-4xx'), send: [...times(1, '/409'), ...times(1, '/404')] },
    {
      name: 'codes',
      ports: one,
      route: policy('retriable-status-codes', { retriable_status_codes: [418] }),
      send: [...times(1, '/418'), ...times(1, '/500')],
    },
    {
      name: 'codes-unnamed',
      ports: one,
      route: policy('5xx', { retriable_status_codes: [418] }),
      send: times(1, '/418'),
    },
    {
      name: 'headers',
      ports: one,
      route: policy('retriable-headers', { retriable_headers: [{ name: 'retry-after', present_match: true }] }),
      send: [...times(1, '/retry-after'), ...times(1, '/200')],
    },
    {
      name: 'some-requests',
      ports: one,
      route: policy('5xx', { retriable_request_headers: [{ name: 'x-again', present_match: true }] }),
      send: [...times(1, '/500', { 'x-again': '1' }), ...times(1, '/500')],
    },
    { name: 'grpc', ports: one, route: policy('unavailable'), send: times(1, '/grpc-14', grpc) },
    { name: 'grpc-not', ports: one, route: policy('unavailable,cancelled'), send: times(1, '/grpc-13', grpc) },
    { name: 'grpc-all', ports: one, route: policy('internal,deadline-exceeded'), send: times(1, '/grpc-4', grpc) },
    { name: 'unknown', ports: one, route: policy('whatever,5xx'), send: times(1, '/500') },
    { name: 'none', ports: one, route: policy('5xx', { num_retries: 0 }), send: times(1, '/500') },
    { name: 'asked', ports: one, send: times(1, '/503', { 'x-envoy-retry-on': '5xx', 'x-envoy-max-retries': '3' }) },
    {
      name: 'asked-for-codes',
      ports: one,
      send: times(1, '/418', {
        'x-envoy-retry-on': 'retriable-status-codes',
        'x-envoy-retriable-status-codes': '418,419',
      }),
    },
    {
      name: 'asked-for-headers',
      ports: one,
      send: times(1, '/retry-after', {
        'x-envoy-retry-on': 'retriable-headers',
        'x-envoy-retriable-header-names': 'x-none,retry-after',
      }),
    },
    {
      name: 'asked-grpc',
      ports: one,
      send: times(1, '/grpc-8', { ...grpc, 'x-envoy-retry-grpc-on': 'resource-exhausted' }),
    },
    {
      name: 'asked-times',
      ports: one,
      route: { timeout: '30s', ...policy('5xx') },
      send: [
        ...times(1, '/stall', { 'x-envoy-upstream-rq-timeout-ms': '100' }),
        ...times(1, '/stall', { 'x-envoy-upstream-rq-per-try-timeout-ms': '100' }),
      ],
    },
    {
      name: 'try-times',
      ports: one,
      route: policy('5xx', { num_retries: 2, per_try_timeout: '0.1s' }),
      send: times(1, '/stall'),
    },
    {
      name: 'try-times-only',
      ports: one,
      route: policy('connect-failure', { per_try_timeout: '0.1s' }),
      send: times(1, '/stall'),
    },
    {
      name: 'try-idle',
      ports: one,
      route: policy('reset', { per_try_idle_timeout: '0.1s' }),
      send: times(1, '/stall'),
    },
    {
      name: 'try-idle-in-body',
      ports: one,
      route: policy('reset', { per_try_idle_timeout: '0.1s' }),
      send: times(1, '/head-only'),
    },
    {
      name: 'route-time-in-body',
      ports: one,
      route: { timeout: '0.1s', ...policy('5xx') },
      send: times(1, '/head-only'),
    },
    {
      name: 'route-time',
      ports: one,
      route: { timeout: '0.15s', ...policy('5xx', { per_try_timeout: '0.1s', num_retries: 5 }) },
      send: times(1, '/stall'),
    },
    { name: 'stream-idle', ports: one, route: { idle_timeout: '0.1s', timeout: '0s' }, send: times(1, '/stall') },
    {
      name: 'stream-duration',
      ports: one,
      route: { max_stream_duration: { max_stream_duration: '0.1s' }, timeout: '0s' },
      send: times(1, '/stall'),
    },
    {
      name: 'grpc-deadline',
      ports: one,
      route: { max_stream_duration: { grpc_timeout_header_max: '0.2s' }, timeout: '0s' },
      send: [
        ...times(1, '/stall', { ...grpc, 'grpc-timeout': '100m' }),
        ...times(1, '/stall', { ...grpc, 'grpc-timeout': '10S' }),
      ],
    },
    {
      name: 'retry-after',
      ports: one,
      route: policy('retriable-headers', {
        retriable_headers: [{ name: 'retry-after', present_match: true }],
        ...rateLimited('5s'),
      }),
      send: times(1, '/retry-after'),
    },
    {
      name: 'retry-after-too-long',
      ports: one,
      route: policy('retriable-headers', {
        retriable_headers: [{ name: 'retry-after', present_match: true }],
        ...rateLimited('0.5s'),
      }),
      send: times(1, '/retry-after'),
    },
    {
      name: 'no-retries-left',
      ports: one,
      cluster: limit({ max_retries: 0 }),
      route: policy('5xx'),
      send: times(1, '/500'),
    },
    {
      name: 'budget',
      ports: one,
      cluster: budget(50, 3),
      route: policy('5xx', { num_retries: 2 }),
      send: times(1, '/500'),
    },
    { name: 'no-budget', ports: one, cluster: budget(0, 0), route: policy('5xx'), send: times(1, '/500') },
    { name: 'budget-of-one', ports: one, cluster: budget(100, 0), route: policy('5xx'), send: times(1, '/500') },
    { name: 'no-requests', ports: one, cluster: limit({ max_requests: 0 }), send: times(2, '/200') },
    { name: 'no-pending', ports: one, cluster: limit({ max_pending_requests: 0 }), send: times(2, '/200') },
    { name: 'no-connections', ports: one, cluster: limit({ max_connections: 0 }), send: times(2, '/200') },
    {
      name: 'remaining',
      ports: one,
      cluster: limit({ track_remaining: true, max_requests: 7 }),
      send: times(2, '/200'),
    },
    {
      name: 'high',
      ports: one,
      cluster: limit({ priority: 'HIGH', max_requests: 0 }),
      route: { priority: 'HIGH' },
      send: times(2, '/200'),
    },
    {
      name: 'other-hosts',
      ports: [three[0] as number, app.port],
      route: policy('5xx', predicate('previous_hosts', 'PreviousHostsPredicate')),
      send: times(10, '/200'),
      ignoresLog: true,
    },
    {
      name: 'no-canaries',
      ports: [...three, app.port],
      members: [lb({ canary: true }), lb({ canary: true }), lb({ canary: true }), {}],
      route: policy('5xx', predicate('omit_canary_hosts', 'OmitCanaryHostsPredicate')),
      send: times(10, '/200'),
      ignoresLog: true,
    },
    {
      name: 'no-such-labels',
      ports: [...three, app.port],
      members: [lb({ tier: 'b' }), lb({ tier: ['a', 'b'] }), lb({ tier: 'b', more: 1 }), lb({ tier: 'c' })],
      route: policy(
        '5xx',
        predicate('omit_host_metadata', 'OmitHostMetadataConfig', {
          metadata_match: { filter_metadata: { 'envoy.lb': { tier: 'b' } } },
        }),
      ),
      send: times(10, '/200'),
      ignoresLog: true,
    },
    {
      name: 'same-priority',
      ports: [three[0] as number, app.port],
      cluster: byPriority('same-priority', [three[0] as number, app.port]),
      route: policy('5xx'),
      send: times(2, '/200'),
      countsHosts: true,
    },
    {
      name: 'next-priority',
      ports: [three[0] as number, app.port],
      cluster: byPriority('next-priority', [three[0] as number, app.port]),
      route: policy('5xx', previousPriorities(1)),
      send: times(3, '/200'),
      countsHosts: true,
    },
    {
      name: 'priorities-in-turn',
      ports: three,
      cluster: byPriority('priorities-in-turn', three),
      route: policy('5xx', { num_retries: 7, ...previousPriorities(2) }),
      send: times(3, '/200'),
      countsHosts: true,
    },
    {
      name: 'priorities-all-over',
      ports: three,
      cluster: byPriority('priorities-all-over', three),
      route: policy('5xx', { num_retries: 7, ...previousPriorities(1) }),
      send: times(3, '/200'),
      countsHosts: true,
    },
  ];
}

test('tries, their times, flags and statistics are those of Envoy', { timeout: 120_000 }, async (context) => {
  if (findEnvoy() === undefined) return context.skip(NO_ENVOY);
  for (const [name, [wanted, own]] of Object.entries(
    await differences(scenarios(), [...STATISTICS, ...BREAKER_STATISTICS]),
  ))
    expect.soft(own, name).toEqual(wanted);
});
