import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '../../src/observe/log.ts';
import { startProxy } from '../../src/proxy.ts';
import { createRateLimitServer, type RateLimitServerOptions } from '../../src/ratelimit/ratelimit-server.ts';
import type { SidecarProxy } from '../../src/sidecar-proxy.ts';

/** A running `outrigger ratelimit`, in this process. */
export interface TestRateLimitServer extends AsyncDisposable {
  readonly port: number;
  readonly logLines: readonly string[];
  /** Value of a counter below `ratelimit_service.`. */
  stat(name: string): number;
  /** Writes the file anew and loads it. */
  change(limits: string): void;
  drain(): Promise<void>;
}

export async function startRateLimitServer(
  limits: string,
  options: Partial<RateLimitServerOptions> = {},
): Promise<TestRateLimitServer> {
  const dir = mkdtempSync(join(tmpdir(), 'outrigger-limits-'));
  const file = join(dir, 'limits.yaml');
  writeFileSync(file, limits);
  const logLines: string[] = [];
  const log = createLogger({ level: 'debug', write: (line) => logLines.push(line) });
  const server = await createRateLimitServer({
    listen: { host: '127.0.0.1', port: 0 },
    limits: file,
    redis: undefined,
    redisTimeoutMs: 2000,
    failureMode: 'error',
    log,
    ...options,
  });
  const { registry } = server;
  const proxy = (await startProxy({
    config: server.load(),
    registry,
    concurrency: 1,
    drainTimeMs: 5000,
    log,
  })) as SidecarProxy;
  return {
    port: proxy.listeners()[0]?.port ?? 0,
    logLines,
    stat: (name) => proxy.runtime.stats.counters.get(`ratelimit_service.${name}`)?.value ?? 0,
    change(next) {
      writeFileSync(file, next);
      server.load();
    },
    drain: () => proxy.drain(),
    async [Symbol.asyncDispose]() {
      await proxy.close();
      await server.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** The cluster of a rate limit service, as YAML of one list element. */
export function rateLimitCluster(port: number, host = '127.0.0.1'): string {
  return `- name: ratelimit
  connect_timeout: 2s
  typed_extension_protocol_options:
    envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
      "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
      explicit_http_config: { http2_protocol_options: {} }
  load_assignment:
    cluster_name: ratelimit
    endpoints:
    - lb_endpoints:
      - endpoint: { address: { socket_address: { address: ${host}, port_value: ${port} } } }`;
}

/** The global rate limit filter, as YAML of one list element. */
export function rateLimitFilter(fields = ''): string {
  return `- name: envoy.filters.http.ratelimit
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimit
    domain: shop
    timeout: 10s
    rate_limit_service:
      transport_api_version: V3
      grpc_service: { envoy_grpc: { cluster_name: ratelimit } }
${fields
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => `    ${line}`)
  .join('\n')}`;
}

/** A route to the app whose requests count by the header x-client. */
export const ROUTES_BY_CLIENT = `- match: { prefix: / }
  route:
    cluster: app
    rate_limits:
    - actions:
      - request_headers: { header_name: x-client, descriptor_key: client }`;
