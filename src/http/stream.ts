import type { BodyHookResult, HookResult } from '../filter/http.ts';
import { PendingVerdict } from '../filter/pending-verdict.ts';
import type { BufferBody, Verdict } from '../filter/verdict.ts';
import { nowMs, tick } from '../network/clock.ts';
import type { ConnectionInfo } from '../observe/stream-info.ts';
import { BodyCollector } from './body-collector.ts';
import type { DownstreamEvents } from './codec.ts';
import { type ConfiguredFilter, type FilterChain, joinChains } from './filter-chain.ts';
import { isGrpcContentType } from './grpc/content-type.ts';
import type { HeaderMap } from './headers.ts';
import type { HeadError } from './http1/head-parser.ts';
import { mutateRequest } from './request-mutations.ts';
import { FLAG } from './response-flags.ts';
import { ResponsePath } from './response-path.ts';
import { Router } from './router.ts';
import { STATUS_TEXT } from './status-text.ts';
import { HOLD } from './stream-core.ts';

const EMPTY = Buffer.alloc(0);

/**
 * One request and its response on their way through the filter chain: from the downstream codec through the request
 * hooks to the router, and from there, by `ResponsePath`, back to the codec.
 *
 * The object serves one request after the other, of any connection of its manager with HTTP/1 and of one with HTTP/2,
 * unless a filter took a promise of it.
 */
export class HttpStream extends ResponsePath implements DownstreamEvents {
  /** Bytes of the request's body: -1 unknown, 0 none. Set by the codec. */
  requestContentLength = 0;
  /** The request's head is with the router. */
  private routed = false;
  private requestCollectorNext = 0;
  /** The body that a filter asked for as a whole; it follows the head to the router. */
  private collectedRequest: Buffer | undefined = undefined;
  protected override readonly router: Router = new Router(this);

  /** Ready for the next request. */
  reset(): void {
    this.clear();
    this.responseHead.wire.clear();
    this.routeEntry = undefined;
    this.chain = this.manager.baseChain;
    this.isGrpc = false;
    this.isUpgrade = false;
    this.routed = false;
    this.requestComplete = false;
    this.requestHold = 0;
    this.responseHold = 0;
    this.requestWait = undefined;
    this.responseWait = undefined;
    this.requestEndWaits = false;
    this.responseEndWaits = false;
    this.upgradeCounted = false;
    this.responseStarted = false;
    this.responseHeadSent = false;
    this.responseLength = -1;
    this.routeCleared = false;
    this.deniedBy = '';
    this.responseCookies = undefined;
    this.requestCollector = undefined;
    this.responseCollector = undefined;
    this.collectedRequest = undefined;
    this.collectedResponse = undefined;
    this.localBody = undefined;
    this.replied = false;
    this.responseEnded = false;
    this.abort = undefined;
  }

  /** The next request is one of another connection. */
  serveConnection(connection: ConnectionInfo): void {
    this.connection = connection;
    this.remoteAddress = connection.remoteAddress;
  }

  private begin(): void {
    this.completed = false;
    tick();
    this.startMs = nowMs();
    // A custom filter may have been replaced since the last request.
    this.chain = this.manager.baseChain;
    const { stats } = this.manager;
    stats.downstreamRqTotal.inc();
    if (this.request.protocol === 'HTTP/2') stats.downstreamRqHttp2Total.inc();
    else stats.downstreamRqHttp1Total.inc();
    stats.downstreamRqActive.inc();
    this.times.begin(this.startMs);
  }

  onRequestHead(endStream: boolean): void {
    this.requestComplete = endStream;
    this.begin();
    if (endStream) this.requestEndMs = this.startMs;
    const contentType = this.request.indexOf('content-type');
    this.isGrpc = contentType >= 0 && isGrpcContentType(this.request.valueAt(contentType));
    if (this.manager.overload.stopsRequests) {
      this.manager.stats.downstreamRqOverloadClose.inc();
      this.sendLocalReply(503, 'envoy overloaded', 0, 'overload');
      return;
    }
    const refusal = mutateRequest(this);
    if (refusal !== undefined) {
      this.sendReply(refusal);
      return;
    }
    this.matchRoute();
    const { tracing } = this.manager;
    if (tracing !== undefined) this.trace = tracing.start(this, this.routeEntry?.traceRules);
    if (this.routeEntry !== undefined) this.chain = (this.routeEntry.chain as FilterChain | undefined) ?? this.chain;
    if ((this.request.upgrade !== '' || this.request.method === 'CONNECT') && !this.admitUpgrade()) return;
    if (this.request.expectContinue && !this.manager.settings.proxy100Continue) {
      this.request.expectContinue = false;
      this.request.remove('expect');
      this.codec.writeInterim(100, undefined);
    }
    this.runRequestHooks(0);
  }

  private matchRoute(): void {
    this.routeCleared = false;
    const left = this.routeEntry;
    const entry = this.manager.routes.match(this.request, this);
    this.routeEntry = entry;
    this.routeName = entry?.name ?? '';
    this.virtualHostName = entry?.virtualHostName ?? '';
    // Those of a route that was left hold no more.
    if (entry !== undefined && (entry.changesStreamTimes || left?.changesStreamTimes === true)) this.times.adopt(entry);
  }

  /** The filters behind the one that asked for it are those of the new route: its policies decide over what is left. */
  private changeRoute(order: number): void {
    this.matchRoute();
    const next = (this.routeEntry?.chain as FilterChain | undefined) ?? this.manager.baseChain;
    this.chain = joinChains(this.chain, order, next);
  }

  /** The route decides over an upgrade, else the manager. False: it was refused. */
  private admitUpgrade(): boolean {
    const { stats, settings } = this.manager;
    const type = this.request.method === 'CONNECT' ? 'connect' : this.request.upgrade;
    if (this.routeEntry?.upgrades.get(type) ?? settings.upgrades.has(type)) {
      this.isUpgrade = true;
      this.upgradeCounted = true;
      stats.downstreamCxUpgradesTotal.inc();
      stats.downstreamCxUpgradesActive.inc();
      return true;
    }
    stats.downstreamRqWsOnNonWsRoute.inc();
    this.sendLocalReply(403, '', 0, 'upgrade_failed');
    return false;
  }

  private runRequestHooks(from: number): void {
    let hooks = this.chain.request;
    let i = from;
    try {
      for (; i < hooks.length; i++) {
        if (this.routeCleared) {
          this.changeRoute((hooks[i - 1] as ConfiguredFilter).order);
          hooks = this.chain.request;
          if (i === hooks.length) break;
        }
        const filter = hooks[i] as (typeof hooks)[number];
        let result = filter.hooks.onRequest(this.request, this);
        if (result instanceof PendingVerdict && result.isSettled) result = result.take();
        if (result === undefined) continue;
        if (result instanceof Promise || result instanceof PendingVerdict) {
          const index = i;
          this.waitFor<HookResult>(result, filter, (settled) => this.afterRequestHook(settled, index));
          return;
        }
        if (result.kind !== 'continue' && !this.obeyRequestVerdict(result, i)) return;
      }
    } catch (error) {
      if (this.filterFailed(hooks[i] as ConfiguredFilter, error)) this.runRequestHooks(i + 1);
      return;
    }
    if (hooks.length > 0) tick();
    this.requestHeadDone();
  }

  private afterRequestHook(result: HookResult, index: number): void {
    if (result !== undefined && result.kind !== 'continue' && !this.obeyRequestVerdict(result, index)) return;
    this.runRequestHooks(index + 1);
  }

  /** True when the chain goes on at once. */
  private obeyRequestVerdict(verdict: Verdict, index: number): boolean {
    if (verdict.kind === 'buffer') return this.bufferRequest(verdict, index);
    this.deniedBy = (this.chain.request[index] as ConfiguredFilter).name;
    return this.obey(verdict);
  }

  private bufferRequest(verdict: BufferBody, index: number): boolean {
    if (this.requestComplete || this.isUpgrade) return true;
    if (this.requestContentLength > verdict.maxBytes) {
      this.sendTooLarge();
      return false;
    }
    this.requestCollector = new BodyCollector(verdict.maxBytes);
    this.requestCollectorNext = index + 1;
    this.requestWait = undefined;
    this.releaseRequest(HOLD.FILTER);
    return false;
  }

  private sendTooLarge(): void {
    this.manager.stats.downstreamRqTooLarge.inc();
    this.sendLocalReply(413, 'Payload Too Large', 0, 'request_payload_too_large');
  }

  private requestHeadDone(): void {
    if (this.completed || this.responseStarted) return;
    const collected = this.collectedRequest;
    if (collected === undefined) this.startRouting();
    else if (this.chain.requestBody.length > 0) this.runRequestBodyHooks(0, collected, true, false);
    else this.collectedRequestDone(collected);
  }

  /** The body that was collected has passed its hooks; head and body go to the router together. */
  private collectedRequestDone(body: Buffer): void {
    this.collectedRequest = body;
    this.runRequestTrailersHooks();
    if (!this.completed && !this.responseStarted) this.startRouting();
  }

  private startRouting(): void {
    if (this.routeCleared) this.matchRoute();
    this.routed = true;
    // An end that came while a hook was waited for is passed on behind it, with what filters and the client add to it.
    const ended = this.requestComplete && !this.requestEndWaits;
    if (!ended && !this.isUpgrade && this.chain.changesRequestBodyOf(this)) this.requestContentLength = -1;
    this.router.start(ended);
  }

  onRequestBody(buffer: Buffer, start: number, end: number, stable: boolean): void {
    this.bytesReceived += end - start;
    if (this.completed || this.replied) return;
    if (this.requestCollector !== undefined) {
      if (!this.requestCollector.add(buffer, start, end)) {
        this.requestCollector = undefined;
        this.sendTooLarge();
      }
      return;
    }
    this.times.lastActivityMs = nowMs();
    if (this.chain.requestBody.length === 0) this.router.body(buffer, start, end, stable);
    else this.runRequestBodyHooks(0, buffer.subarray(start, end), false, stable);
  }

  onRequestEnd(trailers: HeaderMap | undefined): void {
    this.requestComplete = true;
    this.requestEndMs = nowMs();
    this.requestTrailers = trailers;
    if (this.completed || this.replied) return;
    if (this.requestWait !== undefined) {
      // A body hook still has the last chunk.
      this.requestEndWaits = true;
      return;
    }
    const collector = this.requestCollector;
    if (collector !== undefined) {
      this.requestCollector = undefined;
      this.collectedRequest = collector.peek();
      this.runRequestHooks(this.requestCollectorNext);
      return;
    }
    if (this.routed) this.passRequestEnd();
  }

  protected override passRequestEnd(): void {
    if (this.chain.requestBody.length === 0) this.endRequest();
    else this.runRequestBodyHooks(0, EMPTY, true, false);
  }

  private runRequestBodyHooks(from: number, chunk: Buffer, end: boolean, stable: boolean): void {
    const hooks = this.chain.requestBody;
    let bytes = chunk;
    for (let i = from; i < hooks.length; i++) {
      const filter = hooks[i] as (typeof hooks)[number];
      let result: BodyHookResult | Promise<BodyHookResult>;
      try {
        result = filter.hooks.onRequestBody(bytes, end, this);
      } catch (error) {
        if (!this.filterFailed(filter, error)) return;
        continue;
      }
      if (result === undefined) continue;
      if (result instanceof Promise) {
        const kept = Buffer.from(bytes);
        this.waitFor(result, filter, (settled) => {
          const next = this.bodyAfter(settled, kept);
          if (next !== undefined) this.runRequestBodyHooks(i + 1, next, end, false);
        });
        return;
      }
      const next = this.bodyAfter(result, bytes);
      if (next === undefined) return;
      if (next !== bytes) stable = false;
      bytes = next;
    }
    if (this.completed) return;
    if (!this.routed) {
      this.collectedRequestDone(bytes);
      return;
    }
    if (bytes.length > 0) this.router.body(bytes, 0, bytes.length, stable);
    if (end) this.endRequest();
  }

  private endRequest(): void {
    this.runRequestTrailersHooks();
    if (!this.completed) this.router.end(this.requestTrailers);
  }

  private runRequestTrailersHooks(): void {
    if (this.requestTrailers === undefined) return;
    for (const filter of this.chain.requestTrailers) {
      try {
        filter.hooks.onRequestTrailers(this.requestTrailers, this);
      } catch (error) {
        if (!this.filterFailed(filter, error)) return;
      }
    }
  }

  /** For the router: the body that was collected before it started. */
  takeCollectedRequest(): Buffer | undefined {
    const body = this.collectedRequest;
    this.collectedRequest = undefined;
    return body;
  }

  onDownstreamReset(details: string, protocolError: boolean): void {
    if (this.completed) return;
    if (protocolError && !this.responseStarted) {
      this.responseFlags |= FLAG.DPE;
      this.sendLocalReply(400, 'Bad Request', FLAG.DPE, details);
      return;
    }
    this.responseFlags |= protocolError ? FLAG.DPE : FLAG.DC;
    this.responseCodeDetails = details;
    this.manager.stats.downstreamRqRxReset.inc();
    this.codec.resetStream();
    this.complete();
  }

  /** The client, or its codec, gave this stream up: nobody hears an answer. `flag` says which of them. */
  onDownstreamGone(flag: number, details: string): void {
    if (this.completed) return;
    this.responseFlags |= flag;
    this.responseCodeDetails = details;
    this.manager.stats.downstreamRqRxReset.inc();
    this.complete();
  }

  /** A request that broke its protocol before anything of it was known; it was reset already. */
  onMalformedRequest(details: string): void {
    this.begin();
    this.onDownstreamGone(FLAG.DPE, details);
  }

  onDownstreamDrain(): void {
    this.releaseResponse(HOLD.PEER);
  }

  onDownstreamCongested(): void {
    this.holdResponse(HOLD.PEER);
  }

  /** A head that could not be read. */
  onInvalidRequest(error: HeadError): void {
    this.begin();
    this.requestComplete = true;
    if (error.wellFormed) this.sendLocalReply(error.status, '', 0, error.details);
    else this.sendLocalReply(error.status, STATUS_TEXT[error.status] ?? '', FLAG.DPE, error.details);
  }

  /** The connection ended within a head. */
  onUnfinishedRequest(): void {
    this.begin();
    this.onDownstreamReset('downstream_remote_disconnect', false);
  }

  onRequestHeaderTimeout(): void {
    this.begin();
    this.requestComplete = true;
    this.sendLocalReply(408, 'request header timeout', 0, 'request_header_timeout');
  }
}
