import { connect, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { data, headers, PREFACE, settings } from '../support/http2/frames.ts';
import { requestBlock } from '../support/http2/hpack.ts';
import { Http2Peer } from '../support/http2/peer.ts';
import { TestClient } from '../support/sockets.ts';
import { echo, echoed, eventually, quiet, startApp, story } from '../support/story.ts';

const REQUEST = 'POST /1 HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbody';

/** Pieces that most likely arrive one by one; what is said of them holds also when they do not. */
async function sendPieces(socket: Socket, pieces: readonly Buffer[]): Promise<void> {
  for (const piece of pieces) {
    await new Promise<void>((done) => void socket.write(piece, () => done()));
    await new Promise((done) => setTimeout(done, 2));
  }
}

const dial = (port: number): Promise<Socket> =>
  new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => resolve(socket));
  });

test('a preface is known wherever it is cut, and the frames behind it are read', async () => {
  await using app = await startApp(echo());
  await using proxy = await story({ app: app.port });
  const request = Buffer.concat([
    PREFACE,
    settings(),
    headers(1, requestBlock({ method: 'POST', path: '/2' }), { endStream: false }),
    data(1, 'body', true),
  ]);
  for (let cut = 1; cut <= PREFACE.length + 9; cut++) {
    const socket = await dial(proxy.port);
    using client = new Http2Peer(socket, 'client', { settings: null, acknowledges: false });
    await sendPieces(socket, [request.subarray(0, cut), request.subarray(cut)]);
    const answer = await client.message(1);
    const asked = echoed({ ...answer, headers: {}, trailers: {}, body: answer.body.toString() });
    expect([answer.status, asked.path, asked.body], `cut at ${cut}`).toEqual([200, '/2', 'body']);
  }
  await quiet(proxy);
  const total = PREFACE.length + 9;
  expect(proxy.stat('http.test.downstream_cx_http2_total')).toBe(total);
  expect(proxy.stat('http.test.downstream_cx_total')).toBe(total);
});

test('a preface may come byte by byte', async () => {
  await using app = await startApp(echo());
  await using proxy = await story({ app: app.port });
  const socket = await dial(proxy.port);
  using client = new Http2Peer(socket, 'client', { settings: null, acknowledges: false });
  const bytes = Buffer.concat([PREFACE, settings(), headers(1, requestBlock())]);
  await sendPieces(
    socket,
    Array.from(bytes, (byte) => Buffer.from([byte])),
  );
  expect((await client.message(1)).status).toBe(200);
});

test('HTTP/1 is known wherever its begin is cut, and nothing of it is lost', async () => {
  await using app = await startApp(echo());
  await using proxy = await story({ app: app.port });
  for (let cut = 1; cut < 20; cut++) {
    const client = await TestClient.connect(proxy.port);
    await sendPieces(client.socket, [Buffer.from(REQUEST.slice(0, cut)), Buffer.from(REQUEST.slice(cut))]);
    await client.untilText('"body":"body"');
    client.destroy();
  }
  await quiet(proxy);
  expect(proxy.stat('http.test.downstream_cx_http1_total')).toBe(19);
  expect(proxy.stat('http.test.downstream_cx_http2_total')).toBe(0);
});

test('what only begins like a preface is HTTP/1, and is refused as such', async () => {
  await using app = await startApp(echo());
  await using proxy = await story({ app: app.port });
  for (let at = 0; at < PREFACE.length; at++) {
    const wrong = Buffer.concat([PREFACE, Buffer.from('\r\n\r\n')]);
    wrong[at] = 'x'.charCodeAt(0);
    const client = await TestClient.connect(proxy.port);
    // Cut where the difference is.
    await sendPieces(
      client.socket,
      [wrong.subarray(0, at), wrong.subarray(at)].filter(({ length }) => length > 0),
    );
    await client.untilText('HTTP/1.1 ');
    expect(client.text.slice(9, 10), `wrong at ${at}`).toMatch(/[45]/);
    client.destroy();
  }
  await quiet(proxy);
  expect(proxy.stat('http.test.downstream_cx_http2_total')).toBe(0);
});

test('a method that begins as the preface does is served', async () => {
  await using app = await startApp((_request, response) => void response.end('ok'));
  await using proxy = await story({ app: app.port });
  const client = await TestClient.connect(proxy.port);
  await sendPieces(client.socket, [
    Buffer.from('P'),
    Buffer.from('R'),
    Buffer.from('OPFIND / HTTP/1.1\r\nhost: a\r\n\r\n'),
  ]);
  await client.untilText('ok');
  client.destroy();
});

test('a client that leaves before it said what it speaks is forgotten', async () => {
  await using app = await startApp(echo());
  await using proxy = await story({ app: app.port });
  for (const said of ['', 'PRI * HT']) {
    const client = await TestClient.connect(proxy.port);
    if (said !== '') client.write(said);
    await eventually('it is there', () => proxy.stat('http.test.downstream_cx_active') === 1);
    client.socket.end();
    await quiet(proxy);
    client.destroy();
  }
  expect(proxy.stat('http.test.downstream_rq_total')).toBe(0);
});

test('a client that says nothing ends with the idle timeout', async () => {
  await using app = await startApp(echo());
  await using proxy = await story({
    app: app.port,
    manager: 'common_http_protocol_options: { idle_timeout: 0.05s }',
  });
  const client = await TestClient.connect(proxy.port);
  client.write('PRI');
  await client.untilClosed();
  await quiet(proxy);
  expect(proxy.stat('http.test.downstream_cx_idle_timeout')).toBe(1);
  client.destroy();
});
