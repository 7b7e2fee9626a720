import { describe, expect, it } from 'vitest';
import { FLAG, FRAME, frame } from '../../../../bench/load/http2/frame.ts';
import { FrameScanner } from '../../../../bench/load/http2/frame-scanner.ts';

const STREAM = Buffer.concat([
  frame(FRAME.settings, 0, 0, Buffer.alloc(6)),
  frame(FRAME.headers, FLAG.endHeaders, 1, Buffer.from('head')),
  frame(FRAME.data, 0, 1, Buffer.alloc(40)),
  frame(FRAME.data, FLAG.endStream, 3, Buffer.alloc(7)),
  frame(FRAME.data, FLAG.endStream, 1, Buffer.alloc(0)),
  frame(FRAME.windowUpdate, 0, 0, Buffer.from([0, 0, 1, 0])),
]);

/** What the scanner told, with the pieces of each stream's DATA put together. */
function scan(pieces: readonly Buffer[]): { told: string[]; bytes: Record<number, number> } {
  const told: string[] = [];
  const bytes: Record<number, number> = {};
  const scanner = new FrameScanner({
    onData(streamId, count, isEnd) {
      bytes[streamId] = (bytes[streamId] ?? 0) + count;
      if (isEnd) told.push(`end of ${streamId}`);
    },
    onFrame(type, flags, streamId, payload) {
      told.push(`${type} ${flags} ${streamId} ${payload.length}`);
    },
  });
  for (const piece of pieces) scanner.push(piece, piece.length);
  return { told, bytes };
}

const ALL = {
  told: ['4 0 0 6', '1 4 1 4', 'end of 3', 'end of 1', '8 0 0 4'],
  bytes: { 1: 40, 3: 7 },
};

describe('frame scanner', () => {
  it('finds the same frames wherever the stream is cut', () => {
    for (let cut = 0; cut <= STREAM.length; cut++) {
      expect(scan([STREAM.subarray(0, cut), STREAM.subarray(cut)]), `cut at ${cut}`).toEqual(ALL);
    }
  });

  it('finds them byte by byte', () => {
    expect(scan([...STREAM].map((byte) => Buffer.of(byte)))).toEqual(ALL);
  });

  it('refuses a frame above the size that was announced', () => {
    expect(() => scan([Buffer.from([0, 0x40, 1, 0, 0, 0, 0, 0, 1])])).toThrow(/16385/);
  });

  it('refuses padded DATA, whose padding would count as body', () => {
    expect(() => scan([frame(FRAME.data, FLAG.padded, 1, Buffer.of(0))])).toThrow(/padded/);
  });
});
