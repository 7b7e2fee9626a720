import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AdminServer } from '../../../src/observe/admin/index.ts';
import { startAdminServer } from '../../../src/observe/admin/index.ts';
import { createLogger } from '../../../src/observe/log.ts';
import { FakeView } from './fake-view.ts';
import { playTraffic } from './traffic.ts';

let server: AdminServer;
let view: FakeView;
let log: ReturnType<typeof createLogger>;

beforeEach(async () => {
  view = new FakeView();
  log = createLogger({ write: () => {} });
  log.component('upstream');
  server = await startAdminServer({ host: '127.0.0.1', port: 0, view, log });
});

afterEach(() => server.close());

interface Answer {
  status: number;
  type: string;
  body: string;
  headers: Record<string, string | string[] | undefined>;
}

function ask(
  path: string,
  method = 'GET',
  headers: Record<string, string> = {},
  body?: string | Buffer,
): Promise<Answer> {
  return new Promise((done, fail) => {
    const request = httpRequest(
      { port: server.port, host: '127.0.0.1', path, method, headers, agent: false },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          done({
            status: response.statusCode ?? 0,
            type: response.headers['content-type'] ?? '',
            body: text,
            headers: response.headers,
          });
        });
      },
    );
    request.on('error', fail);
    request.end(body);
  });
}

const json = async (path: string) => JSON.parse((await ask(path)).body);

describe('reading', () => {
  it('tells readiness by state', async () => {
    expect(await ask('/ready')).toMatchObject({ status: 200, body: 'LIVE\n' });
    view.serverState = 'INITIALIZING';
    expect(await ask('/ready')).toMatchObject({ status: 503, body: 'INITIALIZING\n' });
    expect(await json('/init_dump')).toEqual({
      unready_targets_dumps: [{ name: 'init manager Server', target_names: ['cluster orders'] }],
    });
  });

  it('describes the server', async () => {
    expect(await json('/server_info')).toMatchObject({
      version: expect.stringMatching(/^outrigger\/0\.1\.0\//),
      state: 'LIVE',
      uptime_current_epoch: '3700s',
      command_line_options: { concurrency: 1 },
      node: { id: 'sidecar~shop-7d9', cluster: 'shop' },
    });
    expect(Number((await json('/memory')).total_physical_bytes)).toBeGreaterThan(1e6);
    expect((await json('/certs')).certificates[0].cert_chain[0]).toMatchObject({
      path: '/etc/certs/cert.pem',
      serial_number: '01ab',
      subject_alt_names: [{ uri: 'spiffe://shop.test/sa/web' }],
      days_until_expiration: '41',
      valid_from: '2026-01-01T00:00:00Z',
      expiration_time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
    });
  });

  it('prints statistics as text, JSON and for Prometheus', async () => {
    playTraffic(view, 100);
    view.store.counter('cluster.app.upstream_rq_total');
    view.store.histogram('http.ingress_http.downstream_cx_length_ms');
    const text = (await ask('/stats')).body;
    expect(text).toMatch(/^cluster\.app\.upstream_rq_total: 0\nhttp\.ingress_http\.downstream_cx_active: 3\n/);
    expect(text).toContain('http.ingress_http.downstream_cx_length_ms: No recorded values\n');
    expect(text).toMatch(/downstream_rq_time: P0\(nan,[\d.]+\) P25/);
    const used = (await ask('/stats?usedonly')).body;
    expect(used).not.toContain('upstream_rq_total');
    expect(used).toContain('http.ingress_http.downstream_rq_total: 100\n');
    expect((await ask('/stats?filter=rq_(total|active)$&type=counters')).body).toBe(
      'cluster.app.upstream_rq_total: 0\nhttp.ingress_http.downstream_rq_total: 100\n',
    );
    const { stats } = await json('/stats?format=json&filter=downstream_rq_(2xx|time)');
    expect(stats[0]).toEqual({ name: 'http.ingress_http.downstream_rq_2xx', value: expect.any(Number) });
    expect(stats[1].histograms.computed_quantiles[0].values).toHaveLength(10);
    const prometheus = await ask('/stats/prometheus?usedonly');
    expect(prometheus.type).toMatch(/^text\/plain; version=0\.0\.4/);
    expect(prometheus.body).toContain(
      'envoy_http_downstream_rq_total{envoy_http_conn_manager_prefix="ingress_http"} 100\n',
    );
    expect((await ask('/stats?format=prometheus&usedonly')).body).toBe(prometheus.body);
  });

  it('refuses a wrong expression and a wrong format', async () => {
    expect(await ask('/stats?filter=(')).toMatchObject({
      status: 400,
      body: expect.stringContaining('Invalid re2 regex'),
    });
    expect(await ask('/stats?format=xml')).toMatchObject({ status: 400, body: expect.stringContaining('usage') });
  });

  it('lists clusters and listeners in both forms', async () => {
    const text = (await ask('/clusters')).body;
    expect(text).toContain('app::default_priority::max_connections::1024\n');
    expect(text).toContain('app::127.0.0.1:8081::health_flags::/failed_active_hc\n');
    const clusters = await json('/clusters?format=json&filter=^orders$');
    expect(clusters.cluster_statuses).toHaveLength(1);
    expect(clusters.cluster_statuses[0].host_statuses[0].address).toEqual({
      socket_address: { address: '::1', port_value: 9000 },
    });
    const [, broken] = (await json('/clusters?format=json')).cluster_statuses[0].host_statuses;
    expect(broken.health_status).toEqual({ eds_health_status: 'HEALTHY', failed_active_health_check: true });
    expect((await ask('/listeners')).body).toBe('inbound::127.0.0.1:15006\nmysql::[::1]:3306\nunix::/run/shop.sock\n');
    expect((await json('/listeners?format=json')).listener_statuses[2].local_address).toEqual({
      pipe: { path: '/run/shop.sock' },
    });
  });

  it('tells denials, filter times and the live figures', async () => {
    playTraffic(view, 40);
    expect((await json('/denials')).denials[0]).toMatchObject({ filter: 'local_ratelimit', flags: 'RL', status: 429 });
    expect((await json('/filters')).filters[1]).toEqual({
      chain: 'shop/app',
      filter: 'rbac',
      samples: 500,
      meanNs: 2100,
    });
    const components = await json('/components');
    expect(components).toMatchObject({ mode: 'sampled', cpuNs: 14_000_000, unattributedNs: 2_145_000 });
    expect(components.routes[0].parts).toContainEqual({
      part: 'os_write',
      title: 'OS write',
      table2: 'OS Write',
      meshInsight: 'Write',
      basis: 'by calibration',
      ns: 4_500_000,
      nsPerRequest: 9000,
    });
    const metrics = (await ask('/stats/prometheus')).body;
    expect(metrics).toContain(
      'outrigger_component_cpu_seconds_total{route="shop/app",component="filter",filter="rbac",table2="Sidecar Filter",meshinsight="Sidecar Filter",basis="measured"} 0.001050000\n',
    );
    expect(metrics).toContain('outrigger_unattributed_cpu_seconds 0.002145000\n');
    const live = await json('/live');
    expect(live.totals).toMatchObject({ requests: 40, status4xx: 4, denied: 4, active: 2 });
    expect(live.totals.latency.at(-1)).toEqual([null, 40]);
    expect(live.denials).toHaveLength(4);
  });

  it('helps, also after a wrong path', async () => {
    expect((await ask('/help')).body).toContain('  /drain_listeners (POST): drain listeners\n      graceful: ');
    expect(await ask('/nope')).toMatchObject({
      status: 404,
      body: expect.stringMatching(/^invalid path\. admin commands are:/),
    });
  });

  it('answers HEAD without a body', async () => {
    expect(await ask('/ready', 'HEAD')).toMatchObject({ status: 200, body: '', headers: { 'content-length': '5' } });
  });
});

describe('config_dump', () => {
  it('dumps by kind, secrets redacted', async () => {
    const { body } = await ask('/config_dump');
    const { configs } = JSON.parse(body);
    expect(configs.map((dump: Record<string, string>) => dump['@type']?.split('.').at(-1))).toEqual([
      'BootstrapConfigDump',
      'ClustersConfigDump',
      'ListenersConfigDump',
      'RoutesConfigDump',
      'SecretsConfigDump',
    ]);
    expect(body).not.toMatch(/PRIVATE|HUSH/);
    expect(body).toContain('key.pem');
    expect(configs[3].static_route_configs[0].route_config.name).toBe('local');
  });

  it('selects by resource, mask and name', async () => {
    expect((await json('/config_dump?resource=static_listeners&mask=listener.name')).configs).toEqual([
      {
        '@type': 'type.googleapis.com/envoy.admin.v3.ListenersConfigDump.StaticListener',
        listener: { name: 'inbound' },
      },
      { '@type': 'type.googleapis.com/envoy.admin.v3.ListenersConfigDump.StaticListener', listener: { name: 'other' } },
    ]);
    expect((await json('/config_dump?mask=bootstrap.node.id')).configs).toEqual([
      {
        '@type': 'type.googleapis.com/envoy.admin.v3.BootstrapConfigDump',
        bootstrap: { node: { id: 'sidecar~shop-7d9' } },
      },
    ]);
    expect((await json('/config_dump?resource=static_clusters&name_regex=^app')).configs).toHaveLength(1);
    expect(await ask('/config_dump?resource=bootstrap')).toMatchObject({ status: 400 });
    expect(await ask('/config_dump?resource=nope')).toMatchObject({
      status: 404,
      body: 'nope not found in config dump\n',
    });
  });

  it('adds endpoints when asked', async () => {
    expect((await ask('/config_dump')).body).not.toContain('EndpointsConfigDump');
    const { configs } = await json('/config_dump?include_eds&resource=static_endpoint_configs');
    expect(configs[0].endpoint_config.endpoints[0].lb_endpoints[1].health_status).toBe('UNHEALTHY');
  });
});

describe('changing', () => {
  const changes = [
    '/logging?level=off',
    '/healthcheck/fail',
    '/healthcheck/ok',
    '/drain_listeners',
    '/quitquitquit',
    '/reset_counters',
    '/reopen_logs',
  ];

  it.each(changes)('GET %s answers 405 and does nothing', async (path) => {
    view.store.counter('x').add(5);
    expect(await ask(path)).toMatchObject({
      status: 405,
      body: 'Method GET not allowed, POST required.',
      headers: { allow: 'POST' },
    });
    expect(await ask(path, 'HEAD')).toMatchObject({ status: 405 });
    expect(view.orders).toEqual([]);
    expect(view.store.counter('x').value).toBe(5);
    expect(log.levels().get('main')).toBe('info');
  });

  it('does what it is asked by POST', async () => {
    for (const path of changes.slice(1, 3))
      expect(await ask(path, 'POST')).toMatchObject({ status: 200, body: 'OK\n' });
    await ask('/drain_listeners', 'POST');
    await ask('/drain_listeners?inboundonly&graceful', 'POST', {}, 'a body that nobody reads');
    await ask('/reopen_logs', 'POST');
    await ask('/quitquitquit', 'POST');
    expect(view.orders).toEqual([
      'failHealthChecks true',
      'failHealthChecks false',
      'drain inboundOnly=false graceful=false',
      'drain inboundOnly=true graceful=true',
      'reopenLogs',
      'quit',
    ]);
    view.store.counter('x').add(5);
    await ask('/reset_counters', 'POST');
    expect(view.store.counter('x').value).toBe(0);
  });

  it('sets log levels, all of a request or none', async () => {
    expect((await ask('/logging', 'POST')).body).toBe('active loggers:\n  main: info\n  upstream: info\n\n');
    expect((await ask('/logging?upstream=debug', 'POST')).body).toContain('  upstream: debug\n');
    expect((await ask('/logging?paths=upstream:error,main:warning', 'POST')).body).toContain(
      '  main: warning\n  upstream: error\n',
    );
    expect(await ask('/logging?paths=upstream:info,nope:info', 'POST')).toMatchObject({
      status: 400,
      body: expect.stringMatching(/^error: unknown logger name/),
    });
    expect(await ask('/logging?level=loud', 'POST')).toMatchObject({ status: 400 });
    expect(log.levels().get('upstream')).toBe('error');
  });
});

describe('protection', () => {
  it('refuses foreign hosts and origins, also for reads', async () => {
    expect(await ask('/config_dump', 'GET', { host: 'evil.example' })).toMatchObject({ status: 403 });
    expect(await ask('/quitquitquit', 'POST', { origin: 'http://evil.example' })).toMatchObject({ status: 403 });
    expect(view.orders).toEqual([]);
  });

  it('refuses a large body', async () => {
    const body = Buffer.alloc(200_000);
    expect(await ask('/healthcheck/fail', 'POST', {}, body)).toMatchObject({ status: 413 });
    const chunked = ask('/healthcheck/fail', 'POST', { 'transfer-encoding': 'chunked' }, body);
    expect(await chunked.catch(() => ({ status: 413 }))).toMatchObject({ status: 413 });
    expect(view.orders).toEqual([]);
  });

  it('gives up on a request whose head never ends', { timeout: 15_000 }, async () => {
    const socket = connect(server.port, '127.0.0.1');
    const startMs = performance.now();
    await new Promise((done) => {
      socket
        .on('error', done)
        .on('close', done)
        .on('data', () => {});
      socket.write('GET /ready HTTP/1.1\r\nHost: loc');
    });
    expect(performance.now() - startMs).toBeLessThan(9000);
  });

  it('hides nothing behind a failing view, and goes on', async () => {
    view.clusters = () => {
      throw new Error('worker 1 does not answer');
    };
    expect(await ask('/clusters')).toMatchObject({
      status: 500,
      body: expect.stringContaining('worker 1 does not answer'),
    });
    expect(await ask('/ready')).toMatchObject({ status: 200 });
  });

  it('says which address is taken', async () => {
    const second = startAdminServer({ host: '127.0.0.1', port: server.port, view, log });
    await expect(second).rejects.toThrow(
      `admin address 127.0.0.1:${server.port}: the port is in use by another process`,
    );
  });
});
