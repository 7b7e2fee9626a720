import { createServer, connect as openSocket, type Server, type Socket } from 'node:net';
import { threadId } from 'node:worker_threads';
import type { Connection, ConnectionHandler } from './connection.ts';
import { HandleConnection } from './handle-connection.ts';
import { SHARED_READ_BYTES } from './read-buffer.ts';
import { handleOf } from './stream-handle.ts';

/** More than a socket takes at once, so that the write completes later. */
const LONG_BYTES = 512 * 1024;
/** The long message counts 0 … 250, 0 …: a prime, so that no buffer size hides a shift. */
const PERIOD = 251;
const QUESTION = 'q\xff?';
const LIMIT_MS = 1000;

/**
 * Tries what `HandleConnection` relies on, over a local socket: reads into memory of ours, a write that completes at
 * once, one that completes later, FIN, and the end. Takes a few milliseconds. Resolves to what is not as expected, or
 * undefined when all is.
 */
export function converseOverHandles(): Promise<string | undefined> {
  return new Promise((resolve) => {
    const conversation = new Conversation((problem) => {
      clearTimeout(limit);
      resolve(problem);
    });
    const limit = setTimeout(() => conversation.finish(`no answer within ${LIMIT_MS} ms`), LIMIT_MS);
    conversation.start();
  });
}

/** The client asks, the server answers at length and ends, the client ends. */
class Conversation {
  private readonly onDone: (problem: string | undefined) => void;
  private readonly sockets: Socket[] = [];
  private server: Server | undefined = undefined;
  private done = false;

  constructor(onDone: (problem: string | undefined) => void) {
    this.onDone = onDone;
  }

  start(): void {
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => this.answer(socket));
    this.server = server;
    server.on('error', (error) => this.finish(error.message));
    // An abstract address leaves no file behind; where there is none, the loopback will do.
    const name = `\0outrigger-self-test-${process.pid}-${threadId}`;
    server.listen(process.platform === 'linux' ? { path: name } : { host: '127.0.0.1', port: 0 }, () => {
      const bound = server.address();
      if (bound === null) return;
      const target = typeof bound === 'string' ? { path: name } : { host: bound.address, port: bound.port };
      const socket = openSocket({ ...target, allowHalfOpen: true });
      socket.pause();
      socket.on('error', (error) => this.finish(error.message));
      socket.once('connect', () => this.ask(socket));
    });
  }

  private open(socket: Socket, handler: Partial<ConnectionHandler>): Connection | undefined {
    this.sockets.push(socket);
    const handle = handleOf(socket);
    if (handle === undefined) {
      this.finish('a socket has no handle with the methods that are needed');
      return undefined;
    }
    return new HandleConnection(socket, handle, { onData() {}, onEnd() {}, onDrain() {}, onClose() {}, ...handler });
  }

  private ask(socket: Socket): void {
    let received = 0;
    let right = true;
    const connection = this.open(socket, {
      onData: (buffer, length) => {
        const last = received + length - 1;
        right &&=
          length <= SHARED_READ_BYTES && buffer[0] === received % PERIOD && buffer[length - 1] === last % PERIOD;
        received += length;
      },
      onEnd: () => {
        if (!right || received !== LONG_BYTES) this.finish('what was read is not what was written');
        else connection?.end();
      },
    });
    if (connection === undefined) return;
    connection.resume();
    if (!connection.writeText(QUESTION)) this.finish('a small write did not complete at once');
  }

  private answer(socket: Socket): void {
    let drained = false;
    const long = Buffer.allocUnsafeSlow(LONG_BYTES);
    for (let i = 0; i < LONG_BYTES; i++) long[i] = i % PERIOD;
    const connection = this.open(socket, {
      onData: (buffer, length) => {
        if (buffer.latin1Slice(0, length) !== QUESTION) this.finish('a read did not give the bytes that were sent');
        else if (connection?.writeStable(long, 0, LONG_BYTES) !== false) this.finish('a long write completed at once');
      },
      onDrain: () => {
        drained = true;
        connection?.end();
      },
      onEnd: () => this.finish(drained ? undefined : 'the end came before the write had completed'),
    });
    connection?.resume();
  }

  finish(problem: string | undefined): void {
    if (this.done) return;
    this.done = true;
    for (const socket of this.sockets) socket.destroy();
    this.server?.close();
    this.onDone(problem);
  }
}
