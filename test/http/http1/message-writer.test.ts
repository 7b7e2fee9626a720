import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HeaderMap } from '../../../src/http/headers.ts';
import { BodyReader } from '../../../src/http/http1/body-reader.ts';
import { HeadParser } from '../../../src/http/http1/head-parser.ts';
import {
  headerLines,
  MessageWriter,
  properCase,
  properCaseHeaderLines,
} from '../../../src/http/http1/message-writer.ts';
import { anyBytes, LIMITS, MemoryConnection, settled } from './codec-harness.ts';

function writerOf(connection: MemoryConnection): MessageWriter {
  return new MessageWriter(connection, () => {});
}

describe('a body', () => {
  test('in chunks comes back as it was, with its trailers, however it is cut', async () => {
    const piece = fc.oneof(anyBytes(0, 60), fc.constantFrom('x'.repeat(9000), 'y'.repeat(20_000)));
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 5 }), fc.boolean(), fc.nat(), async (pieces, withTrailers, cut) => {
        const connection = new MemoryConnection();
        const writer = writerOf(connection);
        writer.begin('', 'chunked', -1);
        for (const one of pieces) {
          const bytes = Buffer.from(one, 'latin1');
          expect(writer.body(bytes, 0, bytes.length, false)).toBe(true);
        }
        const trailers = new HeaderMap();
        trailers.add('x-sum', '1');
        expect(writer.finish(withTrailers ? trailers : undefined)).toBe(true);
        await settled();
        const read = readChunked(connection.written, cut % (connection.written.length + 1));
        expect(read).toEqual({ body: pieces.join(''), trailers: withTrailers ? [['x-sum', '1']] : [], rest: '' });
      }),
      { numRuns: 200 },
    );
  });

  test('never exceeds the announced length, nor stays below it', () => {
    const writer = writerOf(new MemoryConnection());
    const bytes = Buffer.from('abcdef');
    writer.begin('', 'length', 5);
    expect(writer.body(bytes, 0, 6, false)).toBe(false);
    expect(writer.body(bytes, 0, 4, false)).toBe(true);
    expect(writer.finish(undefined)).toBe(false);
    expect(writer.body(bytes, 4, 5, false)).toBe(true);
    expect(writer.finish(undefined)).toBe(true);
  });

  test('is not written where the message has none', () => {
    const writer = writerOf(new MemoryConnection());
    writer.begin('', 'none', 0);
    expect(writer.body(Buffer.from('x'), 0, 1, false)).toBe(false);
  });

  test('an empty piece writes no chunk, which would end the message', async () => {
    const connection = new MemoryConnection();
    const writer = writerOf(connection);
    writer.begin('', 'chunked', -1);
    writer.body(Buffer.alloc(0), 0, 0, false);
    await settled();
    expect(connection.written).toBe('');
  });

  test('leaves with its head in one write when both are small', async () => {
    const connection = new MemoryConnection();
    const writer = writerOf(connection);
    let writes = 0;
    connection.writeText = (text) => {
      writes++;
      connection.written += text;
      return true;
    };
    writer.begin('HEAD\r\n\r\n', 'length', 3);
    writer.body(Buffer.from('abc'), 0, 3, false);
    writer.finish(undefined);
    await settled();
    expect([writes, connection.written]).toEqual([1, 'HEAD\r\n\r\nabc']);
  });
});

function readChunked(wire: string, cut: number) {
  const bytes = Buffer.from(wire, 'latin1');
  const found = { body: '', trailers: [] as [string, string][], rest: '?' };
  const reader = new BodyReader(
    new MemoryConnection(),
    {
      bodyPaused: false,
      onBody: (buffer, start, end) => {
        found.body += buffer.latin1Slice(start, end);
      },
      onBodyEnd: (trailers) => {
        found.trailers = trailers === undefined ? [] : [...trailers];
        found.rest = '';
      },
      onBodyError: (details) => {
        found.rest = details;
      },
    },
    LIMITS,
    true,
  );
  reader.begin('chunked', 0);
  let used = 0;
  for (const end of [cut, bytes.length]) {
    while (used < end && reader.active) {
      const next = reader.read(bytes, used, end);
      if (next === used) break;
      used = next;
    }
  }
  if (found.rest === '') found.rest = wire.slice(used);
  return found;
}

describe('header lines', () => {
  function parsed(lines: string, preserveCase = false): HeaderMap {
    const map = new HeaderMap();
    const bytes = Buffer.from(`GET / HTTP/1.1\r\n${lines}\r\n`, 'latin1');
    const parser = new HeadParser({ ...LIMITS, preserveCase });
    expect(parser.parseRequest(bytes, 0, bytes.length, map)).toBe(true);
    map.raw = bytes.latin1Slice(0, parser.headBytes);
    return map;
  }

  test('are the list of what is left, whatever was set, added and removed between', () => {
    const names = ['a', 'b', 'cc', 'x-d'];
    const action = fc.tuple(
      fc.constantFrom('set', 'add', 'remove'),
      fc.constantFrom(...names),
      fc.constantFrom('1', '22', ''),
    );
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...names), { maxLength: 8 }),
        fc.array(action, { maxLength: 8 }),
        (start, actions) => {
          const map = parsed(start.map((name, i) => `${name}: v${i}\r\n`).join(''));
          for (const [what, name, value] of actions) {
            if (what === 'set') map.set(name, value);
            else if (what === 'add') map.add(name, value);
            else map.remove(name);
          }
          const expected = [...map].map(([name, value]) => `${name}: ${value}\r\n`).join('');
          expect(headerLines(map)).toBe(expected);
        },
      ),
      { numRuns: 500 },
    );
  });

  test('keep the spelling of a header whose value is set', () => {
    const map = parsed('X-Odd: a\r\n', true);
    map.set('x-odd', 'b');
    expect(headerLines(map)).toBe('X-Odd: b\r\n');
  });

  test('leave framing to the codec: a transfer-encoding or connection that a filter set is not written', () => {
    const map = parsed('a: b\r\n');
    map.add('transfer-encoding', 'chunked');
    map.set('connection', 'close');
    map.add('c', 'd');
    expect(headerLines(map)).toBe('a: b\r\nc: d\r\n');
    expect(properCaseHeaderLines(map)).toBe('A: b\r\nC: d\r\n');
  });

  test('in proper case begin every word with a capital', () => {
    expect(properCase('x-envoy-original-path')).toBe('X-Envoy-Original-Path');
    expect(properCase('dnt')).toBe('Dnt');
    expect(properCase('x_a-1b')).toBe('X_A-1b');
  });
});
