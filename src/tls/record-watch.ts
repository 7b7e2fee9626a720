import { TimerEntry, timers } from '../network/timer.ts';

const INTERVAL_MS = 2000;

/** A connection that tells what it has received. */
export interface WatchedConnection {
  /** Bytes of records. */
  readonly encryptedBytes: number;
  /** Bytes of data that were in them. */
  readonly bytesRead: number;
  /** Too many of them held no data. */
  onRecordFlood(): void;
}

/** What may come besides data in one interval: a record that is not whole yet, tickets. */
const ALLOWED_BYTES = 64 * 1024;
/** And for each byte of data. BoringSSL lets 32 key updates of 27 bytes pass between two pieces of data. */
const ALLOWED_PER_DATA_BYTE = 1024;

interface Seen {
  encrypted: number;
  data: number;
}

/**
 * Ends connections whose peers send records without data. OpenSSL sets no limit to them: key updates (RFC 8446 §4.6.3),
 * each of which costs more than a kilobyte of data and is answered, though the peer may never read the answers; requests
 * to renegotiate, in TLS 1.2. Nobody hears of such records: they are the difference between what was received and what came
 * out.
 */
export class RecordWatch extends TimerEntry {
  private readonly seen = new Map<WatchedConnection, Seen>();

  add(connection: WatchedConnection): void {
    this.seen.set(connection, { encrypted: connection.encryptedBytes, data: connection.bytesRead });
    if (!this.started) timers.start(this, INTERVAL_MS);
  }

  remove(connection: WatchedConnection): void {
    this.seen.delete(connection);
  }

  override onTimeout(): void {
    this.check();
    if (this.seen.size > 0) timers.start(this, INTERVAL_MS);
  }

  /** Looks at what each has received since the last time. */
  check(): void {
    for (const [connection, seen] of this.seen) {
      const { encryptedBytes, bytesRead } = connection;
      const allowed = ALLOWED_BYTES + (bytesRead - seen.data) * ALLOWED_PER_DATA_BYTE;
      if (encryptedBytes - seen.encrypted > allowed) connection.onRecordFlood();
      seen.encrypted = encryptedBytes;
      seen.data = bytesRead;
    }
  }
}

/** Of this thread. */
export const recordWatch = new RecordWatch();
