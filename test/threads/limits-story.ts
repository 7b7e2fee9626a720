import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'vitest';
import { type ProxyName, ProxyProcess } from '../support/proxy-process.ts';
import { TestClient } from '../support/sockets.ts';

const THREADS = 2;
/** So many connections go to more than one thread, whatever the kernel's hash. */
const MANY = 60;
const TOKENS = 20;
const MAX_REQUESTS = 4;
const FAILURES = 5;

function listener(name: string, action: string, filters = ''): string {
  return `
  - name: ${name}
    address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: ${name}
          route_config:
            virtual_hosts: [ { name: all, domains: ["*"], routes: [ { match: { prefix: / }, ${action} } ] } ]
          http_filters:${filters}
          - { name: router, typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router } }`;
}

function cluster(name: string, port: number, fields: string): string {
  return `
  - name: ${name}
    connect_timeout: 5s
    load_assignment:
      cluster_name: ${name}
      endpoints: [ { lb_endpoints: [ { endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${port} } } } } ] } ]
    ${fields}`;
}

function configuration(slow: number, failing: number): string {
  const rateLimit = `
          - name: limit
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
              stat_prefix: limit
              token_bucket: { max_tokens: ${TOKENS}, fill_interval: 3600s }
              filter_enabled: { default_value: { numerator: 100 } }
              filter_enforced: { default_value: { numerator: 100 } }`;
  return `
static_resources:
  listeners:${listener('limited', 'direct_response: { status: 200 }', rateLimit)}${listener('slow', 'route: { cluster: slow, timeout: 60s }')}${listener('failing', 'route: { cluster: failing }')}
  clusters:${cluster('slow', slow, `circuit_breakers: { thresholds: [ { max_requests: ${MAX_REQUESTS} } ] }`)}${cluster(
    'failing',
    failing,
    `outlier_detection: { consecutive_5xx: ${FAILURES}, enforcing_consecutive_5xx: 100, max_ejection_percent: 100, base_ejection_time: 600s, interval: 600s }
    common_lb_config: { healthy_panic_threshold: { value: 0 } }`,
  )}
`;
}

/** The status of a request on a connection of its own. */
async function ask(port: number): Promise<string> {
  const client = await TestClient.connect(port);
  try {
    client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    await client.until(({ text }) => text.includes('\r\n\r\n'));
    return client.text.slice(9, 12);
  } finally {
    client.destroy();
  }
}

/** What limits let pass in a process of two threads, each request on a connection of its own. */
export async function limitsStory(name: ProxyName): Promise<void> {
  const held: ServerResponse[] = [];
  let failures = 0;
  const slow = createServer((_, response) => held.push(response));
  const failing = createServer((_, response) => {
    failures++;
    response.writeHead(500).end();
  });
  const portOf = async (server: typeof slow): Promise<number> => {
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    return (server.address() as AddressInfo).port;
  };
  try {
    const text = configuration(await portOf(slow), await portOf(failing));
    await using proxy = await ProxyProcess.start(name, text, THREADS);
    const port = (which: string): number => proxy.ports.get(which) as number;

    const limited: string[] = [];
    for (let i = 0; i < MANY; i++) limited.push(await ask(port('limited')));
    expect(limited).toEqual(Array.from({ length: MANY }, (_, index) => (index < TOKENS ? '200' : '429')));

    // One after the other: each has reached the app, or is refused, before the next begins.
    const waiting: Promise<string>[] = [];
    const refused: string[] = [];
    for (let i = 0; i < MANY; i++) {
      const before = held.length;
      const answer = ask(port('slow'));
      const reached = new Promise<'reached'>((done) => {
        const look = (): void => {
          if (held.length > before) done('reached');
          else if (refused.length + waiting.length <= i) setTimeout(look, 2);
        };
        look();
      });
      const outcome = await Promise.race([answer, reached]);
      if (outcome === 'reached') waiting.push(answer);
      else refused.push(outcome);
    }
    expect([waiting.length, [...new Set(refused)]]).toEqual([MAX_REQUESTS, ['503']]);
    for (const response of held) response.end();
    expect(await Promise.all(waiting)).toEqual(Array(MAX_REQUESTS).fill('200'));

    const failed: string[] = [];
    for (let i = 0; i < FAILURES; i++) failed.push(await ask(port('failing')));
    expect(failed).toEqual(Array(FAILURES).fill('500'));
    await proxy.stat('cluster.failing.outlier_detection.ejections_active', (value) => value === 1);
    for (let i = 0; i < MANY; i++) expect(await ask(port('failing'))).toBe('503');
    expect(failures).toBe(FAILURES);
  } finally {
    for (const server of [slow, failing]) {
      server.close();
      server.closeAllConnections();
    }
  }
}
