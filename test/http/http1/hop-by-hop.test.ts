import { describe, expect, test } from 'vitest';
import { ServerHarness } from './codec-harness.ts';

/** Header names that a stream sees of a request with these lines, or the details of its refusal. */
async function seen(...lines: string[]): Promise<string[] | string | undefined> {
  const server = new ServerHarness();
  await server.feed(`GET / HTTP/1.1\r\nhost: a\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`);
  return server.refusals[0]?.details ?? server.seen[0]?.headers.map(([name, value]) => `${name}: ${value}`);
}

describe('hop-by-hop headers', () => {
  test('are taken out', async () => {
    expect(
      await seen(
        'connection: keep-alive',
        'keep-alive: timeout=5',
        'proxy-connection: x',
        'upgrade: h2c',
        'x: y',
        'te: gzip',
      ),
    ).toEqual(['host: a', 'x: y']);
  });

  test('that Connection nominates are taken out, in any case and on any line', async () => {
    expect(
      await seen('connection: X-One , x-two', 'x-one: 1', 'x-TWO: 2', 'x-three: 3', 'Connection: x-three'),
    ).toEqual(['host: a']);
  });

  test('te: trailers passes, other codings do not', async () => {
    expect(await seen('te: trailers')).toEqual(['host: a', 'te: trailers']);
    expect(await seen('te: gzip, trailers;q=0.5')).toEqual(['host: a']);
    expect(await seen('te: gzip, trailers')).toEqual(['host: a', 'te: trailers']);
    expect(await seen('te: gzip', 'te: deflate')).toEqual(['host: a']);
  });

  test.each([
    'host',
    'content-length',
    'transfer-encoding',
    'authorization',
    'cookie',
    'x-forwarded-for',
    'X-Forwarded-Proto',
    'x-forwarded-host',
    'x-forwarded-client-cert',
    'content-type',
  ])('%s may not be nominated', async (name) => {
    expect(await seen(`connection: close, ${name}`)).toBe('http1.connection_header_rejected');
  });

  test('eleven nominated headers are too many, however they are spread', async () => {
    const names = (count: number): string => Array.from({ length: count }, (_, i) => `x${i}`).join(',');
    expect(await seen(`connection: ${names(10)}`)).toEqual(['host: a']);
    expect(await seen(`connection: ${names(11)}`)).toBe('http1.connection_header_rejected');
    expect(await seen(`connection: ${names(6)}`, `connection: ${names(6)}`)).toBe('http1.connection_header_rejected');
  });

  test('a nominated x-request-id is gone for the connection manager too, which then makes one', async () => {
    const server = new ServerHarness();
    await server.feed('GET / HTTP/1.1\r\nhost: a\r\nx-request-id: 1\r\nconnection: x-request-id\r\n\r\n');
    expect(server.stream.request.has('x-request-id')).toBe(false);
    const { KNOWN } = await import('../../../src/http/http1/header-names.ts');
    expect(server.stream.request.present & (1 << KNOWN.X_REQUEST_ID)).toBe(0);
  });

  test('a Connection that nominates itself does no harm', async () => {
    expect(await seen('connection: connection, close', 'x: y')).toEqual(['host: a', 'x: y']);
  });
});

describe('an upgrade', () => {
  const upgradeOf = async (...lines: string[]): Promise<string> => {
    const server = new ServerHarness();
    await server.feed(`GET / HTTP/1.1\r\nhost: a\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`);
    return server.stream.request.upgrade;
  };

  test('needs both headers', async () => {
    expect(await upgradeOf('connection: Upgrade', 'upgrade: WebSocket')).toBe('websocket');
    expect(await upgradeOf('connection: keep-alive, upgrade', 'upgrade: websocket')).toBe('websocket');
    expect(await upgradeOf('upgrade: websocket')).toBe('');
    expect(await upgradeOf('connection: upgrade')).toBe('');
  });

  test('names every protocol that is asked for, on whatever line', async () => {
    expect(await upgradeOf('connection: upgrade', 'upgrade: websocket', 'upgrade: h2c')).toBe('websocket,h2c');
  });
});
