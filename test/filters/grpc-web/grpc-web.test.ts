import { connect, createServer, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import { grpcWeb } from '../../../filters/grpc-web/grpc-web.ts';
import { HttpFilterHarness, responseHead } from '../../support/filter-harness.ts';
import { ask, echo, echoed, readAll, startApp, story } from '../../support/story.ts';

const WEB = 'application/grpc-web+proto';
const TEXT = 'application/grpc-web-text';
const GRPC = 'application/grpc';
const MESSAGE = Buffer.from('\0\0\0\0\u0004abcd', 'latin1');
const FILTER = `- name: envoy.filters.http.grpc_web
  typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.grpc_web.v3.GrpcWeb }`;
const TRAILERS = 'http_protocol_options: { enable_trailers: true }';

/** The frames of a body: flag and data. */
function framesOf(body: Buffer): [flag: number, data: string][] {
  const frames: [number, string][] = [];
  for (let at = 0; at < body.length; ) {
    const end = at + 5 + body.readUInt32BE(at + 1);
    frames.push([body[at] as number, body.toString('latin1', at + 5, end)]);
    at = end;
  }
  return frames;
}

/** Parts of base64, each with its own padding. */
function bytesOf(text: string): Buffer {
  return Buffer.concat((text.match(/[^=]+=*/g) ?? []).map((part) => Buffer.from(part, 'base64')));
}

/** A gRPC server over HTTP/1.1 with trailers, which answers with what it got. */
function startServer(status = '0') {
  return startApp((request, response) => {
    void readAll(request).then((body) => {
      response.writeHead(200, {
        'content-type': GRPC,
        trailer: 'grpc-status',
        'x-got': `${request.headers['content-type']} te=${request.headers.te} ${request.headers['content-length'] ?? 'chunked'}`,
      });
      response.write(body.subarray(0, 7));
      response.write(body.subarray(7));
      response.addTrailers({ 'grpc-status': status, 'grpc-message': 'done' });
      response.end();
    });
  });
}

describe('through the proxy', () => {
  test('a binary call, and its trailers as the last frame', async () => {
    await using app = await startServer();
    await using proxy = await story({ app: app.port, filters: [FILTER], manager: TRAILERS, cluster: TRAILERS });
    const answer = await ask(proxy.port, {
      method: 'POST',
      path: '/a.B/C',
      headers: { 'content-type': WEB },
      body: MESSAGE,
    });
    expect(answer.headers['content-type']).toBe('application/grpc-web+proto');
    expect(answer.headers['x-got']).toBe('application/grpc te=trailers chunked');
    expect(answer.trailers).toEqual({});
    expect(framesOf(Buffer.from(answer.body, 'latin1'))).toEqual([
      [0, 'abcd'],
      [0x80, 'grpc-status:0\r\ngrpc-message:done\r\n'],
    ]);
    expect(proxy.stat('cluster.app.grpc-web.a.B.C.success')).toBe(1);
  });

  test('a call over HTTP/1.1 to a server that speaks HTTP/2', async () => {
    const server = createServer();
    server.on('stream', (stream: ServerHttp2Stream, head) => {
      stream.on('error', () => {});
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        stream.respond(
          { 'content-type': GRPC, 'x-got': `${head['content-type']} te=${head.te}` },
          { waitForTrailers: true },
        );
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
        stream.end(Buffer.concat(chunks));
      });
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    try {
      const { port } = server.address() as AddressInfo;
      await using proxy = await story({ app: port, filters: [FILTER], cluster: 'http2_protocol_options: {}' });
      const headers = { 'content-type': WEB };
      const answer = await ask(proxy.port, { method: 'POST', path: '/a.B/C', headers, body: MESSAGE });
      expect(answer.headers['x-got']).toBe('application/grpc te=trailers');
      expect(framesOf(Buffer.from(answer.body, 'latin1'))).toEqual([
        [0, 'abcd'],
        [0x80, 'grpc-status:0\r\n'],
      ]);
    } finally {
      server.close();
    }
  });

  test('a call over HTTP/2, which gets no trailers', async () => {
    await using app = await startServer();
    await using proxy = await story({ app: app.port, filters: [FILTER], cluster: TRAILERS });
    const session = connect(`http://127.0.0.1:${proxy.port}`);
    try {
      const call = session.request({ ':method': 'POST', ':path': '/a.B/C', 'content-type': WEB });
      const trailers: unknown[] = [];
      call.on('trailers', (headers) => trailers.push(headers));
      const head = new Promise<IncomingHttpHeaders>((done) => call.once('response', done));
      call.end(MESSAGE);
      const chunks: Buffer[] = [];
      for await (const chunk of call) chunks.push(chunk as Buffer);
      expect((await head)['content-type']).toBe(WEB);
      expect(framesOf(Buffer.concat(chunks)).map(([flag]) => flag)).toEqual([0, 0x80]);
      expect(trailers).toEqual([]);
    } finally {
      session.close();
    }
  });

  test('a call in base64', async () => {
    await using app = await startServer('5');
    await using proxy = await story({ app: app.port, filters: [FILTER], manager: TRAILERS, cluster: TRAILERS });
    const headers = { 'content-type': TEXT, accept: TEXT };
    const body = MESSAGE.toString('base64') + MESSAGE.toString('base64');
    const answer = await ask(proxy.port, { method: 'POST', path: '/a.B/C', headers, body });
    expect(answer.headers['content-type']).toBe('application/grpc-web-text+proto');
    expect(framesOf(bytesOf(answer.body))).toEqual([
      [0, 'abcd'],
      [0, 'abcd'],
      [0x80, 'grpc-status:5\r\ngrpc-message:done\r\n'],
    ]);
    expect(proxy.stat('cluster.app.grpc-web.a.B.C.5')).toBe(1);
  });

  test('a refusal says in gRPC why', async () => {
    const route = '- match: { prefix: / }\n  direct_response: { status: 403, body: { inline_string: "no entry" } }';
    await using proxy = await story({ app: 0, filters: [FILTER], routes: route });
    const answer = await ask(proxy.port, {
      method: 'POST',
      path: '/a.B/C',
      headers: { 'content-type': WEB },
      body: MESSAGE,
    });
    expect([answer.status, answer.body]).toEqual([403, '']);
    expect(answer.headers).toMatchObject({ 'grpc-status': '7', 'grpc-message': 'no entry', 'content-type': WEB });
  });

  test('base64 that is none is refused', async () => {
    await using app = await startServer();
    await using proxy = await story({ app: app.port, filters: [FILTER], manager: TRAILERS, cluster: TRAILERS });
    const answer = await ask(proxy.port, {
      method: 'POST',
      path: '/a.B/C',
      headers: { 'content-type': TEXT },
      body: '!!!!',
    });
    expect([answer.status, answer.headers['grpc-status']]).toEqual([400, '13']);
    expect((await proxy.logged(1))[0]?.details).toBe('grpc_base_64_decode_failed');
  });

  test('other requests and responses keep their length', async () => {
    await using app = await startApp(echo());
    await using proxy = await story({ app: app.port, filters: [FILTER] });
    const answer = await ask(proxy.port, { method: 'POST', headers: { 'content-length': '5' }, body: 'plain' });
    expect(echoed(answer)).toMatchObject({ body: 'plain', headers: { 'content-length': '5' } });
    expect(answer.headers['content-length']).toBe(String(answer.body.length));
  });
});

describe('which requests', () => {
  const take = (type: string) =>
    new HttpFilterHarness(grpcWeb, {}).request({ ':path': '/a.B/C', 'content-type': type }).request.get('content-type');

  test.each(['application/grpc-web', WEB, TEXT, `${TEXT}+proto`])('%s becomes gRPC', (type) => {
    expect(take(type)).toBe(GRPC);
  });

  test.each(['application/grpc', 'application/grpc-web+json', 'application/grpc-webtext', 'text/plain'])(
    '%s passes',
    (type) => {
      expect(take(type)).toBe(type);
    },
  );

  test('the codings that the client takes are kept', () => {
    const filter = new HttpFilterHarness(grpcWeb, {});
    const codings = (head: Record<string, string>) =>
      filter.request({ 'content-type': WEB, ...head }).request.get('grpc-accept-encoding');
    expect([codings({}), codings({ 'grpc-accept-encoding': 'gzip' })]).toEqual(['identity', 'gzip']);
  });
});

test('of a long answer that is no gRPC, the message has the first 16 KiB', () => {
  const filter = new HttpFilterHarness(grpcWeb, {});
  const { stream } = filter.request({ ':path': '/a.B/C', 'content-type': WEB });
  const { response, verdict } = filter.response(stream, responseHead(502, { 'content-type': 'text/html' }));
  expect(verdict).toMatchObject({ kind: 'buffer' });
  expect(filter.hooks.onResponseBody?.(Buffer.alloc(20_000, 'x'), true, stream)).toEqual(Buffer.alloc(0));
  expect(response.get('grpc-status')).toBe('14');
  expect(response.get('grpc-message')).toBe('x'.repeat(16_384));
});
