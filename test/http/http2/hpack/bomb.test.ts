import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { HpackDecoder } from '../../../../src/http/http2/hpack/decoder.ts';
import { HpackEncoder } from '../../../../src/http/http2/hpack/encoder.ts';
import { FieldList } from '../../../../src/http/http2/hpack/field-list.ts';
import { encodeBlock } from './hpack-fixture.ts';

const LIST_BYTES = 60 * 1024;
const MAX_FIELDS = 100;

/** Bytes on the heap that something still holds. */
function heldBytes(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed;
}

function decode(decoder: HpackDecoder, block: Buffer, list: FieldList): void {
  expect(decoder.decode(block, 0, block.length, list)).toBe('');
}

describe('one large entry and a block of references to it', () => {
  const entry = encodeBlock(new HpackEncoder(65_536), []);
  const large = Buffer.concat([
    entry,
    Buffer.from('4001617f', 'hex'),
    Buffer.from([0xc0, 0x1e]),
    Buffer.alloc(4031, 'v'),
  ]);

  test('is a list of bounded size', () => {
    const decoder = new HpackDecoder(4096, LIST_BYTES, MAX_FIELDS);
    const list = new FieldList();
    decode(decoder, large, list);
    expect(decoder.tableBytes).toBe(1 + 4031 + 32);
    // 64 KiB on the wire stand for 256 MiB.
    decode(decoder, Buffer.alloc(65_536, 0xbe), list);
    expect(list.tooLarge).toBe(true);
    expect(list.bytes).toBe(65_536 * 4064);
    expect(list.count).toBe(Math.floor(LIST_BYTES / 4064));
    decode(decoder, Buffer.from([0xbe]), list);
    expect(list).toMatchObject({ tooLarge: false, count: 1 });
  });

  test('leaves little behind for a connection', () => {
    const connections: unknown[] = [];
    const before = heldBytes();
    for (let i = 0; i < 100; i++) {
      const decoder = new HpackDecoder(4096, LIST_BYTES, MAX_FIELDS);
      const list = new FieldList();
      decode(decoder, large, list);
      decode(decoder, Buffer.alloc(65_536, 0xbe), list);
      connections.push(decoder, list);
    }
    expect((heldBytes() - before) / 100).toBeLessThan(16 * 1024);
    expect(connections).toHaveLength(200);
  });
});

test('a table full of the smallest entries stays small, and its names are not kept twice', () => {
  const connections: unknown[] = [];
  const before = heldBytes();
  for (let i = 0; i < 100; i++) {
    const decoder = new HpackDecoder(4096, LIST_BYTES, MAX_FIELDS);
    const list = new FieldList();
    // 10,000 entries `a: `, of which 124 fit.
    decode(decoder, Buffer.from('40016100'.repeat(10_000), 'hex'), list);
    expect(decoder.tableBytes).toBe(124 * 33);
    expect(list.count).toBe(MAX_FIELDS);
    connections.push(decoder, list);
  }
  expect((heldBytes() - before) / 100).toBeLessThan(32 * 1024);
  expect(connections).toHaveLength(200);
});

test('a decoded table does not keep the blocks alive that its entries came in', () => {
  const decoder = new HpackDecoder(4096, LIST_BYTES, MAX_FIELDS);
  const list = new FieldList();
  const before = heldBytes();
  for (let i = 0; i < 50; i++) {
    // A value of 127 + (2 << 14) bytes that is not indexed, and one that is.
    const padding = Buffer.concat([Buffer.from('0001617f808002', 'hex'), Buffer.alloc(127 + (2 << 14), 'p')]);
    decode(
      decoder,
      Buffer.concat([padding, Buffer.from('4001610d', 'hex'), Buffer.from(String(i).padStart(13, '0'))]),
      list,
    );
  }
  list.reset();
  expect(heldBytes() - before).toBeLessThan(300 * 1024);
});

describe('an encoder that a client feeds with values', () => {
  test('keeps no text of heads that its values were cut out of', () => {
    const encoder = new HpackEncoder(4096);
    const before = heldBytes();
    for (let i = 0; i < 200; i++) {
      const head = Buffer.alloc(60_000, String(i)).latin1Slice();
      const value = head.slice(100, 140);
      for (let round = 0; round < 3; round++)
        encodeBlock(encoder, [
          [':path', value],
          ['user-agent', value],
          ['x-own', value],
        ]);
    }
    expect(heldBytes() - before).toBeLessThan(512 * 1024);
    expect(encoder.tableBytes).toBeGreaterThan(2048);
  });

  test('remembers no long names', () => {
    const encoder = new HpackEncoder(65_536);
    const decoder = new HpackDecoder(65_536, LIST_BYTES, MAX_FIELDS);
    const list = new FieldList();
    const before = heldBytes();
    for (let i = 0; i < 200; i++) {
      const name = `${i}-`.padEnd(50_000, 'n');
      for (let round = 0; round < 3; round++) {
        decode(decoder, encodeBlock(encoder, [[name, 'v']]), list);
        expect(list.names[0]).toBe(name);
      }
    }
    list.reset();
    expect(heldBytes() - before).toBeLessThan(512 * 1024);
  });

  test('remembers a bounded number of names', () => {
    const encoder = new HpackEncoder(4096);
    const before = heldBytes();
    for (let i = 0; i < 20_000; i++)
      encodeBlock(encoder, [
        [`x-${i}-${'n'.repeat(20)}`, 'v'],
        [':authority', `host-${i}`],
      ]);
    expect(heldBytes() - before).toBeLessThan(512 * 1024);
    expect(encoder.tableBytes).toBeGreaterThan(2048);
  });
});

test('entries that were evicted are not held', () => {
  const connections: unknown[] = [];
  const before = heldBytes();
  for (let i = 0; i < 100; i++) {
    const decoder = new HpackDecoder(65_536, LIST_BYTES, MAX_FIELDS);
    const list = new FieldList();
    decode(
      decoder,
      Buffer.concat([Buffer.from('3fe1ff03', 'hex'), Buffer.from(`40016107${'76'.repeat(7)}`.repeat(1000), 'hex')]),
      list,
    );
    expect(decoder.tableBytes).toBe(1000 * 40);
    decode(decoder, Buffer.from([0x20]), list);
    decode(decoder, Buffer.from([0x82]), list);
    connections.push(decoder, list);
  }
  expect((heldBytes() - before) / 100).toBeLessThan(24 * 1024);
  expect(connections).toHaveLength(200);
});
