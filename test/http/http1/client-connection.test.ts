import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { anyBytes, ClientHarness } from './codec-harness.ts';

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

describe('a response', () => {
  const body = anyBytes(0, 50);
  const byLength = body.map((text) => ({
    wire: `HTTP/1.1 200 OK\r\ncontent-length: ${text.length}\r\n\r\n${text}`,
    text,
  }));
  const byChunks = fc.array(anyBytes(1, 20), { maxLength: 3 }).map((chunks) => ({
    wire: `HTTP/1.1 201 Made\r\nTransfer-Encoding: Chunked\r\n\r\n${chunks.map((one) => `${one.length.toString(16)};x\r\n${one}\r\n`).join('')}0\r\nx-sum: 1\r\n\r\n`,
    text: chunks.join(''),
  }));
  const interims = fc.constantFrom(
    '',
    'HTTP/1.1 100 Continue\r\n\r\n',
    'HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 102 P\r\n\r\n',
  );

  test('is the same at every split point, and the connection serves the next exchange', async () => {
    await fc.assert(
      fc.asyncProperty(interims, fc.oneof(byLength, byChunks), async (before, { wire, text }) => {
        const bytes = Buffer.from(before + wire, 'latin1');
        for (let cut = 0; cut <= bytes.length; cut++) {
          const client = new ClientHarness();
          const exchange = client.request();
          await client.feed(bytes.subarray(0, cut));
          await client.feed(bytes.subarray(cut));
          expect([cut, exchange.body, exchange.ended, client.reuse]).toEqual([cut, text, true, [true]]);
          expect(exchange.interims).toHaveLength(before.split('HTTP').length - 1);
          const next = client.request();
          await client.feed(OK);
          expect([next.status, next.body]).toEqual([200, 'ok']);
        }
      }),
      { numRuns: 25 },
    );
  });

  test('of any bytes never throws: it is passed on, refused, or waits for more', async () => {
    const noise = fc.oneof(
      fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
      fc.constantFrom(
        'HTTP/1.1 200 OK\r\n',
        'HTTP/1.1 100 Continue\r\n\r\n',
        'transfer-encoding: chunked\r\n',
        'content-length: 3\r\n',
        '\r\n',
        '0\r\n\r\n',
        'abc',
      ),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(noise, { maxLength: 8 }), async (pieces) => {
        const client = new ClientHarness();
        const exchange = client.request();
        for (const piece of pieces) await client.feed(piece);
        expect(exchange.ended && exchange.reset !== undefined).toBe(false);
      }),
      { numRuns: 1500 },
    );
  });

  test.each([
    ['GET', 'HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n'],
    ['GET', 'HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n'],
    ['HEAD', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n'],
    ['HEAD', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n'],
    ['GET', 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'],
  ])('to %s without a body leaves the connection for the next exchange: %j', async (method, wire) => {
    const client = new ClientHarness();
    const exchange = client.request(method);
    await client.feed(wire);
    expect([exchange.ended, exchange.body, client.reuse]).toEqual([true, '', [true]]);
  });

  test('until the end of the connection is complete with it, and the connection is not used again', async () => {
    const client = new ClientHarness();
    const exchange = client.request();
    await client.feed('HTTP/1.1 200 OK\r\n\r\nall of it');
    expect(exchange.ended).toBe(false);
    client.connection.feedEnd();
    expect([exchange.ended, exchange.body, client.reuse]).toEqual([true, 'all of it', [false]]);
  });
});

describe('response splitting', () => {
  test.each([
    ['behind a body', `${OK}HTTP/1.1 200 OK\r\n\r\nevil`],
    ['behind a 204', 'HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\n\r\nevil'],
    ['behind a 304 with chunks', 'HTTP/1.1 304 X\r\ntransfer-encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n'],
    ['behind the last chunk', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nevil'],
    ['one byte', `${OK}\n`],
  ])('bytes %s never reach the next exchange', async (_, wire) => {
    const client = new ClientHarness();
    const exchange = client.request();
    await client.feed(wire);
    expect(exchange.ended).toBe(true);
    expect(exchange.body).not.toContain('evil');
    expect(client.reuse).toEqual([false]);
    expect(client.connection.closed).toBe(true);
  });

  test('bytes behind a HEAD’s response never reach the next exchange', async () => {
    const client = new ClientHarness();
    client.request('HEAD');
    await client.feed(OK);
    expect(client.reuse).toEqual([false]);
  });

  test('bytes that come while nobody asked end the connection', async () => {
    const client = new ClientHarness();
    client.request();
    await client.feed(OK);
    expect(client.reuse).toEqual([true]);
    await client.feed('HTTP/1.1 200 OK\r\n\r\nevil');
    expect(client.connection.closed).toBe(true);
  });

  test('bytes that waited for a paused response never reach the next exchange', async () => {
    const client = new ClientHarness();
    const exchange = client.request();
    await client.feed('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab');
    client.codec.pauseResponse();
    client.connection.backlog.push(Buffer.from('cdHTTP/1.1 200 OK\r\n\r\nevil'));
    client.codec.resumeResponse();
    await client.feed('');
    expect([exchange.body, exchange.ended, client.reuse]).toEqual(['abcd', true, [false]]);
  });
});

test('an exchange that begins at the end of another one, and pauses, reads nothing of it', async () => {
  const client = new ClientHarness();
  const first = client.request();
  await client.feed('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab');
  client.codec.pauseResponse();
  client.connection.feed('cd');
  client.connection.handler.onData(Buffer.from('cd'), 2);
  let second: ReturnType<ClientHarness['request']> | undefined;
  client.onExchangeEnd = () => {
    if (second !== undefined) return;
    second = client.request();
    client.codec.pauseResponse();
    client.codec.resumeResponse();
  };
  client.connection.backlog.length = 0;
  client.codec.resumeResponse();
  expect([first.body, first.ended, client.reuse]).toEqual(['abcd', true, [true]]);
  await client.feed(OK);
  expect([second?.reset, second?.body]).toEqual([undefined, 'ok']);
});

describe('refused: the exchange is reset as a protocol error and the connection ends', () => {
  test.each([
    ['a garbage status line', 'nonsense\r\n\r\n'],
    ['HTTP/2', 'HTTP/2 200\r\n\r\n'],
    ['length and chunked', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n'],
    ['two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n'],
    ['a coding other than chunked', 'HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n'],
    ['a bare LF', 'HTTP/1.1 200 OK\nx: y\n\n'],
    ['a body to 204', 'HTTP/1.1 204 No Content\r\ncontent-length: 4\r\n\r\nevil'],
    ['chunks to 204', 'HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['a header split by CR', 'HTTP/1.1 200 OK\r\nx: a\rset-cookie: b\r\n\r\n'],
    ['a folded line', 'HTTP/1.1 200 OK\r\nx: a\r\n b\r\n\r\n'],
    ['a 101 that nobody asked for', 'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'],
    ['a bad chunk', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n'],
    ['a head that never ends', `HTTP/1.1 200 OK\r\nx: ${'a'.repeat(70_000)}`],
  ])('%s', async (_, wire) => {
    const client = new ClientHarness();
    const exchange = client.request();
    await client.feed(wire);
    expect(exchange.reset).toMatchObject({ reason: 'protocol_error', anyByte: true });
    expect(client.connection.closed).toBe(true);
    expect(client.reuse).toEqual([]);
  });

  test('a flood of interim responses', async () => {
    const client = new ClientHarness();
    const exchange = client.request();
    await client.feed('HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(5000));
    expect(exchange.reset).toMatchObject({ reason: 'protocol_error', failure: 'http1.too_many_interim_responses' });
    expect(exchange.interims.length).toBeLessThanOrEqual(100);
  });

  test('a 101 to CONNECT', async () => {
    const client = new ClientHarness();
    const exchange = client.request('CONNECT');
    await client.feed('HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n');
    expect(exchange.reset?.reason).toBe('protocol_error');
  });
});

describe('an early end', () => {
  test.each<[string, string, boolean, string?]>([
    ['before the first byte', '', false, 'connection_termination'],
    ['in the head', 'HTTP/1.1 200 OK\r\nx:', true],
    ['in a body by length', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab', true],
    ['in a chunk', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab', true],
    ['between chunks', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n', true],
    ['in the trailers', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: y\r\n', true],
    ['behind an interim response', 'HTTP/1.1 100 Continue\r\n\r\n', true, 'connection_termination'],
  ])('%s is a reset, never a whole response', async (_, wire, anyByte, reason = 'protocol_error') => {
    const client = new ClientHarness();
    const exchange = client.request();
    await client.feed(wire);
    client.connection.feedEnd();
    expect(exchange.ended).toBe(false);
    expect(exchange.reset).toMatchObject({ reason, anyByte });
  });
});

describe('a connection is not used again', () => {
  test.each([
    ['the server says close', 'HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok'],
    ['the server says close among others', 'HTTP/1.1 200 OK\r\nconnection: x, Close\r\ncontent-length: 2\r\n\r\nok'],
    ['HTTP/1.0 without keep-alive', 'HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok'],
    [
      'chunks in HTTP/1.0',
      'HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
    ],
  ])('when %s', async (_, wire) => {
    const client = new ClientHarness();
    const exchange = client.request();
    await client.feed(wire);
    expect([exchange.body, exchange.ended, client.reuse]).toEqual(['ok', true, [false]]);
  });
});

describe('an interim response', () => {
  test('says nothing of a body', async () => {
    const client = new ClientHarness();
    const exchange = client.request();
    await client.feed('HTTP/1.1 103 Early Hints\r\ncontent-length: 5\r\nlink: x\r\n\r\n');
    expect(exchange.interims).toEqual([103]);
    expect([...exchange.upstreamHead]).toEqual([['link', 'x']]);
  });
});

describe('an upgrade', () => {
  test('passes bytes behind the 101 as they are, also when the tunnel begins later', async () => {
    const client = new ClientHarness();
    const exchange = client.request('GET', {}, 'websocket');
    exchange.onUpstreamHead = (head) => {
      exchange.status = head.status;
      client.codec.pauseResponse();
    };
    await client.feed(
      'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nHTTP/1.1 raw',
    );
    expect([exchange.status, exchange.body]).toEqual([101, '']);
    client.codec.switchToTunnel();
    client.codec.resumeResponse();
    await client.feed(' bytes');
    expect(exchange.body).toBe('HTTP/1.1 raw bytes');
    expect(exchange.reset).toBeUndefined();
  });

  test('that is answered otherwise is an ordinary exchange, and the last one of the connection', async () => {
    const client = new ClientHarness();
    const exchange = client.request('GET', {}, 'websocket');
    await client.feed(OK);
    expect([exchange.body, client.reuse]).toEqual(['ok', [false]]);
  });
});

test('a response head that comes byte by byte costs linear time', async () => {
  const client = new ClientHarness();
  const exchange = client.request();
  const wire = `HTTP/1.1 200 OK\r\n${Array.from({ length: 90 }, (_, i) => `x${i}: ${'y'.repeat(600)}\r\n`).join('')}content-length: 0\r\n\r\n`;
  const start = performance.now();
  for (const char of wire) client.connection.feed(char);
  await client.feed('');
  expect(exchange.ended).toBe(true);
  expect(performance.now() - start).toBeLessThan(1000);
});
