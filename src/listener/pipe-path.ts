import { chmodSync, lstatSync, renameSync, unlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { basename, dirname, join } from 'node:path';

/** The longest path that fits into `struct sockaddr_un`, with its terminating zero. */
const MAX_PATH_BYTES = 107;

let staged = 0;

/**
 * The path of a listening Unix socket. The socket is bound beside it and moved there: so it appears with its mode, it
 * takes the place of one that a process left behind without a moment of neither, and libuv,
 * which removes what it has bound, leaves alone what a successor has put there since.
 */
export class PipePath {
  /** Where to bind. */
  readonly staging: string;
  private readonly path: string;
  /** The socket that was published here; undefined when there is none to remove. */
  private inode: bigint | undefined = undefined;

  /** @throws Error with code EADDRINUSE where something else than a socket has the path */
  constructor(path: string) {
    this.path = path;
    this.staging = path;
    if (path.startsWith('\0')) return;
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found?.isSocket() === false) {
      throw Object.assign(new Error(`${path} exists and is no socket`), { code: 'EADDRINUSE' });
    }
    const beside = join(dirname(path), `.${basename(path).substring(0, 8)}.${process.pid}.${++staged}`);
    if (Buffer.byteLength(beside) <= MAX_PATH_BYTES) this.staging = beside;
    // A process of the same number, in another life of the machine or container, may have left it.
    removeSocket(this.staging);
  }

  /**
   * One that a process left behind is in nobody's way. One that is served is: its clients would be ours without a word.
   *
   * @throws Error with code EADDRINUSE
   */
  async refuseServed(): Promise<void> {
    if (this.path.startsWith('\0') || lstatSync(this.path, { throwIfNoEntry: false }) === undefined) return;
    const answers = await new Promise<boolean>((resolve) => {
      const socket = connect(this.path);
      socket.once('connect', () => {
        socket.destroy();
        resolve(true);
      });
      // A full queue is that of somebody, too.
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'EAGAIN'));
    });
    if (answers) throw Object.assign(new Error(`${this.path} is served by another process`), { code: 'EADDRINUSE' });
  }

  /** The socket is bound and listens. */
  publish(mode: number): void {
    if (this.path.startsWith('\0')) return;
    if (mode !== 0) chmodSync(this.staging, mode);
    if (this.staging !== this.path) renameSync(this.staging, this.path);
    this.inode = lstatSync(this.path, { bigint: true }).ino;
  }

  /** The socket that is at the path was taken over from another process. */
  adopt(): void {
    if (!this.path.startsWith('\0')) this.inode = lstatSync(this.path, { bigint: true, throwIfNoEntry: false })?.ino;
  }

  /** Whoever took the socket over has its path too. */
  leave(): void {
    this.inode = undefined;
  }

  /** Removes the path, unless it is another socket's by now. */
  remove(): void {
    const { inode } = this;
    this.inode = undefined;
    if (inode === undefined) return;
    if (lstatSync(this.path, { bigint: true, throwIfNoEntry: false })?.ino === inode) unlinkSync(this.path);
  }
}

function removeSocket(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true) unlinkSync(path);
}
