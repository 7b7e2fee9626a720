import { closeSync, openSync, write, writeSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Logger } from '../../filter/env.ts';
import type { Counter, StatsScope } from '../stats.ts';

/** A chunk is written when it is full; 64 KiB hold some 300 lines. */
const CHUNK_BYTES = 64 * 1024;
/** What may wait for a slow or full disk before lines are dropped. */
const MAX_PENDING_BYTES = 4 * 1024 * 1024;
/** Files are written at least this often; a terminal or a container's log sooner, as a person may be reading along. */
const FILE_FLUSH_MS = 1000;
const STREAM_FLUSH_MS = 100;
const RETRY_MS = 1000;
const RETRY_BUSY_MS = 20;

const STREAMS: Readonly<Record<string, number>> = { '/dev/stdout': 1, '/dev/stderr': 2 };

/** What a sink needs of the proxy around it. */
export interface SinkEnv {
  readonly log: Pick<Logger, 'warn'>;
  /** The root scope: `filesystem.write_failed` and `filesystem.lines_dropped` are counted there. */
  readonly stats?: StatsScope;
}

interface Chunk {
  readonly bytes: Buffer;
  used: number;
  /** How much of it a failed write got rid of. */
  written: number;
}

/**
 * Appends lines to one file. `write` only copies into memory; the disk is written on libuv's threads. A disk that is
 * full or a path that cannot be opened holds nothing up: lines wait in bounded memory, then are dropped and counted.
 */
export class LogSink {
  readonly path: string;
  /** Lines lost because too many bytes were waiting. */
  droppedLines = 0;
  /** Writes and opens that failed. */
  failures = 0;
  /** Users of this sink; the last one to close it closes the file. */
  users = 0;
  readonly #log: Pick<Logger, 'warn'>;
  readonly #droppedCounter: Counter | undefined;
  readonly #failedCounter: Counter | undefined;
  readonly #flushMs: number;
  readonly #isStream: boolean;
  #fd = -1;
  #chunk: Chunk = newChunk();
  #spare: Chunk | undefined;
  #full: Chunk[] = [];
  #pendingBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #writing = false;
  #reopening = false;
  #troubled = false;
  #idle: (() => void)[] = [];

  constructor(path: string, env: SinkEnv) {
    this.path = path;
    this.#log = env.log;
    this.#droppedCounter = env.stats?.counter('filesystem.lines_dropped');
    this.#failedCounter = env.stats?.counter('filesystem.write_failed');
    const fd = STREAMS[path];
    this.#isStream = fd !== undefined;
    this.#flushMs = this.#isStream ? STREAM_FLUSH_MS : FILE_FLUSH_MS;
    if (fd !== undefined) this.#fd = fd;
    else this.#open();
  }

  /** Takes a line with its end, as a byte string (each character is one byte). */
  write(line: string): void {
    const length = line.length;
    let chunk = this.#chunk;
    if (chunk.used + length > chunk.bytes.length) {
      if (this.#pendingBytes + chunk.used + length > MAX_PENDING_BYTES) {
        this.droppedLines++;
        this.#droppedCounter?.inc();
        return;
      }
      chunk = this.#nextChunk(length);
    }
    chunk.bytes.latin1Write(line, chunk.used, length);
    chunk.used += length;
    if (this.#timer === undefined) this.#arm(this.#flushMs);
  }

  /** Writes what is there; resolves when it is written or cannot be. */
  flush(): Promise<void> {
    this.#queueCurrent();
    this.#writeNext();
    if (!this.#writing) return Promise.resolve();
    return new Promise((done) => this.#idle.push(done));
  }

  /** The same at once, for the exit of the process. What a thread is writing just now is left to it. */
  flushSync(): void {
    this.#queueCurrent();
    if (this.#fd < 0) return;
    const chunks = this.#writing ? this.#full.slice(1) : this.#full;
    try {
      for (const chunk of chunks) {
        while (chunk.written < chunk.used) {
          chunk.written += writeSync(this.#fd, chunk.bytes, chunk.written, chunk.used - chunk.written);
        }
      }
    } catch {
      this.failures++;
    }
  }

  /** Opens the path anew, for log rotation: lines from now on go to the file that then has the name. */
  reopen(): void {
    if (this.#isStream) return;
    this.#reopening = true;
    void this.flush();
    if (!this.#writing) this.#swap();
  }

  /** Gives up one use; the last one flushes and closes. */
  async close(): Promise<void> {
    if (--this.users > 0) return;
    sinks.delete(this.path);
    closing.add(this);
    await this.flush();
    closing.delete(this);
    clearTimeout(this.#timer);
    if (!this.#isStream && this.#fd >= 0) closeSync(this.#fd);
    this.#fd = this.#isStream ? this.#fd : -1;
  }

  #open(): void {
    try {
      this.#fd = openSync(this.path, 'a', 0o644);
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  #swap(): void {
    this.#reopening = false;
    const old = this.#fd;
    this.#fd = -1;
    this.#open();
    if (this.#fd < 0) this.#fd = old;
    else if (old >= 0) closeSync(old);
  }

  #nextChunk(length: number): Chunk {
    this.#queueCurrent();
    if (length > CHUNK_BYTES) this.#chunk = newChunk(length);
    this.#writeNext();
    return this.#chunk;
  }

  #queueCurrent(): void {
    const chunk = this.#chunk;
    if (chunk.used === 0) return;
    this.#full.push(chunk);
    this.#pendingBytes += chunk.used;
    this.#chunk = this.#spare ?? newChunk();
    this.#spare = undefined;
  }

  #arm(delayMs: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#queueCurrent();
      this.#writeNext();
    }, delayMs).unref();
  }

  #writeNext(): void {
    if (this.#writing) return;
    if (this.#fd < 0 && this.#full.length > 0) this.#open();
    const chunk = this.#full[0];
    if (chunk === undefined || this.#fd < 0) {
      this.#rest(chunk !== undefined);
      return;
    }
    this.#writing = true;
    write(this.#fd, chunk.bytes, chunk.written, chunk.used - chunk.written, null, (error, written) => {
      this.#writing = false;
      if (error === null) this.#wrote(chunk, written);
      else this.#failed(error);
    });
  }

  #wrote(chunk: Chunk, written: number): void {
    this.#troubled = false;
    chunk.written += written;
    if (chunk.written >= chunk.used) {
      this.#full.shift();
      this.#pendingBytes -= chunk.used;
      if (chunk.bytes.length === CHUNK_BYTES) {
        chunk.used = 0;
        chunk.written = 0;
        this.#spare = chunk;
      }
    }
    if (this.#reopening && (this.#full.length === 0 || chunk.written === 0)) this.#swap();
    this.#writeNext();
  }

  #failed(error: NodeJS.ErrnoException): void {
    // A pipe whose reader is slow: not an error, only not now.
    const busy = error.code === 'EAGAIN';
    if (!busy) this.#fail(error);
    if (this.#reopening) this.#swap();
    this.#rest(true, busy ? RETRY_BUSY_MS : RETRY_MS);
  }

  /** Nothing more to do now; what is left over is tried again later. */
  #rest(leftOver: boolean, retryMs = RETRY_MS): void {
    if (leftOver) {
      clearTimeout(this.#timer);
      this.#arm(retryMs);
    }
    const waiting = this.#idle;
    if (waiting.length === 0) return;
    this.#idle = [];
    for (const done of waiting) done();
  }

  #fail(error: Error): void {
    this.failures++;
    this.#failedCounter?.inc();
    if (this.#troubled) return;
    this.#troubled = true;
    this.#log.warn(`access log ${this.path} cannot be written: ${error.message}`);
  }
}

function newChunk(bytes = CHUNK_BYTES): Chunk {
  return { bytes: Buffer.allocUnsafeSlow(bytes), used: 0, written: 0 };
}

/** One sink per path, so that two logs of one file do not overwrite each other's lines. */
const sinks = new Map<string, LogSink>();
/** Sinks that nobody uses any more and whose last lines are still on their way to the disk. */
const closing = new Set<LogSink>();

/** The sink of a path (`/dev/stdout` and `/dev/stderr` are the process's own); each call needs one `close`. */
export function openSink(path: string, env: SinkEnv): LogSink {
  const absolute = resolve(path);
  let sink = sinks.get(absolute);
  if (sink === undefined) {
    sink = new LogSink(absolute, env);
    sinks.set(absolute, sink);
  }
  sink.users++;
  return sink;
}

/** Opens every log file anew (SIGUSR1, `POST /reopen_logs`). */
export function reopenAll(): void {
  for (const sink of sinks.values()) sink.reopen();
}

/** Writes everything that waits, of sinks that are being closed as well; for an orderly end. */
export async function flushAll(): Promise<void> {
  await Promise.all([...sinks.values(), ...closing].map((sink) => sink.flush()));
}

/** The same at once, from an `exit` handler. */
export function flushAllSync(): void {
  for (const sink of [...sinks.values(), ...closing]) sink.flushSync();
}
