import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { openIdleConnections, sourceAddress } from '../../../bench/load/idle-connections.ts';
import type { LoadTarget } from '../../../bench/load/load-target.ts';

let server: Server | undefined;
let close: (() => void) | undefined;

afterEach(async () => {
  close?.();
  close = undefined;
  server?.closeAllConnections();
  await new Promise((resolve) => server?.close(resolve));
});

async function app(statusOf: (request: number) => number): Promise<{ target: LoadTarget; requests: () => number }> {
  let requests = 0;
  server = createServer((_request, response) => {
    response.writeHead(statusOf(++requests), { 'content-length': '2' }).end('ok');
  });
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const rest = { version: 'http1', path: '/', streams: 1, bodyBytes: 0, expectStatus: 200, headers: {} } as const;
  return { target: { host: '127.0.0.1', port, connections: 100, ...rest }, requests: () => requests };
}

function openAtServer(): Promise<number> {
  return new Promise((resolve) => server?.getConnections((_error, count) => resolve(count)));
}

describe('idle connections', () => {
  it('stay open after one request each, until they are closed', async () => {
    const { target, requests } = await app(() => 200);
    close = await openIdleConnections(target);
    expect(requests()).toBe(100);
    expect(await openAtServer()).toBe(100);
    close();
    await expect.poll(openAtServer).toBe(0);
  });

  it('are not measured when a request is answered wrongly', async () => {
    const { target } = await app((request) => (request === 50 ? 503 : 200));
    await expect(openIdleConnections(target)).rejects.toThrow('status 503 in place of 200');
    await expect.poll(openAtServer).toBe(0);
  });

  it('tell when the other side closes one of them', async () => {
    const { target } = await app(() => 200);
    const lost: string[] = [];
    close = await openIdleConnections(target, (error) => lost.push(error.message));
    expect(lost).toEqual([]);
    server?.closeAllConnections();
    await expect.poll(() => lost.length).toBe(100);
  });

  it('come from several addresses, so that ports suffice', () => {
    expect([0, 4999, 5000, 9999].map(sourceAddress)).toEqual(['127.0.0.1', '127.0.0.1', '127.0.0.2', '127.0.0.2']);
  });
});
