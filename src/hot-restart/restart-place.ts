import { closeSync, constants, fstatSync, openSync, statSync } from 'node:fs';
import net, { type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { libc } from '../kernel/libc.ts';
import { PipePath } from '../listener/pipe-path.ts';
import { makeFolder } from '../make-folder.ts';

/** flock(2) has no function in Node. */
const SYS_FLOCK: Readonly<Record<string, bigint>> = { x64: 73n, arm64: 32n };
const LOCK_EX_NB = 2n | 4n;
const LOCK_POLL_MS = 20;

/** Processes that may wait to be heard. */
const BACKLOG = 16;

/**
 * Where the process that serves can be met by the one that takes over: a Unix socket at a path. Beside it lies a file
 * that is locked while somebody takes over, so that two who try follow each other. The lock ends with its process.
 */
export class RestartPlace {
  readonly path: string;
  private readonly pipe: PipePath;
  private server: Server | undefined = undefined;

  /** @throws Error where the folder is open to other users */
  constructor(path: string) {
    this.path = resolve(path);
    refuseOpenFolder(dirname(this.path));
    this.pipe = new PipePath(this.path);
  }

  /** The place that Envoy's `--base-id` names: in a folder of this user's. @throws Error where it is another's */
  static ofBaseId(baseId: number): string {
    const folder = join(process.env.XDG_RUNTIME_DIR ?? tmpdir(), `outrigger-${ownUid()}`);
    makeFolder(folder, 0o700);
    return join(folder, `hot-restart-${baseId}.sock`);
  }

  /** Waits until nobody else takes over. Returns what ends that. @throws Error when it takes too long */
  async lock(timeoutMs: number): Promise<() => void> {
    const path = `${this.path}.lock`;
    const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
    const number = SYS_FLOCK[process.arch];
    const c = libc();
    if (fstatSync(fd).uid !== ownUid() || number === undefined || c === undefined) {
      closeSync(fd);
      throw new Error(c === undefined ? 'needs Linux and node:ffi' : `${path} belongs to another user`);
    }
    for (const deadline = performance.now() + timeoutMs; ; await sleep(LOCK_POLL_MS)) {
      if (c.syscall(number, BigInt(fd), LOCK_EX_NB, 0n, 0n, 0n) === 0n) return once(() => closeSync(fd));
      if (performance.now() < deadline) continue;
      closeSync(fd);
      throw new Error(`another process has been taking over for ${timeoutMs / 1000} s (it holds ${path})`);
    }
  }

  /** Connects to the process that serves; undefined where there is none. */
  connect(): Promise<Socket | undefined> {
    const socket = net.connect({ path: this.path }).pause();
    return new Promise((found, fail) => {
      socket.once('connect', () => found(socket));
      socket.once('error', (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') found(undefined);
        else fail(error);
      });
    });
  }

  /** Gets ready to be met; nobody comes before `publish`. */
  async prepare(visit: (socket: Socket) => void): Promise<void> {
    const server = net.createServer({ pauseOnConnect: true }, visit);
    await new Promise<void>((done, fail) => {
      server.once('error', fail);
      server.listen({ path: this.pipe.staging, backlog: BACKLOG }, done);
    });
    server.on('error', () => {});
    this.server = server;
  }

  /** From now on whoever comes meets this process. */
  publish(): void {
    this.pipe.publish(0o600);
  }

  /** @param toSuccessor - the path is another process's, or will be in a moment */
  close(toSuccessor: boolean): void {
    this.server?.close();
    this.server = undefined;
    if (toSuccessor) this.pipe.leave();
    else this.pipe.remove();
  }
}

function once(run: () => void): () => void {
  let isDone = false;
  return () => {
    if (!isDone) run();
    isDone = true;
  };
}

export function ownUid(): number {
  return process.geteuid?.() ?? -1;
}

/** In a folder where others may rename and remove, a socket at a path is whatever they want it to be. */
function refuseOpenFolder(folder: string): void {
  const { uid, mode } = statSync(folder);
  const isSticky = (mode & constants.S_IFMT) === constants.S_IFDIR && (mode & 0o1000) !== 0;
  if (uid !== ownUid() && uid !== 0) throw new Error(`the folder ${folder} belongs to another user (${uid})`);
  if ((mode & 0o022) !== 0 && !isSticky) throw new Error(`the folder ${folder} can be written by others`);
}
