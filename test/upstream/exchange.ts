import type { UpstreamCodec, UpstreamEvents, UpstreamResetReason } from '../../src/http/codec.ts';
import { HeaderMap } from '../../src/http/headers.ts';
import { RequestHead, ResponseHead } from '../../src/http/message.ts';
import type { Cluster } from '../../src/upstream/cluster.ts';
import type { HttpPool } from '../../src/upstream/connection-pool.ts';
import { eventually } from '../support/story.ts';

/** A request of a test that speaks to a pool without a router, and what became of it. */
export class Exchange implements UpstreamEvents {
  readonly upstreamHead: ResponseHead = new ResponseHead();
  readonly upstreamTrailers: HeaderMap = new HeaderMap();
  readonly request: RequestHead = new RequestHead();
  codec: UpstreamCodec | undefined = undefined;
  reused = false;
  status = 0;
  body = '';
  ended = false;
  reset: UpstreamResetReason | undefined = undefined;
  failure = '';
  /** Called with the first word of how it ended. */
  onOver: () => void = () => {};
  private readonly endStream: boolean;

  constructor(path = '/', endStream = true) {
    this.endStream = endStream;
    this.request.method = endStream ? 'GET' : 'POST';
    this.request.path = path;
    this.request.receivedPath = path;
    this.request.authority = 'a';
  }

  get over(): boolean {
    return this.ended || this.reset !== undefined;
  }

  onUpstreamReady(codec: UpstreamCodec, reused: boolean): void {
    this.codec = codec;
    this.reused = reused;
    try {
      codec.writeHead(this.request, this.endStream, this.endStream ? 0 : -1);
    } catch {
      this.reset = 'local_reset';
    }
  }
  onUpstreamHead(head: ResponseHead, endStream: boolean): void {
    this.status = head.status;
    if (endStream) this.onUpstreamEnd();
  }
  onUpstreamBody(buffer: Buffer, start: number, end: number): void {
    this.body += buffer.latin1Slice(start, end);
  }
  onUpstreamEnd(): void {
    if (this.over) throw new Error('ended twice');
    this.ended = true;
    this.onOver();
  }
  onUpstreamReset(reason: UpstreamResetReason, failure: string): void {
    if (this.over) throw new Error(`reset (${reason}) after its end`);
    this.reset = reason;
    this.failure = failure;
    this.onOver();
  }
  onUpstreamInterim(): void {}
  onUpstreamDrain(): void {}
  onUpstreamCongested(): void {}
}

/** Asks for a connection. */
export function acquire(pool: HttpPool, path = '/', endStream = true): Exchange {
  const exchange = new Exchange(path, endStream);
  pool.acquire(exchange, false);
  return exchange;
}

export const over = (...exchanges: readonly Exchange[]): Promise<void> =>
  eventually('the exchanges are over', () => exchanges.every((exchange) => exchange.over));

/** What a cluster's circuit breakers count now. */
export function inUse(cluster: Cluster): { requests: number; pending: number; connections: number } {
  const { requests, pendingRequests, connections } = cluster.limits.DEFAULT;
  return { requests: requests.count, pending: pendingRequests.count, connections: connections.count };
}

/** Waits until the circuit breakers count nothing. @throws with the counts when they stay */
export async function released(cluster: Cluster): Promise<void> {
  const isReleased = (): boolean => Object.values(inUse(cluster)).every((count) => count === 0);
  await eventually('nothing is in use', isReleased).catch(() => {
    throw new Error(`still in use: ${JSON.stringify(inUse(cluster))}`);
  });
}
