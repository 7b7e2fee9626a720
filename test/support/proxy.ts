import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { builtinRegistry } from '../../filters/index.ts';
import { loadConfig } from '../../src/config/load.ts';
import { createLogger } from '../../src/observe/log.ts';
import { type ProxyOptions, type RunningProxy, startProxy } from '../../src/proxy.ts';
import { SidecarProxy } from '../../src/sidecar-proxy.ts';

/** A proxy under test with its first listener's address, and the lines that it logged. */
export interface TestProxy extends AsyncDisposable {
  readonly proxy: RunningProxy;
  readonly port: number;
  readonly logLines: readonly string[];
  /** Value of a counter or gauge by its full name, 0 when it does not exist. */
  stat(name: string): number;
  reload(text: string): Promise<'unchanged' | 'updated'>;
}

export interface TestProxyOptions {
  /** Folder from which module paths are meant; also the filter folder. */
  readonly dir?: string;
  readonly concurrency?: number;
  readonly workerHeapMiB?: number;
  readonly drainTimeMs?: number;
  readonly adminAddress?: ProxyOptions['adminAddress'];
  readonly probe?: ProxyOptions['probe'];
  readonly splice?: ProxyOptions['splice'];
}

/** Starts a proxy in this process from the text of a configuration file, in either form. */
export async function startTestProxy(text: string, options: TestProxyOptions = {}): Promise<TestProxy> {
  const file = join(options.dir ?? tmpdir(), 'outrigger-test.yaml');
  const registry = builtinRegistry();
  const logLines: string[] = [];
  const log = createLogger({ level: 'debug', write: (line) => logLines.push(line) });
  const proxy = await startProxy({
    config: loadConfig(file, { registry, text }),
    concurrency: options.concurrency ?? 1,
    ...(options.workerHeapMiB === undefined ? {} : { workerHeapMiB: options.workerHeapMiB }),
    log,
    drainTimeMs: options.drainTimeMs ?? 1000,
    probe: options.probe,
    ...(options.dir === undefined ? {} : { filterDir: options.dir }),
    ...(options.adminAddress === undefined ? {} : { adminAddress: options.adminAddress }),
    ...(options.splice === undefined ? {} : { splice: options.splice }),
  });
  return {
    proxy,
    port: proxy.listeners()[0]?.port ?? 0,
    logLines,
    stat: (name) => {
      if (!(proxy instanceof SidecarProxy))
        throw new Error('the statistics of several threads are on the admin server');
      const { counters, gauges } = proxy.runtime.stats;
      return (counters.get(name) ?? gauges.get(name))?.value ?? 0;
    },
    reload: (next) => proxy.reload(loadConfig(file, { registry, text: next })),
    [Symbol.asyncDispose]: () => proxy.close(),
  };
}

/** Canonical configuration of one listener with one TCP proxy in front of a port of this host. */
export function tcpConfig(upstreamPort: number, proxyFields = '', clusterFields = ''): string {
  return `
static_resources:
  listeners:
  - name: tcp
    address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.tcp_proxy
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
          stat_prefix: test
          cluster: app
${indent(proxyFields, 10)}
  clusters:
${cluster('app', upstreamPort, clusterFields)}
`;
}

/** Canonical configuration of one listener with a connection manager. The fragments are YAML, indented from column 0. */
export function httpConfig(
  upstreamPort: number,
  parts: {
    routes?: string;
    filters?: string;
    manager?: string;
    cluster?: string;
    clusters?: string;
    listener?: string;
  } = {},
): string {
  const routes = parts.routes ?? '- match: { prefix: / }\n  route: { cluster: app }';
  return `
static_resources:
  listeners:
  - name: http
    address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
${indent(parts.listener ?? '', 4)}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: test
${indent(parts.manager ?? '', 10)}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
${indent(routes, 14)}
          http_filters:
${indent(parts.filters ?? '', 10)}
          - name: envoy.filters.http.router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
  clusters:
${cluster('app', upstreamPort, parts.cluster ?? '')}
${indent(parts.clusters ?? '', 2)}
`;
}

function cluster(name: string, port: number, fields: string): string {
  return `  - name: ${name}
    connect_timeout: 1s
    load_assignment:
      cluster_name: ${name}
      endpoints:
      - lb_endpoints:
        - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${port} } } }
${indent(fields, 4)}`;
}

function indent(text: string, columns: number): string {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => ' '.repeat(columns) + line)
    .join('\n');
}
