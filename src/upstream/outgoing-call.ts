import type { CallFailure } from '../filter/calls.ts';
import type { UpstreamCodec, UpstreamEvents, UpstreamResetReason } from '../http/codec.ts';
import { isServerSuccess } from '../http/grpc/status.ts';
import { HeaderMap } from '../http/headers.ts';
import { type RequestHead, ResponseHead } from '../http/message.ts';
import { wasNotServed } from '../http/retry-state.ts';
import { upstreamFailure } from '../http/upstream-failure.ts';
import { outcomeStatus } from '../http/upstream-outcome.ts';
import { nowMs } from '../network/clock.ts';
import { TimerEntry, timers } from '../network/timer.ts';
import type { Cluster } from './cluster.ts';
import type { HttpPool } from './connection-pool.ts';
import type { Endpoint } from './endpoint.ts';
import { poolOf } from './pools.ts';

const EMPTY = Buffer.alloc(0);

/** Who hears of a call's end, exactly once. */
export interface CallOwner {
  /** The response is complete: it lies in the call. */
  onResponse(call: OutgoingCall): void;
  onFailure(call: OutgoingCall, reason: CallFailure, details: string): void;
}

/** What is asked of a cluster. The head is read while it is sent, and again should it be sent again. */
export interface OutgoingRequest {
  readonly head: RequestHead;
  readonly body: Buffer | undefined;
  readonly timeoutMs: number;
  readonly maxResponseBytes: number;
  readonly isGrpc: boolean;
}

/** One request of the proxy's own and its response, which is collected. Once it is over, it may be used for another one. */
export class OutgoingCall extends TimerEntry implements UpstreamEvents {
  readonly upstreamHead = new ResponseHead();
  readonly upstreamTrailers = new HeaderMap();
  /** Those of the response; undefined when it has none. */
  trailers: HeaderMap | undefined = undefined;
  private owner: CallOwner | undefined = undefined;
  private request: OutgoingRequest | undefined = undefined;
  private cluster: Cluster | undefined = undefined;
  private endpoint: Endpoint | undefined = undefined;
  private pool: HttpPool | undefined = undefined;
  private codec: UpstreamCodec | undefined = undefined;
  private reused = false;
  private freshTried = false;
  private beganMs = 0;
  private bodyBytes = 0;
  private firstChunk: Buffer | undefined = undefined;
  private furtherChunks: Buffer[] | undefined = undefined;

  /** The body of the response. */
  get body(): Buffer {
    const { firstChunk, furtherChunks } = this;
    if (firstChunk === undefined) return EMPTY;
    return furtherChunks === undefined ? firstChunk : Buffer.concat([firstChunk, ...furtherChunks], this.bodyBytes);
  }

  /** Calls the owner back, perhaps before it returns. */
  begin(cluster: Cluster, request: OutgoingRequest, owner: CallOwner): void {
    this.owner = owner;
    this.request = request;
    this.cluster = cluster;
    this.freshTried = false;
    this.bodyBytes = 0;
    this.firstChunk = undefined;
    this.furtherChunks = undefined;
    this.upstreamHead.reset('');
    this.upstreamTrailers.reset('');
    this.trailers = undefined;
    this.beganMs = nowMs();
    timers.start(this, request.timeoutMs > 0 ? request.timeoutMs : 1, this.beganMs);
    this.startAttempt(cluster, request, false);
  }

  private startAttempt(cluster: Cluster, request: OutgoingRequest, fresh: boolean): void {
    const endpoint = cluster.pick(undefined);
    if (endpoint === undefined) {
      this.fail('no_healthy_upstream', '');
      return;
    }
    this.endpoint = endpoint;
    this.pool = poolOf(cluster, endpoint, 'DEFAULT', request.isGrpc);
    this.pool.acquire(this, fresh);
  }

  /** Ends the call; its owner hears why. */
  cancel(): void {
    this.giveUp('cancelled', '');
  }

  override onTimeout(): void {
    const cluster = this.cluster as Cluster;
    cluster.stats.upstreamRqTimeout.inc();
    cluster.stats.countResponse(504);
    this.endpoint?.onTimeout(this.codec !== undefined);
    this.giveUp('timeout', '');
  }

  /** Lets go of the connection, or of the place in its queue. */
  private giveUp(reason: CallFailure, details: string): void {
    const { owner, codec, pool } = this;
    if (owner === undefined) return;
    // Before the codec and the pool are told: what they do then is no matter of this call any more.
    this.release();
    if (codec === undefined) pool?.cancel(this);
    else codec.resetStream();
    owner.onFailure(this, reason, details);
  }

  private fail(reason: CallFailure, details: string): void {
    const { owner } = this;
    if (owner === undefined) return;
    this.release();
    owner.onFailure(this, reason, details);
  }

  private release(): void {
    timers.cancel(this);
    this.owner = undefined;
    this.request = undefined;
    this.pool = undefined;
    this.codec = undefined;
  }

  // ── from the pool and the codec ──

  onUpstreamReady(codec: UpstreamCodec, reused: boolean): void {
    const { request } = this;
    this.endpoint?.failureMonitor?.onConnected();
    if (request === undefined) {
      codec.resetStream();
      return;
    }
    this.codec = codec;
    this.reused = reused;
    const { head, body } = request;
    const length = body?.length ?? 0;
    head.scheme = this.cluster?.tls === undefined ? 'http' : 'https';
    try {
      codec.writeHead(head, length === 0, length);
    } catch (error) {
      this.giveUp('invalid_request', (error as Error).message);
      return;
    }
    if (body === undefined || length === 0) return;
    // Writing may have ended the call: the codec takes what comes then without harm.
    codec.writeBody(body, 0, length, false);
    codec.finish(undefined);
  }

  onUpstreamHead(head: ResponseHead, endStream: boolean, contentLength: number): void {
    const { request, endpoint } = this;
    if (request === undefined) return;
    this.cluster?.stats.countResponse(head.status);
    endpoint?.onResponseHead(head, outcomeStatus(head, request.isGrpc));
    if (head.status >= 500 || !request.isGrpc) endpoint?.stats.countOutcome(head.status < 500);
    if (endStream) this.complete();
    else if (contentLength > request.maxResponseBytes) this.refuseBody(request);
  }

  onUpstreamBody(buffer: Buffer, start: number, end: number): void {
    const { request } = this;
    if (request === undefined) return;
    this.bodyBytes += end - start;
    if (this.bodyBytes > request.maxResponseBytes) this.refuseBody(request);
    else this.keepChunk(buffer, start, end);
  }

  private keepChunk(buffer: Buffer, start: number, end: number): void {
    const chunk = Buffer.allocUnsafe(end - start);
    buffer.copy(chunk, 0, start, end);
    if (this.firstChunk === undefined) this.firstChunk = chunk;
    else if (this.furtherChunks === undefined) this.furtherChunks = [chunk];
    else this.furtherChunks.push(chunk);
  }

  private refuseBody(request: OutgoingRequest): void {
    this.giveUp('response_too_large', `more than ${request.maxResponseBytes} bytes`);
  }

  onUpstreamEnd(trailers: HeaderMap | undefined): void {
    this.trailers = trailers;
    this.complete();
  }

  private complete(): void {
    const { owner, request, cluster, endpoint, upstreamHead: head } = this;
    if (owner === undefined) return;
    if (request?.isGrpc === true && head.status < 500) {
      const status = this.trailers?.get('grpc-status') ?? head.get('grpc-status');
      endpoint?.stats.countOutcome(isServerSuccess(status));
    }
    cluster?.stats.upstreamRqTime.record(nowMs() - this.beganMs);
    this.release();
    owner.onResponse(this);
  }

  onUpstreamReset(reason: UpstreamResetReason, failure: string, anyByte: boolean): void {
    const { request, cluster, endpoint } = this;
    if (request === undefined || cluster === undefined || endpoint === undefined) return;
    const sent = this.codec !== undefined;
    this.codec = undefined;
    if (reason === 'protocol_error') cluster.stats.upstreamCxProtocolError.inc();
    if (reason === 'remote_reset') cluster.stats.upstreamRqRxReset.inc();
    endpoint.onReset(reason === 'overflow');
    if (sent && !anyByte && !this.freshTried && wasNotServed(reason, this.reused, request.head)) {
      this.freshTried = true;
      cluster.stats.upstreamRqRetry.inc();
      this.startAttempt(cluster, request, true);
      return;
    }
    cluster.stats.countResponse(upstreamFailure(reason, failure, false).status);
    this.fail(reason, failure);
  }

  onUpstreamInterim(): void {}
  onUpstreamDrain(): void {}
  onUpstreamCongested(): void {}
}
