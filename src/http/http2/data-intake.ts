import type { Http2Stream } from './http2-stream.ts';

/**
 * The DATA frame that is coming in, piece by piece. Its stream may end in the middle of it, and the object of that
 * stream may serve another exchange by then: what is left of the frame belongs to nobody.
 */
export class DataIntake {
  private stream: Http2Stream | undefined = undefined;
  private endsStream = false;
  /** Bytes still count against the connection's window. */
  private isOwed = false;

  /** A frame begins. Without a stream its bytes are dropped, and were credited already. */
  begin(stream: Http2Stream | undefined, endsStream: boolean): void {
    this.stream = stream;
    this.endsStream = endsStream;
    this.isOwed = stream !== undefined;
  }

  /** A piece of it, `buffer[start, end)`. Returns how many bytes of the connection's window nobody will give back. */
  take(buffer: Buffer, start: number, end: number): number {
    const { stream } = this;
    if (stream === undefined) return this.isOwed ? end - start : 0;
    stream.receive(buffer, start, end);
    return 0;
  }

  /** The frame is complete. */
  end(): void {
    const { stream } = this;
    this.stream = undefined;
    if (stream !== undefined && this.endsStream) stream.receiveEnd(undefined);
  }

  /** The stream is over. */
  forget(stream: Http2Stream): void {
    if (this.stream === stream) this.stream = undefined;
  }
}
