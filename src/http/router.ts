import { nowMs, tick } from '../network/clock.ts';
import { timers } from '../network/timer.ts';
import type { Cluster } from '../upstream/cluster.ts';
import type { HttpPool } from '../upstream/connection-pool.ts';
import type { Endpoint } from '../upstream/endpoint.ts';
import { poolOf } from '../upstream/pools.ts';
import { BodyCollector } from './body-collector.ts';
import type { UpstreamCodec, UpstreamEvents, UpstreamResetReason } from './codec.ts';
import { tellTimeout } from './expected-timeout.ts';
import { FlowControl } from './flow-control.ts';
import { isServerSuccess } from './grpc/status.ts';
import type { HeaderMap } from './headers.ts';
import type { RequestHead, ResponseHead } from './message.ts';
import { copyForMirrors, type MirroredRequest } from './mirror.ts';
import { FLAG } from './response-flags.ts';
import { millisecondsOf, RetryRules } from './retry.ts';
import { RETRY, RetryState, wasNotServed } from './retry-state.ts';
import type { RouteEntry } from './route/route-entry.ts';
import { ROUTER_TIME, RouterTimer, type TimedRouter } from './router-timer.ts';
import type { HttpStream } from './stream.ts';
import { HOLD } from './stream-core.ts';
import { brokenResponseFlag, failureHeaders, RESET_TEXT, upstreamFailure } from './upstream-failure.ts';
import { countResponseHead } from './upstream-outcome.ts';

/**
 * The last filter: matches the stream with an upstream connection, sends the request there, and hands the response
 * back; tries again where the route says so, and gives up where time or the circuit breakers say so.
 */
export class Router implements UpstreamEvents, TimedRouter {
  private readonly stream: HttpStream;
  private entry: RouteEntry | undefined = undefined;
  private cluster: Cluster | undefined = undefined;
  private endpoint: Endpoint | undefined = undefined;
  private pool: HttpPool | undefined = undefined;
  private codec: UpstreamCodec | undefined = undefined;
  private acquiring = false;
  private reused = false;
  private active = false;
  private requestEnded = false;
  private trailers: HeaderMap | undefined = undefined;
  private headDone = false;
  private bodyStarted = false;
  private readonly retries = new RetryState();
  private freshTried = false;
  /** What was sent of the body, kept for another attempt; undefined when there will be none. */
  private replay: BodyCollector | undefined = undefined;
  /** Copies that wait for the end of the body. */
  private mirrors: MirroredRequest[] | undefined = undefined;
  private readonly routeTimer = new RouterTimer(this, ROUTER_TIME.ROUTE);
  private perTryTimer: RouterTimer | undefined = undefined;
  private perTryIdleTimer: RouterTimer | undefined = undefined;
  private backOffTimer: RouterTimer | undefined = undefined;
  /** For the whole response, counted from the end of the request; 0 is off. */
  private timeoutMs = 0;
  private perTryTimeoutMs = 0;
  private lastUpstreamMs = 0;
  private tunnel = false;
  private readonly flow = new FlowControl();

  constructor(stream: HttpStream) {
    this.stream = stream;
  }

  get upstreamHead(): ResponseHead {
    return this.stream.head;
  }

  get upstreamTrailers(): HeaderMap {
    return this.stream.trailers;
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
    this.freshTried = false;
    this.replay = undefined;
    this.mirrors = undefined;
    this.tunnel = false;
    this.flow.reset();
    manager.stats.rqTotal.inc();
    if (entry === undefined) {
      manager.stats.noRoute.inc();
      stream.sendLocalReply(404, '', FLAG.NR, 'route_not_found');
      return;
    }
    if (entry.redirect !== undefined || entry.directResponse !== undefined) {
      manager.stats.rqDirectResponse.inc();
      if (entry.redirect !== undefined) manager.stats.rqRedirect.inc();
      entry.answer(stream);
      return;
    }
    const clusterName = entry.pickCluster(request);
    const cluster = manager.clusters.get(clusterName);
    if (cluster === undefined) {
      manager.stats.noCluster.inc();
      stream.sendLocalReply(entry.clusterNotFoundStatus, '', FLAG.NC, 'cluster_not_found');
      return;
    }
    stream.upstreamCluster = clusterName;
    this.cluster = cluster;
    this.active = true;
    this.retries.begin(entry.retry);
    this.timeoutMs = entry.timeoutMs;
    this.perTryTimeoutMs = entry.retry === undefined ? 0 : entry.retry.perTryTimeoutMs;
    if (request.hasEnvoyHeaders) this.readEnvoyHeaders(request);
    if (this.retries.rules?.concerns(request) === false) this.retries.end();
    if (this.perTryTimeoutMs >= this.timeoutMs && this.timeoutMs > 0) this.perTryTimeoutMs = 0;
    tellTimeout(stream, this.timeoutMs, this.perTryTimeoutMs);
    entry.finalizeRequest(request, stream);
    if (entry.mirrors.length > 0) this.mirrors = copyForMirrors(stream, entry.mirrors, this.timeoutMs);
    const collected = stream.takeCollectedRequest();
    if (collected !== undefined) {
      // Trailers need chunks.
      stream.requestContentLength = stream.requestTrailers === undefined ? collected.length : -1;
      this.replay = new BodyCollector(Number.POSITIVE_INFINITY);
      this.replay.add(collected, 0, collected.length);
      this.requestEnded = true;
      this.trailers = stream.requestTrailers;
    } else if (!endStream && (this.retries.rules !== undefined || this.mirrors !== undefined)) {
      this.replay = new BodyCollector(manager.settings.bufferLimitBytes);
    }
    if (this.requestEnded) this.onRequestSent(nowMs());
    this.startAttempt(false);
  }

  /** What a trusted client asks for; these headers end here. */
  private readEnvoyHeaders(request: RequestHead): void {
    const timeoutMs = millisecondsOf(request.get('x-envoy-upstream-rq-timeout-ms'));
    const perTryMs = millisecondsOf(request.get('x-envoy-upstream-rq-per-try-timeout-ms'));
    request.remove('x-envoy-upstream-rq-timeout-ms');
    request.remove('x-envoy-upstream-rq-per-try-timeout-ms');
    if (timeoutMs !== undefined) this.timeoutMs = timeoutMs;
    if (perTryMs !== undefined) this.perTryTimeoutMs = perTryMs;
    this.retries.rules = RetryRules.withHeaders(this.retries.rules, request);
  }

  /** The whole request has come in: the route's time runs, and copies go out. */
  private onRequestSent(nowMs: number): void {
    if (this.timeoutMs > 0) timers.start(this.routeTimer, this.timeoutMs, nowMs);
    if (this.mirrors === undefined) return;
    const body = this.replay?.peek();
    for (const copy of this.mirrors) copy.send(body);
    this.mirrors = undefined;
  }

  /** Chooses an endpoint and asks its pool for a connection. */
  startAttempt(fresh: boolean): void {
    const { stream } = this;
    const cluster = this.cluster as Cluster;
    const entry = this.entry as RouteEntry;
    // One without an endpoint counts too, as in Envoy.
    const again = stream.upstreamAttemptCount++ > 0;
    const endpoint = this.retries.pick(cluster, entry.hash === undefined ? undefined : entry.hash(stream), stream);
    if (endpoint === undefined) {
      this.active = false;
      stream.sendLocalReply(503, 'no healthy upstream', FLAG.UH, 'no_healthy_upstream', failureHeaders(stream, false));
      return;
    }
    if (again) tellTimeout(stream, this.timeoutMs, this.perTryTimeoutMs);
    this.endpoint = endpoint;
    stream.upstreamHost = endpoint.address;
    if (stream.trace !== undefined) stream.trace.beginTry(stream);
    entry.rewriteHost?.(stream.request, endpoint.hostname);
    if (entry.includeAttemptCount) stream.request.set('x-envoy-attempt-count', String(stream.upstreamAttemptCount));
    this.pool = poolOf(cluster, endpoint, entry.priority, stream.request.protocol === 'HTTP/2', stream.connection);
    this.acquiring = true;
    this.pool.acquire(this, fresh);
    if (this.acquiring && !this.requestEnded) stream.holdRequest(HOLD.NOT_READY);
  }

  onUpstreamReady(codec: UpstreamCodec, reused: boolean): void {
    const { stream } = this;
    this.acquiring = false;
    this.codec = codec;
    this.reused = reused;
    const now = nowMs();
    this.endpoint?.failureMonitor?.onConnected();
    stream.upstreamLocalAddress = codec.localAddress;
    stream.upstreamTls = codec.tls;
    if (stream.upstreamTxBeginMs === 0) stream.upstreamTxBeginMs = now;
    if (stream.trace !== undefined) stream.trace.inject(stream.request, codec);
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
    if (this.retries.rules !== undefined || this.perTryTimeoutMs > 0) this.startTryTimers(now);
    if (endStream) {
      stream.upstreamTxEndMs = now;
      return;
    }
    if (body !== undefined && body.length > 0) codec.writeBody(body, 0, body.length, false);
    if (this.requestEnded) {
      // The upstream may have refused the body already.
      this.codec?.finish(this.trailers);
      stream.upstreamTxEndMs = nowMs();
    } else {
      stream.releaseRequest(HOLD.NOT_READY);
    }
  }

  /** A try's time runs from the end of the request, or from the begin of a later try. */
  private startTryTimers(nowMs: number): void {
    if (!this.requestEnded) return;
    if (this.perTryTimeoutMs > 0) {
      this.perTryTimer ??= new RouterTimer(this, ROUTER_TIME.PER_TRY);
      timers.start(this.perTryTimer, this.perTryTimeoutMs, nowMs);
    }
    const idleMs = this.retries.rules?.perTryIdleTimeoutMs ?? 0;
    if (idleMs > 0) {
      this.lastUpstreamMs = nowMs;
      this.perTryIdleTimer ??= new RouterTimer(this, ROUTER_TIME.PER_TRY_IDLE);
      timers.start(this.perTryIdleTimer, idleMs, nowMs);
    }
  }

  body(buffer: Buffer, start: number, end: number, stable: boolean): void {
    const { codec } = this;
    this.bodyStarted = true;
    if (codec === undefined) {
      // Between two attempts: what a filter let go of late belongs to the next one, however much it is.
      if (!this.active) return;
      this.replay ??= new BodyCollector(0);
      this.replay.keep(buffer, start, end);
      return;
    }
    if (this.replay !== undefined && !this.replay.add(buffer, start, end)) this.abandonReplay();
    codec.writeBody(buffer, start, end, stable);
  }

  /** The body is too large to keep: this attempt is the last one, and no copy is sent. */
  private abandonReplay(): void {
    this.replay = undefined;
    this.mirrors = undefined;
    this.retries.end();
    this.cluster?.stats.retryOrShadowAbandoned.inc();
  }

  end(trailers: HeaderMap | undefined): void {
    this.requestEnded = true;
    this.trailers = trailers;
    if (this.active && !this.tunnel) this.onRequestSent(nowMs());
    if (this.codec === undefined) return;
    if (this.active && !this.headDone) this.startTryTimers(nowMs());
    this.codec.finish(trailers);
    this.stream.upstreamTxEndMs = nowMs();
  }

  onUpstreamCongested(): void {
    this.flow.onUpstreamCongested(this.stream.manager.stats, (this.cluster as Cluster).stats);
    this.stream.holdRequest(HOLD.PEER);
  }

  onUpstreamDrain(): void {
    this.flow.onUpstreamDrain(this.stream.manager.stats, (this.cluster as Cluster).stats);
    this.stream.releaseRequest(HOLD.PEER);
  }

  // ── response: from the upstream connection ──

  onUpstreamInterim(head: ResponseHead): void {
    this.stream.onResponseInterim(head);
  }

  onUpstreamHead(head: ResponseHead, endStream: boolean, contentLength: number): void {
    const { stream } = this;
    const entry = this.entry as RouteEntry;
    tick();
    const now = nowMs();
    const cluster = this.cluster as Cluster;
    countResponseHead(cluster, this.endpoint as Endpoint, head, endStream, stream.isGrpc);
    if (endStream) this.codec = undefined;
    if (stream.trace !== undefined) stream.trace.onTryStatus(head.status);
    const { rules } = this.retries;
    if (rules !== undefined && this.tryAgain(rules.onResponse(head), rules.resetDelayMs(head))) return;
    this.headDone = true;
    if (this.mirrors === undefined) this.replay = undefined;
    if (this.perTryTimer !== undefined) timers.cancel(this.perTryTimer);
    this.lastUpstreamMs = now;
    if (entry.includeAttemptCountInResponse) head.set('x-envoy-attempt-count', String(stream.upstreamAttemptCount));
    stream.upstreamRxBeginMs = now;
    stream.responseCodeDetails = 'via_upstream';
    // Counted from the end of the request, so an answer to a part of it has none, nor one that ends in a tunnel.
    if (this.requestEnded && stream.request.upgrade === '' && !stream.manager.router.suppressEnvoyHeaders) {
      head.set('x-envoy-upstream-service-time', String(Math.trunc(now - stream.requestEndMs)));
    }
    stream.response = head;
    stream.responseCode = head.status;
    entry.finalizeResponse(head, stream);
    if (endStream) this.finished(now);
    stream.onResponseHead(head, endStream, contentLength);
  }

  onUpstreamBody(buffer: Buffer, start: number, end: number, stable: boolean): void {
    if (this.perTryIdleTimer !== undefined) this.lastUpstreamMs = nowMs();
    this.stream.onResponseBody(buffer, start, end, stable);
  }

  onUpstreamEnd(trailers: HeaderMap | undefined): void {
    // A tunnel's other direction goes on.
    if (!this.tunnel) this.codec = undefined;
    const { stream } = this;
    if (stream.isGrpc && stream.responseCode < 500)
      this.endpoint?.stats.countOutcome(isServerSuccess(trailers?.get('grpc-status')));
    this.finished(nowMs());
    stream.onResponseEnd(trailers);
  }

  /** The exchange is over: time counts no more. */
  private finished(now: number): void {
    const { stream } = this;
    this.active = false;
    this.retries.end();
    timers.cancel(this.routeTimer);
    if (this.perTryIdleTimer !== undefined) timers.cancel(this.perTryIdleTimer);
    stream.upstreamRxEndMs = now;
    if (stream.trace !== undefined) stream.trace.endTry(stream, 0);
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
    if (reason === 'remote_reset') cluster.stats.upstreamRqRxReset.inc();
    (this.endpoint as Endpoint).onReset(reason === 'overflow');
    if (stream.trace !== undefined) stream.trace.failTry(stream, RESET_TEXT[reason], brokenResponseFlag(reason));
    if (this.headDone) {
      this.active = false;
      stream.onUpstreamBroken(brokenResponseFlag(reason), `upstream_reset_after_response_started{${reason}}`);
      return;
    }
    const isKept = (!this.bodyStarted || this.replay !== undefined) && !this.tunnel;
    if (sent && !anyByte && isKept && !this.freshTried && wasNotServed(reason, this.reused, stream.request)) {
      this.freshTried = true;
      cluster.stats.upstreamRqRetry.inc();
      this.holdForNextAttempt();
      this.startAttempt(true);
      return;
    }
    const { rules } = this.retries;
    if (rules !== undefined && this.tryAgain(rules.onReset(reason, sent), undefined)) return;
    this.active = false;
    const reply = upstreamFailure(reason, failure, stream.upstreamAttemptCount > 1);
    stream.upstreamTransportFailureReason = reason === 'connection_failure' ? failure : '';
    cluster.stats.countResponse(reply.status);
    const overloaded = reason === 'overflow' && !stream.manager.router.suppressEnvoyHeaders;
    stream.sendLocalReply(reply.status, reply.body, reply.flag, reply.details, failureHeaders(stream, overloaded));
  }

  /** Tries again, after the back-off, when that is `wanted` and possible; the flags say why not. */
  private tryAgain(wanted: boolean, delayMs: number | undefined): boolean {
    const { stream } = this;
    switch (this.retries.decide(wanted, this.cluster as Cluster, (this.entry as RouteEntry).priority)) {
      case RETRY.AGAIN:
        break;
      case RETRY.LIMIT_EXCEEDED:
        stream.responseFlags |= FLAG.URX;
        return false;
      case RETRY.OVERFLOW:
        stream.responseFlags |= FLAG.UO;
        return false;
      default:
        return false;
    }
    this.dropExchange();
    if (this.perTryTimer !== undefined) timers.cancel(this.perTryTimer);
    if (this.perTryIdleTimer !== undefined) timers.cancel(this.perTryIdleTimer);
    this.holdForNextAttempt();
    const { stats } = this.cluster as Cluster;
    (delayMs === undefined ? stats.upstreamRqRetryBackoffExponential : stats.upstreamRqRetryBackoffRatelimited).inc();
    this.backOffTimer ??= new RouterTimer(this, ROUTER_TIME.BACK_OFF);
    const backOffMs = delayMs ?? (this.retries.rules as RetryRules).backOffMs(this.retries.count);
    timers.start(this.backOffTimer, Math.max(1, Math.ceil(backOffMs)));
    return true;
  }

  /** The rest of the body waits for the next connection, and for the last one no longer. */
  private holdForNextAttempt(): void {
    if (!this.requestEnded) this.stream.holdRequest(HOLD.NOT_READY);
    this.stream.releaseRequest(HOLD.PEER);
  }

  onBackOffOver(): void {
    if (this.active) this.startAttempt(false);
  }

  onPerTryTimeout(): void {
    if (!this.active || this.headDone) return;
    (this.cluster as Cluster).stats.upstreamRqPerTryTimeout.inc();
    (this.endpoint as Endpoint).onTimeout(this.codec !== undefined);
    const { rules } = this.retries;
    if (rules !== undefined && this.tryAgain(rules.onPerTryTimeout(), undefined)) return;
    this.giveUp(FLAG.UT, 'upstream_per_try_timeout');
  }

  onPerTryIdleTimeout(): void {
    const { rules } = this.retries;
    if (!this.active || rules === undefined) return;
    const quietMs = nowMs() - this.lastUpstreamMs;
    if (quietMs < rules.perTryIdleTimeoutMs) {
      timers.start(this.perTryIdleTimer as RouterTimer, rules.perTryIdleTimeoutMs - quietMs);
      return;
    }
    (this.cluster as Cluster).stats.upstreamRqPerTryIdleTimeout.inc();
    (this.endpoint as Endpoint).onTimeout(!this.headDone);
    if (!this.headDone && this.tryAgain(rules.onPerTryTimeout(), undefined)) return;
    this.giveUp(FLAG.UT, 'upstream_per_try_idle_timeout');
  }

  onRouteTimeout(): void {
    if (!this.active) return;
    (this.cluster as Cluster).stats.upstreamRqTimeout.inc();
    (this.endpoint as Endpoint).onTimeout(!this.headDone && this.codec !== undefined);
    this.giveUp(FLAG.UT, 'response_timeout');
  }

  private giveUp(flag: number, details: string): void {
    const { stream } = this;
    this.dropExchange();
    this.active = false;
    if (this.headDone) {
      stream.onUpstreamBroken(flag, details);
      return;
    }
    (this.cluster as Cluster).stats.countResponse(504);
    stream.sendLocalReply(504, 'upstream request timeout', flag, details, failureHeaders(stream, false));
  }

  /** Lets go of the connection or of the place in its queue. */
  private dropExchange(): void {
    if (this.stream.trace !== undefined) this.stream.trace.cancelTry(this.stream);
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
    this.retries.end();
    timers.cancel(this.routeTimer);
    if (this.perTryTimer !== undefined) timers.cancel(this.perTryTimer);
    if (this.perTryIdleTimer !== undefined) timers.cancel(this.perTryIdleTimer);
    if (this.backOffTimer !== undefined) timers.cancel(this.backOffTimer);
  }

  pause(): void {
    this.flow.onResponsePaused(this.stream.codec.congested, this.cluster?.stats);
    this.codec?.pauseResponse();
  }

  resume(): void {
    this.flow.onResponseResumed(this.cluster?.stats);
    this.codec?.resumeResponse();
  }

  switchToTunnel(): void {
    this.tunnel = true;
    this.requestEnded = false;
    this.replay = undefined;
    this.mirrors = undefined;
    this.retries.end();
    timers.cancel(this.routeTimer);
    if (this.perTryIdleTimer !== undefined) timers.cancel(this.perTryIdleTimer);
    this.codec?.switchToTunnel();
  }
}
