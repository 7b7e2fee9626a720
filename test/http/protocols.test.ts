import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { bufferBody, reply } from '../../src/filter/index.ts';
import type { WireBytes } from '../../src/observe/stream-info.ts';
import { askOf, COMBINATIONS, cut, openOf, openTunnelOf, startAppOf, storyOf } from '../support/protocols.ts';
import { echo, echoed, eventually, quiet, readAll, sleep } from '../support/story.ts';

const sha = (bytes: Buffer): string => createHash('sha1').update(bytes).digest('hex');
const SIZES = [0, 1, 100, 16_383, 16_384, 16_385, 65_535, 65_536, 300_001, 3_000_000];
const ROUTE = (fields: string): string => `- match: { prefix: / }\n  route: { cluster: app, ${fields} }`;
const WEBSOCKET = 'upgrade_configs: [{ upgrade_type: websocket }]';
/** Bytes beside header lines and body: a first line and an empty one; one DATA frame, or an empty one too. */
const framing = (version: string): { least: number; most: number } =>
  version === 'HTTP/2' ? { least: 9, most: 18 } : { least: 14, most: 60 };
/** An app that never answers. */
const silent = (): void => {};

describe.each(COMBINATIONS)('%s to %s', { timeout: 60_000 }, (downstream, upstream) => {
  const ask = askOf.bind(undefined, downstream);
  const startApp = startAppOf.bind(undefined, upstream);
  const story = storyOf.bind(undefined, upstream);

  test('a request arrives with its method, path, host, cookies and headers', async () => {
    await using app = await startApp(echo());
    await using proxy = await story({ app: app.port });
    const headers = { host: 'example.org:8080', 'x-some': 'a, b', cookie: 'a=1; b=2', 'user-agent': 'tester' };
    const answer = await ask(proxy.port, { method: 'PUT', path: '/a/b?c=%20d', headers, body: 'hello' });
    expect(answer.status).toBe(200);
    const got = echoed(answer);
    expect(got).toMatchObject({ method: 'PUT', path: '/a/b?c=%20d', body: 'hello' });
    expect(got.headers[upstream === 'HTTP/2' ? ':authority' : 'host']).toBe('example.org:8080');
    expect(got.headers).toMatchObject({ 'x-some': 'a, b', cookie: 'a=1; b=2', 'user-agent': 'tester' });
    const hopByHop = ['connection', 'keep-alive', 'upgrade', 'http2-settings'];
    expect(Object.keys(got.headers).filter((name) => hopByHop.includes(name))).toEqual([]);
    const { headers: back } = answer;
    expect(back).toMatchObject({ 'content-type': 'application/json', server: 'envoy' });
    expect(back.date).toMatch(/GMT$/);
    expect(await proxy.logged(1)).toMatchObject([
      { code: 200, flags: '-', method: 'PUT', path: '/a/b?c=%20d', received: 5, attempts: 1, cluster: 'app' },
    ]);
    await quiet(proxy);
  });

  test('bytes on the wire are counted: bodies with their framing, and heads', async () => {
    const counted: (WireBytes | undefined)[] = [];
    await using app = await startApp((request, response) => {
      request.resume().on('end', () => {
        response.setHeader('content-length', 300);
        response.end('x'.repeat(300));
      });
    });
    await using proxy = await story({
      app: app.port,
      filters: [{ onDone: (stream) => void counted.push(stream.wireBytes) }],
    });
    for (let i = 0; i < 2; i++) {
      await ask(proxy.port, { method: 'POST', headers: { 'content-length': '5' }, body: 'hello' });
      await eventually('counted', () => counted.length === i + 1);
      const wire = counted[i] as WireBytes;
      const [down, up] = [framing(downstream), framing(upstream)];
      // Of HTTP/1.1 the head is more than its header lines; of HTTP/2 the rest is DATA frames.
      const rests = [
        [wire.downstreamReceived - wire.downstreamHeadersReceived, 5, down],
        [wire.downstreamSent - wire.downstreamHeadersSent, 300, down],
        [wire.upstreamSent - wire.upstreamHeadersSent, 5, up],
        [wire.upstreamReceived - wire.upstreamHeadersReceived, 300, up],
      ] as const;
      for (const [rest, body, { least, most }] of rests) {
        expect(rest).toBeGreaterThanOrEqual(body + least);
        expect(rest).toBeLessThanOrEqual(body + most);
      }
      const heads = [
        wire.downstreamHeadersReceived,
        wire.downstreamHeadersSent,
        wire.upstreamHeadersSent,
        wire.upstreamHeadersReceived,
      ];
      for (const bytes of heads) expect(bytes).toBeGreaterThan(9);
    }
  });

  test('cookies that come in several pieces are one for the app', async () => {
    await using app = await startApp(echo());
    await using proxy = await story({ app: app.port });
    const answer = await ask(proxy.port, { headers: { cookie: ['a=1', 'b=2', 'c=3'] } });
    expect(echoed(answer).headers.cookie).toBe('a=1; b=2; c=3');
  });

  test('several headers of one name, and set-cookie, come back as they were', async () => {
    await using app = await startApp((_request, response) => {
      response.setHeader('set-cookie', ['a=1; Path=/', 'b=2']);
      response.setHeader('x-several', ['one', 'two']);
      response.end();
    });
    await using proxy = await story({ app: app.port });
    const { headers } = await ask(proxy.port);
    expect(headers['set-cookie']).toEqual(['a=1; Path=/', 'b=2']);
    expect(headers['x-several']).toBe('one, two');
  });

  test('bodies of all sizes go up and down unchanged, with a length and without', async () => {
    await using app = await startApp((request, response) => {
      void readAll(request).then((body) => {
        response.setHeader('x-up', sha(body));
        const down = randomBytes(Number(request.headers['x-size']));
        response.setHeader('x-down', sha(down));
        if (request.headers['x-framing'] === 'length') response.setHeader('content-length', down.length);
        else response.flushHeaders();
        response.end(down);
      });
    });
    await using proxy = await story({ app: app.port });
    for (const framing of ['length', 'none']) {
      for (const size of SIZES) {
        const up = randomBytes(size);
        const headers: Record<string, string> = { 'x-size': String(size), 'x-framing': framing };
        if (framing === 'length') headers['content-length'] = String(size);
        else if (downstream === 'HTTP/1.1') headers['transfer-encoding'] = 'chunked';
        const answer = await ask(proxy.port, { method: 'POST', body: up, headers });
        expect([framing, size, answer.headers['x-up']]).toEqual([framing, size, sha(up)]);
        expect(sha(Buffer.from(answer.body, 'latin1'))).toBe(answer.headers['x-down']);
      }
    }
    await quiet(proxy);
    const logged = await proxy.logged(2 * SIZES.length);
    expect(logged.map(({ received }) => received)).toEqual([...SIZES, ...SIZES]);
    expect(logged.map(({ sent }) => sent)).toEqual([...SIZES, ...SIZES]);
  });

  test('trailers pass both ways', async () => {
    await using app = await startApp((request, response) => {
      void readAll(request).then(() => {
        response.setHeader('trailer', 'x-sum');
        response.write('body');
        response.addTrailers({ 'x-sum': `${request.trailers['x-up']} seen` });
        response.end();
      });
    });
    await using proxy = await story({ app: app.port });
    const answer = await ask(proxy.port, { method: 'POST', body: 'abc', trailers: { 'x-up': '42' } });
    expect([answer.body, answer.trailers['x-sum']]).toEqual(['body', '42 seen']);
  });

  test('interim responses come in front of the final one', async () => {
    await using app = await startApp((_request, response) => {
      response.writeEarlyHints({ link: '</style.css>; rel=preload' });
      response.end('late');
    });
    await using proxy = await story({ app: app.port, manager: 'proxy_100_continue: true' });
    const answer = await ask(proxy.port);
    expect([answer.status, answer.body, answer.interim]).toEqual([200, 'late', [103]]);
  });

  test('a client that waits for 100 gets it, and its body arrives', async () => {
    await using app = await startApp(echo());
    await using proxy = await story({ app: app.port });
    const answer = await ask(proxy.port, { method: 'POST', body: 'after 100', expectContinue: true });
    expect([answer.status, answer.interim, echoed(answer).body]).toEqual([200, [100], 'after 100']);
  });

  test('responses without a body have none', async () => {
    await using app = await startApp((request, response) => {
      response.statusCode = Number(request.url?.slice(1)) || 200;
      if (request.method === 'HEAD') response.setHeader('content-length', 5);
      response.end();
    });
    await using proxy = await story({ app: app.port });
    const head = await ask(proxy.port, { method: 'HEAD', path: '/200' });
    expect([head.status, head.body, head.headers['content-length']]).toEqual([200, '', '5']);
    for (const status of [204, 304]) {
      const answer = await ask(proxy.port, { path: `/${status}` });
      expect([answer.status, answer.body]).toEqual([status, '']);
    }
    await quiet(proxy);
  });

  test('filters see request, bodies and response, change them, and hear of the end once', async () => {
    await using app = await startApp(echo());
    const seen: string[] = [];
    await using proxy = await story({
      app: app.port,
      filters: [
        {
          onRequest: (request) => {
            seen.push(`request ${request.method} ${request.path} ${request.authority}`);
            request.set('x-added', 'yes');
          },
          onResponse: (response) => {
            seen.push(`response ${response.status}`);
            response.set('x-back', 'yes');
          },
          onDone: () => void seen.push('done'),
        },
        { changesBody: true, onRequestBody: (chunk) => Buffer.from(chunk.toString().toUpperCase()) },
        { onRequest: () => bufferBody(1000) },
      ],
    });
    const answer = await ask(proxy.port, { method: 'POST', path: '/x', headers: { host: 'h' }, body: 'abc' });
    expect(echoed(answer)).toMatchObject({ body: 'ABC', headers: { 'x-added': 'yes' } });
    expect(answer.headers['x-back']).toBe('yes');
    await eventually('the end', () => seen.length === 3);
    expect(seen).toEqual(['request POST /x h', 'response 200', 'done']);
  });

  test('a filter’s reply goes out, and the app hears nothing', async () => {
    let calls = 0;
    await using app = await startApp((_request, response) => {
      calls++;
      response.end();
    });
    const denied = { onRequest: () => reply(403, { body: 'denied', details: 'not_today' }) };
    await using proxy = await story({ app: app.port, filters: [denied] });
    const answer = await ask(proxy.port, { method: 'POST', body: 'x'.repeat(100_000) });
    expect([answer.status, answer.body]).toEqual([403, 'denied']);
    expect(await proxy.logged(1)).toMatchObject([{ code: 403, details: 'not_today', attempts: 0 }]);
    expect(calls).toBe(0);
    await quiet(proxy);
  });

  test('replies of the proxy say why', async () => {
    await using app = await startApp(silent);
    const dead = await startApp(silent);
    await dead[Symbol.asyncDispose]();
    const endpoint = `endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${dead.port} } } }`;
    await using proxy = await story({
      app: app.port,
      routes: `- match: { path: /dead }\n  route: { cluster: dead }
- match: { path: /direct }\n  direct_response: { status: 418, body: { inline_string: teapot } }
- match: { path: /moved }\n  redirect: { path_redirect: /there }
- match: { path: /late }\n  route: { cluster: app, timeout: 0.2s }`,
      clusters: `- name: dead\n  load_assignment: { cluster_name: dead, endpoints: [{ lb_endpoints: [{ ${endpoint} }] }] }`,
    });
    const codes: unknown[] = [];
    for (const path of ['/none', '/dead', '/direct', '/moved', '/late'])
      codes.push((await ask(proxy.port, { path })).status);
    expect(codes).toEqual([404, 503, 418, 301, 504]);
    const lines = await proxy.logged(5);
    expect(lines.map(({ flags }) => flags)).toEqual(['NR', 'UF', '-', '-', 'UT']);
    expect(lines.map(({ details }) => details?.split('{')[0])).toEqual([
      'route_not_found',
      'upstream_reset_before_response_started',
      'direct_response',
      'direct_response',
      'response_timeout',
    ]);
    await quiet(proxy);
  });

  test('a failed try is repeated with its whole body', async () => {
    const bodies: number[] = [];
    await using app = await startApp((request, response) => {
      void readAll(request).then((body) => {
        bodies.push(body.length);
        response.statusCode = bodies.length < 3 ? 503 : 200;
        response.end('done');
      });
    });
    const policy = 'retry_policy: { retry_on: 5xx, num_retries: 2, retry_back_off: { base_interval: 0.002s } }';
    await using proxy = await story({ app: app.port, routes: ROUTE(policy) });
    const answer = await ask(proxy.port, { method: 'POST', body: 'x'.repeat(30_000) });
    expect([answer.status, answer.body, bodies]).toEqual([200, 'done', [30_000, 30_000, 30_000]]);
    expect(await proxy.logged(1)).toMatchObject([{ attempts: 3, flags: '-' }]);
    expect(proxy.stat('cluster.app.upstream_rq_retry_success')).toBe(1);
    await quiet(proxy);
  });

  test('a try that takes too long is given up at the app, and the next one answers', async () => {
    let tries = 0;
    let closed = 0;
    await using app = await startApp((request, response) => {
      if (tries++ > 0) response.end('second');
      request.on('close', () => closed++);
    });
    const policy = 'retry_policy: { retry_on: 5xx, per_try_timeout: 0.2s, retry_back_off: { base_interval: 0.002s } }';
    await using proxy = await story({ app: app.port, routes: ROUTE(policy) });
    expect((await ask(proxy.port)).body).toBe('second');
    await eventually('the first one is closed', () => closed >= 1);
    expect(proxy.stat('cluster.app.upstream_rq_per_try_timeout')).toBe(1);
    await quiet(proxy);
  });

  test('a stream on which nothing happens is ended', async () => {
    await using app = await startApp((_request, response) => {
      response.write('some');
    });
    await using proxy = await story({ app: app.port, manager: 'stream_idle_timeout: 0.2s' });
    await expect(ask(proxy.port)).rejects.toThrow();
    expect(await proxy.logged(1)).toMatchObject([{ code: 200, flags: 'SI', details: 'stream_idle_timeout' }]);
    await quiet(proxy);
  });

  test('a response that the app cuts is cut for the client', async () => {
    await using app = await startApp((_request, response) => {
      response.setHeader('content-length', 1000);
      response.write('some');
      setTimeout(() => cut(response), 50);
    });
    await using proxy = await story({ app: app.port });
    await expect(ask(proxy.port)).rejects.toThrow();
    const [line] = await proxy.logged(1);
    expect(line).toMatchObject({ code: 200, flags: upstream === 'HTTP/2' ? 'UR' : 'UPE' });
    await quiet(proxy);
  });

  test('a client that goes away ends its request at the app', async () => {
    let closed = false;
    await using app = await startApp((request, response) => {
      response.write('begins');
      request.on('close', () => {
        closed = true;
      });
    });
    await using proxy = await story({ app: app.port });
    const response = await openOf(downstream, proxy.port);
    response.cancel();
    await eventually('the app hears of it', () => closed);
    expect(await proxy.logged(1)).toMatchObject([{ code: 200, flags: downstream === 'HTTP/2' ? 'DR' : 'DC' }]);
    response.close();
    await quiet(proxy);
  });

  test('a WebSocket passes bytes both ways, and each side ends by itself', async () => {
    await using app = await startApp(silent, (bytes) => {
      const chunks: Buffer[] = [];
      bytes.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        bytes.write(chunk);
      });
      bytes.on('end', () => bytes.end(`bye ${sha(Buffer.concat(chunks))}`));
    });
    await using proxy = await story({ app: app.port, manager: WEBSOCKET });
    using tunnel = await openTunnelOf(downstream, proxy.port);
    expect(tunnel.status).toBe(downstream === 'HTTP/2' ? 200 : 101);
    const sent = randomBytes(2_000_000);
    const got: Buffer[] = [];
    const bytes = tunnel.bytes as Duplex;
    bytes.on('data', (chunk: Buffer) => got.push(chunk));
    bytes.write(sent.subarray(0, 10));
    await eventually('the first bytes are back', () => Buffer.concat(got).length === 10);
    bytes.end(sent.subarray(10));
    await once(bytes, 'end');
    const all = Buffer.concat(got);
    expect(sha(all.subarray(0, sent.length))).toBe(sha(sent));
    expect(all.subarray(sent.length).toString()).toBe(`bye ${sha(sent)}`);
    expect(proxy.stat('http.test.downstream_cx_upgrades_total')).toBe(1);
    tunnel[Symbol.dispose]();
    await quiet(proxy);
    expect(await proxy.logged(1)).toMatchObject([{ code: 101, received: sent.length }]);
  });

  test('a WebSocket that nobody allows is refused', async () => {
    await using app = await startApp(silent, (bytes) => bytes.end());
    await using proxy = await story({ app: app.port });
    using tunnel = await openTunnelOf(downstream, proxy.port);
    expect(tunnel.status).toBe(403);
    expect(await proxy.logged(1)).toMatchObject([{ code: 403, details: 'upgrade_failed' }]);
  });

  test('a client that reads slowly holds the app back, and gets everything', async () => {
    const total = 64 * 1024 * 1024;
    const chunk = randomBytes(65_536);
    let taken = 0;
    await using app = await startApp((_request, response) => {
      const more = (): void => {
        while (taken < total) {
          taken += chunk.length;
          if (!response.write(chunk)) return void response.once('drain', more);
        }
        response.end();
      };
      more();
    }, silent);
    await using proxy = await story({ app: app.port });
    const { port } = proxy;
    const before = process.memoryUsage.rss();
    const slow = await openOf(downstream, port);
    let last = -1;
    for (let calm = 0; calm < 5; last = taken) {
      await sleep(100);
      calm = taken === last ? calm + 1 : 0;
    }
    expect(taken).toBeLessThan(total / 2);
    expect(process.memoryUsage.rss() - before).toBeLessThan(64 * 1024 * 1024);
    let got = 0;
    for await (const part of slow.body) got += (part as Buffer).length;
    expect(got).toBe(total);
    slow.close();
    await quiet(proxy);
  });
});
