import { connect, type Socket } from 'node:net';
import { listen, type TestServer } from './sockets.ts';

/** What one side of a session does: writes pieces with waits between, reads at its pace, and ends in its way. */
export interface SideStory {
  readonly pieces: readonly number[];
  readonly waitsMs: readonly number[];
  /** Waits of the reader, after so many bytes each. */
  readonly readPauses: readonly { readonly afterBytes: number; readonly ms: number }[];
  /** `fin` once all is written; `fin after` the other side's FIN; `reset` once all is written. */
  readonly end: 'fin' | 'fin after' | 'reset';
}

export interface SessionStory {
  readonly id: number;
  readonly client: SideStory;
  readonly app: SideStory;
}

/** What came of one side. */
export interface SideOutcome {
  received: number;
  /** Offset of the first byte that was not what the other side wrote there; -1 for none. */
  wrongAt: number;
  sawFin: boolean;
  errorCode: string | undefined;
  closed: boolean;
}

const SIZES = [1, 1, 2, 7, 100, 1000, 1448, 8192, 20_000, 65_536, 200_000];
const HEAD_BYTES = 4;

/** A stream of numbers from 0 to 1 that a seed decides (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A story that the seed decides. `resets` allows sides that end by a reset. */
export function randomStory(id: number, random: () => number, resets: boolean): SessionStory {
  const side = (): SideStory => {
    const count = Math.floor(random() * 12);
    const pieces = Array.from({ length: count }, () => SIZES[Math.floor(random() * SIZES.length)] as number);
    const total = pieces.reduce((sum, piece) => sum + piece, 0);
    const readPauses = Array.from({ length: Math.floor(random() * 3) }, () => ({
      afterBytes: Math.floor(random() * (total + 100_000)),
      ms: Math.floor(random() * 30),
    }));
    const end = resets && random() < 0.15 ? 'reset' : random() < 0.6 ? 'fin' : 'fin after';
    return { pieces, waitsMs: pieces.map(() => (random() < 0.5 ? 0 : random() * 5)), readPauses, end };
  };
  const client = side();
  let app = side();
  // Somebody has to begin.
  if (client.end === 'fin after' && app.end === 'fin after') app = { ...app, end: 'fin' };
  return { id, client, app };
}

export function bytesOf(story: SideStory): number {
  return story.pieces.reduce((sum, piece) => sum + piece, 0);
}

/** Plays stories through whatever lies between `port` and the app that this serves. */
export class StoryTheatre implements AsyncDisposable {
  readonly app: TestServer;
  private readonly stories = new Map<number, { story: SessionStory; outcome: SideOutcome; done: () => void }>();

  private constructor(onConnection: (theatre: StoryTheatre) => Promise<TestServer>) {
    this.app = undefined as unknown as TestServer;
    this.opened = onConnection(this).then((app) => {
      (this as { app: TestServer }).app = app;
    });
  }
  private readonly opened: Promise<void>;

  static async open(): Promise<StoryTheatre> {
    const theatre = new StoryTheatre((self) => listen((socket) => self.onAccepted(socket)));
    await theatre.opened;
    return theatre;
  }

  /** Plays one story to its end, on both sides. */
  async play(story: SessionStory, port: number): Promise<{ client: SideOutcome; app: SideOutcome }> {
    const app = blank();
    const appDone = new Promise<void>((done) => this.stories.set(story.id, { story, outcome: app, done }));
    const client = blank();
    await new Promise<void>((done) => {
      const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
      const head = Buffer.alloc(HEAD_BYTES);
      head.writeUInt32LE(story.id);
      socket.write(head);
      act(socket, story.client, bytePattern(story.id, 0), bytePattern(story.id, 1), client, 0, done);
    });
    // A client that resets at once may take the head with it: the app never hears of the story.
    await Promise.race([appDone, ...(story.client.end === 'reset' ? [later(1000)] : [])]);
    this.stories.delete(story.id);
    return { client, app };
  }

  private onAccepted(socket: Socket): void {
    socket.once('readable', () => {
      const head = socket.read(HEAD_BYTES) as Buffer | null;
      const entry = head === null ? undefined : this.stories.get(head.readUInt32LE());
      if (entry === undefined) {
        socket.destroy();
        return;
      }
      const { story, outcome, done } = entry;
      act(socket, story.app, bytePattern(story.id, 1), bytePattern(story.id, 0), outcome, 0, done);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.app[Symbol.asyncDispose]();
  }
}

function blank(): SideOutcome {
  return { received: 0, wrongAt: -1, sawFin: false, errorCode: undefined, closed: false };
}

/** The byte at an offset of a direction: no two sessions, directions or neighbouring blocks look alike. */
function bytePattern(id: number, direction: number): (offset: number) => number {
  return (offset) => (id * 31 + direction * 101 + offset * 7 + (offset >>> 8) * 13) & 255;
}

function act(
  socket: Socket,
  story: SideStory,
  own: (offset: number) => number,
  theirs: (offset: number) => number,
  outcome: SideOutcome,
  from: number,
  done: () => void,
): void {
  const pauses = [...story.readPauses].sort((a, b) => a.afterBytes - b.afterBytes);
  let written = false;
  socket.on('data', (chunk: Buffer) => {
    for (let i = 0; i < chunk.length; i++) {
      if (outcome.wrongAt < 0 && chunk[i] !== theirs(outcome.received + i)) outcome.wrongAt = outcome.received + i;
    }
    outcome.received += chunk.length;
    const pause = pauses[0];
    if (pause !== undefined && outcome.received >= pause.afterBytes) {
      pauses.shift();
      socket.pause();
      setTimeout(() => socket.resume(), pause.ms);
    }
  });
  socket.on('end', () => {
    outcome.sawFin = true;
    if (written && story.end === 'fin after') socket.end();
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    outcome.errorCode = error.code;
  });
  socket.on('close', () => {
    outcome.closed = true;
    done();
  });
  let offset = from;
  let index = 0;
  const next = (): void => {
    if (socket.destroyed) return;
    const size = story.pieces[index];
    if (size === undefined) {
      written = true;
      if (story.end === 'reset') socket.resetAndDestroy();
      else if (story.end === 'fin' || outcome.sawFin) socket.end();
      return;
    }
    const piece = Buffer.alloc(size);
    for (let i = 0; i < size; i++) piece[i] = own(offset + i);
    offset += size;
    const waitMs = story.waitsMs[index] as number;
    index++;
    socket.write(piece, () => {
      if (waitMs === 0) next();
      else setTimeout(next, waitMs);
    });
  };
  next();
}

function later(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
