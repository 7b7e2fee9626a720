import type { AddressInfo } from 'node:net';
import { type ConnectionOptions, createServer, type TLSSocket, type TlsOptions, connect as tlsConnect } from 'node:tls';
import { type Issued, TestCa } from './pki.ts';
import { TestClient } from './sockets.ts';

const TYPES = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3';

/** The authorities and certificates that the tests of TLS share, made once per test file. */
export class TestPki {
  readonly ca = new TestCa('Test CA');
  readonly otherCa = new TestCa('Other CA');
  readonly server = this.ca.issue({
    commonName: 'server',
    organization: 'Acme, Inc',
    names: ['DNS:server.test', 'URI:spiffe://test/server', 'IP:127.0.0.1'],
  });
  readonly client = this.ca.issue({
    commonName: 'client',
    organization: 'Acme, Inc',
    names: ['URI:spiffe://test/client', 'DNS:client.test'],
  });
  /** Says that it is the client, but another authority vouches for it. */
  readonly rogue = this.otherCa.issue({ commonName: 'rogue', names: ['URI:spiffe://test/client', 'DNS:server.test'] });
  readonly expired = this.ca.issue({
    commonName: 'expired',
    names: ['URI:spiffe://test/client', 'DNS:server.test'],
    notBefore: new Date('2020-01-01'),
    notAfter: new Date('2020-02-01'),
  });
}

/** One element of `tls_certificates`. */
export function certificate({ cert, key }: Issued): object {
  return { certificate_chain: { inline_string: cert }, private_key: { inline_string: key } };
}

/** A validation context on one authority, and on names where they are given. */
export function trust(ca: TestCa, ...names: readonly [type: string, exact: string][]): object {
  return {
    trusted_ca: { inline_string: ca.cert },
    match_typed_subject_alt_names: names.map(([type, exact]) => ({ san_type: type, matcher: { exact } })),
  };
}

/** A line of YAML. */
export function transportSocket(type: 'DownstreamTlsContext' | 'UpstreamTlsContext', context: object): string {
  const typed = { '@type': `${TYPES}.${type}`, ...context };
  return `transport_socket: ${JSON.stringify({ name: 'envoy.transport_sockets.tls', typed_config: typed })}`;
}

/** Gives every filter chain of a configuration some lines more. */
export function inChain(config: string, ...lines: readonly string[]): string {
  return config.replaceAll(
    /^( +)- filters:$/gm,
    (_, indent: string) => `${indent}- ${lines.join(`\n${indent}  `)}\n${indent}  filters:`,
  );
}

/** A TLS connection of a client; rejects when the handshake fails. */
export function tlsClient(port: number, options: ConnectionOptions = {}): Promise<TestClient & { socket: TLSSocket }> {
  return new Promise((resolve, reject) => {
    const socket = tlsConnect({
      port,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      ...options,
    });
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      socket.off('error', reject);
      resolve(TestClient.over(socket) as TestClient & { socket: TLSSocket });
    });
  });
}

/** A TLS server of a test. */
export async function tlsServer(
  options: TlsOptions,
  onConnection: (socket: TLSSocket) => void,
): Promise<AsyncDisposable & { readonly port: number }> {
  const sockets = new Set<TLSSocket>();
  const server = createServer(options, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    onConnection(socket);
  });
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
