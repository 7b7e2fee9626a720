import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { connect, createSecureServer } from 'node:http2';
import { createServer as createHttps, request as httpsRequest } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { httpConfig, startTestProxy, type TestProxy } from '../support/proxy.ts';
import { startApp } from '../support/story.ts';
import { certificate, inChain, TestPki, transportSocket, trust } from '../support/tls.ts';

const pki = new TestPki();

/** A client of one of the versions, and what the answer said. */
async function ask(port: number, alpn: 'h2' | 'http/1.1'): Promise<{ status: number; body: string }> {
  if (alpn === 'http/1.1') {
    const request = httpsRequest({ port, host: '127.0.0.1', rejectUnauthorized: false, ...{ ALPNProtocols: [alpn] } });
    request.end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    let body = '';
    for await (const chunk of response) body += String(chunk);
    return { status: response.statusCode as number, body };
  }
  const session = connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  // The proxy is closed first.
  session.on('error', () => {});
  onTestFinished(() => session.destroy());
  const stream = session.request({ ':path': '/' });
  stream.end();
  const [headers] = (await once(stream, 'response')) as [{ ':status'?: number }];
  let body = '';
  for await (const chunk of stream) body += String(chunk);
  return { status: headers[':status'] as number, body };
}

describe('a listener that offers both versions', () => {
  const listener = (manager = ''): Promise<TestProxy> =>
    startApp((request, response) => response.end(`${request.headers['x-forwarded-proto']}`)).then((app) => {
      onTestFinished(() => app[Symbol.asyncDispose]());
      const socket = transportSocket('DownstreamTlsContext', {
        common_tls_context: { tls_certificates: [certificate(pki.server)], alpn_protocols: ['h2', 'http/1.1'] },
      });
      return startTestProxy(inChain(httpConfig(app.port, { manager }), socket));
    });

  test.each(['h2', 'http/1.1'] as const)('serves what the client chose: %s', async (alpn) => {
    await using proxy = await listener();
    expect(await ask(proxy.port, alpn)).toEqual({ status: 200, body: 'https' });
    const version = alpn === 'h2' ? 'http2' : 'http1';
    expect(proxy.stat(`http.test.downstream_cx_${version}_total`)).toBe(1);
    expect(proxy.stat('http.test.downstream_cx_total')).toBe(1);
  });

  test('serves many bytes both ways over HTTP/2 and TLS', async () => {
    const app = await startApp((request, response) => void request.pipe(response));
    onTestFinished(() => app[Symbol.asyncDispose]());
    const socket = transportSocket('DownstreamTlsContext', {
      common_tls_context: { tls_certificates: [certificate(pki.server)], alpn_protocols: ['h2'] },
    });
    await using proxy = await startTestProxy(inChain(httpConfig(app.port), socket));
    const session = connect(`https://127.0.0.1:${proxy.port}`, { rejectUnauthorized: false });
    // The proxy is closed first.
    session.on('error', () => {});
    onTestFinished(() => session.destroy());
    const sent = Buffer.alloc(1024 * 1024, 'outrigger ');
    const answers = Array.from({ length: 4 }, async () => {
      const stream = session.request({ ':method': 'POST', ':path': '/' });
      stream.end(sent);
      const chunks: Buffer[] = [];
      for await (const chunk of stream) chunks.push(chunk as Buffer);
      return Buffer.concat(chunks).equals(sent);
    });
    expect(await Promise.all(answers)).toEqual([true, true, true, true]);
  });
});

describe('a cluster that leaves the version to its server', () => {
  const AUTO = `typed_extension_protocol_options:
  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
    "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
    auto_config: { http_protocol_options: {}, http2_protocol_options: {} }`;

  async function proxyTo(server: Server): Promise<TestProxy> {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const tls = transportSocket('UpstreamTlsContext', {
      common_tls_context: { validation_context: trust(pki.ca) },
    });
    return startTestProxy(httpConfig((server.address() as AddressInfo).port, { cluster: `${tls}\n${AUTO}` }));
  }

  const answer = (request: { httpVersion: string }, response: { end(text: string): void }): void => {
    response.end(request.httpVersion);
  };

  test('speaks HTTP/2 to one that can', async () => {
    await using proxy = await proxyTo(createSecureServer({ ...pki.server, allowHTTP1: true }, answer));
    const bodies = await Promise.all(Array.from({ length: 20 }, () => get(proxy.port)));
    expect(new Set(bodies)).toEqual(new Set(['200 2.0']));
    expect(proxy.stat('cluster.app.upstream_cx_http2_total')).toBe(1);
    expect(proxy.stat('cluster.app.upstream_cx_http1_total')).toBe(0);
  });

  test.each([
    ['that offers HTTP/1.1 alone', { ALPNProtocols: ['http/1.1'] }],
    ['without ALPN', {}],
  ])('speaks HTTP/1.1 to one %s', async (_kind, options) => {
    await using proxy = await proxyTo(createHttps({ ...pki.server, ...options }, answer));
    const bodies = await Promise.all(Array.from({ length: 20 }, () => get(proxy.port)));
    expect(new Set(bodies)).toEqual(new Set(['200 1.1']));
    expect(await get(proxy.port)).toBe('200 1.1');
    expect(proxy.stat('cluster.app.upstream_cx_http2_total')).toBe(0);
    expect(proxy.stat('cluster.app.upstream_rq_active')).toBe(0);
    expect(proxy.stat('cluster.app.upstream_rq_pending_active')).toBe(0);
  });
});

/** Status and body over HTTP/1.1 in clear text. */
async function get(port: number): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/`);
  return `${response.status} ${await response.text()}`;
}
