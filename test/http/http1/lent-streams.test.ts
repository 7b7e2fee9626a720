import { expect, test } from 'vitest';
import { httpConfig, startTestProxy } from '../../support/proxy.ts';
import { TestClient } from '../../support/sockets.ts';
import { startApp } from '../../support/story.ts';

/** Asks on an open connection and waits for the answer, which says what the app saw. */
async function ask(client: TestClient, path: string, headers = ''): Promise<string> {
  const from = client.text.length;
  client.write(`GET ${path} HTTP/1.1\r\nhost: a\r\n${headers}\r\n`);
  await expect.poll(() => client.text.slice(from)).toMatch(/end$/);
  return client.text.slice(from);
}

test('what served one connection tells nothing of it to the next', async () => {
  await using app = await startApp((request, response) => {
    response.end(`${request.url} ${request.headers['x-forwarded-for'] ?? 'nobody'} end`);
  });
  await using proxy = await startTestProxy(httpConfig(app.port, { manager: 'use_remote_address: true' }));
  const one = await TestClient.connect(proxy.port, { localAddress: '127.0.0.1' });
  const two = await TestClient.connect(proxy.port, { localAddress: '127.0.0.2' });
  for (const round of ['/1', '/2', '/3']) {
    expect(await ask(one, `${round}/one`, 'x-secret: 1\r\n')).toContain(`${round}/one 127.0.0.1 end`);
    expect(await ask(two, `${round}/two`)).toContain(`${round}/two 127.0.0.2 end`);
  }
});

test('a head that comes in parts beside others is read as its own', async () => {
  await using app = await startApp((request, response) => {
    let text = '';
    request.on('data', (chunk) => {
      text += chunk;
    });
    request.on('end', () => response.end(`${request.url} ${text} end`));
  });
  await using proxy = await startTestProxy(httpConfig(app.port));
  const slow = await TestClient.connect(proxy.port);
  const quick = await TestClient.connect(proxy.port);
  for (let round = 0; round < 2; round++) {
    const from = slow.text.length;
    const request = `POST /slow HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`;
    for (const part of [request.slice(0, 3), request.slice(3, 40), request.slice(40, 75), request.slice(75)]) {
      slow.write(part);
      expect(await ask(quick, '/quick')).toContain('/quick  end');
    }
    await expect.poll(() => slow.text.slice(from)).toContain('/slow abc end');
  }
});
