import type { AddressInfo } from 'node:net';
import { createServer, type Socket } from 'node:net';
import { expect, it } from 'vitest';
import { findEnvoy, NO_ENVOY } from '../support/envoy.ts';
import { LOG_FILE, type ProxyName, ProxyProcess } from '../support/proxy-process.ts';
import { TestClient } from '../support/sockets.ts';

const COUNTS = [
  'DOWNSTREAM_WIRE_BYTES_RECEIVED',
  'DOWNSTREAM_HEADER_BYTES_RECEIVED',
  'DOWNSTREAM_WIRE_BYTES_SENT',
  'DOWNSTREAM_HEADER_BYTES_SENT',
  'UPSTREAM_WIRE_BYTES_RECEIVED',
  'UPSTREAM_HEADER_BYTES_RECEIVED',
  'UPSTREAM_WIRE_BYTES_SENT',
  'UPSTREAM_HEADER_BYTES_SENT',
];

const RESPONSES: Readonly<Record<string, string>> = {
  '/length': 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-b: 1\r\n\r\nhello',
  '/chunks': 'HTTP/1.1 404 Not Found\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
  '/empty': 'HTTP/1.1 204 No Content\r\nx-b: 1\r\n\r\n',
};

const REQUESTS = [
  'GET /length HTTP/1.1\r\nhost: a\r\nx: y\r\n\r\n',
  'GET /chunks HTTP/1.1\r\nhost: a\r\n\r\n',
  'GET /empty HTTP/1.1\r\nhost: a\r\nuser-agent: none\r\n\r\n',
  'POST /length HTTP/1.1\r\nhost: a\r\ncontent-length: 7\r\n\r\n1234567',
  'POST /chunks HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n',
  'GET /direct HTTP/1.1\r\nhost: a\r\n\r\n',
  'GET /nowhere HTTP/1.1\r\nhost: a\r\n\r\n',
];

it('bytes on the wire and bytes of headers are those of Envoy', async (context) => {
  if (findEnvoy() === undefined) return context.skip(NO_ENVOY);
  const [envoy, outrigger] = await Promise.all([run('envoy'), run('outrigger')]);
  for (const [i, line] of envoy.entries()) expect.soft(outrigger[i], REQUESTS[i]).toEqual(line);
  expect(outrigger).toHaveLength(REQUESTS.length + 1);
}, 30_000);

async function run(name: ProxyName): Promise<unknown[]> {
  const sockets = new Set<Socket>();
  const app = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      const chunked = text.includes('chunked');
      const body = text.slice(text.indexOf('\r\n\r\n') + 4);
      if (!text.includes('\r\n\r\n') || (chunked && !body.endsWith('0\r\n\r\n'))) return;
      if (text.startsWith('POST /length') && body.length < 7) return;
      const path = text.split(' ')[1] ?? '';
      text = '';
      socket.write(RESPONSES[path] ?? '', 'latin1');
    });
  });
  await new Promise<void>((done) => app.listen(0, '127.0.0.1', done));
  await using proxy = await ProxyProcess.start(name, configuration((app.address() as AddressInfo).port));
  for (const [i, request] of REQUESTS.entries()) {
    const client = await TestClient.connect(proxy.ports.get('http') as number);
    client.write(request);
    await proxy.logged((line) => line !== '' && proxy.log().length > i);
    client.destroy();
  }
  const session = await TestClient.connect(proxy.ports.get('tcp') as number);
  session.write(REQUESTS[0] as string);
  await session.until(({ text }) => text.endsWith('hello'));
  session.destroy();
  await proxy.logged(() => proxy.log().length > REQUESTS.length);
  for (const socket of sockets) socket.destroy();
  app.close();
  return proxy.log().map((line) => JSON.parse(line));
}

function configuration(app: number): string {
  const format = JSON.stringify({
    path: '%REQ(:PATH)%',
    ...Object.fromEntries(COUNTS.map((operator) => [operator, `%${operator}%`])),
  });
  const accessLog = `access_log:
          - name: file
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: ${LOG_FILE}
              log_format: { json_format: ${format} }`;
  return `static_resources:
  listeners:
  - name: http
    address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: http
          ${accessLog}
          route_config:
            response_headers_to_remove: [x-envoy-upstream-service-time]
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - { match: { prefix: /direct }, direct_response: { status: 200, body: { inline_string: hello } } }
              - { match: { prefix: /nowhere }, route: { cluster: dead } }
              - { match: { prefix: / }, route: { cluster: app } }
          http_filters:
          - name: router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
  - name: tcp
    address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.tcp_proxy
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
          stat_prefix: tcp
          cluster: app
          ${accessLog}
  clusters:${cluster('app', app)}${cluster('dead', 1)}
`;
}

function cluster(name: string, port: number): string {
  return `
  - name: ${name}
    connect_timeout: 1s
    load_assignment:
      cluster_name: ${name}
      endpoints:
      - lb_endpoints:
        - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${port} } } }`;
}
