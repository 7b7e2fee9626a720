import { describe, expect, test } from 'vitest';
import { HpackEncoder } from '../../../../src/http/http2/hpack/encoder.ts';
import { createDecoder, decodeBlock, dynamicEntries, encodeBlock, type Field, hex } from './hpack-fixture.ts';

/** An encoder, a decoder that reads its blocks, and what both have in their table. */
class Pair {
  readonly encoder: HpackEncoder;
  readonly decoder: ReturnType<typeof createDecoder>;

  constructor(tableBytes = 4096) {
    this.encoder = new HpackEncoder(tableBytes);
    this.decoder = createDecoder(tableBytes);
  }

  /** Sends the fields, checks that they arrive, and returns their block. */
  send(...fields: Field[]): Buffer {
    const block = encodeBlock(this.encoder, fields);
    const decoded = decodeBlock(this.decoder, block);
    expect(decoded.error).toBe('');
    expect(decoded.fields).toEqual(fields.map(([name, value]) => [name, value]));
    expect(this.decoder.tableBytes).toBe(this.encoder.tableBytes);
    return block;
  }

  table(): [string, string][] {
    return dynamicEntries(this.decoder);
  }
}

const REQUEST: Field[] = [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', '/orders.v1.Orders/PlaceOrder'],
  [':authority', 'orders:8080'],
  ['content-type', 'application/grpc'],
  ['user-agent', 'grpc-go/1.60.0'],
  ['te', 'trailers'],
  ['grpc-accept-encoding', 'gzip'],
];

describe('what enters the table', () => {
  test('a request that repeats costs a byte for each field from its third time on', () => {
    const pair = new Pair();
    pair.send(...REQUEST);
    pair.send(...REQUEST);
    expect(pair.send(...REQUEST)).toHaveLength(REQUEST.length);
  });

  test('fields of the static table are its indices', () => {
    const pair = new Pair();
    const block = pair.send(
      [':method', 'GET'],
      [':path', '/'],
      [':status', '404'],
      ['accept-encoding', 'gzip, deflate'],
    );
    expect(block).toEqual(hex('82 84 8d 90'));
  });

  test('names that hardly vary enter at first sight', () => {
    const pair = new Pair();
    pair.send(['user-agent', 'curl/8'], ['content-type', 'text/plain']);
    expect(pair.table()).toEqual([
      ['content-type', 'text/plain'],
      ['user-agent', 'curl/8'],
    ]);
  });

  test('other values enter when they come again', () => {
    const pair = new Pair();
    pair.send([':path', '/a']);
    pair.send([':path', '/b']);
    expect(pair.table()).toEqual([]);
    pair.send([':path', '/a']);
    expect(pair.table()).toEqual([[':path', '/a']]);
    expect(pair.send([':path', '/a'])).toHaveLength(1);
  });

  test('a name that no table has enters with the second of its values, and serves the next ones', () => {
    const pair = new Pair();
    pair.send(['x-request-id', 'id-1']);
    expect(pair.table()).toEqual([]);
    pair.send(['x-request-id', 'id-2']);
    for (let i = 3; i < 10; i++) {
      // First byte, second byte of the index, length, value.
      expect(pair.send(['x-request-id', `id-${i}`])).toHaveLength(2 + 1 + 4);
    }
    expect(pair.table()).toEqual([['x-request-id', 'id-2']]);
  });

  test('what changes per request does not push out what repeats', () => {
    const pair = new Pair();
    const changing = (i: number): Field[] => [
      [':path', `/orders/${i}?page=${i * 7}`],
      ['content-length', String(i)],
      ['date', `Mon, 21 Oct 2013 20:13:${i} GMT`],
      ['etag', `"${i}"`],
      ['x-request-id', `7d9f6a52-8a3e-4a51-9f0f-${i}`],
      ['traceparent', `00-${i}-01`],
      ['grpc-timeout', `${i}u`],
      ['x-of-mine', `value ${i}`],
    ];
    const steady = REQUEST.filter(([name]) => name !== ':path');
    for (let i = 0; i < 1000; i++) pair.send(...steady, ...changing(i));
    expect(pair.send(...steady)).toHaveLength(steady.length);
    // Three names that are not in the static table have an entry each.
    expect(pair.table()).toHaveLength(steady.length - 2 + 4);
  });

  test('values that come again by chance once in a while hardly disturb what repeats', () => {
    const pair = new Pair();
    const steady = REQUEST.filter(([name]) => name !== ':path');
    let random = 1;
    const next = (count: number): number => {
      random = (Math.imul(random, 1_664_525) + 1_013_904_223) >>> 0;
      return (random >>> 8) % count;
    };
    for (let i = 0; i < 10; i++) pair.send(...steady);
    let bytes = 0;
    for (let i = 0; i < 3000; i++) {
      const changing: Field[] = [
        [':path', `/orders/${next(2000)}`],
        ['content-length', String(next(3000))],
        ['etag', `"${next(5000)}"`],
      ];
      const whole = pair.send(...steady, ...changing).length;
      bytes += whole - changing.reduce((sum, [, value]) => sum + value.length, 0);
    }
    // One byte for each steady field, and three at most for each of the others beside its value.
    expect(bytes / 3000).toBeLessThan(steady.length + 3 * 3 + 0.5);
  });

  test('a name that hardly varies as a rule, but does here, has to repeat too', () => {
    const pair = new Pair();
    for (let i = 0; i < 1000; i++) pair.send(['user-agent', `made up for request ${i}, long enough to fill the table`]);
    const before = pair.table();
    for (let i = 2000; i < 2010; i++) pair.send(['user-agent', `made up for request ${i}`]);
    expect(pair.table()).toEqual(before);
  });

  test('a value that was pushed out though it was of use comes back at once', () => {
    const pair = new Pair();
    const path: Field = [':path', '/often'];
    for (let i = 0; i < 3; i++) pair.send(path);
    for (let i = 0; pair.table().some(([, value]) => value === path[1]); i++) {
      const other: Field = [':path', `/service/method-${i}`];
      pair.send(other, other);
    }
    pair.send(path);
    expect(pair.table()).toContainEqual(path);
  });

  test('a value of more than a quarter of the table stays outside', () => {
    const pair = new Pair();
    const field: Field = ['user-agent', 'u'.repeat(1024)];
    for (let i = 0; i < 3; i++) pair.send(field);
    expect(pair.table()).toEqual([]);
  });

  test('many values of one name are found again', () => {
    const pair = new Pair();
    const paths = Array.from({ length: 40 }, (_, i): Field => [':path', `/service/method-${i}`]);
    for (const path of paths) pair.send(path, path);
    for (const path of paths) expect(pair.send(path)).toHaveLength(1);
  });
});

describe('secrets', () => {
  test.for<Field>([
    ['authorization', 'Bearer abcdefghijklmnopqrstuvwxyz'],
    ['proxy-authorization', 'Basic YWxhZGRpbjpvcGVuc2VzYW1l'],
    ['set-cookie', 'session=0123456789abcdef0123456789'],
    ['cookie', 'pin=1234'],
    ['x-api-key', 'k-0123456789'],
    ['user-agent', 'not to be indexed', true],
    [':method', 'GET', true],
  ])('%j never enters a table, here or behind', (field) => {
    const pair = new Pair();
    for (let i = 0; i < 4; i++) {
      const block = pair.send(field);
      expect((block[0] as number) & 0xf0).toBe(0x10);
      expect(decodeBlock(createDecoder(), block).list.sensitive[0]).toBe(true);
    }
    expect(pair.table()).toEqual([]);
  });

  test('a field that is secret this time is not referred to, though it is in the table', () => {
    const pair = new Pair();
    pair.send(['user-agent', 'curl/8']);
    expect((pair.send(['user-agent', 'curl/8', true])[0] as number) & 0xf0).toBe(0x10);
  });

  test('a long cookie is indexed when it comes again', () => {
    const pair = new Pair();
    const cookie: Field = ['cookie', 'session=0123456789abcdef'];
    pair.send(cookie);
    pair.send(cookie);
    expect(pair.send(cookie)).toHaveLength(1);
  });
});

describe('Huffman coding', () => {
  test('codes what enters the table, once per entry, where it is shorter', () => {
    const block = encodeBlock(new HpackEncoder(4096), [[':authority', 'www.example.com']]);
    expect(block).toEqual(hex('41 8c f1e3 c2e5 f23a 6ba0 ab90 f4ff'));
    expect(encodeBlock(new HpackEncoder(4096), [[':authority', '\\\\\\\\']])).toEqual(hex('41 04 5c5c5c5c'));
  });

  test('leaves the others as they are', () => {
    const block = encodeBlock(new HpackEncoder(4096), [['date', 'www.example.com']]);
    expect(block).toEqual(Buffer.concat([hex('0f 12 0f'), Buffer.from('www.example.com')]));
  });
});

test('every latin1 character leaves as its byte, in short and in long values', () => {
  const all = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)).latin1Slice();
  const pair = new Pair();
  for (let i = 0; i < 3; i++)
    pair.send(['x', all], ['x', all.slice(200, 207)], ['authorization', all], ['cookie', '\xff']);
});

describe('size updates', () => {
  const FIELDS: Field[] = [
    ['user-agent', 'curl/8'],
    ['content-type', 'text/plain'],
  ];

  test('a lower setting of the peer is told at the begin of the next block, and holds', () => {
    const pair = new Pair();
    pair.send(...FIELDS);
    pair.encoder.setPeerTableBytes(60);
    const block = pair.send(...FIELDS);
    expect(block.subarray(0, 2)).toEqual(hex('3f 1d'));
    expect(pair.encoder.tableBytes).toBeLessThanOrEqual(60);
    expect(((pair.send(...FIELDS)[0] as number) & 0xe0) === 0x20).toBe(false);
  });

  test('of several settings the smallest and the last are told', () => {
    const pair = new Pair();
    pair.send(...FIELDS);
    pair.encoder.setPeerTableBytes(1000);
    pair.encoder.setPeerTableBytes(0);
    pair.encoder.setPeerTableBytes(2000);
    expect(pair.send([':method', 'GET'])).toEqual(hex('20 3f b1 0f 82'));
    expect(pair.table()).toEqual([]);
  });

  test('we use no more than our own limit, and say so when it is below the default', () => {
    const pair = new Pair(1024);
    expect(pair.send([':method', 'GET'])).toEqual(hex('3f e1 07 82'));
    pair.encoder.setPeerTableBytes(65_536);
    expect(pair.send([':method', 'GET'])).toEqual(hex('82'));
  });

  test('a larger table is used once the peer allows it', () => {
    const pair = new Pair(8192);
    expect(pair.send([':method', 'GET'])).toEqual(hex('82'));
    pair.encoder.setPeerTableBytes(65_536);
    expect(pair.send([':method', 'GET'])).toEqual(hex('3f e1 3f 82'));
    for (let i = 0; i < 200; i++) pair.send([':path', `/service/method-${i}`], [':path', `/service/method-${i}`]);
    expect(pair.encoder.tableBytes).toBeGreaterThan(4096);
  });

  test('the same setting again is not told', () => {
    const pair = new Pair();
    pair.encoder.setPeerTableBytes(4096);
    expect(pair.send([':method', 'GET'])).toEqual(hex('82'));
  });

  test('without a table everything is a literal or static', () => {
    const pair = new Pair();
    pair.encoder.setPeerTableBytes(0);
    for (let i = 0; i < 3; i++) pair.send(...REQUEST);
    expect(pair.encoder.tableBytes).toBe(0);
  });
});

test('names that are made up are forgotten, and those in the table are not', () => {
  const pair = new Pair();
  const steady: Field[] = [
    ['user-agent', 'curl/8'],
    ['x-mesh', 'a'],
  ];
  pair.send(...steady);
  pair.send(...steady);
  for (let i = 0; i < 5000; i++) pair.send([`x-made-up-${i}`, 'v']);
  expect(pair.send(...steady)).toHaveLength(2);
});

test('without Huffman coding, what enters the table leaves as it is', () => {
  const agent: Field = ['user-agent', 'grpc-go/1.60.0'];
  const plain = encodeBlock(new HpackEncoder(4096, false), [agent]);
  expect(plain.includes('grpc-go/1.60.0')).toBe(true);
  expect(encodeBlock(new HpackEncoder(4096), [agent]).length).toBeLessThan(plain.length);
});
