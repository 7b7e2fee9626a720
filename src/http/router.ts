import { TimerEntry, timers } from '../network/timer.ts';
import type { Cluster } from '../upstream/cluster.ts';
import type { Endpoint } from '../upstream/endpoint.ts';
import type { Http1Pool } from '../upstream/http1-pool.ts';
import { poolOf } from '../upstream/pools.ts';
import { BodyCollector } from './body-collector.ts';
import type { UpstreamCodec, UpstreamEvents, UpstreamResetReason } from './codec.ts';
import type { HeaderMap } from './headers.ts';
import type { RequestHead, ResponseHead } from './message.ts';
import { startMirror } from './mirror.ts';
import { FLAG } from './response-flags.ts';
import type { RouteEntry } from './route/route-entry.ts';
import { HOLD, type HttpStream } from './stream.ts';
import { brokenResponseFlag, upstreamFailure } from './upstream-failure.ts';

const TIMER = { ROUTE: 0, PER_TRY: 1, BACK_OFF: 2 } as const;

class RouterTimer extends TimerEntry {
  private readonly router: Router;
  private readonly kind: number;

  constructor(router: Router, kind: number) {
    super();
    this.router = router;
    this.kind = kind;
  }

  override onTimeout(): void {
    if (this.kind === TIMER.ROUTE) this.router.onRouteTimeout();
    else if (this.kind === TIMER.PER_TRY) this.router.onPerTryTimeout();
    else this.router.startAttempt(false);
  }
}

/** Methods that may be sent twice (RFC 9110 §9.2.2). */
function isIdempotent(method: string): boolean {
  return (
    method === 'GET' ||
    method === 'HEAD' ||
    method === 'OPTIONS' ||
    method === 'PUT' ||
    method === 'DELETE' ||
    method === 'TRACE'
  );
}

/**
 * The last filter: matches the stream with an upstream connection, sends the request there, and hands the response
 * back; tries again where the route says so, and gives up where time or the circuit breakers say so.
 */
export class Router implements UpstreamEvents {
  private readonly stream: HttpStream;
  private entry: RouteEntry | undefined = undefined;
  private cluster: Cluster | undefined = undefined;
  private endpoint: Endpoint | undefined = undefined;
  private pool: Http1Pool | undefined = undefined;
  private codec: UpstreamCodec | undefined = undefined;
  private acquiring = false;
  private reused = false;
  private active = false;
  private requestEnded = false;
  private trailers: HeaderMap | undefined = undefined;
  private headDone = false;
  private bodyStarted = false;
  private retries = 0;
  private freshTried = false;
  /** What was sent of the body, kept for another attempt; undefined when there will be none. */
  private replay: BodyCollector | undefined = undefined;
  private readonly routeTimer = new RouterTimer(this, TIMER.ROUTE);
  private perTryTimer: RouterTimer | undefined = undefined;
  private backOffTimer: RouterTimer | undefined = undefined;
  private attemptStartMs = 0;
  private tunnel = false;

  constructor(stream: HttpStream) {
    this.stream = stream;
  }

  get upstreamHead(): ResponseHead {
    return this.stream.head;
  }

  // ── request: from the stream ──

  /** The request's head has passed all filters. */
  start(endStream: boolean): void {
    const { stream } = this;
    const { manager, request } = stream;
    const entry = stream.routeEntry;
    this.entry = entry;
    this.requestEnded = endStream;
    this.trailers = undefined;
    this.headDone = false;
    this.bodyStarted = false;
    this.retries = 0;
    this.freshTried = false;
    this.replay = undefined;
    this.tunnel = false;
    if (entry === undefined) {
      manager.stats.noRoute.inc();
      stream.sendLocalReply(404, '', FLAG.NR, 'route_not_found');
      return;
    }
    if (entry.answer(stream)) return;
    const clusterName = entry.pickCluster(request);
    stream.upstreamCluster = clusterName;
    const cluster = manager.clusters.get(clusterName);
    if (cluster === undefined) {
      manager.stats.noCluster.inc();
      stream.sendLocalReply(entry.clusterNotFoundStatus, '', FLAG.NC, 'cluster_not_found');
      return;
    }
    this.cluster = cluster;
    this.active = true;
    const timeoutMs = this.timeoutMs(entry, request);
    if (timeoutMs > 0 && !manager.router.suppressEnvoyHeaders) {
      request.set('x-envoy-expected-rq-timeout-ms', String(entry.retry?.perTryTimeoutMs || timeoutMs));
    }
    entry.finalizeRequest(request, stream);
    for (const mirror of entry.mirrors) if (mirror.sampled()) startMirror(stream, mirror.cluster);
    const collected = stream.takeCollectedRequest();
    if (collected !== undefined) {
      // Trailers need chunks.
      stream.requestContentLength = stream.requestTrailers === undefined ? collected.length : -1;
      this.replay = new BodyCollector(Number.POSITIVE_INFINITY);
      this.replay.add(collected, 0, collected.length);
      this.requestEnded = true;
      this.trailers = stream.requestTrailers;
    } else if (!endStream && entry.retry !== undefined) {
      this.replay = new BodyCollector(manager.settings.bufferLimitBytes);
    }
    if (timeoutMs > 0) timers.start(this.routeTimer, timeoutMs, stream.startMs);
    this.startAttempt(false);
  }

  /** The route's timeout, or the one that a trusted client asks for. */
  private timeoutMs(entry: RouteEntry, request: RequestHead): number {
    if (!request.hasEnvoyHeaders) return entry.timeoutMs;
    const asked = request.get('x-envoy-upstream-rq-timeout-ms');
    request.remove('x-envoy-upstream-rq-timeout-ms');
    request.remove('x-envoy-upstream-rq-per-try-timeout-ms');
    return asked !== undefined && /^\d{1,9}$/.test(asked) ? Number(asked) : entry.timeoutMs;
  }

  /** Chooses an endpoint and asks its pool for a connection. */
  startAttempt(fresh: boolean): void {
    const { stream } = this;
    const cluster = this.cluster as Cluster;
    const entry = this.entry as RouteEntry;
    const endpoint = cluster.pick(entry.hash === undefined ? undefined : entry.hash(stream));
    if (endpoint === undefined) {
      this.active = false;
      stream.sendLocalReply(503, 'no healthy upstream', FLAG.UH, 'no_healthy_upstream');
      return;
    }
    stream.upstreamAttemptCount++;
    this.endpoint = endpoint;
    stream.upstreamHost = endpoint.address;
    entry.rewriteHost?.(stream.request, endpoint.hostname);
    this.attemptStartMs = 0;
    if (entry.includeAttemptCount) stream.request.set('x-envoy-attempt-count', String(stream.upstreamAttemptCount));
    this.pool = poolOf(cluster, endpoint, entry.priority);
    this.acquiring = true;
    this.pool.acquire(this, fresh);
    if (this.acquiring && !this.requestEnded) stream.holdRequest(HOLD.NOT_READY);
  }

  onUpstreamReady(codec: UpstreamCodec, reused: boolean): void {
    const { stream } = this;
    this.acquiring = false;
    this.codec = codec;
    this.reused = reused;
    this.attemptStartMs = performance.now();
    stream.upstreamLocalAddress = '';
    if (stream.upstreamTxBeginMs === 0) stream.upstreamTxBeginMs = this.attemptStartMs;
    const body = this.replay?.peek();
    const endStream = this.requestEnded && (body === undefined || body.length === 0) && this.trailers === undefined;
    try {
      codec.writeHead(
        stream.request,
        endStream,
        this.requestEnded && body !== undefined && this.trailers === undefined
          ? body.length
          : stream.requestContentLength,
      );
    } catch (error) {
      this.cancel();
      stream.manager.log.warn('a filter left a request that cannot be sent', { error: String(error) });
      stream.sendLocalReply(500, 'Internal Server Error', 0, 'invalid_request_from_filter');
      return;
    }
    const perTryMs = this.entry?.retry?.perTryTimeoutMs ?? 0;
    if (perTryMs > 0) {
      this.perTryTimer ??= new RouterTimer(this, TIMER.PER_TRY);
      timers.start(this.perTryTimer, perTryMs, this.attemptStartMs);
    }
    if (endStream) {
      stream.upstreamTxEndMs = this.attemptStartMs;
      return;
    }
    if (body !== undefined && body.length > 0) codec.writeBody(body, 0, body.length, false);
    if (this.requestEnded) {
      codec.finish(this.trailers);
      stream.upstreamTxEndMs = performance.now();
    } else {
      stream.releaseRequest(HOLD.NOT_READY);
    }
  }

  body(buffer: Buffer, start: number, end: number, stable: boolean): void {
    this.bodyStarted = true;
    if (this.replay !== undefined && !this.replay.add(buffer, start, end)) {
      // Too large to keep: this attempt is the last one.
      this.replay = undefined;
      this.cluster?.stats.retryOrShadowAbandoned.inc();
    }
    this.codec?.writeBody(buffer, start, end, stable);
  }

  end(trailers: HeaderMap | undefined): void {
    this.requestEnded = true;
    this.trailers = trailers;
    if (this.codec === undefined) return;
    this.codec.finish(trailers);
    this.stream.upstreamTxEndMs = performance.now();
  }

  onUpstreamCongested(): void {
    this.stream.holdRequest(HOLD.PEER);
  }

  onUpstreamDrain(): void {
    this.stream.releaseRequest(HOLD.PEER);
  }

  // ── response: from the upstream connection ──

  onUpstreamInterim(head: ResponseHead): void {
    this.stream.onResponseInterim(head);
  }

  onUpstreamHead(head: ResponseHead, endStream: boolean, contentLength: number): void {
    const { stream } = this;
    const entry = this.entry as RouteEntry;
    const now = performance.now();
    const cluster = this.cluster as Cluster;
    this.countResponse(cluster, head.status);
    if (endStream) this.codec = undefined;
    if (this.retries < (entry.retry?.maxRetries ?? 0) && this.retryOnResponse(entry, head)) return;
    if (this.retries > 0 && head.status < 500) cluster.stats.upstreamRqRetrySuccess.inc();
    this.headDone = true;
    if (this.perTryTimer !== undefined) timers.cancel(this.perTryTimer);
    stream.upstreamRxBeginMs = now;
    stream.responseCodeDetails = 'via_upstream';
    // Counted from the end of the request, so an answer to a part of it has none.
    if (this.requestEnded && !stream.manager.router.suppressEnvoyHeaders) {
      head.set('x-envoy-upstream-service-time', String(Math.trunc(now - stream.requestEndMs)));
    }
    entry.finalizeResponse(head, stream);
    if (endStream) this.finished(now);
    stream.onResponseHead(head, endStream, contentLength);
  }

  private countResponse(cluster: Cluster, status: number): void {
    cluster.stats.countResponse(status);
    const stats = (this.endpoint as Endpoint).stats;
    if (status < 500) stats.rqSuccess++;
    else stats.rqError++;
  }

  private retryOnResponse(entry: RouteEntry, head: ResponseHead): boolean {
    const rules = entry.retry;
    return rules?.concerns(this.stream.request) === true && rules.onResponse(head) && this.retry();
  }

  onUpstreamBody(buffer: Buffer, start: number, end: number, stable: boolean): void {
    this.stream.onResponseBody(buffer, start, end, stable);
  }

  onUpstreamEnd(trailers: HeaderMap | undefined): void {
    this.codec = undefined;
    this.finished(performance.now());
    this.stream.onResponseEnd(trailers);
  }

  /** The exchange is over: time counts no more. */
  private finished(now: number): void {
    const { stream } = this;
    this.active = false;
    timers.cancel(this.routeTimer);
    stream.upstreamRxEndMs = now;
    this.cluster?.stats.upstreamRqTime.record(now - stream.startMs);
  }

  onUpstreamReset(reason: UpstreamResetReason, failure: string, anyByte: boolean): void {
    const { stream } = this;
    const sent = !this.acquiring;
    this.acquiring = false;
    this.codec = undefined;
    if (!this.active) return;
    const cluster = this.cluster as Cluster;
    if (reason === 'protocol_error') cluster.stats.upstreamCxProtocolError.inc();
    if (sent) cluster.stats.upstreamRqRxReset.inc();
    (this.endpoint as Endpoint).stats.rqError++;
    if (this.headDone) {
      this.active = false;
      stream.onUpstreamBroken(brokenResponseFlag(reason), `upstream_reset_after_response_started{${reason}}`);
      return;
    }
    // A kept-alive connection that its server closed just now: nothing was lost but the request, which may go again.
    if (
      this.reused &&
      sent &&
      !anyByte &&
      !this.freshTried &&
      reason === 'connection_termination' &&
      this.mayRepeat()
    ) {
      this.freshTried = true;
      cluster.stats.upstreamRqRetry.inc();
      this.startAttempt(true);
      return;
    }
    const rules = this.entry?.retry;
    if (
      rules !== undefined &&
      this.retries < rules.maxRetries &&
      rules.concerns(stream.request) &&
      rules.onReset(reason, sent) &&
      this.retry()
    )
      return;
    this.active = false;
    const reply = upstreamFailure(reason, failure);
    stream.upstreamTransportFailureReason = reason === 'connection_failure' ? `delayed connect error: ${failure}` : '';
    this.cluster?.stats.countResponse(reply.status);
    stream.sendLocalReply(
      reply.status,
      reply.body,
      reply.flag,
      reply.details,
      reason === 'overflow' ? OVERLOADED : undefined,
    );
  }

  private mayRepeat(): boolean {
    const repeatable = !this.bodyStarted || this.replay !== undefined;
    return repeatable && isIdempotent(this.stream.request.method) && !this.tunnel && this.stream.request.upgrade === '';
  }

  /** Tries again after the back-off. False: the body is gone, or too many retries are under way. */
  private retry(): boolean {
    const cluster = this.cluster as Cluster;
    const entry = this.entry as RouteEntry;
    if (this.bodyStarted && this.replay === undefined) return false;
    if (!cluster.limits[entry.priority].retries.tryAcquire()) {
      cluster.stats.upstreamRqRetryOverflow.inc();
      return false;
    }
    cluster.limits[entry.priority].retries.release();
    this.dropExchange();
    this.retries++;
    cluster.stats.upstreamRqRetry.inc();
    if (this.retries === entry.retry?.maxRetries) cluster.stats.upstreamRqRetryLimitExceeded.inc();
    this.backOffTimer ??= new RouterTimer(this, TIMER.BACK_OFF);
    timers.start(this.backOffTimer, Math.max(1, entry.retry?.backOffMs(this.retries) ?? 1));
    return true;
  }

  onPerTryTimeout(): void {
    if (!this.active || this.headDone) return;
    const cluster = this.cluster as Cluster;
    cluster.stats.upstreamRqPerTryTimeout.inc();
    (this.endpoint as Endpoint).stats.rqTimeout++;
    const rules = this.entry?.retry;
    if (rules !== undefined && this.retries < rules.maxRetries && rules.onPerTryTimeout() && this.retry()) return;
    this.giveUp();
  }

  onRouteTimeout(): void {
    if (!this.active) return;
    (this.cluster as Cluster).stats.upstreamRqTimeout.inc();
    (this.endpoint as Endpoint).stats.rqTimeout++;
    this.giveUp();
  }

  private giveUp(): void {
    const { stream } = this;
    this.dropExchange();
    this.active = false;
    if (this.headDone) {
      stream.onUpstreamBroken(FLAG.UT, 'response_timeout');
      return;
    }
    (this.cluster as Cluster).stats.countResponse(504);
    stream.sendLocalReply(504, 'upstream request timeout', FLAG.UT, 'response_timeout');
  }

  /** Lets go of the connection or of the place in its queue. */
  private dropExchange(): void {
    if (this.acquiring) {
      this.acquiring = false;
      this.pool?.cancel(this);
    }
    const codec = this.codec;
    this.codec = undefined;
    codec?.resetStream();
  }

  /** The stream is over, or answered otherwise. */
  cancel(): void {
    if (this.active || this.codec !== undefined || this.acquiring) {
      this.dropExchange();
      this.active = false;
    }
    timers.cancel(this.routeTimer);
    if (this.perTryTimer !== undefined) timers.cancel(this.perTryTimer);
    if (this.backOffTimer !== undefined) timers.cancel(this.backOffTimer);
  }

  pause(): void {
    this.codec?.pauseResponse();
  }

  resume(): void {
    this.codec?.resumeResponse();
  }

  switchToTunnel(): void {
    this.tunnel = true;
    this.requestEnded = false;
    timers.cancel(this.routeTimer);
    this.codec?.switchToTunnel();
  }
}

const OVERLOADED: Readonly<Record<string, string>> = Object.freeze({ 'x-envoy-overloaded': 'true' });
