import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findEnvoy, NO_ENVOY } from '../../support/envoy.ts';
import { type CheckedServer, httpServer } from '../../support/health-servers.ts';
import { httpConfig } from '../../support/proxy.ts';
import { type ProxyName, ProxyProcess, unusedPort } from '../../support/proxy-process.ts';
import { differences, obedientServer, run, type Scenario, type Sent } from './scenarios.ts';

const stack = new AsyncDisposableStack();
let app: CheckedServer;
let failing: CheckedServer;
let deadPort: number;

beforeAll(async () => {
  app = stack.use(await obedientServer());
  failing = stack.use(
    await httpServer((request, response) => {
      response.statusCode = request.url === '/healthz' ? 200 : 500;
      response.end();
    }),
  );
  deadPort = await unusedPort();
});
afterAll(() => stack.disposeAsync());

const STATISTICS = [
  ...[
    'active',
    'consecutive_5xx',
    'detected_consecutive_5xx',
    'detected_consecutive_gateway_failure',
    'detected_consecutive_local_origin_failure',
    'detected_failure_percentage',
    'detected_local_origin_failure_percentage',
    'detected_local_origin_success_rate',
    'detected_success_rate',
    'enforced_consecutive_5xx',
    'enforced_consecutive_gateway_failure',
    'enforced_consecutive_local_origin_failure',
    'enforced_failure_percentage',
    'enforced_local_origin_failure_percentage',
    'enforced_local_origin_success_rate',
    'enforced_success_rate',
    'enforced_total',
    'overflow',
    'success_rate',
    'total',
  ].map((name) => `outlier_detection.ejections_${name}`),
  'membership_healthy',
  'membership_total',
  'upstream_cx_none_healthy',
];

const times = (count: number, ...paths: string[]): Sent[] =>
  Array.from({ length: count }, () => paths.map((path) => ({ path }))).flat();

const detection = (fields: object, more: object = {}): object => ({
  outlier_detection: { interval: '1000s', max_ejection_percent: 100, ...fields },
  ...more,
});

function scenarios(): Scenario[] {
  const one = [app.port];
  const many = (count: number, port = app.port): number[] => Array.from({ length: count }, () => port);
  const split = { split_external_local_origin_errors: true };
  return [
    { name: 'errors', ports: one, cluster: detection({}), send: times(7, '/500') },
    { name: 'mixed', ports: one, cluster: detection({}), send: times(3, '/500', '/503', '/200') },
    { name: 'client-errors', ports: one, cluster: detection({ consecutive_5xx: 2 }), send: times(5, '/404') },
    {
      name: 'gateway',
      ports: one,
      cluster: detection({ consecutive_gateway_failure: 3, enforcing_consecutive_gateway_failure: 100 }),
      send: times(5, '/502'),
    },
    {
      name: 'gateway-broken-by-500',
      ports: one,
      cluster: detection({
        consecutive_5xx: 20,
        consecutive_gateway_failure: 3,
        enforcing_consecutive_gateway_failure: 100,
      }),
      send: times(4, '/503', '/504', '/500'),
    },
    { name: 'gateway-not-enforced', ports: one, cluster: detection({}), send: times(5, '/503') },
    {
      name: 'both',
      ports: one,
      cluster: detection({ enforcing_consecutive_gateway_failure: 100 }),
      send: times(7, '/503'),
    },
    { name: 'never', ports: one, cluster: detection({ enforcing_consecutive_5xx: 0 }), send: times(12, '/500') },
    { name: 'zero', ports: one, cluster: detection({ consecutive_5xx: 0 }), send: times(4, '/500') },
    { name: 'refused', ports: [deadPort], cluster: detection({ consecutive_5xx: 3 }), send: times(5, '/') },
    {
      name: 'refused-split',
      ports: [deadPort],
      cluster: detection({ ...split, consecutive_5xx: 2, consecutive_local_origin_failure: 3 }),
      send: times(5, '/'),
    },
    { name: 'reset', ports: one, cluster: detection({ consecutive_5xx: 3 }), send: times(5, '/reset') },
    {
      name: 'reset-split',
      ports: one,
      cluster: detection({ ...split, consecutive_5xx: 2, consecutive_local_origin_failure: 3 }),
      send: times(5, '/reset'),
    },
    { name: 'cut', ports: one, cluster: detection({ consecutive_5xx: 2 }), send: times(4, '/cut') },
    {
      name: 'cut-split',
      ports: one,
      cluster: detection({ ...split, consecutive_local_origin_failure: 2 }),
      send: times(4, '/cut'),
    },
    {
      name: 'errors-split',
      ports: one,
      cluster: detection({ ...split, consecutive_5xx: 2, consecutive_local_origin_failure: 1 }),
      send: times(4, '/500'),
    },
    {
      name: 'timeout',
      ports: one,
      cluster: detection({ consecutive_gateway_failure: 2, enforcing_consecutive_gateway_failure: 100 }),
      route: { timeout: '0.1s' },
      send: times(4, '/stall'),
    },
    {
      name: 'timeout-split',
      ports: one,
      cluster: detection({ ...split, consecutive_local_origin_failure: 2 }),
      route: { timeout: '0.1s' },
      send: times(4, '/stall'),
    },
    {
      name: 'try-timeout',
      ports: one,
      cluster: detection({ consecutive_5xx: 3 }),
      route: { timeout: '5s', retry_policy: { retry_on: '5xx', num_retries: 1, per_try_timeout: '0.1s' } },
      send: times(3, '/stall'),
    },
    {
      name: 'retried',
      ports: one,
      cluster: detection({ consecutive_5xx: 4 }),
      route: { retry_policy: { retry_on: '5xx', num_retries: 2 } },
      send: times(3, '/500'),
    },
    { name: 'grpc', ports: one, cluster: detection({ consecutive_5xx: 2 }), send: grpc(4, '/grpc-14') },
    { name: 'grpc-client', ports: one, cluster: detection({ consecutive_5xx: 2 }), send: grpc(4, '/grpc-5') },
    {
      name: 'half',
      ports: many(2),
      cluster: detection({ consecutive_5xx: 1, max_ejection_percent: 50 }),
      send: times(4, '/500'),
    },
    {
      name: 'tenth-of-two',
      ports: many(2),
      cluster: detection({ consecutive_5xx: 1, max_ejection_percent: 10 }),
      send: times(4, '/500'),
    },
    {
      name: 'one-of-two',
      ports: many(2),
      cluster: detection({ consecutive_5xx: 1, max_ejection_percent: 10, always_eject_one_host: true }),
      send: times(4, '/500'),
    },
    {
      name: 'none-at-zero',
      ports: one,
      cluster: detection({ consecutive_5xx: 1, max_ejection_percent: 0 }),
      send: times(3, '/500'),
    },
    {
      name: 'defaults',
      ports: one,
      cluster: { outlier_detection: {} },
      send: times(7, '/500'),
    },
    {
      name: 'comes-back',
      ports: one,
      cluster: detection({ consecutive_5xx: 2, interval: '0.1s', base_ejection_time: '0.2s' }),
      send: times(3, '/500'),
      until: ['outlier_detection.ejections_active', (active) => active === 0],
    },
    {
      name: 'check-brings-back',
      ports: [failing.port],
      cluster: detection(
        { consecutive_5xx: 2, base_ejection_time: '1000s', max_ejection_time: '1000s' },
        { health_checks: [{ ...CHECK, http_health_check: { path: '/healthz' } }] },
      ),
      send: times(3, '/500'),
      until: ['outlier_detection.ejections_active', (active) => active === 0],
    },
    {
      name: 'check-does-not',
      ports: [failing.port],
      cluster: detection(
        { consecutive_5xx: 2, successful_active_health_check_uneject_host: false },
        { health_checks: [{ ...CHECK, http_health_check: { path: '/healthz' } }] },
      ),
      send: times(3, '/500'),
      until: ['health_check.success', (count) => count > 5],
    },
    {
      name: 'tcp-refused',
      ports: [deadPort],
      isTcp: true,
      cluster: detection({ consecutive_5xx: 3 }),
      send: times(5, '/'),
    },
    {
      name: 'tcp-refused-split',
      ports: [deadPort],
      isTcp: true,
      cluster: detection({ ...split, consecutive_local_origin_failure: 3 }),
      send: times(5, '/'),
    },
  ];
}

const CHECK = {
  timeout: '5s',
  interval: '0.3s',
  no_traffic_interval: '0.3s',
  unhealthy_threshold: 1,
  healthy_threshold: 1,
};

function grpc(count: number, path: string): Sent[] {
  const headers = { 'content-type': 'application/grpc', te: 'trailers' };
  return Array.from({ length: count }, () => ({ path, headers, method: 'POST' }));
}

test('what fails is ejected, counted and answered as by Envoy', { timeout: 120_000 }, async (context) => {
  if (findEnvoy() === undefined) return context.skip(NO_ENVOY);
  for (const [name, [wanted, own]] of Object.entries(await differences(scenarios(), STATISTICS)))
    expect.soft(own, name).toEqual(wanted);
});

/** What the event log says of an ejection, a return and another ejection, without times and ports. */
async function eventsOf(name: ProxyName, folder: string): Promise<unknown[]> {
  const log = join(folder, `${name}.log`);
  const outlier_detection = {
    consecutive_5xx: 2,
    consecutive_gateway_failure: 1,
    interval: '0.2s',
    base_ejection_time: '0.2s',
    max_ejection_percent: 100,
  };
  const config = httpConfig(app.port, { cluster: `outlier_detection: ${JSON.stringify(outlier_detection)}` });
  const common = `cluster_manager: { outlier_detection: { event_log_path: ${log} } }`;
  await using proxy = await ProxyProcess.start(name, `${common}\n${config}`);
  for (const path of ['/503', '/500']) {
    await fetch(`http://127.0.0.1:${proxy.port}${path}`);
    await sleep(50);
  }
  const active = 'cluster.app.outlier_detection.ejections_active';
  await proxy.stat(active, (count) => count === 0);
  for (let i = 0; i < 2; i++) await fetch(`http://127.0.0.1:${proxy.port}/500`);
  await proxy.stat('cluster.app.outlier_detection.ejections_enforced_total', (count) => count === 2);
  let lines: string[] = [];
  await expect
    .poll(
      async () => {
        await proxy.reopenLogs();
        lines = readFileSync(log, 'utf8').trim().split('\n');
        return lines.length;
      },
      { timeout: 10_000 },
    )
    .toBeGreaterThanOrEqual(4);
  return lines.slice(0, 4).map((line) => {
    const event = JSON.parse(line) as Record<string, unknown>;
    const hadTime = typeof event.timestamp === 'string';
    const hadAction = event.secs_since_last_action !== undefined;
    delete event.timestamp;
    delete event.secs_since_last_action;
    return { ...event, hadTime, hadAction, upstream_url: event.upstream_url === `127.0.0.1:${app.port}` };
  });
}

test('the event log says what Envoy’s says', { timeout: 60_000 }, async (context) => {
  if (findEnvoy() === undefined) return context.skip(NO_ENVOY);
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-outliers-'));
  try {
    const [wanted, own] = await Promise.all([eventsOf('envoy', folder), eventsOf('outrigger', folder)]);
    expect(own).toEqual(wanted);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('success rates and failure percentages eject the same endpoint as in Envoy', {
  timeout: 120_000,
}, async (context) => {
  if (findEnvoy() === undefined) return context.skip(NO_ENVOY);
  const ports = [...Array.from({ length: 5 }, () => app.port), failing.port];
  const volume = { consecutive_5xx: 100_000, interval: '3s', base_ejection_time: '1000s', max_ejection_time: '1000s' };
  // Wherever an interval ends, one of the two around it has enough requests.
  const send = times(600, '/200');
  const all: Scenario[] = [
    {
      name: 'rates',
      ports,
      cluster: detection({ ...volume, success_rate_request_volume: 20 }),
      send,
      isHasty: true,
      until: ['outlier_detection.ejections_enforced_success_rate', (count) => count > 0],
    },
    {
      name: 'percentages',
      ports,
      cluster: detection({
        ...volume,
        enforcing_success_rate: 0,
        enforcing_failure_percentage: 100,
        failure_percentage_request_volume: 20,
      }),
      send,
      isHasty: true,
      until: ['outlier_detection.ejections_enforced_failure_percentage', (count) => count > 0],
    },
    {
      name: 'connects',
      ports: [...ports.slice(0, 5), deadPort],
      cluster: detection({
        ...volume,
        split_external_local_origin_errors: true,
        consecutive_local_origin_failure: 100_000,
        success_rate_request_volume: 20,
      }),
      send,
      isHasty: true,
      until: ['outlier_detection.ejections_enforced_local_origin_success_rate', (count) => count > 0],
    },
  ];
  const statistics = ['active', 'enforced_total', 'enforced_success_rate', 'enforced_local_origin_success_rate'].map(
    (name) => `outlier_detection.ejections_${name}`,
  );
  const [wanted, own] = await Promise.all([run('envoy', all, statistics), run('outrigger', all, statistics)]);
  for (const { name } of all) {
    const [theirs, ours] = [wanted.get(name), own.get(name)];
    expect.soft(ours?.stats, name).toEqual(theirs?.stats);
    expect.soft(ours?.flags, name).toEqual(theirs?.flags);
    expect(ours?.flags).toContain('/failed_outlier_check');
  }
});
