import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { httpConfig } from '../../support/proxy.ts';
import { LOG_FILE, type ProxyName, ProxyProcess, unusedPort } from '../../support/proxy-process.ts';
import { NodeClient } from './node-client.ts';
import { NodeServer } from './node-server.ts';
import { type CallResult, type CallSpec, type GrpcClient, messageBytes, type Seen, STATUS } from './peers.ts';
import { PythonClient, PythonServer } from './python-peers.ts';

export type Language = 'grpc-js' | 'Python';

const MIB = 1024 * 1024;
const PARALLEL = 1000;

const HTTP2 = `typed_extension_protocol_options:
  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
    "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
    explicit_http_config: { http2_protocol_options: {} }`;

const header = (name: string, value: string): string =>
  `headers: [{ name: ${name}, string_match: { exact: ${value} } }]`;

function configuration(appPort: number, deadPort: number): string {
  const endpoint = `endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${deadPort} } } }`;
  return httpConfig(appPort, {
    manager: `codec_type: HTTP2
access_log:
- name: file
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
    path: ${LOG_FILE}
    log_format: { text_format_source: { inline_string: "%REQ(X-CASE)% %PROTOCOL% %RESPONSE_CODE% %GRPC_STATUS% %GRPC_STATUS_NUMBER% %RESPONSE_FLAGS%\\n" } }`,
    routes: `- match: { prefix: /, ${header('x-route', 'denied')} }
  direct_response: { status: 403, body: { inline_string: "not you, 100% sure" } }
- match: { prefix: /, ${header('x-route', 'dead')} }
  route: { cluster: dead }
- match: { prefix: /, ${header('x-route', 'short')} }
  route: { cluster: app, timeout: 0.3s }
- match: { prefix: /, ${header('x-route', 'deadline')} }
  route: { cluster: app, max_stream_duration: { grpc_timeout_header_max: 0s, grpc_timeout_header_offset: 0.2s } }
- match: { prefix: /, grpc: {} }
  route: { cluster: app, timeout: 0s }`,
    cluster: `circuit_breakers: { thresholds: [{ max_requests: 5000, max_pending_requests: 5000 }] }\n${HTTP2}`,
    clusters: `- name: dead
  connect_timeout: 1s
  load_assignment: { cluster_name: dead, endpoints: [{ lb_endpoints: [{ ${endpoint} }] }] }
${HTTP2.replaceAll(/^/gm, '  ')}`,
  });
}

const sha = (bytes: Buffer): string => createHash('sha1').update(bytes).digest('hex');
/** What an echo of these messages is. */
const echoOf = (sizes: readonly number[]): [number, string][] =>
  sizes.map((size, i) => [size, sha(messageBytes(size, i))]);

/** Every kind of call, by a real client to a real server, through a proxy. */
export function grpcCalls(proxyName: ProxyName, client: Language, server: Language): void {
  const stack = new AsyncDisposableStack();
  let proxy: ProxyProcess;
  let through: GrpcClient;
  /** Asks the server itself what it has seen. */
  let observer: NodeClient;

  beforeAll(async () => {
    const app = stack.use(await (server === 'Python' ? new PythonServer() : new NodeServer()).start());
    proxy = stack.use(await ProxyProcess.start(proxyName, configuration(app.port, await unusedPort())));
    through = stack.use(client === 'Python' ? new PythonClient(proxy.port) : new NodeClient(proxy.port));
    observer = stack.use(new NodeClient(app.port));
  });
  afterAll(() => stack.disposeAsync());

  const one = async (spec: CallSpec): Promise<CallResult> => (await through.call(spec))[0] as CallResult;
  /** Waits until the server has seen what is expected. */
  const seen = async (what: string, condition: (seen: Seen) => boolean): Promise<Seen> => {
    for (let tries = 0; ; tries++) {
      const answer = await observer.text('Seen');
      const last = JSON.parse(answer) as Seen;
      if (condition(last)) return last;
      if (tries > 100) throw new Error(`${what}: the server has seen ${answer}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };

  test('unary', async () => {
    const result = await one({ method: 'Unary', sizes: [100] });
    expect(result).toMatchObject({ code: STATUS.OK, messages: echoOf([100]) });
  });

  test('an empty message', async () => {
    expect(await one({ method: 'Unary', sizes: [0] })).toMatchObject({ code: STATUS.OK, messages: echoOf([0]) });
  });

  test('client streaming', async () => {
    const sizes = Array.from({ length: 200 }, (_, i) => i * 100);
    const total = Buffer.from(String(sizes.reduce((sum, size) => sum + size)));
    const result = await one({ method: 'ClientStream', sizes });
    expect(result).toMatchObject({ code: STATUS.OK, messages: [[total.length, sha(total)]] });
  });

  test('server streaming', async () => {
    const metadata = { 'x-replies': '200', 'x-reply-bytes': '3000' };
    const result = await one({ method: 'ServerStream', metadata });
    expect(result).toMatchObject({ code: STATUS.OK, messages: echoOf(Array<number>(200).fill(3000)) });
  });

  test.each([false, true])('streaming both ways, one message waiting for the other: %s', async (pingPong) => {
    const sizes = Array.from({ length: 100 }, (_, i) => (i % 10) * 1000 + 1);
    expect(await one({ method: 'Bidi', sizes, pingPong })).toMatchObject({ code: STATUS.OK, messages: echoOf(sizes) });
  });

  test('messages of 4 MiB, alone and in a stream', async () => {
    expect(await one({ method: 'Unary', sizes: [4 * MIB] })).toMatchObject({ messages: echoOf([4 * MIB]) });
    const sizes = [4 * MIB, 1, 4 * MIB];
    expect(await one({ method: 'Bidi', sizes })).toMatchObject({ code: STATUS.OK, messages: echoOf(sizes) });
  }, 60_000);

  test(`${PARALLEL} streams at the same time, all open before one ends`, async () => {
    const results = await through.call({ method: 'Bidi', sizes: [50, 60, 70], pingPong: true, parallel: PARALLEL });
    expect(results.length).toBe(PARALLEL);
    const wrong = results.filter(({ code, messages }) => code !== STATUS.OK || messages.length !== 3);
    expect(wrong).toEqual([]);
  }, 60_000);

  test('binary metadata, both ways, in headers and trailers', async () => {
    const every = Buffer.from(Array.from({ length: 256 }, (_, i) => i)).toString('base64');
    for (const value of [every, randomBytes(1).toString('base64'), randomBytes(3000).toString('base64')]) {
      const result = await one({ method: 'Unary', binary: { 'x-data-bin': value }, metadata: { 'x-text': 'a b=c,d' } });
      expect(result.headers).toMatchObject({ 'x-data-bin': value, 'x-text': 'a b=c,d' });
      expect(result.trailers).toMatchObject({ 'x-data-bin': value, 'x-text': 'a b=c,d' });
    }
  });

  test('every status code comes through, with its message and trailers', async () => {
    for (let code = 1; code <= 16; code++) {
      const method = (['Unary', 'ClientStream', 'ServerStream', 'Bidi'] as const)[code % 4] ?? 'Unary';
      const details = `code ${code}`;
      const metadata = { 'x-code': String(code), 'x-message': details, 'x-text': 'kept' };
      expect(await one({ method, metadata })).toMatchObject({ code, details, trailers: { 'x-text': 'kept' } });
    }
  });

  test('the access log names the status of gRPC', async () => {
    await one({ method: 'Unary', metadata: { 'x-case': 'log-ok' } });
    await one({ method: 'Unary', metadata: { 'x-case': 'log-failed', 'x-code': '5' } });
    expect(await proxy.logged((line) => line.startsWith('log-ok '))).toBe('log-ok HTTP/2 200 OK 0 -');
    expect(await proxy.logged((line) => line.startsWith('log-failed '))).toBe('log-failed HTTP/2 200 NotFound 5 -');
  });

  test.each(['Unary', 'ServerStream', 'Bidi'] as const)('a deadline ends %s at client and server', async (method) => {
    const before = await seen('now', () => true);
    const result = await one({ method, metadata: { 'x-wait': '1' }, deadlineMs: 400 });
    expect(result.code).toBe(STATUS.DEADLINE_EXCEEDED);
    const after = await seen('the cancelled call', ({ cancelled }) => cancelled > before.cancelled);
    // `grpc-timeout` has come through.
    expect(after.deadlineMs).toBeGreaterThan(0);
    expect(after.deadlineMs).toBeLessThan(500);
  });

  test.each(['Unary', 'ClientStream', 'ServerStream', 'Bidi'] as const)(
    'a client that cancels %s is heard of at the server',
    async (method) => {
      const before = await seen('now', () => true);
      const cancelAfter = method === 'ServerStream' || method === 'Bidi' ? 1 : 0;
      const result = await one({ method, metadata: { 'x-wait': '1', 'x-case': `cancel-${method}` }, cancelAfter });
      expect(result.code).toBe(STATUS.CANCELLED);
      await seen('the cancelled call', ({ cancelled }) => cancelled > before.cancelled);
      await proxy.logged((line) => line.startsWith(`cancel-${method} `));
      await seen('the end of all calls', ({ active }) => active <= before.active);
    },
  );

  test('a server that gives up in the middle is heard of at the client', async () => {
    const metadata = { 'x-code': '10', 'x-message': 'enough', 'x-replies': '5' };
    const result = await one({ method: 'ServerStream', metadata });
    expect(result).toMatchObject({ code: 10, details: 'enough' });
    expect(result.messages.length).toBe(5);
  });

  test('keep-alive: both ends ask the proxy, and connections that are idle stay', async () => {
    const connections = async (): Promise<number> => (await proxy.stats()).get('http.test.downstream_cx_total') ?? 0;
    await one({ method: 'Unary' });
    const before = await connections();
    expect(await one({ method: 'Unary', idleMs: 3500 })).toMatchObject({ code: STATUS.OK });
    expect(await connections()).toBe(before);
  });

  test('replies of the proxy itself are statuses of gRPC', async () => {
    const denied = await one({ method: 'Unary', metadata: { 'x-route': 'denied' } });
    expect(denied).toMatchObject({ code: STATUS.PERMISSION_DENIED, details: 'not you, 100% sure' });
    const dead = await one({ method: 'Unary', metadata: { 'x-route': 'dead', 'x-case': 'dead' } });
    expect(dead.code).toBe(STATUS.UNAVAILABLE);
    expect(dead.details).toContain('upstream connect error');
    expect(await proxy.logged((line) => line.startsWith('dead '))).toBe('dead HTTP/2 200 Unavailable 14 UF');
  });

  test('the route’s time is up: deadline or unavailable, as the route says', async () => {
    const before = await seen('now', () => true);
    const short = await one({ method: 'Unary', metadata: { 'x-route': 'short', 'x-wait': 'silent' } });
    expect(short).toMatchObject({ code: STATUS.UNAVAILABLE });
    // The proxy keeps the client's deadline, less what the route takes off.
    const metadata = { 'x-route': 'deadline', 'x-wait': 'silent', 'x-case': 'deadline' };
    const start = performance.now();
    const kept = await one({ method: 'Unary', metadata, deadlineMs: 3000 });
    expect(kept.code).toBe(STATUS.DEADLINE_EXCEEDED);
    expect(performance.now() - start).toBeGreaterThan(2000);
    expect(await proxy.logged((line) => line.startsWith('deadline '))).toMatch(/ 4 /);
    await seen('both calls cancelled', ({ cancelled }) => cancelled >= before.cancelled + 2);
  });

  test('a server that goes away in the middle makes the call fail', async () => {
    const app = await new NodeServer().start();
    await using other = await ProxyProcess.start(proxyName, configuration(app.port, app.port));
    await using caller = client === 'Python' ? new PythonClient(other.port) : new NodeClient(other.port);
    const call = caller.call({ method: 'Bidi', metadata: { 'x-wait': '1' }, cancelAfter: 100 });
    await other.stat('cluster.app.upstream_rq_active', (active) => active === 1, 10_000);
    await app[Symbol.asyncDispose]();
    const [result] = await call;
    // Its headers were out: the stream is reset, and the code is the client's reading of that.
    expect([STATUS.INTERNAL, STATUS.UNAVAILABLE]).toContain(result?.code);
    await other.stat('cluster.app.upstream_rq_active', (active) => active === 0);
  });
}
