import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { httpConfig, startTestProxy, type TestProxy } from '../../support/proxy.ts';
import { listen, TestClient, type TestServer } from '../../support/sockets.ts';

/**
 * Hostile requests through the whole proxy to a server that reads as little into them as it can: whatever comes out of
 * the proxy must be exactly the requests that were meant, each with one framing.
 */
let app: TestServer;
let proxy: TestProxy;
let received = '';

beforeAll(async () => {
  app = await listen((socket) => {
    let pending = '';
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
      pending += chunk.toString('latin1');
      for (;;) {
        const end = endOfRequest(pending);
        if (end < 0) return;
        pending = pending.slice(end);
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
      }
    });
  });
  proxy = await startTestProxy(httpConfig(app.port, { manager: 'http_protocol_options: { enable_trailers: true }' }));
});

afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  await app[Symbol.asyncDispose]();
});

/** Where the first request of the text ends, by the framing that the proxy should have written; -1 if it is not all there. */
function endOfRequest(text: string): number {
  const head = text.indexOf('\r\n\r\n') + 4;
  if (head < 4) return -1;
  const lines = text.slice(0, head).toLowerCase();
  if (lines.includes('\r\ntransfer-encoding: chunked\r\n')) {
    const last = /(^|\r\n)0\r\n([^\r\n]+\r\n)*\r\n/.exec(text.slice(head));
    return last === null ? -1 : head + last.index + last[0].length;
  }
  const end = head + Number(/\r\ncontent-length: (\d+)\r\n/.exec(lines)?.[1] ?? 0);
  return text.length < end ? -1 : end;
}

/** Sends bytes on a connection of their own; the statuses of the answers and what the server got. */
async function send(bytes: string): Promise<{ statuses: number[]; received: string; closed: boolean }> {
  received = '';
  const client = await TestClient.connect(proxy.port);
  client.write(bytes);
  await client.until((one) => one.ended || one.closed || one.text.includes('ok') || one.text.includes('\r\n\r\n'));
  await sleep(15);
  client.destroy();
  return {
    statuses: [...client.text.matchAll(/HTTP\/1\.[01] (\d{3}) /g)].map((match) => Number(match[1])),
    received,
    closed: client.ended || client.closed,
  };
}

const EVIL = 'GET /evil HTTP/1.1\r\nhost: a\r\n\r\n';
const post = (lines: string, body: string): string => `POST /p HTTP/1.1\r\nhost: a\r\n${lines}\r\n${body}`;

describe('refused, with nothing forwarded and the connection closed', () => {
  test.each([
    ['CL.TE', post('content-length: 6\r\ntransfer-encoding: chunked\r\n', `0\r\n\r\n${EVIL}`), 400],
    ['TE.CL', post('transfer-encoding: chunked\r\ncontent-length: 4\r\n', `1f\r\n${EVIL}\r\n0\r\n\r\n`), 400],
    [
      'TE.TE, second one unknown',
      post('transfer-encoding: chunked\r\ntransfer-encoding: cow\r\n', `0\r\n\r\n${EVIL}`),
      501,
    ],
    [
      'TE with a space before the colon',
      post('transfer-encoding : chunked\r\ncontent-length: 3\r\n', `0\r\n\r\n${EVIL}`),
      400,
    ],
    ['TE behind a fold', post('x: y\r\n transfer-encoding: chunked\r\n', `0\r\n\r\n${EVIL}`), 400],
    ['TE behind a bare CR', post('x: y\rtransfer-encoding: chunked\r\n', `0\r\n\r\n${EVIL}`), 400],
    ['TE behind a bare LF', post('x: y\ntransfer-encoding: chunked\r\n', `0\r\n\r\n${EVIL}`), 400],
    ['TE with a vertical tab', post('transfer-encoding:\x0bchunked\r\n', `0\r\n\r\n${EVIL}`), 400],
    ['xchunked', post('transfer-encoding: xchunked\r\n', `0\r\n\r\n${EVIL}`), 501],
    ['chunked, identity', post('transfer-encoding: chunked, identity\r\n', `0\r\n\r\n${EVIL}`), 501],
    ['two lengths', post(`content-length: 0\r\ncontent-length: ${EVIL.length}\r\n`, EVIL), 400],
    ['a list of lengths', post('content-length: 0, 0\r\n', EVIL), 400],
    ['+5', post('content-length: +5\r\n', `12345${EVIL}`), 400],
    ['0x5', post('content-length: 0x5\r\n', `12345${EVIL}`), 400],
    ['a chunk size with a sign', post('transfer-encoding: chunked\r\n', `+1\r\nx\r\n0\r\n\r\n${EVIL}`), 400],
    ['a chunk size with 0x', post('transfer-encoding: chunked\r\n', `0x1\r\nx\r\n0\r\n\r\n${EVIL}`), 400],
    ['a chunk size that overflows', post('transfer-encoding: chunked\r\n', `10000000000000000\r\n${EVIL}`), 400],
    ['a chunk that ends with LF', post('transfer-encoding: chunked\r\n', `1\r\nx\n0\r\n\r\n${EVIL}`), 400],
    ['an extension with LF', post('transfer-encoding: chunked\r\n', `1;a\nx\r\n0\r\n\r\n${EVIL}`), 400],
    ['a nominated Host', 'GET / HTTP/1.1\r\nhost: a\r\nconnection: host\r\n\r\n', 400],
    [
      'a nominated x-forwarded-for',
      'GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 1.1.1.1\r\nconnection: x-forwarded-for\r\n\r\n',
      400,
    ],
    ['two Hosts', 'GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n', 400],
    ['no Host', 'GET / HTTP/1.1\r\n\r\n', 400],
    ['a Host with a path', 'GET / HTTP/1.1\r\nhost: a/b\r\n\r\n', 400],
    ['a Host with a space', 'GET / HTTP/1.1\r\nhost: a b\r\n\r\n', 400],
    ['a CONNECT with a body', `CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\ncontent-length: 5\r\n\r\n12345${EVIL}`, 400],
    ['HTTP/0.9', 'GET /\r\n', 400],
    ['101 headers', `GET / HTTP/1.1\r\nhost: a\r\n${'x: y\r\n'.repeat(100)}\r\n`, 431],
    ['61 KiB of head', `GET / HTTP/1.1\r\nhost: a\r\nx: ${'y'.repeat(61 * 1024)}\r\n\r\n`, 431],
  ])('%s', async (_, bytes, status) => {
    const got = await send(bytes);
    expect(got.statuses).toEqual([status]);
    expect(got.received).not.toContain('evil');
    expect(got.closed).toBe(true);
  });
});

describe('forwarded, with one framing', () => {
  const framings = (text: string): string[] => text.match(/(content-length|transfer-encoding): [^\r]*/g) ?? [];

  test('a chunked body stays one body, extensions and forbidden trailers are gone', async () => {
    const got = await send(
      post(
        'Transfer-Encoding: Chunked\r\n',
        `${EVIL.length.toString(16)};a=b\r\n${EVIL}\r\n0;c\r\ncontent-length: 9\r\nx-sum: 1\r\n\r\n`,
      ),
    );
    expect(got.statuses).toEqual([200]);
    expect(framings(got.received)).toEqual(['transfer-encoding: chunked']);
    expect(got.received.endsWith(`\r\n\r\n${EVIL.length.toString(16)}\r\n${EVIL}\r\n0\r\n`)).toBe(false);
    expect(got.received).toMatch(/\r\n0\r\n(x-sum: 1\r\n)?\r\n$/);
  });

  test('a body by length stays one body', async () => {
    const got = await send(post(`Content-Length: ${EVIL.length}\r\n`, EVIL));
    expect(got.statuses).toEqual([200]);
    expect(framings(got.received)).toEqual([`content-length: ${EVIL.length}`]);
    expect(got.received.endsWith(`\r\n\r\n${EVIL}`)).toBe(true);
  });

  test('nominated and hop-by-hop headers stay here', async () => {
    const got = await send(
      'GET / HTTP/1.1\r\nhost: a\r\nconnection: x-secret, te\r\nx-secret: 1\r\nte: gzip\r\nkeep-alive: 5\r\n\r\n',
    );
    expect(got.statuses).toEqual([200]);
    expect(got.received).not.toMatch(/x-secret|\r\nte:|keep-alive|connection/);
  });

  test('the Host is the one that routes and policies saw, also with an absolute target', async () => {
    const got = await send('GET http://real/x?y HTTP/1.1\r\nhost: decoy\r\n\r\n');
    expect(got.received).toMatch(/^GET \/x\?y HTTP\/1\.1\r\n/);
    expect(got.received.match(/host: .*/g)).toEqual(['host: real']);
  });
});

describe('an answer of a hostile server', () => {
  const serve = async (answer: string) => {
    let requests = 0;
    const server = await listen((socket) => {
      socket.on('data', (chunk) => {
        requests += chunk.toString('latin1').split('\r\n\r\n').length - 1;
        socket.write(answer, 'latin1');
      });
    });
    const front = await startTestProxy(httpConfig(server.port));
    return { server, front, requests: () => requests };
  };
  const ask = async (port: number): Promise<string> => {
    const client = await TestClient.connect(port);
    client.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
    await client.untilClosed();
    client.destroy();
    return client.text;
  };

  test('with a second response behind it never answers another client', async () => {
    const { server, front } = await serve(
      'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison',
    );
    await using _server = server;
    await using _front = front;
    for (let i = 0; i < 5; i++) expect(await ask(front.port)).toMatch(/\r\n\r\nok$/);
    expect(server.sockets.length).toBe(5);
  });

  test.each([
    ['splits a header with CR', 'HTTP/1.1 200 OK\r\nx: a\rset-cookie: b\r\ncontent-length: 0\r\n\r\n'],
    ['has two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 40\r\n\r\nok'],
    [
      'has length and chunks',
      'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
    ],
    ['switches protocols unasked', 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n'],
    ['floods with interim responses', 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(3000)],
  ])('that %s is a 502 or 503', async (_, answer) => {
    const { server, front } = await serve(answer);
    await using _server = server;
    await using _front = front;
    const text = await ask(front.port);
    expect(text.replace(/^(HTTP\/1\.1 103 Early Hints\r\n\r\n)*/, '')).toMatch(/^HTTP\/1\.1 50[23] /);
    expect(text).not.toContain('set-cookie');
  });
});
