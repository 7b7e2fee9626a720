import { connect as connectPlain, createServer } from 'node:net';
import { describe, expect, test } from 'vitest';
import { startTestProxy, type TestProxy } from '../support/proxy.ts';
import { TestClient } from '../support/sockets.ts';
import { certificate, TestPki, tlsClient, transportSocket, trust } from '../support/tls.ts';

const pki = new TestPki();

/** A chain that answers with its own name. */
function chain(name: string, match: string, socket: string): string {
  return `
    - name: ${name}
      ${match === '' ? '' : `filter_chain_match: ${match}`}
      ${socket}
      filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: ${name}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{ match: { prefix: / }, direct_response: { status: 200, body: { inline_string: "from ${name}" } } }]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }`;
}

const MUTUAL = transportSocket('DownstreamTlsContext', {
  require_client_certificate: true,
  common_tls_context: {
    tls_certificates: [certificate(pki.server)],
    validation_context: trust(pki.ca, ['URI', 'spiffe://test/client']),
  },
});

/** TLS of the app itself, which the mesh leaves alone. */
const OWN = transportSocket('DownstreamTlsContext', {
  common_tls_context: { tls_certificates: [certificate(pki.ca.issue({ commonName: 'app', names: ['DNS:app.test'] }))] },
});

function start(...chains: readonly string[]): Promise<TestProxy> {
  return startTestProxy(`
static_resources:
  listeners:
  - name: inbound
    address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
    filter_chains:${chains.join('')}
`);
}

const permissive = (): Promise<TestProxy> =>
  start(chain('tls', '{ transport_protocol: tls }', MUTUAL), chain('plain', '{ transport_protocol: raw_buffer }', ''));
const strict = (): Promise<TestProxy> => start(chain('tls', '', MUTUAL));

const REQUEST = 'GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n';

async function plain(port: number): Promise<string> {
  const client = await TestClient.connect(port);
  client.write(REQUEST);
  await client.untilClosed();
  return client.text;
}

async function secured(port: number, options: object): Promise<string> {
  const client = await tlsClient(port, options).catch(() => undefined);
  client?.write(REQUEST);
  await client?.untilClosed();
  return client?.text ?? '';
}

describe('permissive mode', () => {
  test('clear text and mutual TLS come to one port', async () => {
    await using proxy = await permissive();
    expect(await plain(proxy.port)).toContain('from plain');
    expect(await secured(proxy.port, pki.client)).toContain('from tls');
    expect(proxy.stat('listener.127.0.0.1_0.tls_inspector.tls_found')).toBe(1);
    expect(proxy.stat('listener.127.0.0.1_0.tls_inspector.tls_not_found')).toBe(1);
  });

  test('who speaks TLS has to show who it is: there is no way back to clear text', async () => {
    await using proxy = await permissive();
    for (const options of [{}, pki.rogue, pki.expired, pki.server]) {
      expect(await secured(proxy.port, options)).toBe('');
    }
    expect(proxy.stat('http.plain.downstream_cx_total')).toBe(0);
    expect(proxy.stat('listener.127.0.0.1_0.ssl.fail_verify_no_cert')).toBe(1);
    expect(proxy.stat('listener.127.0.0.1_0.ssl.fail_verify_error')).toBe(2);
    expect(proxy.stat('listener.127.0.0.1_0.ssl.fail_verify_san')).toBe(1);
  });

  test('a ClientHello that comes in two pieces is still one', async () => {
    await using proxy = await permissive();
    // A relay that cuts the first bytes apart.
    const relay = createServer((socket) => {
      const on = connectPlain(proxy.port);
      let isFirst = true;
      socket.on('data', async (chunk: Buffer) => {
        if (!isFirst) return void on.write(chunk);
        isFirst = false;
        socket.pause();
        on.write(chunk.subarray(0, 3));
        await new Promise((resolve) => setTimeout(resolve, 30));
        on.write(chunk.subarray(3));
        socket.resume();
      });
      on.pipe(socket);
      on.on('error', () => socket.destroy());
      socket.on('error', () => on.destroy());
    });
    await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve));
    const { port } = relay.address() as { port: number };
    expect(await secured(port, pki.client)).toContain('from tls');
    relay.close();
  });

  test('TLS of the app itself is told apart by its protocol, as a mesh marks its own', async () => {
    await using proxy = await start(
      chain('mesh', '{ transport_protocol: tls, application_protocols: [istio] }', MUTUAL),
      chain('app', '{ transport_protocol: tls }', OWN),
      chain('plain', '{ transport_protocol: raw_buffer }', ''),
    );
    expect(await secured(proxy.port, { ...pki.client, ALPNProtocols: ['istio'] })).not.toBe('');
    expect(proxy.stat('http.mesh.downstream_cx_total')).toBe(1);
    expect(await secured(proxy.port, {})).toContain('from app');
    expect(await plain(proxy.port)).toContain('from plain');
  });
});

describe('strict mode', () => {
  test('only mutual TLS is served', async () => {
    await using proxy = await strict();
    expect(await secured(proxy.port, pki.client)).toContain('from tls');
    expect(await plain(proxy.port)).not.toContain('HTTP/1.1');
    expect(proxy.stat('listener.127.0.0.1_0.ssl.connection_error')).toBe(1);
    expect(proxy.stat('http.tls.downstream_rq_total')).toBe(1);
  });

  test('a listener that becomes strict lets those go on who are there, and refuses the next', async () => {
    await using proxy = await permissive();
    const there = await TestClient.connect(proxy.port);
    there.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    await there.untilText('from plain');
    await proxy.reload(`
static_resources:
  listeners:
  - name: inbound
    address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
    filter_chains:${chain('tls', '', MUTUAL)}
`);
    expect(await plain(proxy.port)).not.toContain('HTTP/1.1');
    there.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    await there.until((one) => one.text.split('from plain').length === 3);
    there.destroy();
  });
});
