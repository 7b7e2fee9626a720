import type { Connection } from '../../network/connection.ts';
import {
  acquireBulkBuffer,
  BULK_READ_BYTES,
  type BulkHolder,
  linger,
  releaseBulkBuffer,
  SHARED_READ_BYTES,
  stopLingering,
} from '../../network/read-buffer.ts';
import { HeaderMap } from '../headers.ts';
import { CHUNK, ChunkDecoder } from './chunk-decoder.ts';
import { type HeadLimits, HeadParser } from './head-parser.ts';
import { HeadProgress } from './head-progress.ts';

/** Bodies with at least this much to come are read into a buffer of their own, and written on without a copy. */
const BULK_FROM_BYTES = SHARED_READ_BYTES;

/** Where the decoded body goes. */
export interface BodySink {
  onBody(buffer: Buffer, start: number, end: number, stable: boolean): void;
  onBodyEnd(trailers: HeaderMap | undefined): void;
  onBodyError(details: string): void;
  /** True while the sink wants no more; the reader then stops where it is. */
  readonly bodyPaused: boolean;
}

type Mode = 'none' | 'length' | 'chunked' | 'close';

/**
 * Reads the body of one message after the other, by length, by chunks or up to the end of the connection, and moves a
 * connection with a long body to a buffer of its own.
 */
export class BodyReader implements BulkHolder {
  private readonly connection: Connection;
  private readonly sink: BodySink;
  private readonly decoder = new ChunkDecoder();
  private readonly limits: HeadLimits;
  private readonly trailersEnabled: boolean;
  /** Bytes of the last body, framing included. */
  wireBytes = 0;
  private mode: Mode = 'none';
  private remaining = 0;
  private inTrailers = false;
  private bulk: Buffer | undefined;
  private bulkRefused = false;
  private trailerProgress: HeadProgress | undefined;

  constructor(connection: Connection, sink: BodySink, limits: HeadLimits, trailersEnabled: boolean) {
    this.connection = connection;
    this.sink = sink;
    this.limits = limits;
    this.trailersEnabled = trailersEnabled;
  }

  /** True while a body is being read. */
  get active(): boolean {
    return this.mode !== 'none';
  }

  /** Another message: its body, if it has one, is counted from 0. */
  beginMessage(): void {
    this.wireBytes = 0;
  }

  begin(mode: Mode, length: number): void {
    this.mode = mode;
    this.remaining = length;
    this.inTrailers = false;
    if (this.bulk !== undefined) stopLingering(this);
    if (mode === 'chunked') this.decoder.reset();
  }

  /**
   * Reads in `buffer[from, end)` and returns the offset behind what it used. `paused` may cut it short; a trailer
   * section that is not complete is left for the next time.
   */
  read(buffer: Buffer, from: number, end: number): number {
    const stable = buffer === this.bulk;
    switch (this.mode) {
      case 'length': {
        const take = Math.min(this.remaining, end - from);
        this.remaining -= take;
        this.wireBytes += take;
        if (take > 0) this.sink.onBody(buffer, from, from + take, stable);
        if (this.remaining === 0 && this.mode === 'length') this.finish(undefined);
        else this.considerBulk(end - from);
        return from + take;
      }
      case 'close':
        this.wireBytes += end - from;
        this.sink.onBody(buffer, from, end, stable);
        this.considerBulk(end - from);
        return end;
      case 'chunked':
        return this.readChunks(buffer, from, end, stable);
      default:
        return from;
    }
  }

  private readChunks(buffer: Buffer, from: number, end: number, stable: boolean): number {
    let i = from;
    while (i < end && !this.sink.bodyPaused) {
      if (this.inTrailers) return this.readTrailers(buffer, i, end);
      const at = i;
      i = this.decoder.next(buffer, i, end);
      this.wireBytes += (this.decoder.found === CHUNK.DATA ? this.decoder.dataEnd : i) - at;
      switch (this.decoder.found) {
        case CHUNK.DATA:
          this.sink.onBody(buffer, this.decoder.dataStart, this.decoder.dataEnd, stable);
          if (this.mode === 'none') return i;
          break;
        case CHUNK.TRAILERS:
          this.inTrailers = true;
          this.trailerProgress?.begin();
          break;
        case CHUNK.ERROR:
          this.mode = 'none';
          this.sink.onBodyError('http1.invalid_chunk');
          return i;
      }
    }
    this.considerBulk(end - from);
    return i;
  }

  private readTrailers(buffer: Buffer, from: number, end: number): number {
    // Mostly there are none.
    if (from + 1 < end && buffer[from] === 13 && buffer[from + 1] === 10) {
      this.wireBytes += 2;
      this.finish(undefined);
      return from + 2;
    }
    this.trailerProgress ??= new HeadProgress(this.limits.maxHeaderBytes);
    if (!this.trailerProgress.ready(buffer, from, end)) return from;
    const parser = new HeadParser(this.limits);
    const trailers = new HeaderMap();
    if (!parser.parseTrailers(buffer, from, end, trailers)) {
      if (parser.error === undefined) return from;
      this.mode = 'none';
      this.sink.onBodyError(parser.error.details);
      return end;
    }
    trailers.raw = buffer.latin1Slice(from, from + parser.headBytes);
    this.wireBytes += parser.headBytes;
    removeForbiddenTrailers(trailers);
    this.finish(this.trailersEnabled && trailers.length > 0 ? trailers : undefined);
    return from + parser.headBytes;
  }

  /** The connection ended: right for a body that ends so, wrong for any other. */
  endOfConnection(): boolean {
    if (this.mode !== 'close') return false;
    this.finish(undefined);
    return true;
  }

  private finish(trailers: HeaderMap | undefined): void {
    this.mode = 'none';
    if (this.bulk !== undefined) {
      // While the sink is paused a write may still refer to the buffer: then it is left to the garbage collector.
      if (this.sink.bodyPaused) this.dropBulk();
      else linger(this);
    }
    this.sink.onBodyEnd(trailers);
  }

  /** Leaves the body where it is; the connection is about to end. */
  stop(): void {
    if (this.bulk === undefined) {
      this.mode = 'none';
      return;
    }
    stopLingering(this);
    // In the middle of a body a write may refer to the buffer.
    if (this.mode === 'none') this.leaveBulk();
    else this.dropBulk();
    this.mode = 'none';
  }

  leaveBulk(): void {
    const { bulk } = this;
    this.dropBulk();
    if (bulk !== undefined) releaseBulkBuffer(bulk);
  }

  private dropBulk(): void {
    this.bulk = undefined;
    this.connection.setReadBuffer(undefined);
  }

  private considerBulk(lastRead: number): void {
    if (this.bulk !== undefined || this.bulkRefused || this.mode === 'none') return;
    const long =
      this.mode === 'length'
        ? this.remaining >= BULK_FROM_BYTES
        : lastRead >= SHARED_READ_BYTES || (this.mode === 'chunked' && this.decoder.remaining >= BULK_READ_BYTES);
    if (!long) return;
    const bulk = acquireBulkBuffer();
    if (this.connection.setReadBuffer(bulk)) {
      this.bulk = bulk;
    } else {
      this.bulkRefused = true;
      releaseBulkBuffer(bulk);
    }
  }
}

/** Fields that may not come as trailers (RFC 9110 §6.5.1): framing, routing, authentication. */
const FORBIDDEN_TRAILERS = new Set([
  'transfer-encoding',
  'content-length',
  'host',
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'upgrade',
  'authorization',
  'proxy-authorization',
  'cookie',
  'set-cookie',
  'content-type',
  'content-encoding',
  'content-range',
  'expect',
  'max-forwards',
  'cache-control',
]);

function removeForbiddenTrailers(trailers: HeaderMap): void {
  for (let i = 0; i < trailers.length; i++) {
    const name = trailers.names[i] as string;
    if (FORBIDDEN_TRAILERS.has(name) || name.startsWith('x-forwarded-') || name.startsWith('x-envoy-'))
      trailers.names[i] = '';
  }
}
