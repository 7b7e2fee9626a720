import { describe, expect, test } from 'vitest';
import { BulkReader } from '../../src/network/bulk-reader.ts';
import type { Connection } from '../../src/network/connection.ts';
import {
  acquireBulkBuffer,
  BULK_READ_BYTES,
  type BulkHolder,
  linger,
  releaseBulkBuffer,
  SHARED_READ_BYTES,
  sharedReadBuffer,
  stopLingering,
} from '../../src/network/read-buffer.ts';

/** A source that remembers its read buffer, and a sink that remembers how it was written to. */
function ends(accepts = true) {
  const source = {
    buffer: sharedReadBuffer,
    setReadBuffer(buffer: Buffer | undefined) {
      if (accepts) this.buffer = buffer ?? sharedReadBuffer;
      return accepts;
    },
  };
  const sink = {
    writes: [] as string[],
    taken: true,
    congested: false,
    writeCopy(_: Buffer, start: number, end: number) {
      this.writes.push(`copy ${end - start}`);
      return true;
    },
    writeStable(_: Buffer, start: number, end: number) {
      this.writes.push(`stable ${end - start}`);
      this.congested = !this.taken;
      return this.taken;
    },
  };
  return { source, sink, reader: new BulkReader(source as unknown as Connection), to: sink as unknown as Connection };
}

/** Takes everything out of the free list, so that what is released next can be seen. */
function emptyFreeList(): void {
  for (let i = 0; i < 32; i++) acquireBulkBuffer();
}

describe('a bulk reader', () => {
  test('copies small reads out of the shared buffer', () => {
    const { source, sink, reader, to } = ends();
    reader.forward(sharedReadBuffer, 1000, to);
    expect(sink.writes).toEqual(['copy 1000']);
    expect(source.buffer).toBe(sharedReadBuffer);
  });

  test('moves to a large buffer once a read fills the shared one, and writes from it without a copy', () => {
    const { source, sink, reader, to } = ends();
    reader.forward(sharedReadBuffer, SHARED_READ_BYTES, to);
    expect(source.buffer.length).toBe(BULK_READ_BYTES);
    reader.forward(source.buffer, 200_000, to);
    expect(sink.writes).toEqual([`copy ${SHARED_READ_BYTES}`, 'stable 200000']);
  });

  test('goes back after a row of small reads, and gives its buffer back', () => {
    emptyFreeList();
    const { source, reader, to } = ends();
    reader.forward(sharedReadBuffer, SHARED_READ_BYTES, to);
    const bulk = source.buffer;
    for (let i = 0; i < 64; i++) reader.forward(bulk, 100, to);
    expect(source.buffer).toBe(bulk);
    reader.forward(bulk, 100, to);
    expect(source.buffer).toBe(sharedReadBuffer);
    expect(acquireBulkBuffer()).toBe(bulk);
  });

  test('never gives a buffer back that a write still refers to', () => {
    emptyFreeList();
    const { source, sink, reader, to } = ends();
    reader.forward(sharedReadBuffer, SHARED_READ_BYTES, to);
    const bulk = source.buffer;
    sink.taken = false;
    expect(reader.forward(bulk, 100_000, to)).toBe(false);
    reader.stop();
    expect(acquireBulkBuffer()).not.toBe(bulk);
  });

  test('stays on the shared buffer where the connection takes no other', () => {
    emptyFreeList();
    const { source, sink, reader, to } = ends(false);
    for (let i = 0; i < 3; i++) reader.forward(source.buffer, SHARED_READ_BYTES, to);
    expect(sink.writes).toEqual(Array(3).fill(`copy ${SHARED_READ_BYTES}`));
  });
});

describe('lingering', () => {
  class Holder implements BulkHolder {
    readonly name: number;
    private readonly left: number[];

    constructor(name: number, left: number[]) {
      this.name = name;
      this.left = left;
    }

    leaveBulk(): void {
      this.left.push(this.name);
    }
  }

  test('16 holders keep their buffers; beyond that the one that lingers longest leaves', () => {
    const left: number[] = [];
    const holders = Array.from({ length: 20 }, (_, i) => new Holder(i, left));
    for (const holder of holders) linger(holder);
    expect(left).toEqual([0, 1, 2, 3]);
    linger(holders[4] as Holder);
    stopLingering(holders[5] as Holder);
    linger(new Holder(20, left));
    linger(new Holder(21, left));
    expect(left).toEqual([0, 1, 2, 3, 6]);
    for (const holder of holders) stopLingering(holder);
  });
});

test('the free list is bounded', () => {
  emptyFreeList();
  for (let i = 0; i < 40; i++) releaseBulkBuffer(Buffer.alloc(1, i));
  const kept = Array.from({ length: 40 }, () => acquireBulkBuffer()).filter((buffer) => buffer.length === 1);
  expect(kept.length).toBe(16);
});
