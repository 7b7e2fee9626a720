import type {
  DrainOptions,
  EndpointView,
  LimitsView,
  ProxyView,
  ServerState,
} from '../../../src/observe/admin/view.ts';
import { DenialLog } from '../../../src/observe/denials.ts';
import type { ThreadTimes } from '../../../src/observe/probe.ts';
import { StatsStore } from '../../../src/observe/stats.ts';
import { snapshotOf } from '../../../src/observe/stats-snapshot.ts';
import { type TapPoll, TapRegistry } from '../../../src/observe/tap/tap-registry.ts';

const LIMITS: LimitsView = { max_connections: 1024, max_pending_requests: 1024, max_requests: 1024, max_retries: 3 };

function endpoint(address: string, overrides: Partial<EndpointView> = {}): EndpointView {
  return {
    address,
    hostname: '',
    healthy: true,
    healthFlags: 'healthy',
    locality: { region: '', zone: '', sub_zone: '' },
    canary: false,
    successRate: -1,
    localOriginSuccessRate: -1,
    weight: 1,
    priority: 0,
    stats: { cx_active: 1, cx_connect_fail: 0, cx_total: 3, rq_active: 2, rq_error: 0, rq_success: 900, rq_total: 900 },
    ...overrides,
  };
}

/** A proxy with real statistics, denials and timers, whose state tests set and whose orders they read. */
export class FakeView implements ProxyView {
  readonly version = '0.1.0';
  readonly startedAtEpochMs = Date.now() - 3_700_000;
  readonly node = { id: 'sidecar~shop-7d9', cluster: 'shop' };
  readonly options = { concurrency: 1, config_path: 'shop.yaml' };
  readonly store = new StatsStore();
  readonly denialLog = new DenialLog();
  readonly threads: ThreadTimes[] = [];
  readonly taps = new TapRegistry();
  readonly orders: string[] = [];
  serverState: ServerState = 'LIVE';
  failed = false;

  state(): ServerState {
    return this.failed ? 'DRAINING' : this.serverState;
  }

  async stats() {
    return snapshotOf(this.store);
  }

  resetCounters(): void {
    for (const counter of this.store.counters.values()) counter.value = 0;
  }

  listeners() {
    const filters = ['ip_tagging', 'rbac', 'local_ratelimit', 'stamp-request-id', 'router'];
    return [
      {
        name: 'inbound',
        address: '127.0.0.1',
        port: 15006,
        kind: 'http' as const,
        activeConnections: 3,
        filterChains: [{ name: 'http', filters }],
      },
      {
        name: 'mysql',
        address: '::1',
        port: 3306,
        kind: 'tcp' as const,
        activeConnections: 0,
        filterChains: [{ name: 'tcp', filters: ['connection_limit', 'tcp_proxy'] }],
      },
      {
        name: 'unix',
        address: '/run/shop.sock',
        port: 0,
        kind: 'tcp' as const,
        activeConnections: 0,
        filterChains: [],
      },
    ];
  }

  clusters() {
    const broken = { healthy: false, healthFlags: '/failed_active_hc', stats: { rq_total: 40, rq_error: 12 } };
    return [
      {
        name: 'app',
        type: 'STATIC',
        limits: { default: LIMITS, high: LIMITS },
        endpoints: [endpoint('127.0.0.1:8080'), endpoint('127.0.0.1:8081', broken)],
      },
      {
        name: 'orders',
        type: 'STRICT_DNS',
        limits: { default: LIMITS, high: LIMITS },
        endpoints: [endpoint('[::1]:9000', { hostname: 'orders.test' })],
      },
      { name: 'empty', type: 'STATIC', limits: { default: LIMITS, high: LIMITS }, endpoints: [] },
    ];
  }

  threadTimes() {
    return this.threads;
  }

  denials() {
    return this.denialLog.list();
  }

  tapConfigIds() {
    return this.taps.configIds();
  }

  pollTap(poll: TapPoll) {
    return this.taps.poll(poll);
  }

  detachTap(reader: string): void {
    this.taps.detach(reader);
  }

  config() {
    return { bootstrap: BOOTSTRAP, hash: '9f2c66d1aa', loadedAtEpochMs: this.startedAtEpochMs };
  }

  certificates() {
    const DAY_MS = 86_400_000;
    return [
      {
        authorities: [],
        chain: [
          {
            path: '/etc/certs/cert.pem',
            serialNumber: '01ab',
            subjectAltNames: [{ uri: 'spiffe://shop.test/sa/web' }],
            validFromEpochMs: Date.UTC(2026, 0, 1),
            validToEpochMs: Date.now() + 41.5 * DAY_MS,
          },
        ],
      },
    ];
  }

  pendingInit(): string[] {
    return this.serverState === 'LIVE' ? [] : ['cluster orders'];
  }

  failHealthChecks(fail: boolean): void {
    this.failed = fail;
    this.orders.push(`failHealthChecks ${fail}`);
  }

  drainListeners({ inboundOnly, graceful }: DrainOptions): void {
    this.orders.push(`drain inboundOnly=${inboundOnly} graceful=${graceful}`);
  }

  reopenLogs(): void {
    this.orders.push('reopenLogs');
  }

  quit(): void {
    this.orders.push('quit');
  }
}

const HCM = 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';

const BOOTSTRAP = {
  node: { id: 'sidecar~shop-7d9', cluster: 'shop' },
  admin: { address: { socket_address: { address: '127.0.0.1', port_value: 15000 } } },
  static_resources: {
    listeners: [
      {
        name: 'inbound',
        filter_chains: [
          {
            filters: [
              {
                name: 'hcm',
                typed_config: {
                  '@type': HCM,
                  stat_prefix: 'ingress_http',
                  route_config: { name: 'local', virtual_hosts: [{ name: 'all', domains: ['*'] }] },
                },
              },
            ],
            transport_socket: {
              name: 'tls',
              typed_config: { tls_certificates: [{ private_key: { inline_string: 'PRIVATE', filename: 'key.pem' } }] },
            },
          },
        ],
      },
      { name: 'other' },
    ],
    clusters: [{ name: 'app', type: 'STATIC' }, { name: 'orders' }],
    secrets: [{ name: 'token', generic_secret: { secret: { inline_string: 'HUSH' } } }],
  },
};
