import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ResponseHead } from '../../../src/http/message.ts';
import { anyBytes, type SeenRequest, ServerHarness, settled, type TestStream } from './codec-harness.ts';

const GET = (path: string, ...lines: string[]): string =>
  `GET ${path} HTTP/1.1\r\nhost: a\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`;

/** What the harness saw, without what differs by nature. */
const facts = (seen: SeenRequest[]) =>
  seen.map(({ path, body, trailers, headers }) => ({ path, body, trailers, headers }));

describe('requests', () => {
  const body = anyBytes(0, 50);
  const lengthRequest = body.map(
    (text) => `POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: ${text.length}\r\n\r\n${text}`,
  );
  const chunkedRequest = fc
    .tuple(fc.array(anyBytes(1, 20), { maxLength: 3 }), fc.boolean())
    .map(
      ([chunks, trailers]) =>
        `POST /chunked HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n${chunks
          .map((one) => `${one.length.toString(16)}\r\n${one}\r\n`)
          .join('')}0\r\n${trailers ? 'x-sum: 1\r\nX-Two:  2 \r\n' : ''}\r\n`,
    );
  const getRequest = fc.constantFrom('/', '/a?b', '/deep/er').map((path) => `\r\n${GET(path, 'X-Odd:  y')}`);
  const conversation = fc.array(fc.oneof(lengthRequest, chunkedRequest, getRequest), { minLength: 1, maxLength: 4 });

  test('are the same at every split point', async () => {
    await fc.assert(
      fc.asyncProperty(conversation, async (requests) => {
        const bytes = Buffer.from(requests.join(''), 'latin1');
        const manager = 'http_protocol_options: { enable_trailers: true }';
        const whole = await new ServerHarness({ manager }).feed(bytes);
        expect(whole.statuses).toEqual(requests.map(() => 200));
        for (let cut = 1; cut < bytes.length; cut += 1 + Math.floor(bytes.length / 120)) {
          const parts = new ServerHarness({ manager });
          await parts.feed(bytes.subarray(0, cut));
          await parts.feed(bytes.subarray(cut));
          expect(facts(parts.seen)).toEqual(facts(whole.seen));
          expect(parts.connection.written).toBe(whole.connection.written);
        }
        const single = new ServerHarness({ manager });
        for (const byte of bytes) single.connection.feed(Buffer.from([byte]));
        await settled();
        expect(facts(single.seen)).toEqual(facts(whole.seen));
      }),
      { numRuns: 25 },
    );
  });

  test('of any bytes never throw or hang: each is served, refused, or waits for more', async () => {
    const noise = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
      fc.constantFrom(
        '\r\n',
        'GET / HTTP/1.1\r\nhost: a\r\n',
        '\r\n\r\n',
        'transfer-encoding: chunked\r\n\r\n',
        '0\r\n\r\n',
        '5\r\n',
        'content-length: 3\r\n',
      ),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(noise, { maxLength: 8 }), async (pieces) => {
        const server = new ServerHarness();
        for (const piece of pieces) await server.feed(piece);
        expect(server.refusals.length).toBeLessThanOrEqual(1);
      }),
      { numRuns: 1500 },
    );
  });

  test('that are pipelined are served one after the other, also when answers take time', async () => {
    const waiting: TestStream[] = [];
    const server = new ServerHarness({ onComplete: (stream) => waiting.push(stream) });
    const paths = Array.from({ length: 300 }, (_, i) => `/${i}`);
    await server.feed(paths.map((path) => GET(path)).join(''));
    for (const path of paths) {
      expect(waiting).toHaveLength(1);
      expect(server.seen.at(-1)?.path).toBe(path);
      (waiting.pop() as TestStream).respond(200, `${path};`);
      await settled();
    }
    expect(server.seen.map((one) => one.path)).toEqual(paths);
    expect(server.connection.written.match(/\/\d+;/g)).toEqual(paths.map((path) => `${path};`));
  });

  test('behind one that is not answered are read from the socket up to a bound', async () => {
    const server = new ServerHarness({ onComplete: () => {} });
    await server.feed(GET('/1') + GET('/2'));
    expect(server.connection.reading).toBe(true);
    for (let i = 0; i < 1000; i++) await server.feed(GET('/3'));
    expect(server.seen).toHaveLength(1);
    expect(server.connection.reading).toBe(false);
    expect(server.connection.bytesRead).toBeLessThan(17 * 1024);
  });

  test('of a client that has gone are not answered, also when another one waits behind', async () => {
    const server = new ServerHarness({ onComplete: () => {} });
    await server.feed(GET('/1') + GET('/2'));
    server.connection.feedEnd();
    expect(server.resets).toEqual(['downstream_remote_disconnect']);
    expect(server.seen).toHaveLength(1);
    expect(server.connection.closed).toBe(true);
  });

  test('whose body a filter holds back are not read on, also behind a pipelined one', async () => {
    const post = 'POST /b HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\nstart';
    const first: TestStream[] = [];
    const server = new ServerHarness({
      onHead: (stream) => {
        if (stream.request.method === 'POST') stream.codec.pauseRequest();
      },
      onComplete: (stream) => first.push(stream),
    });
    await server.feed(GET('/a') + post);
    first[0]?.respond(200, 'a');
    await settled();
    expect(server.seen.map((one) => one.path)).toEqual(['/a', '/b']);
    expect(server.connection.reading).toBe(false);
    await server.feed('x'.repeat(50_000));
    expect(server.seen[1]?.body).toBe('');
    server.codec.resumeRequest();
    await settled();
    expect(server.seen[1]?.body).toBe(`start${'x'.repeat(50_000)}`);
    expect(server.connection.reading).toBe(true);
  });

  test('that come one byte at a time cost linear time', async () => {
    const cost = async (headers: number): Promise<number> => {
      const server = new ServerHarness({ manager: 'common_http_protocol_options: { max_headers_count: 20000 }' });
      const text = GET('/', ...Array.from({ length: headers }, (_, i) => `x${i % 10}: yyyy`));
      const pieces = Array.from(text, (char) => Buffer.from(char, 'latin1'));
      const start = performance.now();
      for (const piece of pieces) server.connection.feed(piece);
      await settled();
      expect(server.statuses).toEqual([200]);
      return (performance.now() - start) / pieces.length;
    };
    await cost(200);
    const small = Math.min(await cost(400), await cost(400), await cost(400));
    const large = Math.min(await cost(5000), await cost(5000), await cost(5000));
    // Quadratic would be twelve times as much per byte.
    expect(large / small).toBeLessThan(4);
  });

  test('with trailers that come one byte at a time cost linear time and are bounded', async () => {
    const server = new ServerHarness({ manager: 'common_http_protocol_options: { max_headers_count: 20000 }' });
    await server.feed('POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n');
    const line = 'x: yyyyyyyy\r\n';
    const start = performance.now();
    for (let i = 0; i < 70 * 1024 && server.resets.length === 0; i++)
      server.connection.feed(Buffer.from(line[i % line.length] as string));
    await settled();
    expect(server.resets).toEqual(['http1.headers_too_large']);
    expect(performance.now() - start).toBeLessThan(1500);
  });
});

describe('a refused request', () => {
  test('shows nothing of the request before it', async () => {
    const server = new ServerHarness();
    await server.feed(`HEAD /secret HTTP/1.1\r\nhost: before\r\ncookie: c\r\n\r\n`);
    await server.feed('GARBAGE\r\n\r\n');
    const { request } = server.stream;
    expect([request.method, request.path, request.authority, request.length]).toEqual(['', '', '', 0]);
    expect(server.refusals).toHaveLength(1);
    expect(server.connection.written).toMatch(/HTTP\/1\.1 400 Bad Request\r\n.*connection: close\r\n\r\n$/s);
  });

  test('ends the connection: what follows is not served', async () => {
    const server = new ServerHarness();
    await server.feed(
      `GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n${GET('/evil')}`,
    );
    await server.feed(GET('/evil'));
    expect(server.seen).toEqual([]);
    expect(server.statuses).toEqual([400]);
    expect(server.connection.ended).toBe(true);
  });

  test('with a bad chunk is answered once and nothing behind it is read, also while the answer waits', async () => {
    const waiting: TestStream[] = [];
    const server = new ServerHarness();
    const { stream } = server;
    stream.onDownstreamReset = (details) => {
      server.resets.push(details);
      waiting.push(stream);
    };
    await server.feed(`POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n${GET('/evil')}`);
    expect(server.resets).toEqual(['http1.invalid_chunk']);
    waiting[0]?.respond(400, '');
    await server.feed(GET('/evil'));
    expect(server.seen).toHaveLength(1);
    expect(server.statuses).toEqual([400]);
  });

  test('whose head never ends is refused at the limit', async () => {
    const server = new ServerHarness();
    for (let i = 0; i < 70 && server.refusals.length === 0; i++)
      await server.feed(`${i === 0 ? 'GET /' : ''}${'a'.repeat(1024)}`);
    expect(server.refusals[0]).toMatchObject({ status: 431 });
    expect(server.connection.bytesRead).toBeLessThan(63 * 1024);
  });
});

describe('trailers', () => {
  const send = async (trailers: string) => {
    const server = new ServerHarness({ manager: 'http_protocol_options: { enable_trailers: true }' });
    await server.feed(`POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n${trailers}\r\n`);
    return server;
  };

  test('pass, except for those that frame, route or authenticate', async () => {
    const forbidden = [
      'content-length: 5',
      'host: evil',
      'connection: close',
      'authorization: x',
      'cookie: x',
      'x-forwarded-for: 1.2.3.4',
      'x-envoy-internal: true',
      'te: x',
      'trailer: x',
      'content-type: x',
    ];
    const server = await send(['x-sum: 1', ...forbidden].map((line) => `${line}\r\n`).join(''));
    expect(server.seen[0]?.trailers).toEqual([['x-sum', '1']]);
  });

  test.each([
    'transfer-encoding: gzip',
    'x : y',
    ' folded',
    'x: a\nb: c',
    'content-length: 1\r\ncontent-length: 2',
    'x',
  ])('such as %j are refused', async (trailer) => {
    const server = await send(`${trailer}\r\n`);
    expect(server.resets).toHaveLength(1);
    expect(server.statuses).toEqual([400]);
  });
});

describe('a response', () => {
  const answer = async (request: string, respond: (stream: TestStream) => void) => {
    const server = new ServerHarness({ onComplete: respond });
    await server.feed(request);
    return server;
  };
  const head = (status: number, fields: Record<string, string> = {}): ResponseHead => {
    const response = new ResponseHead();
    response.status = status;
    for (const [name, value] of Object.entries(fields)) response.add(name, value);
    return response;
  };
  const bytes = Buffer.from('body');

  test('to HEAD has no body, whatever method a filter made of it', async () => {
    const server = await answer('HEAD / HTTP/1.1\r\nhost: a\r\n\r\n', (stream) => {
      stream.request.method = 'GET';
      stream.codec.writeHead(head(200, { 'content-length': '4' }), false, 4);
      stream.codec.writeBody(bytes, 0, 4, false);
      stream.codec.finish(undefined);
    });
    expect(server.connection.written).toBe('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n');
    await server.feed(GET('/next'));
    expect(server.seen).toHaveLength(2);
  });

  test('to GET says its length also when a filter made it HEAD upstream', async () => {
    const server = await answer(GET('/'), (stream) => {
      stream.request.method = 'HEAD';
      stream.codec.writeHead(head(200, { 'content-length': '4' }), true, 0);
    });
    expect(server.connection.written).toBe('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
  });

  test.each([204, 304])('%i has no body, and the next response follows cleanly', async (status) => {
    const server = await answer(GET('/'), (stream) => {
      stream.codec.writeHead(head(status), false, 4);
      stream.codec.writeBody(bytes, 0, 4, false);
      stream.codec.finish(undefined);
    });
    expect(server.connection.written).not.toContain('body');
    expect(server.connection.written.endsWith('\r\n\r\n')).toBe(true);
    expect(server.stream.completed).toBe(1);
  });

  test('that is longer than it said ends the stream and the connection', async () => {
    const server = await answer(GET('/'), (stream) => {
      stream.codec.writeHead(head(200), false, 3);
      stream.codec.writeBody(bytes, 0, 4, false);
    });
    expect(server.resets).toEqual(['http1.body_exceeds_content_length']);
    expect(server.connection.closed).toBe(true);
  });

  test('that is shorter than it said ends the stream and the connection', async () => {
    const server = await answer(GET('/'), (stream) => {
      stream.codec.writeHead(head(200), false, 5);
      stream.codec.writeBody(bytes, 0, 4, false);
      stream.codec.finish(undefined);
    });
    expect(server.resets).toEqual(['http1.body_shorter_than_content_length']);
    expect(server.connection.closed).toBe(true);
  });

  test.each([0, 99, 100, 199, 1000, 200.5, Number.NaN])('with status %d, set by a filter, is a 500', async (status) => {
    const server = await answer(GET('/'), (stream) => stream.codec.writeHead(head(status), true, 0));
    expect(server.statuses).toEqual([500]);
  });

  test('with several content-lengths has one', async () => {
    const server = await answer(GET('/'), (stream) => {
      const response = head(200, { 'content-length': '4' });
      response.add('content-length', '9');
      stream.codec.writeHead(response, false, 4);
      stream.codec.writeBody(bytes, 0, 4, false);
      stream.codec.finish(undefined);
    });
    expect(server.connection.written.match(/content-length: .*/g)).toEqual(['content-length: 4']);
  });

  test('of unknown length is chunked for HTTP/1.1 and ends the connection for HTTP/1.0', async () => {
    const respond = (stream: TestStream): void => {
      stream.codec.writeHead(head(200), false, -1);
      stream.codec.writeBody(bytes, 0, 4, false);
      stream.codec.finish(undefined);
    };
    const modern = await answer(GET('/'), respond);
    expect(modern.connection.written).toBe(
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n',
    );
    const old = new ServerHarness({ manager: 'http_protocol_options: { accept_http_10: true }', onComplete: respond });
    await old.feed('GET / HTTP/1.0\r\nhost: a\r\nconnection: keep-alive\r\n\r\n');
    expect(old.connection.written).toMatch(/^HTTP\/1\.[01] 200 OK\r\nconnection: close\r\n\r\nbody$/);
    expect(old.connection.ended).toBe(true);
  });

  test('before the end of its request closes the connection, and the rest of the body is not a request', async () => {
    const server = new ServerHarness({ onHead: (stream) => stream.respond(413, 'no') });
    await server.feed(`POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n${GET('/evil')}`);
    expect(server.seen).toHaveLength(1);
    expect(server.connection.written).toContain('connection: close\r\n');
    expect(server.connection.ended).toBe(true);
  });

  test('that the client has not taken yet survives the client’s half-close and the closing time', async () => {
    const server = new ServerHarness();
    server.connection.full = true;
    await server.feed(GET('/'));
    expect(server.connection.congested).toBe(true);
    server.connection.feedEnd();
    server.codec.onTimer();
    expect(server.connection.closed).toBe(false);
    server.connection.drain();
    expect(server.connection.closed).toBe(true);
  });
});

describe('CONNECT', () => {
  test('is refused with a body', async () => {
    for (const line of ['content-length: 5', 'content-length: 0', 'transfer-encoding: chunked']) {
      const server = await new ServerHarness().feed(`CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n${line}\r\n\r\n`);
      expect(server.statuses).toEqual([400]);
      expect(server.seen).toEqual([]);
    }
  });

  test('what the client sends before the answer waits for the tunnel', async () => {
    const server = new ServerHarness({ onComplete: () => {} });
    await server.feed('CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\nearly');
    expect(server.seen[0]).toMatchObject({ authority: 'a:1', body: '', complete: false });
    server.codec.writeHead(new ResponseHead(), false, -1);
    server.codec.switchToTunnel();
    await settled();
    await server.feed(GET('/inside'));
    expect(server.seen).toHaveLength(1);
    expect(server.seen[0]?.body).toBe(`early${GET('/inside')}`);
  });

  test('that is refused ends the connection: what was meant for the tunnel is no request', async () => {
    const server = new ServerHarness({ onHead: (stream) => stream.respond(403, 'no') });
    await server.feed(`CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n${GET('/evil')}`);
    await server.feed(GET('/evil'));
    expect(server.seen).toHaveLength(1);
    expect(server.connection.ended).toBe(true);
  });

  test.each(['a', 'a:', 'a:b', ':80', '/', '*', 'a:1:2', 'http://a:80', 'a:123456', '@a:1', 'u@a:1'])(
    'to %j is refused',
    async (target) => {
      const server = await new ServerHarness().feed(`CONNECT ${target} HTTP/1.1\r\nhost: a\r\n\r\n`);
      expect(server.statuses).toEqual([400]);
    },
  );
});
