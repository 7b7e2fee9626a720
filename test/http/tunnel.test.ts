import { createHash, randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { listen, TestClient } from '../support/sockets.ts';
import { ask, echo, eventually, quiet, sleep, startApp, story } from '../support/story.ts';

const UPGRADE =
  'GET /chat HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: x\r\n\r\n';
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n';
const WEBSOCKET = 'upgrade_configs: [{ upgrade_type: websocket }]';
const sha = (bytes: Buffer): string => createHash('sha1').update(bytes).digest('hex');

/** An app that speaks after the handshake; the handshake's head comes in one piece. */
const upgradeApp = (speak: (socket: Socket, head: string) => void, answer = SWITCH) =>
  listen((socket) => {
    socket.once('data', (chunk) => {
      socket.write(answer);
      speak(socket, chunk.toString('latin1'));
    });
  });

test('an allowed upgrade becomes a tunnel, first bytes behind the handshake included', async () => {
  const heads: string[] = [];
  await using app = await upgradeApp((socket, head) => {
    heads.push(head);
    socket.write('welcome ');
    socket.pipe(socket);
  });
  await using proxy = await story({ app: app.port, manager: WEBSOCKET });
  const client = await TestClient.connect(proxy.port);
  client.write(`${UPGRADE}early `);
  await client.untilText('early ');
  client.write('late');
  await client.untilText('late');
  expect(client.text).toMatch(/^HTTP\/1.1 101 Switching Protocols\r\n[\s\S]*\r\n\r\nwelcome early late$/);
  expect(client.text).toMatch(/upgrade: websocket\r\n/i);
  expect(heads[0]).toMatch(/upgrade: websocket\r\n/i);
  expect(heads[0]).toMatch(/connection: upgrade\r\n/i);
  expect(proxy.stat('http.test.downstream_cx_upgrades_total')).toBe(1);
  expect(proxy.stat('http.test.downstream_cx_upgrades_active')).toBe(1);
  client.destroy();
  await quiet(proxy);
  expect(await proxy.logged(1)).toMatchObject([{ code: 101, path: '/chat' }]);
  await eventually('the app’s side is closed', () => app.sockets.every((socket) => socket.closed));
});

test('large transfers pass both ways at once', async () => {
  await using app = await upgradeApp((socket) => socket.pipe(socket));
  await using proxy = await story({ app: app.port, manager: WEBSOCKET });
  const client = await TestClient.connect(proxy.port);
  client.write(UPGRADE);
  await client.untilText('\r\n\r\n');
  const headLength = client.received.length;
  const sent = randomBytes(8_000_000);
  client.write(sent);
  await client.until(({ received }) => received.length >= headLength + sent.length, 15_000);
  expect(sha(client.received.subarray(headLength))).toBe(sha(sent));
  client.destroy();
  await quiet(proxy);
});

test('each direction of a tunnel ends by itself: the client first', async () => {
  await using app = await upgradeApp((socket) => {
    let got = '';
    socket.on('data', (chunk) => {
      got += chunk;
    });
    socket.on('end', () => setTimeout(() => socket.end(`you said ${got}`), 20));
  });
  await using proxy = await story({ app: app.port, manager: WEBSOCKET });
  const client = await TestClient.connect(proxy.port);
  client.write(UPGRADE);
  await client.untilText('\r\n\r\n');
  client.socket.end('goodbye');
  await client.untilClosed();
  expect(client.text).toMatch(/\r\n\r\nyou said goodbye$/);
  await quiet(proxy);
});

test('each direction of a tunnel ends by itself: the app first', async () => {
  let got = '';
  await using app = await upgradeApp((socket) => {
    socket.end('bye');
    socket.on('data', (chunk) => {
      got += chunk;
    });
  });
  await using proxy = await story({ app: app.port, manager: WEBSOCKET });
  const client = await TestClient.connect(proxy.port);
  client.write(UPGRADE);
  await client.untilClosed();
  expect(client.text).toMatch(/\r\n\r\nbye$/);
  client.write('and more');
  await sleep(30);
  client.socket.end(' and the end');
  await eventually('the app has it all', () => got === 'and more and the end');
  await quiet(proxy);
  await eventually('the app’s side is closed', () => app.sockets.every((socket) => socket.readableEnded));
  expect(await proxy.logged(1)).toMatchObject([{ code: 101, sent: 3, received: 20 }]);
});

test.each(['client', 'app'])('a tunnel whose %s is cut ends on the other side', async (who) => {
  await using app = await upgradeApp((socket) => void socket.on('data', () => {}));
  await using proxy = await story({ app: app.port, manager: WEBSOCKET });
  const client = await TestClient.connect(proxy.port);
  client.write(UPGRADE);
  await client.untilText('\r\n\r\n');
  if (who === 'client') client.socket.resetAndDestroy();
  else app.sockets[0]?.resetAndDestroy();
  await eventually('both sides are closed', () => client.socket.destroyed || client.ended);
  client.destroy();
  await quiet(proxy);
  await eventually('the app’s side is closed', () =>
    app.sockets.every((socket) => socket.destroyed || socket.readableEnded),
  );
});

test.each([
  ['refuses it', 'HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno'],
  ['answers as if nothing was asked', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nplain'],
])('an app that %s gets its answer through, and both connections end', async (_what, answer) => {
  await using app = await listen((socket) => socket.on('data', () => socket.write(answer)));
  await using proxy = await story({ app: app.port, manager: WEBSOCKET });
  const client = await TestClient.connect(proxy.port);
  client.write(UPGRADE);
  await client.untilText(answer.slice(-2));
  expect(client.text.slice(0, 12)).toBe(answer.slice(0, 12));
  expect(client.text).toContain('connection: close\r\n');
  await client.untilClosed();
  client.destroy();
  await quiet(proxy);
  expect(proxy.stat('cluster.app.upstream_cx_active')).toBe(0);
});

test('an upgrade that nobody allows is refused with 403, and the route decides over the manager', async () => {
  await using app = await upgradeApp((socket) => socket.pipe(socket));
  await using proxy = await story({
    app: app.port,
    manager: WEBSOCKET,
    routes: `- match: { path: /never }
  route: { cluster: app, upgrade_configs: [{ upgrade_type: WebSocket, enabled: false }] }
- match: { path: /other }
  route: { cluster: app, upgrade_configs: [{ upgrade_type: other }] }
- match: { prefix: / }
  route: { cluster: app }`,
  });
  const answerTo = async (path: string, type: string): Promise<string> => {
    const client = await TestClient.connect(proxy.port);
    client.write(UPGRADE.replace('/chat', path).replace('websocket', type));
    await client.untilText('\r\n\r\n');
    client.destroy();
    return client.text.slice(9, 12);
  };
  expect(await answerTo('/never', 'websocket')).toBe('403');
  expect(await answerTo('/', 'other')).toBe('403');
  expect(await answerTo('/other', 'other')).toBe('101');
  expect(await answerTo('/', 'WEBSOCKET')).toBe('101');
  await quiet(proxy);
  const refused = (await proxy.logged(4)).filter(({ code }) => code === 403);
  expect(refused.map(({ details }) => details)).toEqual(['upgrade_failed', 'upgrade_failed']);
  expect(proxy.stat('http.test.downstream_rq_ws_on_non_ws_route')).toBe(2);
});

test('filters see an upgrade as one, and a waiting response hook keeps the first bytes behind the handshake', async () => {
  await using app = await listen((socket) => {
    socket.once('data', () => socket.write(`${SWITCH}first`));
    socket.on('end', () => socket.end());
  });
  const seen: boolean[] = [];
  await using proxy = await story({
    app: app.port,
    manager: WEBSOCKET,
    filters: [
      {
        onRequest: (_request, stream) => void seen.push(stream.isUpgrade),
        onResponse: () => sleep(20),
      },
    ],
  });
  const client = await TestClient.connect(proxy.port);
  client.write(UPGRADE);
  await client.untilText('\r\n\r\nfirst');
  expect(seen).toEqual([true]);
  client.destroy();
  await quiet(proxy);
});

test('h2c is not offered: such a request is served as the ordinary one that it also is', async () => {
  await using app = await startApp(echo());
  await using proxy = await story({ app: app.port });
  const client = await TestClient.connect(proxy.port);
  client.write(
    'GET / HTTP/1.1\r\nhost: a\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n\r\n',
  );
  await client.untilText('"trailers":{}}');
  expect(client.text).toMatch(/^HTTP\/1.1 200 /);
  expect(client.text).not.toMatch(/h2c|http2-settings/);
  client.destroy();
});

test('CONNECT goes through where it is allowed, and bytes sent too early wait for the tunnel', async () => {
  const heads: string[] = [];
  await using app = await listen((socket) => {
    socket.once('data', (chunk) => {
      heads.push(chunk.toString());
      setTimeout(() => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        socket.pipe(socket);
      }, 20);
    });
  });
  await using proxy = await story({
    app: app.port,
    manager: 'upgrade_configs: [{ upgrade_type: CONNECT }]',
    routes: '- match: { connect_matcher: {} }\n  route: { cluster: app }',
  });
  const client = await TestClient.connect(proxy.port);
  client.write('CONNECT there:443 HTTP/1.1\r\nhost: there:443\r\n\r\nearly ');
  await client.untilText('early ');
  client.write('late');
  await client.untilText('\r\n\r\nearly late');
  expect(heads[0]).toMatch(/^CONNECT there:443 HTTP\/1.1\r\n/);
  expect(heads[0]).toMatch(/\r\n\r\n$/);
  client.destroy();
  await quiet(proxy);
});

test('CONNECT is refused where it is not allowed, and ends where the app declines', async () => {
  await using app = await listen((socket) => {
    socket.once('data', () => socket.write('HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n'));
  });
  await using closed = await story({ app: app.port });
  const refused = await TestClient.connect(closed.port);
  refused.write('CONNECT there:443 HTTP/1.1\r\nhost: there:443\r\n\r\n');
  await refused.untilText('\r\n\r\n');
  expect(refused.text.slice(9, 12)).toBe('403');
  refused.destroy();
  await using open = await story({
    app: app.port,
    manager: 'upgrade_configs: [{ upgrade_type: CONNECT }]',
    routes: '- match: { connect_matcher: {} }\n  route: { cluster: app }',
  });
  const declined = await TestClient.connect(open.port);
  declined.write('CONNECT there:443 HTTP/1.1\r\nhost: there:443\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n');
  await declined.untilClosed();
  expect(declined.text.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 407']);
  await quiet(open);
});

test('a quiet tunnel ends with the stream’s idle time, a busy one does not', async () => {
  await using app = await upgradeApp((socket) => socket.pipe(socket));
  await using proxy = await story({ app: app.port, manager: `${WEBSOCKET}\nstream_idle_timeout: 0.15s` });
  const client = await TestClient.connect(proxy.port);
  client.write(UPGRADE);
  await client.untilText('\r\n\r\n');
  for (let i = 0; i < 6; i++) {
    client.write('x');
    await sleep(50);
  }
  expect(client.ended || client.closed).toBe(false);
  await client.untilClosed(1000);
  await quiet(proxy);
  expect(await proxy.logged(1)).toMatchObject([{ code: 101, flags: 'SI', details: 'stream_idle_timeout' }]);
});

test('a request with a body may not switch before its end', async () => {
  await using app = await startApp(echo());
  await using proxy = await story({ app: app.port, manager: WEBSOCKET });
  const answer = await ask(proxy.port, { method: 'POST', body: 'hello', headers: { 'x-plain': '1' } });
  expect(answer.status).toBe(200);
  const client = await TestClient.connect(proxy.port);
  client.write(`${UPGRADE.replace('GET', 'POST').replace('\r\n\r\n', '\r\ncontent-length: 5\r\n\r\n')}hello`);
  await client.untilText('\r\n\r\n');
  expect(client.text).toMatch(/^HTTP\/1.1 (200|4\d\d) /);
  client.destroy();
  await quiet(proxy);
});
