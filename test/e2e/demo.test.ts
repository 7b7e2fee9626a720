import { createServer } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { RunningCli, runCli } from '../cli/run-cli.ts';

/** `npm start`: what it prints, and that each request that it suggests shows what it says. */
describe('outrigger demo', () => {
  let demo: RunningCli;
  let url: string;
  let admin: string;

  beforeEach(async () => {
    demo = new RunningCli(['demo', '--port', '0', '--app-port', '0', '--admin-port', '0']);
    url = (await demo.output(/sidecar on (http:\/\/127\.0\.0\.1:\d+)/))[1] as string;
    admin = (await demo.output(/Admin page +(http:\/\/127\.0\.0\.1:\d+)/))[1] as string;
  });

  afterEach(() => demo.kill());

  test('prints four requests to try', async () => {
    await demo.output(/Ctrl-C/);
    expect(demo.stdout.match(/^curl /gm)).toHaveLength(4);
    expect(demo.stdout).not.toContain('\u001b[');
  });

  test('allows and greets', async () => {
    const response = await fetch(`${url}/hello`, { headers: { 'x-name': 'Ada' } });
    expect(response.status).toBe(200);
    expect(response.headers.get('x-greeting')).toBe('Hello, Ada!');
    const seen = (await response.json()) as { request: string; headers: Record<string, string> };
    expect(seen.request).toBe('GET /hello');
    expect(seen.headers['x-greeted-by']).toBe('outrigger');
    expect(seen.headers['x-envoy-ip-tags']).toBe('loopback');
  });

  test('denies, and names the rule in the log', async () => {
    const response = await fetch(`${url}/secret`);
    expect(response.status).toBe(403);
    await demo.output(/GET \/secret -> 403 .*no-secrets/);
  });

  test('limits', async () => {
    const statuses: number[] = [];
    for (let i = 0; i < 8; i++) statuses.push((await fetch(`${url}/hello?${i}`)).status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(5);
    expect(statuses.filter((status) => status === 429)).toHaveLength(3);
  });

  test('tags by the client’s address, and reads the tenant into the log', async () => {
    const headers = { 'x-forwarded-for': '192.0.2.7', 'x-tenant': 'acme' };
    const response = await fetch(`${url}/hello`, { headers });
    const seen = (await response.json()) as { headers: Record<string, string> };
    expect(seen.headers['x-envoy-ip-tags']).toBe('office');
    await demo.output(/tags office {2}tenant acme/);
  });

  test('has an admin page', async () => {
    const response = await fetch(`${admin}/`);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toContain('text/html');
  });

  test('ends cleanly on Ctrl-C, also when npm passes it on a second time', async () => {
    await fetch(`${url}/hello`);
    demo.child.kill('SIGINT');
    setTimeout(() => demo.child.kill('SIGINT'), 20);
    const { code, signal } = await demo.ended();
    expect([code, signal]).toEqual([0, null]);
  });
});

test('a demo whose ports are in use says which, and how to choose others', async () => {
  const taken = createServer();
  await new Promise<void>((done) => taken.listen(0, '127.0.0.1', done));
  const { port } = taken.address() as { port: number };
  try {
    const { code, stderr } = await runCli(['demo', '--port', String(port), '--app-port', '0', '--admin-port', '0']);
    expect(code).toBe(2);
    expect(stderr).toContain(`port ${port} (for the sidecar) is in use`);
    expect(stderr).toMatch(/npm start -- --port \d+/);
  } finally {
    taken.close();
  }
});
