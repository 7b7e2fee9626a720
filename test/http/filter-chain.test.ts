import { expect, test } from 'vitest';
import { bufferBody, type HttpFilterHooks, type HttpStream, reply, stop } from '../../src/filter/index.ts';
import { listen, TestClient } from '../support/sockets.ts';
import { ask, echo, echoed, eventually, quiet, type StoryFilter, sleep, startApp, story } from '../support/story.ts';

/** A filter that notes the hooks that it saw. */
function witness(name: string, seen: string[], more: HttpFilterHooks = {}): StoryFilter {
  return {
    onRequest(request, stream) {
      seen.push(`${name} request`);
      return more.onRequest?.(request, stream);
    },
    onResponse(response, stream) {
      seen.push(`${name} response`);
      return more.onResponse?.(response, stream);
    },
    onDone: () => void seen.push(`${name} done`),
  };
}

const later = <T>(ms: number, value?: T): Promise<T> => sleep(ms).then(() => value as T);

test('request hooks run in order, response hooks in reverse, done hooks once', async () => {
  await using app = await startApp(echo());
  const seen: string[] = [];
  await using proxy = await story({
    app: app.port,
    filters: [witness('a', seen), witness('b', seen), witness('c', seen)],
  });
  expect((await ask(proxy.port)).status).toBe(200);
  expect(seen).toEqual([
    'a request',
    'b request',
    'c request',
    'c response',
    'b response',
    'a response',
    'a done',
    'b done',
    'c done',
  ]);
});

test('hooks that return promises keep the order, also several in a row and with a body', async () => {
  await using app = await startApp(echo());
  const seen: string[] = [];
  const slow: HttpFilterHooks = { onRequest: () => later(10), onResponse: () => later(10) };
  await using proxy = await story({
    app: app.port,
    filters: [witness('a', seen, slow), witness('b', seen, slow), witness('c', seen)],
  });
  for (const headers of [{}, { 'transfer-encoding': 'chunked' }]) {
    seen.length = 0;
    const answer = await ask(proxy.port, { method: 'POST', body: 'x'.repeat(100_000), headers });
    expect(echoed(answer).body.length).toBe(100_000);
    expect(seen).toEqual([
      'a request',
      'b request',
      'c request',
      'c response',
      'b response',
      'a response',
      'a done',
      'b done',
      'c done',
    ]);
  }
  await quiet(proxy);
});

test('a filter that replies keeps the request from those behind it, and every filter hears of the end', async () => {
  await using app = await startApp(echo());
  const seen: string[] = [];
  const deny: HttpFilterHooks = { onRequest: () => reply(403, { body: 'no', details: 'mine{rule_7}', flag: 'UAEX' }) };
  await using proxy = await story({
    app: app.port,
    filters: [witness('a', seen), witness('b', seen, deny), witness('c', seen)],
  });
  const answer = await ask(proxy.port);
  expect([answer.status, answer.body, answer.headers['content-type']]).toEqual([403, 'no', 'text/plain']);
  expect(seen.filter((line) => line.endsWith('request'))).toEqual(['a request', 'b request']);
  expect(seen.filter((line) => line.endsWith('done'))).toEqual(['a done', 'b done', 'c done']);
  expect(await proxy.logged(1)).toMatchObject([{ code: 403, flags: 'UAEX', details: 'mine{rule_7}' }]);
});

test('a promised reply, and one whose body is not ASCII, arrive as they were meant', async () => {
  await using app = await startApp(echo());
  await using proxy = await story({
    app: app.port,
    filters: [{ onRequest: () => later(5, reply(418, { body: 'schön €', headers: { 'x-why': 'tea' } })) }],
  });
  const answer = await ask(proxy.port);
  expect([answer.status, Buffer.from(answer.body, 'latin1').toString(), answer.headers['x-why']]).toEqual([
    418,
    'schön €',
    'tea',
  ]);
});

test('stop ends the connection without an answer', async () => {
  await using app = await startApp(echo());
  await using proxy = await story({ app: app.port, filters: [{ onRequest: () => stop('mine{gone}', 'UAEX') }] });
  const client = await TestClient.connect(proxy.port);
  client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  await client.untilClosed();
  expect(client.text).toBe('');
  expect(await proxy.logged(1)).toMatchObject([{ code: 0, flags: 'UAEX', details: 'mine{gone}' }]);
});

test('a response hook that replies puts its answer in the place of the upstream’s, which is seen once by every filter', async () => {
  await using app = await startApp((_request, response) => response.end('secret'));
  const seen: string[] = [];
  const censor: HttpFilterHooks = { onResponse: () => reply(451, { body: 'censored' }) };
  await using proxy = await story({
    app: app.port,
    filters: [witness('a', seen), witness('b', seen, censor), witness('c', seen)],
  });
  const answer = await ask(proxy.port);
  expect([answer.status, answer.body]).toEqual([451, 'censored']);
  expect(seen.filter((line) => line.endsWith('response'))).toEqual(['c response', 'b response']);
  expect(seen.filter((line) => line.endsWith('done'))).toHaveLength(3);
  await quiet(proxy);
});

test('a buffered request reaches the app with its length, and too large a one is refused with 413', async () => {
  await using app = await startApp(echo());
  const sizes: number[] = [];
  await using proxy = await story({
    app: app.port,
    filters: [
      {
        onRequest: () => bufferBody(50_000),
        onRequestBody: (chunk, end) => void sizes.push(end ? chunk.length : -1),
      },
    ],
  });
  const small = await ask(proxy.port, {
    method: 'POST',
    body: 'y'.repeat(40_000),
    headers: { 'transfer-encoding': 'chunked' },
  });
  expect(echoed(small).body).toBe('y'.repeat(40_000));
  expect(echoed(small).headers).toMatchObject({ 'content-length': '40000' });
  expect(echoed(small).headers['transfer-encoding']).toBeUndefined();
  expect(sizes).toEqual([40_000]);
  for (const headers of [{}, { 'transfer-encoding': 'chunked' }]) {
    const large = await ask(proxy.port, { method: 'POST', body: 'z'.repeat(50_001), headers });
    expect([large.status, large.body]).toEqual([413, 'Payload Too Large']);
  }
  expect((await proxy.logged(3)).at(-1)).toMatchObject({ code: 413, details: 'request_payload_too_large' });
});

test('a buffered response gets a length, and too large a one becomes 500', async () => {
  await using app = await startApp((request, response) => {
    response.write('a'.repeat(Number(request.headers['x-size']) - 1));
    setTimeout(() => response.end('b'), 10);
  });
  await using proxy = await story({
    app: app.port,
    filters: [
      {
        onResponse: () => bufferBody(1000),
        onResponseBody: (chunk) => Buffer.from(`[${chunk.toString()}]`),
        changesBody: true,
      },
    ],
  });
  const small = await ask(proxy.port, { headers: { 'x-size': '10' } });
  expect([small.body, small.headers['content-length'], small.headers['transfer-encoding']]).toEqual([
    '[aaaaaaaaab]',
    '12',
    undefined,
  ]);
  const large = await ask(proxy.port, { headers: { 'x-size': '1001' } });
  expect(large.status).toBe(500);
  expect((await proxy.logged(2)).at(-1)).toMatchObject({ code: 500, details: 'response_payload_too_large' });
  await quiet(proxy);
});

test('two filters that wait before they buffer see the body once, whole and in order', async () => {
  await using app = await startApp(echo());
  const seen: string[] = [];
  const collector = (name: string): StoryFilter => ({
    onRequest: () => later(5, bufferBody(1_000_000)),
    onRequestBody: (chunk, end) => void seen.push(`${name} ${chunk.length} ${end}`),
  });
  await using proxy = await story({
    app: app.port,
    filters: [collector('a'), { onRequest: () => later(5) }, collector('b')],
  });
  const answer = await ask(proxy.port, { method: 'POST', body: 'q'.repeat(200_000) });
  expect(echoed(answer).body.length).toBe(200_000);
  expect(seen).toEqual(['a 200000 true', 'b 200000 true']);
});

test('body hooks replace, swallow and wait, in both directions, and the end never overtakes the last chunk', async () => {
  await using app = await startApp(echo());
  const shout: StoryFilter = {
    changesBody: true,
    onRequestBody: (chunk) => later(3, Buffer.from(chunk.toString().toUpperCase())),
    onResponseBody: (chunk, end) => later(3, end ? Buffer.concat([chunk, Buffer.from('!')]) : Buffer.from(chunk)),
  };
  const swallow: StoryFilter = {
    changesBody: true,
    onRequestBody: (chunk) => (chunk.toString().includes('drop') ? Buffer.alloc(0) : undefined),
  };
  await using proxy = await story({ app: app.port, filters: [swallow, shout] });
  const plain = await ask(proxy.port, { method: 'POST', body: 'hello' });
  expect(plain.body.endsWith('}!')).toBe(true);
  expect(plain.headers['transfer-encoding']).toBe('chunked');
  expect(JSON.parse(plain.body.slice(0, -1))).toMatchObject({
    body: 'HELLO',
    headers: { 'transfer-encoding': 'chunked' },
  });
  const dropped = await ask(proxy.port, { method: 'POST', body: 'drop me' });
  expect(JSON.parse(dropped.body.slice(0, -1))).toMatchObject({ body: '' });
  const big = await ask(proxy.port, { method: 'POST', body: 'x'.repeat(500_000) });
  expect(JSON.parse(big.body.slice(0, -1)).body).toBe('X'.repeat(500_000));
  await quiet(proxy);
});

test('a body hook that answers ends the upload', async () => {
  await using app = await startApp(echo());
  await using proxy = await story({
    app: app.port,
    filters: [{ onRequestBody: (chunk) => (chunk.includes('virus') ? reply(422, { body: 'sick' }) : undefined) }],
  });
  const answer = await ask(proxy.port, { method: 'POST', body: 'a virus' });
  expect([answer.status, answer.body]).toEqual([422, 'sick']);
  expect((await ask(proxy.port, { method: 'POST', body: 'healthy' })).status).toBe(200);
  await quiet(proxy);
});

test.each([
  [
    'throws',
    () => {
      throw new Error('broken');
    },
  ],
  ['rejects', () => Promise.reject(new Error('broken'))],
  ['never settles', () => new Promise<undefined>(() => {})],
] as const)('a hook that %s fails its own request closed, or lets it pass open', async (_what, hook) => {
  await using app = await startApp(echo());
  const broken = (onError: 'open' | 'closed', phase: 'onRequest' | 'onResponse'): StoryFilter => ({
    [phase]: (_head: unknown, stream: HttpStream) =>
      stream.request.has(`x-${onError}-${phase.toLowerCase()}`) ? hook() : undefined,
    onError,
    timeoutMs: 60,
  });
  const filters = (['open', 'closed'] as const).flatMap((onError) => [
    broken(onError, 'onRequest'),
    broken(onError, 'onResponse'),
  ]);
  await using proxy = await story({ app: app.port, filters });
  for (const phase of ['onrequest', 'onresponse']) {
    expect((await ask(proxy.port, { headers: { [`x-open-${phase}`]: '1' } })).status).toBe(200);
    const closed = await ask(proxy.port, { headers: { [`x-closed-${phase}`]: '1' } });
    expect([closed.status, closed.body]).toEqual([500, 'Internal Server Error']);
  }
  expect((await ask(proxy.port)).status).toBe(200);
  expect(proxy.stat('http.test.filter_errors')).toBe(4);
  expect((await proxy.logged(5)).filter((line) => line.details.startsWith('filter_error{'))).toHaveLength(2);
  await quiet(proxy);
});

test('a body hook that fails in the middle of a response ends it visibly', async () => {
  await using app = await startApp((_request, response) => {
    response.write('first');
    setTimeout(() => response.end('second'), 20);
  });
  await using proxy = await story({
    app: app.port,
    filters: [
      {
        onResponseBody(chunk) {
          if (chunk.includes('second')) throw new Error('broken');
        },
      },
    ],
  });
  await expect(ask(proxy.port)).rejects.toThrow(/aborted|hang up|ECONNRESET/);
  await quiet(proxy);
});

test('done runs exactly once whatever happens', async () => {
  let hits = 0;
  await using app = await listen((socket) => {
    socket.on('data', (chunk) => {
      hits++;
      const text = chunk.toString('latin1');
      if (text.includes('/reset')) socket.resetAndDestroy();
      else if (text.includes('/half')) {
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf');
        setTimeout(() => socket.destroy(), 10);
      } else if (!text.includes('/silence')) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
    });
  });
  const done = new Map<string, number>();
  await using proxy = await story({
    app: app.port,
    routes: '- match: { prefix: / }\n  route: { cluster: app, timeout: 0.1s }',
    filters: [
      {
        onRequest: (request) =>
          request.path === '/denied' ? reply(403) : request.path === '/stopped' ? stop('x') : undefined,
        onDone: ({ request }) => void done.set(request.path, (done.get(request.path) ?? 0) + 1),
      },
    ],
  });
  const paths = ['/fine', '/denied', '/stopped', '/reset', '/half', '/silence'];
  for (const path of paths) await ask(proxy.port, { path }).catch(() => undefined);
  const client = await TestClient.connect(proxy.port);
  client.write('GET /silence-abort HTTP/1.1\r\nhost: a\r\n\r\n');
  await eventually('the app has the request', () => hits >= 5);
  client.destroy();
  await quiet(proxy);
  expect(Object.fromEntries(done)).toEqual(Object.fromEntries([...paths, '/silence-abort'].map((path) => [path, 1])));
  const codes = (await proxy.logged(7)).map(({ path, code, flags }) => `${path} ${code} ${flags}`);
  expect(codes).toEqual([
    '/fine 200 -',
    '/denied 403 -',
    '/stopped 0 -',
    '/reset 503 UC',
    '/half 200 UPE',
    '/silence 504 UT',
    '/silence-abort 0 DC',
  ]);
});

test('the signal of a stream is aborted when its client goes', async () => {
  await using app = await listen(() => {});
  const reasons: string[] = [];
  await using proxy = await story({
    app: app.port,
    filters: [
      {
        onRequest: (_request, stream) => {
          stream.signal.addEventListener('abort', () => reasons.push('gone'));
        },
      },
    ],
  });
  const client = await TestClient.connect(proxy.port);
  client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  await eventually('the request is under way', () => proxy.stat('cluster.app.upstream_rq_active') === 1);
  expect(reasons).toEqual([]);
  client.destroy();
  await eventually('the signal is aborted', () => reasons.length === 1);
});

test('slots and metadata belong to one request, also on a connection that is used again', async () => {
  await using app = await startApp((_request, response) => response.end());
  const seen: unknown[] = [];
  await using proxy = await story({
    app: app.port,
    filters: [
      {
        name: 'slots',
        semantics: { side: 'either', state: 'none', body: 'none' },
        create(_config, env) {
          const slot = env.slot<string>();
          return {
            onRequest(request, stream) {
              seen.push(slot.get(stream) ?? 'empty', stream.getMetadata('mine', 'key') ?? 'empty');
              slot.set(stream, request.path);
              stream.setMetadata('mine', 'key', request.path);
            },
            onResponse(_response, stream) {
              seen.push(slot.get(stream), stream.getMetadata('mine', 'key'));
            },
          };
        },
      },
    ],
  });
  const client = await TestClient.connect(proxy.port);
  client.write('GET /1 HTTP/1.1\r\nhost: a\r\n\r\nGET /2 HTTP/1.1\r\nhost: a\r\n\r\n');
  await client.until(({ text }) => text.split('HTTP/1.1 200').length === 3);
  expect(seen).toEqual(['empty', 'empty', '/1', '/1', 'empty', 'empty', '/2', '/2']);
  client.destroy();
});

test('what a filter may not write is refused and never reaches a wire', async () => {
  await using app = await startApp(echo());
  const attempts: Record<string, (stream: HttpStream) => void> = {
    '/value': ({ request }) => request.set('x-a', 'b\r\nx-forged: 1'),
    '/name': ({ request }) => request.add('x-a: 1\r\nx-forged', '1'),
    '/spelling': ({ request }) => request.set('x-a', '1', 'x-a: 1\r\nx-forged: 1\r\nx-a'),
    '/path': ({ request }) => {
      request.path = '/ HTTP/1.1\r\nx-forged: 1\r\n\r\n';
    },
    '/authority': ({ request }) => {
      request.authority = 'a\r\nx-forged: 1';
    },
    '/method': ({ request }) => {
      request.method = 'GET / HTTP/1.1\r\nx-forged: 1\r\n\r\nGET';
    },
  };
  await using proxy = await story({
    app: app.port,
    filters: [
      { onRequest: (request, stream) => attempts[request.path]?.(stream) },
      {
        onRequest: (request) => {
          if (request.path === '/reply') return reply(200, { headers: { 'x-a': '1\r\nx-forged: 1' } });
          if (request.path === '/promised') return later(1, reply(200, { headers: { 'x-a': '1\r\nx-forged: 1' } }));
          return undefined;
        },
        onResponse: (response, { request }) => {
          if (request.path === '/status') response.status = Number.NaN;
          if (request.path === '/interim') response.status = 101;
          if (request.path === '/response') response.set('x-a', 'b\r\nx-forged: 1');
        },
      },
    ],
  });
  for (const path of [...Object.keys(attempts), '/reply', '/promised', '/status', '/interim', '/response']) {
    const answer = await ask(proxy.port, { path });
    expect([path, answer.status, answer.headers['x-forged']]).toEqual([path, 500, undefined]);
  }
  expect(proxy.stat('cluster.app.upstream_rq_total')).toBeLessThanOrEqual(6);
  await quiet(proxy);
});
