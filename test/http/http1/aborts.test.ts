import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { httpConfig, startTestProxy, type TestProxy } from '../../support/proxy.ts';
import { listen, TestClient } from '../../support/sockets.ts';

const GAUGES = [
  'http.test.downstream_rq_active',
  'http.test.downstream_cx_active',
  'http.test.downstream_cx_upgrades_active',
  'cluster.app.upstream_rq_active',
  'cluster.app.upstream_rq_pending_active',
];

/** Nothing is left under way: every gauge is back at zero. */
async function expectQuiet(proxy: TestProxy): Promise<void> {
  await expect
    .poll(() => GAUGES.map((name) => `${name} ${proxy.stat(name)}`), { timeout: 5000 })
    .toEqual(GAUGES.map((name) => `${name} 0`));
}

const BODY = 'x'.repeat(300);
const REQUESTS = {
  'by length': `POST /p HTTP/1.1\r\nhost: a\r\ncontent-length: ${BODY.length}\r\n\r\n${BODY}`,
  chunked: `POST /p HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n64\r\n${BODY.slice(0, 100)}\r\n64\r\n${BODY.slice(0, 100)}\r\n0\r\nx-sum: 1\r\n\r\n`,
  pipelined: 'GET /a HTTP/1.1\r\nhost: a\r\n\r\nGET /b HTTP/1.1\r\nhost: a\r\n\r\n',
};
const RESPONSES = {
  'by length': `HTTP/1.1 200 OK\r\ncontent-length: ${BODY.length}\r\n\r\n${BODY}`,
  chunked: `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n64\r\n${BODY.slice(0, 100)}\r\n0\r\nx-sum: 1\r\n\r\n`,
  'after an interim response': `HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok`,
  'until the end': `HTTP/1.1 200 OK\r\n\r\n${BODY}`,
};

describe('a client that goes away', () => {
  const ways = ['FIN', 'RST'] as const;
  const cases = Object.keys(REQUESTS).flatMap((kind) => ways.map((way) => [kind, way] as const));

  test.each(cases)(
    'at any byte of a request %s, with %s, leaves nothing behind',
    { timeout: 30_000 },
    async (kind, way) => {
      await using app = await listen((socket) => {
        socket.on('data', () => {
          // Sometimes an answer, sometimes none.
          if (Math.random() < 0.5) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
        });
        socket.on('end', () => socket.end());
      });
      await using proxy = await startTestProxy(httpConfig(app.port));
      const bytes = REQUESTS[kind as keyof typeof REQUESTS];
      const cuts = Array.from({ length: 60 }, (_, i) => Math.ceil(((i + 1) * bytes.length) / 60));
      for (let at = 0; at < cuts.length; at += 10) {
        await Promise.all(
          cuts.slice(at, at + 10).map(async (cut) => {
            const client = await TestClient.connect(proxy.port);
            client.write(bytes.slice(0, cut));
            await sleep(cut % 3);
            if (way === 'FIN') client.socket.end();
            else client.socket.resetAndDestroy();
            await sleep(5);
            client.destroy();
          }),
        );
      }
      await expectQuiet(proxy);
    },
  );

  test('in the middle of a long response leaves nothing behind', async () => {
    await using app = await listen((socket) => {
      socket.on('data', () =>
        socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 50000000\r\n\r\n${'x'.repeat(5_000_000)}`),
      );
    });
    await using proxy = await startTestProxy(httpConfig(app.port));
    for (let i = 0; i < 6; i++) {
      const client = await TestClient.connect(proxy.port);
      client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
      await client.until((one) => one.received.length > 100_000);
      if (i % 2 === 0) client.socket.resetAndDestroy();
      else client.destroy();
    }
    await expectQuiet(proxy);
    await expect.poll(() => app.sockets.filter((socket) => !socket.destroyed && !socket.readableEnded).length).toBe(0);
  });
});

describe('a server that goes away', () => {
  const ways = ['FIN', 'RST'] as const;
  const cases = Object.keys(RESPONSES).flatMap((kind) => ways.map((way) => [kind, way] as const));

  test.each(cases)(
    'at any byte of a response %s, with %s, is never taken for a whole one',
    { timeout: 30_000 },
    async (kind, way) => {
      const bytes = RESPONSES[kind as keyof typeof RESPONSES];
      await using app = await listen((socket) => {
        socket.on('data', (chunk) => {
          const cut = Number(/^GET \/(\d+)/.exec(chunk.toString())?.[1]);
          socket.write(bytes.slice(0, cut), () => {
            if (way === 'FIN') socket.end();
            else setTimeout(() => socket.resetAndDestroy(), 3);
          });
        });
      });
      await using proxy = await startTestProxy(httpConfig(app.port));
      const head = bytes.lastIndexOf('HTTP/1.1 200');
      const headEnd = bytes.indexOf('\r\n\r\n', head) + 4;
      const step = Math.max(1, Math.floor(bytes.length / 60));
      for (let cut = 0; cut < bytes.length; cut += step) {
        const client = await TestClient.connect(proxy.port);
        client.write(`GET /${cut} HTTP/1.1\r\nhost: a\r\n\r\n`);
        await client.until(
          (one) =>
            one.closed ||
            one.text.endsWith('0\r\n\r\n') ||
            one.ended ||
            /^(HTTP\/1\.1 103[\s\S]*?\r\n\r\n)?HTTP\/1\.1 50[23][\s\S]*\r\n\r\n./.test(one.text),
        );
        const text = client.text.replace(/^HTTP\/1\.1 103[\s\S]*?\r\n\r\n/, '');
        if (cut < headEnd) expect([cut, text]).toEqual([cut, expect.stringMatching(/^HTTP\/1\.1 50[23] /)]);
        else if (kind === 'by length') expect(text.length).toBeLessThan(text.indexOf('\r\n\r\n') + 4 + BODY.length);
        else if (!(kind === 'until the end' && way === 'FIN'))
          expect([cut, text.endsWith('0\r\n\r\n')]).toEqual([cut, false]);
        client.destroy();
      }
      await expectQuiet(proxy);
    },
  );
});
