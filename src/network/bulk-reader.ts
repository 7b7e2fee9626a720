import type { Connection } from './connection.ts';
import { acquireBulkBuffer, releaseBulkBuffer, SHARED_READ_BYTES } from './read-buffer.ts';

/** Reads of less than this count as small; so many in a row end the bulk mode. */
const SMALL_READ_BYTES = 16 * 1024;
const SMALL_READS_TO_LEAVE = 64;

/**
 * Forwards what a connection reads. A read that fills the shared buffer moves the connection to a large buffer of its
 * own, which is written on without a copy; a row of small reads moves it back.
 */
export class BulkReader {
  private readonly source: Connection;
  private bulk: Buffer | undefined = undefined;
  private refused = false;
  private smallReads = 0;
  /** A write may still refer to the bulk buffer. */
  private inFlight: Connection | undefined = undefined;

  constructor(source: Connection) {
    this.source = source;
  }

  /** Writes `buffer[0, length)` to `sink`. False: stop reading until it has drained. */
  forward(buffer: Buffer, length: number, sink: Connection): boolean {
    if (buffer !== this.bulk) {
      if (length >= SHARED_READ_BYTES && this.bulk === undefined && !this.refused) this.begin();
      return sink.writeCopy(buffer, 0, length);
    }
    if (length >= SMALL_READ_BYTES) this.smallReads = 0;
    else if (++this.smallReads > SMALL_READS_TO_LEAVE) {
      const taken = sink.writeStable(buffer, 0, length);
      this.inFlight = taken ? undefined : sink;
      this.stop();
      return taken;
    }
    const taken = sink.writeStable(buffer, 0, length);
    this.inFlight = taken ? undefined : sink;
    return taken;
  }

  private begin(): void {
    const bulk = acquireBulkBuffer();
    if (this.source.setReadBuffer(bulk)) {
      this.bulk = bulk;
    } else {
      this.refused = true;
      releaseBulkBuffer(bulk);
    }
  }

  /** Back to the shared buffer. */
  stop(): void {
    const { bulk } = this;
    if (bulk === undefined) return;
    this.bulk = undefined;
    this.smallReads = 0;
    this.source.setReadBuffer(undefined);
    if (this.inFlight === undefined || !this.inFlight.congested) releaseBulkBuffer(bulk);
    this.inFlight = undefined;
  }
}

/** Ends a connection once everything that was written to it has gone out. */
export function drainSoon(connection: Connection): void {
  if (connection.closed) return;
  connection.end();
  if (!connection.congested) {
    connection.destroy();
    return;
  }
  const { handler } = connection;
  connection.handler = {
    onData: () => {},
    onEnd: () => {},
    onDrain: () => connection.destroy(),
    onClose: (error) => handler.onClose(error),
  };
}
