import { InputStash } from '../http1/input-stash.ts';
import type { FrameReader } from './frame-reader.ts';
import { FRAME, FRAME_HEADER_BYTES } from './protocol.ts';

/** A frame that the end of a read has cut: it waits for the rest, and nothing but the rest is copied to it. */
export class CutFrame {
  private readonly reader: FrameReader;
  private readonly stash = new InputStash();

  constructor(reader: FrameReader) {
    this.reader = reader;
  }

  /** Bytes that are kept. */
  get length(): number {
    return this.stash.length;
  }

  /** Reads on with `buffer[start, end)`. */
  read(buffer: Buffer, start: number, end: number): void {
    const { reader, stash } = this;
    let at = start;
    while (stash.length > 0 && at < end) {
      const next = Math.min(at + this.missing(), end);
      stash.append(buffer, at, next);
      at = next;
      stash.advance(reader.read(stash.buffer, stash.begin, stash.end));
    }
    if (at === end) return;
    const used = reader.read(buffer, at, end);
    if (used < end) stash.append(buffer, used, end);
  }

  /** How many bytes bring the reader on: those of the frame's header, or of the whole frame; of DATA the padding's length. */
  private missing(): number {
    const { buffer, begin, length } = this.stash;
    if (length < FRAME_HEADER_BYTES) return FRAME_HEADER_BYTES - length;
    const payload = buffer[begin + 3] === FRAME.DATA ? 1 : buffer.readUIntBE(begin, 3);
    return FRAME_HEADER_BYTES + payload - length;
  }

  clear(): void {
    this.stash.clear();
  }
}
