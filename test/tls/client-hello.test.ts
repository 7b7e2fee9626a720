import { createServer } from 'node:net';
import { connect } from 'node:tls';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readClientHello } from '../../src/tls/client-hello.ts';

/** What Node's client says first. */
function helloOf(options: { servername?: string; ALPNProtocols?: string[] }): Promise<Buffer> {
  return new Promise((resolve) => {
    const server = createServer((socket) => {
      socket.once('data', (bytes: Buffer) => {
        resolve(bytes);
        socket.destroy();
        server.close();
      });
    });
    server.listen(0, '127.0.0.1', () => {
      const address = server.address() as { port: number };
      connect({ port: address.port, host: '127.0.0.1', ...options }).on('error', () => {});
    });
  });
}

const hello = await helloOf({ servername: 'Server.Test', ALPNProtocols: ['h2', 'http/1.1'] });

/** The same handshake message, cut into records of `size` bytes. */
function inRecords(bytes: Buffer, size: number): Buffer {
  const body = bytes.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < body.length; at += size) {
    const part = body.subarray(at, at + size);
    records.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 0xff]), part);
  }
  return Buffer.concat(records);
}

test('tells the server name in lower case and the protocols', () => {
  expect(readClientHello(hello)).toEqual({ serverName: 'server.test', alpn: ['h2', 'http/1.1'] });
});

test('what comes behind it does not matter', () => {
  expect(readClientHello(Buffer.concat([hello, Buffer.alloc(100)]))).toMatchObject({ serverName: 'server.test' });
});

test('a hello without extensions of interest has neither', async () => {
  expect(readClientHello(await helloOf({}))).toEqual({ serverName: '', alpn: [] });
});

test('waits for the rest, wherever it is cut', () => {
  for (let length = 0; length < hello.length; length++) {
    expect(readClientHello(hello.subarray(0, length)), `${length} bytes`).toBe(
      length < 5 ? 5 : length < 9 ? 9 : hello.length,
    );
  }
});

test.each([1, 3, 4, 5, 100])('may lie in records of %i bytes', (size) => {
  const cut = inRecords(hello, size);
  expect(readClientHello(cut)).toEqual({ serverName: 'server.test', alpn: ['h2', 'http/1.1'] });
  for (let length = 0; length < cut.length; length += 7) {
    const needed = readClientHello(cut.subarray(0, length));
    expect(needed, `${length} bytes`).toBeGreaterThan(length);
    expect(needed, `${length} bytes`).toBeLessThanOrEqual(cut.length);
  }
});

test('a long one in records of one byte is not read again for each of them', () => {
  const long = Buffer.concat([Buffer.from([22, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xfc]), Buffer.alloc(16_380)]);
  const cut = inRecords(long, 1);
  let reads = 0;
  for (let needed = 1; needed <= cut.length; reads++) {
    const verdict = readClientHello(cut.subarray(0, needed));
    if (typeof verdict !== 'number') break;
    expect(verdict).toBeGreaterThan(needed);
    needed = verdict;
  }
  expect(reads).toBeLessThan(100);
});

test.each([
  ['a request', Buffer.from('GET / HTTP/1.1\r\n')],
  ['the preface of HTTP/2', Buffer.from('PRI * HTTP/2.0\r\n')],
  ['an alert', Buffer.from([21, 3, 1, 0, 2, 2, 40])],
  ['another handshake message', Buffer.from([22, 3, 1, 0, 4, 2, 0, 0, 0])],
  ['SSL 2', Buffer.from([0x80, 0x2e, 1, 0, 2])],
  ['an empty record', Buffer.from([22, 3, 1, 0, 0])],
  ['a record that is too long', Buffer.from([22, 3, 1, 0xff, 0xff])],
  ['a hello that is too long', Buffer.from([22, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff])],
  ['a hello whose list ends beyond it', Buffer.from([22, 3, 1, 0, 6, 1, 0, 0, 2, 3, 3])],
])('%s is none', (_, bytes) => {
  expect(readClientHello(bytes)).toBe('other');
});

test('bytes changed anywhere never lead beyond the end', () => {
  fc.assert(
    fc.property(fc.nat(hello.length - 1), fc.integer({ min: 0, max: 255 }), (at, value) => {
      const changed = Buffer.from(hello);
      changed[at] = value;
      const result = readClientHello(changed);
      expect(['number', 'object', 'string']).toContain(typeof result);
    }),
    { numRuns: 2000 },
  );
});
