import type { BodyHookResult, HttpStream as FilterStream, HookResult, RouteView } from '../filter/http.ts';
import type { BufferBody, Reply, Verdict } from '../filter/verdict.ts';
import { toWireText } from '../matching/wire-text.ts';
import type { ConnectionInfo } from '../observe/stream-info.ts';
import { BodyCollector } from './body-collector.ts';
import type { DownstreamCodec, DownstreamEvents } from './codec.ts';
import type { ConnectionManager } from './connection-manager.ts';
import type { ConfiguredFilter, FilterChain } from './filter-chain.ts';
import type { HeaderMap } from './headers.ts';
import type { HeadError } from './http1/head-parser.ts';
import { localReplyHead } from './local-reply.ts';
import { RequestHead, ResponseHead } from './message.ts';
import { mutateRequest } from './request-mutations.ts';
import { FLAG } from './response-flags.ts';
import { mutateResponse } from './response-mutations.ts';
import type { RouteEntry } from './route/route-entry.ts';
import { Router } from './router.ts';
import { STATUS_TEXT } from './status-text.ts';
import { StreamRecord } from './stream-record.ts';
import { StreamTimes, type TimedStream } from './stream-times.ts';

/** Who holds a body back. The source reads on when nobody does. */
export const HOLD = { FILTER: 1, PEER: 2, NOT_READY: 4 } as const;

const EMPTY = Buffer.alloc(0);

/**
 * One request and its response on their way through the filter chain: from the downstream codec through the request
 * hooks to the router, and from there through the response hooks, in reverse, back to the codec.
 *
 * The object serves one request after the other of its connection, unless a filter took a promise of it.
 */
export class HttpStream extends StreamRecord implements FilterStream, DownstreamEvents, TimedStream {
  readonly manager: ConnectionManager;
  override readonly request: RequestHead = new RequestHead();
  /** Head that the response is built in; `response` is undefined until there is one. */
  private readonly responseHead: ResponseHead = new ResponseHead();
  codec!: DownstreamCodec;
  chain: FilterChain;
  routeEntry: RouteEntry | undefined = undefined;
  isGrpc = false;
  /** An upgrade or CONNECT that is allowed; false again once the upstream declined it. */
  isUpgrade = false;
  /** Bytes of the request's body: -1 unknown, 0 none. Set by the codec. */
  requestContentLength = 0;
  /** A promise of a filter was waited for: the object is not used again. */
  usedAsync = false;
  private readonly router: Router;
  private readonly times: StreamTimes;
  /** The request's head is with the router. */
  private routed = false;
  requestComplete = false;
  private requestHold = 0;
  private responseHold = 0;
  /** The promise of a hook that holds the request, or the response; what another one brings is too late. */
  private requestWait: Promise<unknown> | undefined = undefined;
  private responseWait: Promise<unknown> | undefined = undefined;
  /** The source ended while a body hook was waited for. */
  private requestEndWaits = false;
  private responseEndWaits = false;
  /** Counted among the active upgrades. */
  private upgradeCounted = false;
  private responseStarted = false;
  private responseHeadSent = false;
  private responseLength = -1;
  private completed = true;
  private routeCleared = false;
  private requestCollector: BodyCollector | undefined = undefined;
  private requestCollectorNext = 0;
  private responseCollector: BodyCollector | undefined = undefined;
  private responseCollectorNext = 0;
  private responseCookies: string[] | undefined = undefined;
  private abort: AbortController | undefined = undefined;
  /** Name of the filter that answered the request or ended it; '' when none did. */
  private deniedBy = '';

  constructor(manager: ConnectionManager, connection: ConnectionInfo) {
    super(connection);
    this.manager = manager;
    this.chain = manager.baseChain;
    this.router = new Router(this);
    this.times = new StreamTimes(this, manager.settings);
  }

  /** Ready for the next request. */
  reset(): void {
    this.clear();
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

  get route(): RouteView | undefined {
    return this.routeEntry?.view;
  }

  get signal(): AbortSignal {
    this.abort ??= new AbortController();
    return this.abort.signal;
  }

  /** A cookie that the route's hash policy wants the client to keep. */
  addResponseCookie(setCookie: string): void {
    this.responseCookies ??= [];
    this.responseCookies.push(setCookie);
  }

  clearRouteCache(): void {
    this.routeCleared = true;
  }

  // ── request: from the codec ──

  private begin(): void {
    this.completed = false;
    this.startMs = performance.now();
    // A custom filter may have been replaced since the last request.
    this.chain = this.manager.baseChain;
    const { stats } = this.manager;
    stats.downstreamRqTotal.inc();
    stats.downstreamRqHttp1Total.inc();
    stats.downstreamRqActive.inc();
    this.times.begin(this.startMs);
  }

  onRequestHead(endStream: boolean): void {
    this.requestComplete = endStream;
    this.begin();
    if (endStream) this.requestEndMs = this.startMs;
    const refusal = mutateRequest(this);
    if (refusal !== undefined) {
      this.sendReply(refusal);
      return;
    }
    const contentType = this.request.indexOf('content-type');
    this.isGrpc = contentType >= 0 && this.request.valueAt(contentType).startsWith('application/grpc');
    this.matchRoute();
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
    const entry = this.manager.routes.match(this.request, this);
    this.routeEntry = entry;
    this.routeName = entry?.name ?? '';
    this.virtualHostName = entry?.virtualHostName ?? '';
    if (entry?.changesStreamTimes === true) this.times.adopt(entry);
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
    const hooks = this.chain.request;
    let i = from;
    try {
      for (; i < hooks.length; i++) {
        const filter = hooks[i] as (typeof hooks)[number];
        const result = filter.hooks.onRequest(this.request, this);
        if (result === undefined) continue;
        if (result instanceof Promise) {
          const index = i;
          this.waitFor(result, filter, (settled) => this.afterRequestHook(settled, index));
          return;
        }
        if (result.kind !== 'continue' && !this.obeyRequestVerdict(result, i)) return;
      }
    } catch (error) {
      if (this.filterFailed(hooks[i] as ConfiguredFilter, error)) this.runRequestHooks(i + 1);
      return;
    }
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

  private obey(verdict: Verdict): boolean {
    if (this.completed) return false;
    switch (verdict.kind) {
      case 'reply':
        this.sendReply(verdict);
        return false;
      case 'stop':
        this.endWithoutAnswer(verdict.flag === undefined ? 0 : FLAG[verdict.flag], verdict.details);
        return false;
      default:
        return true;
    }
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
    if (this.chain.changesRequestBody && !this.requestComplete && !this.isUpgrade) this.requestContentLength = -1;
    this.router.start(this.requestComplete);
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
    this.times.lastActivityMs = performance.now();
    if (this.chain.requestBody.length === 0) this.router.body(buffer, start, end, stable);
    else this.runRequestBodyHooks(0, buffer.subarray(start, end), false, stable);
  }

  onRequestEnd(trailers: HeaderMap | undefined): void {
    this.requestComplete = true;
    this.requestEndMs = performance.now();
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

  private passRequestEnd(): void {
    if (this.chain.requestBody.length === 0) this.endRequest();
    else this.runRequestBodyHooks(0, EMPTY, true, false);
  }

  /** The body that a filter asked for as a whole; it follows the head to the router. */
  private collectedRequest: Buffer | undefined = undefined;

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

  /** What goes on after a body hook: the same bytes, others, or undefined when the stream ended. */
  private bodyAfter(result: BodyHookResult, bytes: Buffer): Buffer | undefined {
    if (result === undefined) return bytes;
    if (result instanceof Uint8Array) return Buffer.from(result.buffer, result.byteOffset, result.byteLength);
    return this.obey(result) ? bytes : undefined;
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

  holdRequest(reason: number): void {
    if (this.requestHold === 0) this.codec.pauseRequest();
    this.requestHold |= reason;
  }

  releaseRequest(reason: number): void {
    if (this.requestHold === 0) return;
    this.requestHold &= ~reason;
    if (this.requestHold === 0 && !this.completed) this.codec.resumeRequest();
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
    this.sendLocalReply(408, 'request headers timeout', 0, 'request_header_timeout');
  }

  // ── response: from the router ──

  /** The upstream's head, after the route's own changes. `head` must be `responseHead` of this stream. */
  onResponseHead(head: ResponseHead, endStream: boolean, contentLength: number): void {
    this.responseStarted = true;
    if (this.isUpgrade && !this.opensTunnel(head.status)) this.isUpgrade = false;
    this.response = head;
    this.responseCode = head.status;
    this.responseLength = endStream ? 0 : contentLength;
    this.responseEnded = endStream;
    this.runResponseHooks(0);
  }

  private opensTunnel(status: number): boolean {
    return this.isUpgrade && (status === 101 || (this.request.method === 'CONNECT' && status >= 200 && status < 300));
  }

  /** The source of the response has nothing more to say. */
  private responseEnded = false;

  private runResponseHooks(from: number): void {
    const hooks = this.chain.response;
    const head = this.response as ResponseHead;
    let i = from;
    try {
      for (; i < hooks.length; i++) {
        const filter = hooks[i] as (typeof hooks)[number];
        const result = filter.hooks.onResponse(head, this);
        if (result === undefined) continue;
        if (result instanceof Promise) {
          const index = i;
          this.waitFor(result, filter, (settled) => this.afterResponseHook(settled, index), true);
          return;
        }
        if (result.kind !== 'continue' && !this.obeyResponseVerdict(result, i)) return;
      }
    } catch (error) {
      if (this.filterFailed(hooks[i] as ConfiguredFilter, error)) this.runResponseHooks(i + 1);
      return;
    }
    this.responseHeadDone();
  }

  private afterResponseHook(result: HookResult, index: number): void {
    if (result !== undefined && result.kind !== 'continue' && !this.obeyResponseVerdict(result, index)) return;
    this.runResponseHooks(index + 1);
  }

  private obeyResponseVerdict(verdict: Verdict, index: number): boolean {
    if (verdict.kind !== 'buffer') return this.obey(verdict);
    if (this.responseEnded || this.isUpgrade) return true;
    if (this.localBody !== undefined) {
      this.collectedResponse = this.localBody;
      this.localBody = undefined;
      this.responseEnded = true;
      return true;
    }
    this.responseCollector = new BodyCollector(verdict.maxBytes);
    this.responseCollectorNext = index + 1;
    return false;
  }

  private responseHeadDone(): void {
    if (this.completed) return;
    const head = this.response as ResponseHead;
    const collected = this.collectedResponse;
    if (collected !== undefined) {
      this.collectedResponse = undefined;
      this.runResponseBodyHooks(0, collected, true, false);
      return;
    }
    if (this.chain.changesResponseBody && !this.responseEnded && !this.isUpgrade) this.responseLength = -1;
    const body = this.localBody;
    this.sendResponseHead(head, this.responseEnded);
    if (body === undefined || this.completed) return;
    this.localBody = undefined;
    this.onResponseBody(body, 0, body.length, false);
    this.onResponseEnd(undefined);
  }

  private collectedResponse: Buffer | undefined = undefined;

  private sendResponseHead(head: ResponseHead, endStream: boolean): void {
    if (this.isUpgrade ? !this.opensTunnel(head.status) : !isFinalStatus(head.status)) {
      this.manager.log.warn('a filter left a response that cannot be sent', { status: head.status });
      this.sendLocalReply(500, 'Internal Server Error', 0, 'invalid_response_from_filter');
      return;
    }
    this.responseHeadSent = true;
    mutateResponse(this, head);
    if (this.responseCookies !== undefined) for (const cookie of this.responseCookies) head.add('set-cookie', cookie);
    this.responseCode = head.status;
    this.downstreamTxBeginMs = performance.now();
    if (this.isUpgrade) {
      this.codec.writeHead(head, false, -1);
      this.beginTunnel();
      return;
    }
    // With `endStream` the codec completes the stream.
    this.codec.writeHead(head, endStream, this.responseLength);
  }

  private beginTunnel(): void {
    this.requestComplete = false;
    this.router.switchToTunnel();
    this.codec.switchToTunnel();
  }

  onResponseBody(buffer: Buffer, start: number, end: number, stable: boolean): void {
    if (this.completed) return;
    if (this.responseCollector !== undefined) {
      if (!this.responseCollector.add(buffer, start, end)) {
        this.sendLocalReply(500, 'Internal Server Error', 0, 'response_payload_too_large');
      }
      return;
    }
    this.times.lastActivityMs = performance.now();
    if (this.chain.responseBody.length === 0) this.writeBody(buffer, start, end, stable);
    else this.runResponseBodyHooks(0, buffer.subarray(start, end), false, stable);
  }

  private writeBody(buffer: Buffer, start: number, end: number, stable: boolean): void {
    this.bytesSent += end - start;
    this.codec.writeBody(buffer, start, end, stable);
  }

  onResponseEnd(trailers: HeaderMap | undefined): void {
    if (this.completed) return;
    this.responseEnded = true;
    this.responseTrailers = trailers;
    if (this.responseWait !== undefined) {
      // A body hook still has the last chunk.
      this.responseEndWaits = true;
      return;
    }
    const collector = this.responseCollector;
    if (collector !== undefined) {
      this.responseCollector = undefined;
      this.collectedResponse = collector.peek();
      this.runResponseHooks(this.responseCollectorNext);
      return;
    }
    this.passResponseEnd();
  }

  private passResponseEnd(): void {
    if (this.chain.responseBody.length === 0) this.finishResponse();
    else this.runResponseBodyHooks(0, EMPTY, true, false);
  }

  private runResponseBodyHooks(from: number, chunk: Buffer, end: boolean, stable: boolean): void {
    const hooks = this.chain.responseBody;
    let bytes = chunk;
    for (let i = from; i < hooks.length; i++) {
      const filter = hooks[i] as (typeof hooks)[number];
      let result: BodyHookResult | Promise<BodyHookResult>;
      try {
        result = filter.hooks.onResponseBody(bytes, end, this);
      } catch (error) {
        if (!this.filterFailed(filter, error)) return;
        continue;
      }
      if (result === undefined) continue;
      if (result instanceof Promise) {
        const kept = Buffer.from(bytes);
        this.waitFor(
          result,
          filter,
          (settled) => {
            const next = this.bodyAfter(settled, kept);
            if (next !== undefined) this.runResponseBodyHooks(i + 1, next, end, false);
          },
          true,
        );
        return;
      }
      const next = this.bodyAfter(result, bytes);
      if (next === undefined) return;
      if (next !== bytes) stable = false;
      bytes = next;
    }
    if (this.completed) return;
    if (!this.responseHeadSent) {
      // The whole body was collected: its length is known again. Trailers need chunks.
      this.responseLength = this.responseTrailers === undefined ? bytes.length : -1;
      this.sendResponseHead(this.response as ResponseHead, bytes.length === 0 && this.responseTrailers === undefined);
      if (this.completed) return;
    }
    if (bytes.length > 0) this.writeBody(bytes, 0, bytes.length, stable);
    if (end) this.finishResponse();
  }

  private finishResponse(): void {
    if (this.completed) return;
    if (this.responseTrailers !== undefined) {
      for (const filter of this.chain.responseTrailers) {
        try {
          filter.hooks.onResponseTrailers(this.responseTrailers, this);
        } catch (error) {
          if (!this.filterFailed(filter, error)) return;
        }
      }
    }
    this.codec.finish(this.responseTrailers);
  }

  onResponseInterim(head: ResponseHead): void {
    if (this.manager.settings.proxy100Continue && !this.completed && !this.responseHeadSent)
      this.codec.writeInterim(head.status, head);
  }

  /** The upstream failed after its head went out: the client must not take what it got for a whole. */
  onUpstreamBroken(flag: number, details: string): void {
    this.endWithoutAnswer(flag, details);
  }

  holdResponse(reason: number): void {
    if (this.responseHold === 0) this.router.pause();
    this.responseHold |= reason;
  }

  releaseResponse(reason: number): void {
    if (this.responseHold === 0) return;
    this.responseHold &= ~reason;
    if (this.responseHold === 0 && !this.completed) this.router.resume();
  }

  // ── replies of our own ──

  sendReply(reply: Reply): void {
    this.sendLocalReply(
      reply.status,
      toWireText(reply.body),
      reply.flag === undefined ? 0 : FLAG[reply.flag],
      reply.details,
      reply.headers,
      reply.grpcStatus,
    );
  }

  /** Answers here. After a response has begun nothing can be said any more: the stream is reset. */
  sendLocalReply(
    status: number,
    body: string,
    flag: number,
    details: string,
    headers?: Readonly<Record<string, string>>,
    grpcStatus?: number,
  ): void {
    if (this.completed) return;
    if (this.responseHeadSent) {
      this.endWithoutAnswer(flag, details);
      return;
    }
    this.router.cancel();
    this.responseFlags |= flag;
    this.responseCodeDetails = details;
    const text = localReplyHead(this, this.responseHead, status, body, headers, grpcStatus);
    const bytes = Buffer.from(text, 'latin1');
    const hasBody = bytes.length > 0 && this.request.method !== 'HEAD';
    // Whatever hooks still wait for, of the request or of an answer that this one replaces, comes too late.
    this.requestWait = undefined;
    this.responseWait = undefined;
    this.responseHold &= ~HOLD.FILTER;
    this.responseEndWaits = false;
    this.requestCollector = undefined;
    this.responseCollector = undefined;
    this.collectedResponse = undefined;
    this.responseTrailers = undefined;
    this.replied = true;
    this.isUpgrade = false;
    if (this.responseStarted) {
      this.sendDirectly(bytes, hasBody);
      return;
    }
    this.localBody = hasBody ? bytes : undefined;
    this.onResponseHead(this.responseHead, !hasBody, bytes.length);
  }

  /** An answer in place of one that response hooks have begun to see: they see no second one (as in Envoy). */
  private sendDirectly(bytes: Buffer, hasBody: boolean): void {
    this.localBody = undefined;
    this.response = this.responseHead;
    this.responseLength = bytes.length;
    this.responseEnded = true;
    if (!isFinalStatus(this.responseHead.status)) this.responseHead.status = 500;
    this.sendResponseHead(this.responseHead, !hasBody);
    if (!hasBody || this.completed) return;
    this.writeBody(bytes, 0, bytes.length, false);
    this.codec.finish(undefined);
  }

  /** Body of a local reply, which follows its head through the response hooks. */
  private localBody: Buffer | undefined = undefined;
  private replied = false;

  /** The head that upstream codec and local replies fill. */
  get head(): ResponseHead {
    return this.responseHead;
  }

  private endWithoutAnswer(flag: number, details: string): void {
    if (this.completed) return;
    this.responseFlags |= flag;
    this.responseCodeDetails = details;
    this.manager.stats.downstreamRqTxReset.inc();
    this.codec.resetStream();
    this.complete();
  }

  // ── promises, failures, time, the end ──

  private waitFor<T>(
    promise: Promise<T>,
    filter: ConfiguredFilter,
    then: (value: T | undefined) => void,
    response = false,
  ): void {
    this.usedAsync = true;
    if (response) {
      this.responseWait = promise;
      this.holdResponse(HOLD.FILTER);
    } else {
      this.requestWait = promise;
      this.holdRequest(HOLD.FILTER);
    }
    const settle = (failed: boolean, outcome: unknown): void => {
      clearTimeout(limit);
      if (this.completed || (response ? this.responseWait : this.requestWait) !== promise) return;
      try {
        if (failed && !this.filterFailed(filter, outcome)) return;
        then(failed ? undefined : (outcome as T));
      } catch (error) {
        // What the promise brought cannot be sent.
        this.manager.onFilterError(filter, error, this);
        this.sendLocalReply(500, 'Internal Server Error', 0, `filter_error{${filter.name}}`);
      }
      if (response) this.resumeAfterResponseWait(promise);
      else this.resumeAfterRequestWait(promise);
    };
    const limit = setTimeout(
      () => settle(true, new Error(`did not answer within ${filter.timeoutMs} ms`)),
      filter.timeoutMs,
    );
    promise.then(
      (value) => settle(false, value),
      (error: unknown) => settle(true, error),
    );
  }

  /** The source goes on, unless the next hook waits too. */
  private resumeAfterRequestWait(promise: Promise<unknown>): void {
    if (this.completed || this.requestWait !== promise) return;
    this.requestWait = undefined;
    const ended = this.requestEndWaits;
    this.requestEndWaits = false;
    this.releaseRequest(HOLD.FILTER);
    if (ended && !this.completed) this.passRequestEnd();
  }

  private resumeAfterResponseWait(promise: Promise<unknown>): void {
    if (this.completed || this.responseWait !== promise) return;
    this.responseWait = undefined;
    const ended = this.responseEndWaits;
    this.responseEndWaits = false;
    this.releaseResponse(HOLD.FILTER);
    if (ended && !this.completed) this.passResponseEnd();
  }

  /** A filter threw or did not answer. True: the request goes on without it. */
  private filterFailed(filter: ConfiguredFilter, error: unknown): boolean {
    this.manager.onFilterError(filter, error, this);
    if (filter.onError === 'open') return true;
    this.sendLocalReply(500, 'Internal Server Error', 0, `filter_error{${filter.name}}`);
    return false;
  }

  onIdleTimeout(): void {
    this.manager.stats.downstreamRqIdleTimeout.inc();
    this.sendLocalReply(this.requestComplete ? 504 : 408, 'stream timeout', FLAG.SI, 'stream_idle_timeout');
  }

  onRequestTimeout(): void {
    this.manager.stats.downstreamRqTimeout.inc();
    this.sendLocalReply(408, 'request timeout', 0, 'request_overall_timeout');
  }

  onMaxDuration(): void {
    this.manager.stats.downstreamRqMaxDurationReached.inc();
    const status = this.requestComplete ? 504 : 408;
    this.sendLocalReply(status, 'downstream duration timeout', 0, 'max_duration_timeout');
  }

  /** The stream is over: figures are final, filters and logs are told. Called by the codec after the last byte, or by a reset. */
  complete(): void {
    if (this.completed) return;
    this.completed = true;
    this.endMs = performance.now();
    this.downstreamTxEndMs = this.responseHeadSent ? this.endMs : 0;
    this.times.cancel();
    this.router.cancel();
    this.abort?.abort();
    for (const filter of this.chain.done) {
      try {
        filter.hooks.onDone(this);
      } catch (error) {
        this.manager.onFilterError(filter, error, this);
      }
    }
    const stats = this.manager.stats;
    stats.downstreamRqActive.dec();
    if (this.upgradeCounted) stats.downstreamCxUpgradesActive.dec();
    if (this.responseHeadSent) stats.countResponse(this.responseCode);
    stats.downstreamRqTime.record(this.endMs - this.startMs);
    if (this.deniedBy !== '') this.manager.onDenied(this, this.deniedBy);
    this.manager.accessLog?.log(this);
  }
}

/** What ends an exchange and is no tunnel. */
function isFinalStatus(status: number): boolean {
  return status >= 200 && status <= 599 && Number.isInteger(status);
}
