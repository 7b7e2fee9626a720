import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { readinessProblem } from '../../src/cli/healthcheck.ts';

let server: Server | undefined;

afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

async function adminThatAnswers(status: number | undefined): Promise<{ host: string; port: number }> {
  const made = createServer((request, response) => {
    if (status !== undefined) response.writeHead(request.url === '/ready' ? status : 404).end();
  });
  server = made;
  await new Promise<void>((done) => made.listen(0, '127.0.0.1', done));
  return { host: '127.0.0.1', port: (made.address() as AddressInfo).port };
}

test('200 from /ready is ready', async () => {
  expect(await readinessProblem(await adminThatAnswers(200), 1000)).toBeUndefined();
});

test('503 from /ready is not', async () => {
  expect(await readinessProblem(await adminThatAnswers(503), 1000)).toBe('/ready answers 503');
});

test('an admin server that does not answer in time is not ready', async () => {
  expect(await readinessProblem(await adminThatAnswers(undefined), 50)).toContain('no answer within 50 ms');
});

test('a closed port is named', async () => {
  const admin = await adminThatAnswers(200);
  server?.close();
  expect(await readinessProblem(admin, 1000)).toBe(`nothing listens on 127.0.0.1:${admin.port}`);
});
