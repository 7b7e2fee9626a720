import type { LoadClient, LoadEvents } from '../load-client.ts';
import type { LoadTarget } from '../load-target.ts';
import { Http2Connection } from './http2-connection.ts';

/** HTTP/2 connections that are used in turn, as many streams under way on each as the target says. */
export class Http2Client implements LoadClient {
  private readonly connections: Http2Connection[];
  /** Whose turn it is. */
  private turn = 0;

  constructor(target: LoadTarget, events: LoadEvents) {
    this.connections = Array.from({ length: target.connections }, () => new Http2Connection(target, events));
  }

  get open(): number {
    return this.connections.reduce((sum, connection) => sum + Number(connection.up), 0);
  }

  trySend(intendedMs: number): boolean {
    const { connections } = this;
    for (let tried = 0; tried < connections.length; tried++) {
      const connection = connections[this.turn] as Http2Connection;
      this.turn = this.turn + 1 === connections.length ? 0 : this.turn + 1;
      if (connection.trySend(intendedMs)) return true;
    }
    return false;
  }

  flush(): void {
    for (const connection of this.connections) connection.flush();
  }

  pending(): number[] {
    return this.connections.flatMap((connection) => connection.pending());
  }

  close(): void {
    for (const connection of this.connections) connection.close();
  }
}
