import { expect, test } from 'vitest';
import { startTestProxy } from '../support/proxy.ts';
import { listen, TestClient } from '../support/sockets.ts';
import { certificate, TestPki, tlsClient, tlsServer, transportSocket } from '../support/tls.ts';

const pki = new TestPki();
const STATS = 'listener.127.0.0.1_0';

/** A chain whose TCP proxy leads to a cluster. */
function chain(match: string, cluster: string, socket = ''): string {
  return `    - filter_chain_match: ${match}
      ${socket}
      filters:
      - name: tcp
        typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: t, cluster: ${cluster} }`;
}

function cluster(name: string, port: number): string {
  return `  - name: ${name}
    load_assignment:
      cluster_name: ${name}
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${port} } } } }] }]`;
}

function config(chains: readonly string[], clusters: readonly string[], listener = ''): string {
  return `
static_resources:
  listeners:
  - name: tcp
    address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
    ${listener}
    filter_chains:
${chains.join('\n')}
  clusters:
${clusters.join('\n')}`;
}

const TERMINATED = transportSocket('DownstreamTlsContext', {
  common_tls_context: { tls_certificates: [certificate(pki.server)], alpn_protocols: ['b', 'a'] },
});

/** Says its name to whoever sends something. */
const saying = (name: string) =>
  listen((socket) => socket.once('data', (bytes) => socket.end(`${name}:${bytes.length}`)));

test('one port serves clear text, TLS that ends here, and TLS that passes through by its server name', async () => {
  await using plain = await saying('plain');
  await using inside = await saying('inside');
  await using behind = await tlsServer(pki.client, (socket) => socket.once('data', () => socket.end('behind')));
  await using proxy = await startTestProxy(
    config(
      [
        chain('{ server_names: [passed.test, "*.passed.test"] }', 'behind'),
        chain('{ transport_protocol: tls }', 'inside', TERMINATED),
        chain('{ transport_protocol: raw_buffer }', 'plain'),
      ],
      [cluster('plain', plain.port), cluster('inside', inside.port), cluster('behind', behind.port)],
    ),
  );
  const clear = await TestClient.connect(proxy.port);
  clear.write('hello');
  await clear.until((one) => one.ended);
  expect(clear.text).toBe('plain:5');

  const ended = await tlsClient(proxy.port, { servername: 'Any.test' });
  expect(ended.socket.getPeerCertificate().subject.CN).toBe('server');
  ended.write('hello!');
  await ended.until((one) => one.ended);
  expect(ended.text).toBe('inside:6');

  for (const servername of ['passed.test', 'A.Passed.test']) {
    const passed = await tlsClient(proxy.port, { servername });
    expect(passed.socket.getPeerCertificate().subject.CN).toBe('client');
    passed.write('hello');
    await passed.until((one) => one.ended);
    expect(passed.text).toBe('behind');
  }
  expect(proxy.stat(`${STATS}.tls_inspector.tls_found`)).toBe(3);
  expect(proxy.stat(`${STATS}.tls_inspector.tls_not_found`)).toBe(1);
  expect(proxy.stat(`${STATS}.tls_inspector.sni_found`)).toBe(3);
  expect(proxy.stat(`${STATS}.tls_inspector.alpn_not_found`)).toBe(3);
});

test('the protocols that a client offers choose a chain', async () => {
  await using first = await saying('first');
  await using second = await saying('second');
  await using proxy = await startTestProxy(
    config(
      [chain('{ application_protocols: [a] }', 'first', TERMINATED), chain('{}', 'second', TERMINATED)],
      [cluster('first', first.port), cluster('second', second.port)],
    ),
  );
  for (const [offer, expected] of [
    ['a', 'first'],
    ['b', 'second'],
  ] as const) {
    const client = await tlsClient(proxy.port, { ALPNProtocols: [offer] });
    client.write('x');
    await client.until((one) => one.ended);
    expect(client.text).toBe(`${expected}:1`);
  }
});

test('a hello that comes byte by byte is read, and nothing is lost of what follows', async () => {
  await using plain = await saying('plain');
  await using proxy = await startTestProxy(
    config(
      [chain('{ transport_protocol: raw_buffer }', 'plain'), chain('{ transport_protocol: tls }', 'plain')],
      [cluster('plain', plain.port)],
    ),
  );
  const client = await TestClient.connect(proxy.port);
  client.socket.setNoDelay(true);
  for (const byte of [22, 3, 1]) {
    client.write(Buffer.from([byte]));
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  // No ClientHello after all: it is clear text, and all of it arrives.
  client.write(Buffer.from([0, 4, 2, 0, 0, 0]));
  await client.until((one) => one.ended);
  expect(client.text).toBe('plain:9');
});

const INSPECTOR =
  'listener_filters: [{ name: tls, typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector } }]';

test('who says nothing is let go after a while', async () => {
  await using plain = await saying('plain');
  await using proxy = await startTestProxy(
    config([chain('{}', 'plain')], [cluster('plain', plain.port)], `${INSPECTOR}\n    listener_filters_timeout: 0.05s`),
  );
  const client = await TestClient.connect(proxy.port);
  await client.untilClosed();
  expect(proxy.stat(`${STATS}.downstream_pre_cx_timeout`)).toBe(1);
  expect(proxy.stat(`${STATS}.downstream_cx_total`)).toBe(0);
});

test('or served as clear text, where the listener goes on without', async () => {
  await using talker = await listen((socket) => socket.end('first word'));
  await using proxy = await startTestProxy(
    config(
      [chain('{}', 'talker')],
      [cluster('talker', talker.port)],
      `${INSPECTOR}\n    listener_filters_timeout: 0.05s\n    continue_on_listener_filters_timeout: true`,
    ),
  );
  const client = await TestClient.connect(proxy.port);
  await client.until((one) => one.ended);
  expect(client.text).toBe('first word');
});

test('closing the proxy ends who has not said anything', async () => {
  await using plain = await saying('plain');
  const proxy = await startTestProxy(config([chain('{}', 'plain')], [cluster('plain', plain.port)], INSPECTOR));
  const client = await TestClient.connect(proxy.port);
  client.write(Buffer.from([22]));
  await new Promise((resolve) => setTimeout(resolve, 20));
  await proxy[Symbol.asyncDispose]();
  await client.untilClosed();
});
