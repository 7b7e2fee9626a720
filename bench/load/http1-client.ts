import { clientContext } from './client-tls.ts';
import { type ConnectionAddress, type ConnectionEvents, Http1Connection } from './http1-connection.ts';
import type { LoadClient, LoadEvents } from './load-client.ts';
import { type LoadTarget, targetBody } from './load-target.ts';

/** Keep-alive HTTP/1.1 connections, one request under way on each; the last one that got free is taken first. */
export class Http1Client implements LoadClient, ConnectionEvents {
  private readonly events: LoadEvents;
  private readonly request: Buffer;
  private readonly expectStatus: number;
  private readonly connections: Http1Connection[] = [];
  private readonly idle: Http1Connection[] = [];

  constructor(target: LoadTarget, events: LoadEvents) {
    this.events = events;
    this.request = requestBytes(target);
    this.expectStatus = target.expectStatus;
    const { host, port, socketPath, tls, newConnections = false } = target;
    const secureContext = tls === undefined ? undefined : clientContext(tls);
    const address: ConnectionAddress = { host, port, socketPath, secureContext, newConnections };
    for (let i = 0; i < target.connections; i++) {
      this.connections.push(new Http1Connection(address, this));
    }
  }

  get open(): number {
    return this.connections.reduce((sum, connection) => sum + Number(connection.up), 0);
  }

  trySend(intendedMs: number): boolean {
    for (;;) {
      const connection = this.idle.pop();
      if (connection === undefined) return false;
      if (!connection.up) continue;
      connection.send(this.request, intendedMs);
      return true;
    }
  }

  /** Every request is written at once. */
  flush(): void {}

  pending(): number[] {
    return this.connections.map((connection) => connection.intendedMs).filter((intendedMs) => intendedMs >= 0);
  }

  close(): void {
    for (const connection of this.connections) connection.close();
  }

  onIdle(connection: Http1Connection): void {
    this.idle.push(connection);
    this.events.onReady();
  }

  onResponse(connection: Http1Connection, status: number): void {
    const { intendedMs } = connection;
    connection.intendedMs = -1;
    if (connection.up) this.idle.push(connection);
    this.events.onAnswer(intendedMs, status === this.expectStatus);
    this.events.onReady();
  }

  onLost(connection: Http1Connection, intendedMs: number): void {
    const at = this.idle.indexOf(connection);
    if (at >= 0) this.idle.splice(at, 1);
    if (intendedMs >= 0) this.events.onAnswer(intendedMs, false);
  }
}

/** The one request that is sent again and again. */
export function requestBytes(target: LoadTarget): Buffer {
  const { path, host, port, headers } = target;
  const body = targetBody(target) ?? Buffer.alloc(0);
  const method = body.length > 0 ? 'POST' : 'GET';
  const length = body.length > 0 ? `content-length: ${body.length}\r\n` : '';
  const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = `${method} ${path} HTTP/1.1\r\nhost: ${host}:${port}\r\n${fields.join('')}${length}\r\n`;
  return Buffer.concat([Buffer.from(head, 'latin1'), body]);
}
