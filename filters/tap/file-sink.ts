import { accessSync, constants, readdirSync, statSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import type { Logger } from '../../src/filter/index.ts';
import type { TraceSink } from './recorder.ts';

/** Traces on their way to the disk, of one filter in one thread; what comes above is lost. */
const MAX_PENDING_BYTES = 4 * 1024 * 1024;
/** How long a disk that fails is not written of again in the log. */
const LOG_EVERY_MS = 10_000;

/**
 * Writes each tapped stream into a file of its own, `<prefix>_<id>.json`: never into one that is there already, readable
 * by this user alone, and no more files than allowed, those of earlier runs included.
 */
export class FileSink {
  readonly #prefix: string;
  readonly #maxFiles: number;
  /** How many files there are, in the memory of all threads. */
  readonly #files: Int32Array;
  readonly #log: Logger;
  #pendingBytes = 0;
  #loggedMs = Number.NEGATIVE_INFINITY;

  /** @throws Error when the folder is not there or cannot be written to */
  constructor(prefix: string, maxFiles: number, files: Int32Array, log: Logger) {
    this.#prefix = resolve(prefix);
    this.#maxFiles = maxFiles;
    this.#files = files;
    this.#log = log;
    const folder = dirname(this.#prefix);
    try {
      if (!statSync(folder).isDirectory()) throw new Error('it is not a folder');
      accessSync(folder, constants.W_OK | constants.X_OK);
      const start = `${basename(this.#prefix)}_`;
      Atomics.store(files, 0, readdirSync(folder).filter((name) => name.startsWith(start)).length);
    } catch (error) {
      throw new Error(`tap: path_prefix ${prefix}: ${folder} cannot be written to: ${(error as Error).message}`);
    }
  }

  open(traceId: string): TraceSink {
    return new TraceFile(this, `${this.#prefix}_${traceId}.json`);
  }

  /** Whether one more file may be made. */
  reserve(): boolean {
    if (Atomics.add(this.#files, 0, 1) < this.#maxFiles) return true;
    Atomics.sub(this.#files, 0, 1);
    this.#warn(`no further file: there are ${this.#maxFiles} of them (outrigger.max_files)`);
    return false;
  }

  /** Whether so many bytes more may wait for the disk. */
  admit(bytes: number): boolean {
    if (this.#pendingBytes + bytes > MAX_PENDING_BYTES) {
      this.#warn('the disk is too slow: traces are lost');
      return false;
    }
    this.#pendingBytes += bytes;
    return true;
  }

  written(bytes: number): void {
    this.#pendingBytes -= bytes;
  }

  failed(error: Error): void {
    this.#warn(`a trace could not be written: ${error.message}`);
  }

  #warn(message: string): void {
    const nowMs = performance.now();
    if (nowMs - this.#loggedMs < LOG_EVERY_MS) return;
    this.#loggedMs = nowMs;
    this.#log.warn(message, { path_prefix: this.#prefix });
  }
}

/** One file; its writes follow each other. */
class TraceFile implements TraceSink {
  readonly #sink: FileSink;
  readonly #path: string;
  #file: Promise<FileHandle | undefined> | undefined;
  #last: Promise<void> = Promise.resolve();

  constructor(sink: FileSink, path: string) {
    this.#sink = sink;
    this.#path = path;
  }

  submit(trace: string): boolean {
    const bytes = Buffer.from(trace, 'utf8');
    if (this.#file === undefined && !this.#sink.reserve()) return false;
    this.#file ??= this.#create();
    if (!this.#sink.admit(bytes.length)) return false;
    this.#last = this.#last.then(() => this.#write(bytes));
    return true;
  }

  end(): void {
    void this.#last.then(async () => (await this.#file)?.close()).catch((error: Error) => this.#sink.failed(error));
  }

  async #create(): Promise<FileHandle | undefined> {
    try {
      return await open(
        this.#path,
        constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
        0o600,
      );
    } catch (error) {
      this.#sink.failed(error as Error);
      return undefined;
    }
  }

  async #write(bytes: Buffer): Promise<void> {
    try {
      await (await this.#file)?.write(bytes);
    } catch (error) {
      this.#sink.failed(error as Error);
    } finally {
      this.#sink.written(bytes.length);
    }
  }
}
