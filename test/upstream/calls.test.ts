import { expect, onTestFinished, test } from 'vitest';
import { CallError, GrpcError, type UnaryReceiver } from '../../src/filter/calls.ts';
import { StatsStore } from '../../src/observe/stats.ts';
import type { SidecarProxy } from '../../src/sidecar-proxy.ts';
import { ClusterCalls } from '../../src/upstream/calls.ts';
import { ClusterManager } from '../../src/upstream/cluster-manager.ts';
import { drainPools } from '../../src/upstream/pools.ts';
import { GrpcHealthServer, http2Server, httpServer, tcpServer } from '../support/health-servers.ts';
import { httpConfig, startTestProxy } from '../support/proxy.ts';
import { TestPki, tlsServer, transportSocket, trust } from '../support/tls.ts';
import { released } from './exchange.ts';
import { clusterConfig, RecordingLogger } from './support.ts';

const HTTP2 = { http2_protocol_options: {} };
const CHECK = '/grpc.health.v1.Health/Check';
/** `service` of a HealthCheckRequest. */
const asking = (service: string): Buffer => Buffer.concat([Buffer.from([0x0a, service.length]), Buffer.from(service)]);

/** Calls to the cluster `web` of the given endpoints; at the test's end everything must have been given back. */
async function callsTo(ports: readonly number[], fields: Record<string, unknown> = {}) {
  const store = new StatsStore();
  const clusters = new ClusterManager({ stats: store, log: new RecordingLogger() });
  clusters.onRemove = (cluster) => {
    for (const endpoint of cluster.endpoints) drainPools(endpoint);
  };
  const addresses = ports.map((port) => `127.0.0.1:${port}`);
  await clusters.update([clusterConfig({ connect_timeout: '5s', ...fields }, addresses)]);
  onTestFinished(async () => {
    const left = clusters.clusters;
    for (const cluster of left) for (const endpoint of cluster.endpoints) drainPools(endpoint, true);
    for (const cluster of left) await released(cluster);
    expect(store.gauges.get('cluster.web.upstream_rq_active')?.value ?? 0).toBe(0);
    expect(store.gauges.get('cluster.web.upstream_rq_pending_active')?.value ?? 0).toBe(0);
    clusters.close();
  });
  return {
    calls: new ClusterCalls(clusters),
    clusters,
    stat: (name: string) => store.counters.get(`cluster.web.${name}`)?.value ?? 0,
  };
}

async function failureOf(call: Promise<unknown>): Promise<CallError> {
  const error = await call.then(
    () => new Error('the call succeeded'),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(CallError);
  return error as CallError;
}

async function grpcFailureOf(call: Promise<unknown>): Promise<GrpcError> {
  const error = await call.then(
    () => new Error('the call succeeded'),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(GrpcError);
  return error as GrpcError;
}

const GET = { method: 'GET', path: '/keys?a=1', timeoutMs: 5000 };

test('a request over HTTP/1.1 brings status, headers and the whole body, and counts for its cluster', async () => {
  await using server = await httpServer((_, response) => {
    response.setHeader('x-kind', 'keys');
    response.end('{"keys":[]}');
  });
  const { calls, stat } = await callsTo([server.port]);
  const response = await calls.request('web', { ...GET, headers: [['accept', 'application/json']] });
  expect([response.status, response.header('x-kind'), response.body.toString()]).toEqual([200, 'keys', '{"keys":[]}']);
  expect(response.trailer('x-kind')).toBeUndefined();
  expect(server.seen[0]).toMatchObject({ line: 'GET /keys?a=1', headers: { host: 'web', accept: 'application/json' } });
  await calls.request('web', { ...GET, authority: 'keys.test' });
  expect(server.seen[1]?.headers.host).toBe('keys.test');
  expect(stat('upstream_rq_total')).toBe(2);
  expect(stat('upstream_rq_200')).toBe(2);
  expect(stat('upstream_cx_total')).toBe(1);
});

test('a request body goes out with its length', async () => {
  await using server = await httpServer((request, response, body) => {
    response.statusCode = 202;
    response.end(`${request.headers['content-length']} ${body.length}`);
  });
  const { calls } = await callsTo([server.port]);
  const body = new Uint8Array(300_000).fill(97);
  const response = await calls.request('web', { method: 'POST', path: '/', body, timeoutMs: 5000 });
  expect([response.status, response.body.toString()]).toEqual([202, '300000 300000']);
});

test('requests over HTTP/2 share a connection, and see trailers', async () => {
  await using server = await http2Server((request, response) => {
    response.addTrailers({ 'x-sum': '7' });
    response.end(request.url);
  });
  const { calls, stat } = await callsTo([server.port], HTTP2);
  const paths = Array.from({ length: 20 }, (_, index) => `/${index}`);
  await calls.request('web', GET);
  const responses = await Promise.all(paths.map((path) => calls.request('web', { ...GET, path })));
  expect(responses.map(({ body }) => body.toString())).toEqual(paths);
  expect(responses.map((response) => response.trailer('x-sum'))).toEqual(paths.map(() => '7'));
  expect(stat('upstream_cx_total')).toBe(1);
});

test('a request goes over TLS where the cluster says so', async () => {
  const pki = new TestPki();
  await using server = await tlsServer({ cert: pki.server.cert, key: pki.server.key }, (socket) => {
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret'));
  });
  const socket = transportSocket('UpstreamTlsContext', { common_tls_context: { validation_context: trust(pki.ca) } });
  await using running = await startTestProxy(httpConfig(server.port, { cluster: socket }));
  const { calls } = (running.proxy as SidecarProxy).runtime;
  expect((await calls.request('app', GET)).body.toString()).toBe('secret');
});

test('the balancer spreads calls over the endpoints', async () => {
  await using one = await httpServer((_, response) => response.end('one'));
  await using two = await httpServer((_, response) => response.end('two'));
  const { calls } = await callsTo([one.port, two.port]);
  const answers = await Promise.all([1, 2, 3, 4].map(() => calls.request('web', GET)));
  expect(answers.map(({ body }) => body.toString()).sort()).toEqual(['one', 'one', 'two', 'two']);
});

test('a server that does not answer in time is given up, in both versions', async () => {
  await using http1 = await httpServer(() => {});
  await using http2 = await http2Server(() => {});
  for (const [server, fields] of [
    [http1, {}],
    [http2, HTTP2],
  ] as const) {
    const { calls, stat } = await callsTo([server.port], fields);
    const error = await failureOf(calls.request('web', { ...GET, timeoutMs: 30 }));
    expect([error.reason, error.flag, error.message]).toEqual(['timeout', 'UT', 'cluster web: timeout']);
    expect(stat('upstream_rq_timeout')).toBe(1);
    expect(stat('upstream_rq_504')).toBe(1);
  }
});

test('the time counts while the connection is not there yet, too', async () => {
  // Speaks no HTTP/2: its settings never come, and neither does an answer.
  await using server = await tcpServer(() => {});
  const { calls, stat } = await callsTo([server.port], {
    ...HTTP2,
    circuit_breakers: { thresholds: [{ max_connections: 1 }] },
  });
  const error = await failureOf(calls.request('web', { ...GET, timeoutMs: 30 }));
  expect(error.reason).toBe('timeout');
  expect(stat('upstream_rq_timeout')).toBe(1);
});

test('a body that stalls in the middle is given up in time', async () => {
  await using server = await httpServer((_, response) => void response.write('half'));
  const { calls } = await callsTo([server.port]);
  expect((await failureOf(calls.request('web', { ...GET, timeoutMs: 50 }))).reason).toBe('timeout');
});

test('a server that resets, refuses or speaks nonsense is named', async () => {
  await using resets = await tcpServer((socket) => socket.once('data', () => socket.resetAndDestroy()));
  await using nonsense = await tcpServer((socket) => socket.once('data', () => socket.write('SSH-2.0 hello\r\n\r\n')));
  const gone = await tcpServer(() => {});
  await gone[Symbol.asyncDispose]();
  for (const [port, reason, flag, status] of [
    [resets.port, 'connection_termination', 'UC', 503],
    [nonsense.port, 'protocol_error', 'UPE', 502],
    [gone.port, 'connection_failure', 'UF', 503],
  ] as const) {
    const { calls, stat } = await callsTo([port]);
    const error = await failureOf(calls.request('web', GET));
    expect([error.reason, error.flag]).toEqual([reason, flag]);
    expect(stat(`upstream_rq_${status}`)).toBe(1);
  }
});

test('a longer body than allowed ends the call, whether it was announced or not', async () => {
  await using server = await httpServer((request, response) => {
    if (request.url === '/announced') response.setHeader('content-length', '50000000');
    response.on('error', () => {});
    const more = (): void => {
      while (!response.destroyed && response.write(Buffer.alloc(65_536)));
    };
    response.on('drain', more);
    more();
  });
  await using http2 = await http2Server((_, response) => response.end(Buffer.alloc(100_000)));
  for (const [path, port, fields] of [
    ['/announced', server.port, {}],
    ['/endless', server.port, {}],
    ['/http2', http2.port, HTTP2],
  ] as const) {
    const { calls } = await callsTo([port], fields);
    const error = await failureOf(calls.request('web', { ...GET, path, maxResponseBytes: 9999 }));
    expect([error.reason, error.message]).toEqual([
      'response_too_large',
      'cluster web: response too large: more than 9999 bytes',
    ]);
  }
  const { calls } = await callsTo([http2.port], HTTP2);
  expect((await calls.request('web', { ...GET, maxResponseBytes: 100_000 })).body.length).toBe(100_000);
});

test('circuit breakers hold for calls', async () => {
  await using server = await httpServer(() => {});
  const { calls, stat } = await callsTo([server.port], { circuit_breakers: { thresholds: [{ max_requests: 1 }] } });
  const stuck = failureOf(calls.request('web', { ...GET, timeoutMs: 300 }));
  await expect.poll(() => server.seen.length).toBe(1);
  const error = await failureOf(calls.request('web', GET));
  expect([error.reason, error.flag]).toEqual(['overflow', 'UO']);
  expect(stat('upstream_rq_active_overflow')).toBe(1);
  expect((await stuck).reason).toBe('timeout');
});

test('a call can be cancelled before, while it waits and while it runs', async () => {
  await using server = await httpServer(() => {});
  const { calls, stat } = await callsTo([server.port], { circuit_breakers: { thresholds: [{ max_connections: 1 }] } });
  const early = new AbortController();
  early.abort();
  expect((await failureOf(calls.request('web', { ...GET, signal: early.signal }))).reason).toBe('cancelled');
  const running = new AbortController();
  const first = failureOf(calls.request('web', { ...GET, signal: running.signal }));
  await expect.poll(() => server.seen.length).toBe(1);
  const waiting = new AbortController();
  const second = failureOf(calls.request('web', { ...GET, signal: waiting.signal }));
  waiting.abort();
  expect((await second).reason).toBe('cancelled');
  expect(stat('upstream_rq_cancelled')).toBe(1);
  running.abort();
  expect((await first).reason).toBe('cancelled');
});

test('a cluster that a reload removed, changed or emptied rejects or serves the next call', async () => {
  await using server = await httpServer((_, response) => response.end('here'));
  const { calls, clusters } = await callsTo([server.port]);
  await calls.request('web', GET);
  await clusters.update([clusterConfig({ connect_timeout: '4s' }, [`127.0.0.1:${server.port}`])]);
  expect((await calls.request('web', GET)).body.toString()).toBe('here');
  await clusters.update([clusterConfig({}, [])]);
  const unhealthy = await failureOf(calls.request('web', GET));
  expect([unhealthy.reason, unhealthy.flag]).toEqual(['no_healthy_upstream', 'UH']);
  await clusters.update([]);
  const unknown = await failureOf(calls.request('web', GET));
  expect([unknown.reason, unknown.flag, unknown.message]).toEqual([
    'unknown_cluster',
    'NC',
    'cluster web: unknown cluster',
  ]);
});

test('a request that no wire can carry rejects, and harms nobody', async () => {
  await using server = await httpServer((_, response) => response.end('fine'));
  const { calls } = await callsTo([server.port]);
  for (const wrong of [
    { path: 'no-slash' },
    { method: 'GE T' },
    { headers: [['x-a', 'a\r\nb: c']] as const },
    { authority: 'a b' },
  ]) {
    expect((await failureOf(calls.request('web', { ...GET, ...wrong }))).reason).toBe('invalid_request');
  }
  expect((await calls.request('web', GET)).body.toString()).toBe('fine');
});

test('a call on a kept connection that its server just closed goes once more, when it is idempotent', async () => {
  let exchanges = 0;
  await using server = await tcpServer((socket) =>
    socket.on('data', () => {
      // The second request on a connection meets its end.
      if (++exchanges === 2) socket.destroy();
      else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    }),
  );
  const { calls, stat } = await callsTo([server.port]);
  await calls.request('web', GET);
  expect((await calls.request('web', GET)).body.toString()).toBe('ok');
  expect(stat('upstream_rq_retry')).toBe(1);
});

test('nobody has to look at a call that fails', async () => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown): void => void unhandled.push(reason);
  process.on('unhandledRejection', note);
  const { calls } = await callsTo([], HTTP2);
  void calls.request('web', GET);
  void calls.request('missing', GET);
  void calls.unary('web', CHECK, asking(''), { timeoutMs: 100 });
  void calls.unary('missing', CHECK, asking(''), { timeoutMs: 100 });
  await new Promise((done) => setTimeout(done, 20));
  process.off('unhandledRejection', note);
  expect(unhandled).toEqual([]);
});

// ── gRPC ──

test('a receiver hears of a call within the event that ends it', async () => {
  await using server = await new GrpcHealthServer().start();
  server.statuses.set('shop', 2);
  const { calls } = await callsTo([server.port], HTTP2);
  const heard: unknown[] = [];
  const receiver = (then: () => void = () => {}): UnaryReceiver => ({
    onMessage: (message) => {
      heard.push([...message]);
      then();
    },
    onFailure: (error) => void heard.push(error.status),
  });
  const options = { timeoutMs: 20_000 };
  // The object of a call that is over serves the one that its receiver begins.
  calls.ask(
    'web',
    CHECK,
    asking('shop'),
    options,
    receiver(() => calls.ask('web', CHECK, asking(''), options, receiver())),
  );
  await expect
    .poll(() => heard)
    .toEqual([
      [0x08, 2],
      [0x08, 1],
    ]);
  calls.ask('web', CHECK, asking('nobody'), options, receiver());
  await expect.poll(() => heard.at(-1)).toBe(5);
  heard.length = 0;
  calls.ask('missing', CHECK, asking(''), options, receiver());
  calls.ask('web', CHECK, asking(''), { ...options, signal: AbortSignal.abort() }, receiver());
  expect(heard).toEqual([14, 1]);
});

test('a unary call to a server of grpc-js brings its message, with metadata and deadline', async () => {
  await using server = await new GrpcHealthServer().start();
  server.statuses.set('shop', 2);
  const { calls, stat } = await callsTo([server.port], HTTP2);
  const options = { timeoutMs: 20_000, metadata: [['x-tenant', 'blue']] as const };
  expect([...(await calls.unary('web', CHECK, asking('shop'), options))]).toEqual([0x08, 2]);
  expect([...(await calls.unary('web', CHECK, asking(''), { timeoutMs: 20_000 }))]).toEqual([0x08, 1]);
  expect(server.calls[0]).toMatchObject({ service: 'shop', metadata: { 'x-tenant': 'blue' } });
  expect(server.calls[0]?.deadlineMs).toBeGreaterThan(15_000);
  expect(stat('upstream_rq_200')).toBe(2);
});

test('concurrent unary calls share a connection and do not mix their answers', async () => {
  await using server = await new GrpcHealthServer().start();
  const numbers = Array.from({ length: 50 }, (_, index) => index);
  for (const number of numbers) server.statuses.set(`s${number}`, number);
  const { calls, stat } = await callsTo([server.port], HTTP2);
  for (let round = 0; round < 3; round++) {
    const answers = await Promise.all(
      numbers.map((number) => calls.unary('web', CHECK, asking(`s${number}`), { timeoutMs: 20_000 })),
    );
    expect(answers.map((answer) => answer[1])).toEqual(numbers);
  }
  expect(stat('upstream_cx_total')).toBe(1);
});

test('a status other than OK rejects with its number and message', async () => {
  await using server = await new GrpcHealthServer().start();
  const { calls } = await callsTo([server.port], HTTP2);
  const error = await grpcFailureOf(calls.unary('web', CHECK, asking('nobody'), { timeoutMs: 20_000 }));
  expect([error.status, error.message, error.cause]).toEqual([5, 'unknown service', undefined]);
  const unknown = await grpcFailureOf(calls.unary('web', '/a.B/C', asking(''), { timeoutMs: 20_000 }));
  expect(unknown.status).toBe(12);
});

test('a message of a status is unescaped', async () => {
  await using server = await http2Server((_, response) => {
    response.writeHead(200, {
      'content-type': 'application/grpc',
      'grpc-status': '9',
      'grpc-message': '50%25 f%C3%BCr %zz',
    });
    response.end();
  });
  const { calls } = await callsTo([server.port], HTTP2);
  const error = await grpcFailureOf(calls.unary('web', CHECK, asking(''), { timeoutMs: 5000 }));
  expect([error.status, error.message]).toEqual([9, '50% für %zz']);
});

test('a call that fails on its way has the status of its failure, and the failure as its cause', async () => {
  await using silent = await http2Server(() => {});
  await using resets = await http2Server((_, response) => response.stream.close(8));
  await using huge = await http2Server((_, response) => response.end(Buffer.alloc(60_000)));
  for (const [port, status, reason] of [
    [silent.port, 4, 'timeout'],
    [resets.port, 14, 'remote_reset'],
    [huge.port, 8, 'response_too_large'],
  ] as const) {
    const { calls } = await callsTo([port], HTTP2);
    const options = { timeoutMs: reason === 'timeout' ? 40 : 5000, maxResponseBytes: 50_000 };
    const error = await grpcFailureOf(calls.unary('web', CHECK, asking(''), options));
    expect(error.status).toBe(status);
    expect((error.cause as CallError).reason).toBe(reason);
  }
});

test('a response that is no answer to a unary call is refused', async () => {
  const cases: [headers: Record<string, string | number>, body: Buffer, status: number, text: string][] = [
    [{ ':status': 503 }, Buffer.from('busy'), 14, 'HTTP status 503'],
    [
      { ':status': 200, 'content-type': 'text/html' },
      Buffer.from('hi'),
      2,
      'the response has content-type "text/html"',
    ],
    [{ ':status': 200, 'content-type': 'application/grpc' }, Buffer.alloc(5), 2, 'the response has no grpc-status'],
    [{ ':status': 200, 'grpc-status': 'zero' }, Buffer.alloc(5), 2, ''],
    [
      { ':status': 200, 'grpc-status': '0' },
      Buffer.from([0, 0, 0, 0, 9, 1]),
      13,
      'the body is not exactly one message',
    ],
    [{ ':status': 200, 'grpc-status': '0' }, Buffer.from([0, 0]), 13, 'the body is not exactly one message'],
    [
      { ':status': 200, 'grpc-status': '0' },
      Buffer.from([1, 0, 0, 0, 0]),
      13,
      'the message is compressed, which nobody asked for',
    ],
  ];
  for (const [headers, body, status, text] of cases) {
    await using server = await http2Server((_, response) => {
      response.stream.respond(headers);
      response.stream.end(body);
    });
    const { calls } = await callsTo([server.port], HTTP2);
    const error = await grpcFailureOf(calls.unary('web', CHECK, asking(''), { timeoutMs: 5000 }));
    expect([error.status, error.message]).toEqual([status, text]);
  }
});

test('a server that goes away between calls is found again', async () => {
  const first = await new GrpcHealthServer().start();
  const { calls } = await callsTo([first.port], HTTP2);
  await calls.unary('web', CHECK, asking(''), { timeoutMs: 5000 });
  await first[Symbol.asyncDispose]();
  expect((await grpcFailureOf(calls.unary('web', CHECK, asking(''), { timeoutMs: 5000 }))).status).toBe(14);
  await using second = await new GrpcHealthServer().start(first.port);
  expect(second.port).toBe(first.port);
  await expect
    .poll(() => calls.unary('web', CHECK, asking(''), { timeoutMs: 5000 }).then((answer) => [...answer], String))
    .toEqual([0x08, 1]);
});
