import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Connection, ConnectionHandler } from '../../src/network/connection.ts';
import { HandleConnection } from '../../src/network/handle-connection.ts';
import { StreamConnection } from '../../src/network/stream-connection.ts';

/** Both implementations of `Connection`, which keep the same contract. */
export const KINDS = ['HandleConnection', 'StreamConnection'] as const;
export type Kind = (typeof KINDS)[number];

/** What a handler heard, in order. */
export class Recorder implements ConnectionHandler {
  readonly events: string[] = [];
  received = 0;
  onBytes: (buffer: Buffer, length: number) => void = () => {};
  drained: () => void = () => {};

  onData(buffer: Buffer, length: number): void {
    this.received += length;
    if (this.events.at(-1) !== 'data') this.events.push('data');
    this.onBytes(buffer, length);
  }
  onEnd(): void {
    this.events.push('end');
  }
  onDrain(): void {
    this.events.push('drain');
    this.drained();
  }
  onClose(error: Error | undefined): void {
    this.events.push(error === undefined ? 'close' : `close ${(error as NodeJS.ErrnoException).code}`);
  }
}

export interface Pair extends AsyncDisposable {
  readonly connection: Connection;
  readonly recorder: Recorder;
  /** The other end. */
  readonly peer: Socket;
}

let pipes = 0;

/** A connection of ours to a plain socket, over TCP or a Unix socket. */
export function openPair(kind: Kind, transport: 'tcp' | 'pipe' = 'tcp', limitBytes = 0): Promise<Pair> {
  return new Promise((resolve) => {
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true }, (socket) => {
      server.close();
      const recorder = new Recorder();
      const made =
        kind === 'HandleConnection'
          ? HandleConnection.from(socket, recorder, limitBytes)
          : new StreamConnection(socket, recorder);
      const connection = made as Connection;
      resolve({
        connection,
        recorder,
        peer,
        async [Symbol.asyncDispose]() {
          peer.destroy();
          connection.destroy();
          while (!recorder.events.some((event) => event.startsWith('close')))
            await new Promise((next) => setTimeout(next, 2));
        },
      });
    });
    let peer: Socket;
    const path = join(tmpdir(), `outrigger-pair-${process.pid}-${pipes++}`);
    server.listen(transport === 'pipe' ? { path } : { port: 0, host: '127.0.0.1' }, () => {
      const bound = server.address();
      const options = typeof bound === 'object' && bound !== null ? { port: bound.port, host: '127.0.0.1' } : { path };
      peer = connect({ ...options, allowHalfOpen: true });
      peer.on('error', () => {});
    });
  });
}
