import { clockMs } from './clock.ts';
import { Http1Client } from './http1-client.ts';
import { Http2Client } from './http2/http2-client.ts';
import type { LoadTarget } from './load-target.ts';

/** Connections that carry the requests of one target; when to send is the load's affair. */
export interface LoadClient {
  /** Connections that are up. */
  readonly open: number;
  /**
   * Sends a request, at the latest with the next `flush`; false when every connection is busy or lost.
   *
   * @param intendedMs when it was due, on the load's clock: comes back with the answer
   */
  trySend(intendedMs: number): boolean;
  flush(): void;
  /** `intendedMs` of the requests that wait for their answer. */
  pending(): number[];
  close(): void;
}

export interface LoadEvents {
  /** A request was answered whole, or was lost with its stream or connection. */
  onAnswer(intendedMs: number, isRight: boolean): void;
  /** All that was read has been told: there may be room for requests again. */
  onReady(): void;
}

const CONNECT_TIMEOUT_MS = 5000;

/**
 * Opens all connections.
 *
 * @throws when they are not open in time, default 5000 ms
 */
export async function openClient(
  target: LoadTarget,
  events: LoadEvents,
  timeoutMs = CONNECT_TIMEOUT_MS,
): Promise<LoadClient> {
  const client = target.version === 'http2' ? new Http2Client(target, events) : new Http1Client(target, events);
  const deadline = clockMs() + timeoutMs;
  const { connections, host, port } = target;
  while (client.open < connections) {
    if (clockMs() > deadline) {
      const { open } = client;
      client.close();
      throw new Error(`only ${open} of ${connections} connections to ${host}:${port} opened in time`);
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return client;
}
