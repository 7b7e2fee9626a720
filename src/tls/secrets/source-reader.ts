import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { WatchedDirectory } from '../../config/schema/config-source.ts';
import type { DataSource } from '../../config/schema/core.ts';

/** A mistake in a TLS context that only reading its files shows. */
export class TlsLoadError extends Error {
  override readonly name = 'TlsLoadError';
}

/**
 * Reads the data sources of one part of a context, and remembers what it read: the files that are to be followed, and a
 * fingerprint of all contents, in the order of reading. What is trusted is read by a reader of its own, since a session
 * must not outlive the trust that it was issued under.
 */
export class SourceReader {
  /** Files that are followed, and folders of `watched_directory`, which stand for theirs. */
  readonly watched = new Set<string>();
  private readonly contents = new Map<string, string>();
  private readonly digest = createHash('sha256');

  /**
   * @param what for errors: `trusted_ca`.
   * @param folder where it is given, changes are seen there alone.
   * @throws TlsLoadError
   */
  read(source: DataSource, what: string, folder?: WatchedDirectory): Buffer {
    const bytes = this.load(source, what, folder);
    this.digest.update(`${what} ${bytes.length} `).update(bytes);
    return bytes;
  }

  /** Reads every data source in a message, whatever its field: what they hold counts, and they are followed. */
  readAll(message: unknown, folder?: WatchedDirectory): void {
    if (typeof message !== 'object' || message === null || Buffer.isBuffer(message)) return;
    if (isDataSource(message)) {
      this.read(message, 'validation_context', folder);
      return;
    }
    for (const field of Object.values(message)) this.readAll(field, folder);
  }

  private load(source: DataSource, what: string, folder: WatchedDirectory | undefined): Buffer {
    const { filename, inline_bytes: bytes, inline_string: text, environment_variable: variable } = source;
    if (text !== undefined) return Buffer.from(text);
    if (bytes !== undefined) return bytes;
    if (filename !== undefined) {
      this.watched.add(folder?.path ?? filename);
      return this.readFile(filename, what);
    }
    const value = process.env[variable ?? ''];
    if (value === undefined) throw new TlsLoadError(`${what}: the environment variable ${variable} is not set`);
    return Buffer.from(value);
  }

  private readFile(path: string, what: string): Buffer {
    // Known before it is read, so that a file that is missing is looked for again.
    this.contents.set(path, '');
    try {
      const bytes = readFileSync(path);
      this.contents.set(path, fingerprintOf(bytes));
      return bytes;
    } catch (error) {
      throw new TlsLoadError(`cannot read ${what}: ${(error as Error).message}`);
    }
  }

  /** Whether any file reads differently now; one that cannot be read any more counts as it was. */
  changed(): boolean {
    for (const [path, before] of this.contents) {
      try {
        if (fingerprintOf(readFileSync(path)) !== before) return true;
      } catch {
        // Between two versions, or gone: what was read stays in use.
      }
    }
    return false;
  }

  /** A text that differs as soon as anything that was read does. */
  fingerprint(): string {
    return this.digest.copy().digest('base64');
  }
}

const SOURCES = ['filename', 'inline_bytes', 'inline_string', 'environment_variable'];

function isDataSource(message: object): message is DataSource {
  return SOURCES.some((field) => field in message);
}

function fingerprintOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('base64');
}
