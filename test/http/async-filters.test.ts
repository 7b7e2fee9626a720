import type { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { bufferBody, reply, stop } from '../../src/filter/index.ts';
import { listen, TestClient } from '../support/sockets.ts';
import {
  ask,
  echo,
  echoed,
  eventually,
  quiet,
  readAll,
  type StoryFilter,
  sleep,
  startApp,
  story,
} from '../support/story.ts';

const tick = <T>(value?: T): Promise<T> => sleep(1).then(() => value as T);
/** Waits in every hook, and changes nothing. */
const slow: StoryFilter = {
  onRequest: () => tick(),
  onRequestBody: () => tick(),
  onResponse: () => tick(),
  onResponseBody: () => tick(),
};

test('a connection serves many pipelined requests through filters that wait in every hook', async () => {
  await using app = await startApp(echo());
  await using proxy = await story({ app: app.port, filters: [slow, slow] });
  const client = await TestClient.connect(proxy.port);
  const bodies = Array.from({ length: 20 }, (_, i) => `body ${i} ${'x'.repeat(i * 700)}`);
  client.write(
    bodies.map((body, i) => `POST /${i} HTTP/1.1\r\nhost: a\r\ncontent-length: ${body.length}\r\n\r\n${body}`).join(''),
  );
  await client.until(({ text }) => text.split('"trailers":{}}').length === 21);
  expect([...client.text.matchAll(/"path":"\/(\d+)"/g)].map(([, n]) => Number(n))).toEqual(bodies.map((_, i) => i));
  for (const body of bodies) expect(client.text).toContain(`"body":"${body}"`);
  client.destroy();
  await quiet(proxy);
  expect(await proxy.logged(20)).toHaveLength(20);
});

test('answers of the proxy pass waiting response hooks too', async () => {
  await using proxy = await story({
    app: 1,
    routes: `- match: { prefix: /direct }
  direct_response: { status: 200, body: { inline_string: direct } }
- match: { prefix: /refused }
  route: { cluster: app }
- match: { prefix: /denied }
  route: { cluster: app }`,
    filters: [
      { onRequest: (request) => (request.path === '/denied' ? tick(reply(403, { body: 'no' })) : undefined) },
      { onResponse: (response) => tick().then(() => response.set('x-seen', '1')) },
      { onResponseBody: (chunk, end) => tick(end ? Buffer.from(`${chunk}!`) : undefined), changesBody: true },
    ],
  });
  for (const [path, status, body] of [
    ['/direct', 200, 'direct!'],
    ['/denied', 403, 'no!'],
    ['/refused', 503, /^upstream connect error.*!$/],
    ['/nowhere', 404, ''],
  ] as const) {
    const answer = await ask(proxy.port, { path });
    expect([path, answer.status, answer.headers['x-seen']]).toEqual([path, status, '1']);
    if (typeof body === 'string') expect(answer.body).toBe(body);
    else expect(answer.body).toMatch(body);
  }
  await quiet(proxy);
});

test('a request hook that settles after the time was up does nothing any more', async () => {
  await using app = await startApp(echo());
  const seen: string[] = [];
  await using proxy = await story({
    app: app.port,
    manager: 'stream_idle_timeout: 0.05s',
    filters: [
      { onRequest: () => sleep(150).then(() => void seen.push('first')), onResponse: () => sleep(200) },
      { onRequest: () => void seen.push('second') },
    ],
  });
  expect((await ask(proxy.port)).status).toBe(504);
  expect(seen).toEqual(['first']);
  await quiet(proxy);
  expect(proxy.stat('cluster.app.upstream_rq_total')).toBe(0);
});

test('a client that goes away while hooks wait, at any byte, leaves nothing behind', async () => {
  await using app = await startApp(echo());
  await using proxy = await story({
    app: app.port,
    filters: [slow, { onRequest: () => tick(bufferBody(1000)) }, slow, { onResponse: () => bufferBody(10_000) }],
  });
  const text = 'POST /up HTTP/1.1\r\nhost: a\r\ncontent-length: 11\r\n\r\nhello world';
  for (let at = 1; at <= text.length; at++) {
    const client = await TestClient.connect(proxy.port);
    client.write(text.slice(0, at));
    await sleep(at % 5);
    if (at % 2 === 0) client.socket.resetAndDestroy();
    else client.destroy();
  }
  await quiet(proxy);
  expect(echoed(await ask(proxy.port, { method: 'POST', body: 'still fine' })).body).toBe('still fine');
  await eventually('every request has its line', () => true);
  expect((await proxy.log()).length).toBe(proxy.stat('http.test.downstream_rq_total'));
});

test('an app that goes away while a response hook waits is told of as such', async () => {
  let socketOfApp: Socket | undefined;
  await using app = await listen((socket) => {
    socketOfApp = socket;
    socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf'));
  });
  await using proxy = await story({ app: app.port, filters: [{ onResponse: () => sleep(100) }] });
  const answer = ask(proxy.port);
  await eventually('the app has answered', () => socketOfApp !== undefined && socketOfApp.bytesWritten > 0);
  await sleep(20);
  socketOfApp?.destroy();
  await expect(answer).rejects.toThrow();
  await quiet(proxy);
  expect((await proxy.logged(1))[0]?.flags).toBe('UPE');
});

test('a body hook that takes its time holds the sender back: memory stays bounded', async () => {
  await using app = await startApp((request, response) => {
    readAll(request).then(
      (body) => response.end(String(body.length)),
      () => {},
    );
  });
  let waiting = 0;
  let most = 0;
  await using proxy = await story({
    app: app.port,
    filters: [
      {
        async onRequestBody(chunk) {
          waiting += chunk.length;
          most = Math.max(most, waiting);
          await sleep(1);
          waiting -= chunk.length;
        },
      },
    ],
  });
  const size = 20_000_000;
  const answer = await ask(proxy.port, { method: 'POST', body: Buffer.alloc(size, 'x') });
  expect(answer.body).toBe(String(size));
  expect(most).toBeLessThan(1_000_000);
});

test('stop in a response hook cuts the answer, at once or later', async () => {
  await using app = await startApp(echo());
  await using proxy = await story({
    app: app.port,
    filters: [
      {
        onResponse: (_response, { request }) =>
          request.path === '/now'
            ? stop('mine{now}')
            : request.path === '/later'
              ? tick(stop('mine{later}'))
              : undefined,
      },
    ],
  });
  for (const path of ['/now', '/later']) await expect(ask(proxy.port, { path })).rejects.toThrow(/hang up/);
  expect((await ask(proxy.port)).status).toBe(200);
  expect((await proxy.logged(3)).map(({ details }) => details)).toEqual(['mine{now}', 'mine{later}', 'via_upstream']);
  await quiet(proxy);
});

test('retries replay a body that waited for its filters', async () => {
  const bodies: string[] = [];
  await using app = await startApp((request, response) => {
    readAll(request).then(
      (body) => {
        bodies.push(body.toString());
        response.statusCode = bodies.length === 1 ? 500 : 200;
        response.end();
      },
      () => {},
    );
  });
  await using proxy = await story({
    app: app.port,
    filters: [slow, { changesBody: true, onRequestBody: (chunk) => tick(Buffer.from(chunk.toString().toUpperCase())) }],
    routes: '- match: { prefix: / }\n  route: { cluster: app, retry_policy: { retry_on: 5xx } }',
  });
  expect((await ask(proxy.port, { method: 'POST', body: 'again' })).status).toBe(200);
  expect(bodies).toEqual(['AGAIN', 'AGAIN']);
});

test('a chunk that a filter lets go of between two tries is not lost', async () => {
  let tries = 0;
  const bodies: string[] = [];
  await using app = await listen((socket) => {
    const mine = ++tries;
    let got = '';
    socket.on('data', (chunk) => {
      got += chunk.toString('latin1');
      if (mine === 1) {
        socket.resetAndDestroy();
        return;
      }
      if (!got.includes('second')) return;
      bodies.push(got.split('\r\n\r\n')[1] ?? '');
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
    });
  });
  await using proxy = await story({
    app: app.port,
    routes: `- match: { prefix: / }
  route: { cluster: app, retry_policy: { retry_on: reset, retry_back_off: { base_interval: 0.2s } } }`,
    filters: [{ onRequestBody: (chunk) => (chunk.includes('second') ? sleep(30) : undefined) }],
  });
  const client = await TestClient.connect(proxy.port);
  client.write('PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 12\r\n\r\nfirst ');
  client.write('second');
  await client.untilText('HTTP/1.1 200');
  expect(bodies).toEqual(['first second']);
  client.destroy();
  await quiet(proxy);
});
