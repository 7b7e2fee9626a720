import type { BodyHookResult, HttpStream as FilterStream, RouteView } from '../filter/http.ts';
import type { PendingVerdict } from '../filter/pending-verdict.ts';
import type { Reply, Verdict } from '../filter/verdict.ts';
import { toWireText } from '../matching/wire-text.ts';
import { nowMs } from '../network/clock.ts';
import type { ConnectionInfo, WireBytes } from '../observe/stream-info.ts';
import type { BodyCollector } from './body-collector.ts';
import type { DownstreamCodec } from './codec.ts';
import type { ConnectionManager } from './connection-manager.ts';
import type { ConfiguredFilter, FilterChain } from './filter-chain.ts';
import { GRPC } from './grpc/status.ts';
import { HeaderMap } from './headers.ts';
import { HookWait, type WaitingStream } from './hook-wait.ts';
import { RequestHead, ResponseHead } from './message.ts';
import { FLAG } from './response-flags.ts';
import type { RouteEntry } from './route/route-entry.ts';
import type { Router } from './router.ts';
import { StreamRecord } from './stream-record.ts';
import { StreamTimes, type TimedStream } from './stream-times.ts';
import { wireBytesOf } from './wire-count.ts';

/** Who holds a body back. The source reads on when nobody does. */
export const HOLD = { FILTER: 1, PEER: 2, NOT_READY: 4 } as const;

/**
 * What both directions of a stream share: its state, what becomes of a verdict, of a promise and of a filter that
 * fails, who holds a body back, and the end. `ResponsePath` and `HttpStream` are the two directions.
 */
export abstract class StreamCore extends StreamRecord implements FilterStream, TimedStream, WaitingStream {
  readonly manager: ConnectionManager;
  override readonly request: RequestHead = new RequestHead();
  /** Head that the response is built in; `response` is undefined until there is one. */
  protected readonly responseHead: ResponseHead = new ResponseHead();
  private trailersOfResponse: HeaderMap | undefined = undefined;
  codec!: DownstreamCodec;
  chain: FilterChain;
  routeEntry: RouteEntry | undefined = undefined;
  isGrpc = false;
  /** An upgrade or CONNECT that is allowed; false again once the upstream declined it. */
  isUpgrade = false;
  /** A promise was waited for of a filter that may still hold this object. */
  private isHeldByFilter = false;
  protected readonly times: StreamTimes;
  requestComplete = false;
  protected requestHold = 0;
  protected responseHold = 0;
  /** The promise of a hook that holds the request, or the response; what another one brings is too late. */
  protected requestWait: HookWait | undefined = undefined;
  protected responseWait: HookWait | undefined = undefined;
  /** Promises of hooks that may still come back to this object. */
  private unsettled = 0;
  /** The source ended while a body hook was waited for. */
  protected requestEndWaits = false;
  protected responseEndWaits = false;
  /** Counted among the active upgrades. */
  protected upgradeCounted = false;
  protected responseStarted = false;
  protected responseHeadSent = false;
  protected completed = true;
  protected routeCleared = false;
  protected abort: AbortController | undefined = undefined;
  /** Name of the filter that answered the request or ended it; '' when none did. */
  protected deniedBy = '';
  protected replied = false;
  protected requestCollector: BodyCollector | undefined = undefined;
  protected abstract readonly router: Router;

  constructor(manager: ConnectionManager, connection: ConnectionInfo) {
    super(connection);
    this.manager = manager;
    this.chain = manager.baseChain;
    this.times = new StreamTimes(this, manager.settings);
  }

  get route(): RouteView | undefined {
    return this.routeEntry?.view;
  }

  get signal(): AbortSignal {
    this.abort ??= new AbortController();
    return this.abort.signal;
  }

  /** Undefined where the client's connection counts nothing. */
  get wireBytes(): WireBytes | undefined {
    const { wire } = this.codec;
    return wire === undefined ? undefined : wireBytesOf(this.request, wire, this.responseHead.wire);
  }

  /** Whether nothing refers to this object that could mistake the next request for this one. */
  get isReusable(): boolean {
    return !this.isHeldByFilter && this.unsettled === 0;
  }

  clearRouteCache(): void {
    this.routeCleared = true;
  }

  protected obey(verdict: Verdict): boolean {
    if (this.completed) return false;
    switch (verdict.kind) {
      case 'reply':
        this.sendReply(verdict);
        return false;
      case 'message':
        this.sendMessage(verdict.message);
        return false;
      case 'stop':
        this.endWithoutAnswer(verdict.flag === undefined ? 0 : FLAG[verdict.flag], verdict.details);
        return false;
      default:
        return true;
    }
  }

  /** What goes on after a body hook: the same bytes, others, or undefined when the stream ended. */
  protected bodyAfter(result: BodyHookResult, bytes: Buffer): Buffer | undefined {
    if (result === undefined) return bytes;
    if (result instanceof Uint8Array) return Buffer.from(result.buffer, result.byteOffset, result.byteLength);
    return this.obey(result) ? bytes : undefined;
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

  holdResponse(reason: number): void {
    if (this.responseHold === 0) this.router.pause();
    this.responseHold |= reason;
  }

  releaseResponse(reason: number): void {
    if (this.responseHold === 0) return;
    this.responseHold &= ~reason;
    if (this.responseHold === 0 && !this.completed) this.router.resume();
  }

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

  /** The head that upstream codec and local replies fill. */
  get head(): ResponseHead {
    return this.responseHead;
  }

  /** The trailers that the upstream codec fills. */
  get trailers(): HeaderMap {
    this.trailersOfResponse ??= new HeaderMap();
    this.trailersOfResponse.reset('');
    return this.trailersOfResponse;
  }

  protected endWithoutAnswer(flag: number, details: string): void {
    if (this.completed) return;
    this.responseFlags |= flag;
    this.responseCodeDetails = details;
    this.manager.stats.downstreamRqTxReset.inc();
    this.codec.resetStream();
    this.complete();
  }

  /** Waits for the promise of a hook; the source of the bytes is paused meanwhile. */
  protected waitFor<T>(
    promise: Promise<T> | PendingVerdict,
    filter: ConfiguredFilter,
    then: (value: T | undefined) => void,
    response = false,
  ): void {
    if (filter.definition.letsGoOfStreams !== true) this.isHeldByFilter = true;
    this.unsettled++;
    const wait = new HookWait(this, promise, filter, then, response);
    if (response) {
      this.responseWait = wait;
      this.holdResponse(HOLD.FILTER);
    } else {
      this.requestWait = wait;
      this.holdRequest(HOLD.FILTER);
    }
  }

  isWaitingFor(wait: HookWait): boolean {
    return !this.completed && (wait.isResponse ? this.responseWait : this.requestWait) === wait;
  }

  onPromiseSettled(): void {
    this.unsettled--;
  }

  onHookSettled(wait: HookWait, failed: boolean, outcome: unknown): void {
    const { filter } = wait;
    try {
      if (failed && !this.filterFailed(filter, outcome)) return;
      wait.goOn((failed ? undefined : outcome) as never);
    } catch (error) {
      // What the promise brought cannot be sent.
      this.manager.onFilterError(filter, error, this);
      this.sendLocalReply(500, 'Internal Server Error', 0, `filter_error{${filter.name}}`);
    }
    if (wait.isResponse) this.resumeAfterResponseWait(wait);
    else this.resumeAfterRequestWait(wait);
  }

  /** The source goes on, unless the next hook waits too. */
  protected resumeAfterRequestWait(wait: HookWait): void {
    if (this.completed || this.requestWait !== wait) return;
    this.requestWait = undefined;
    const ended = this.requestEndWaits;
    this.requestEndWaits = false;
    this.releaseRequest(HOLD.FILTER);
    if (ended && !this.completed) this.passRequestEnd();
  }

  protected resumeAfterResponseWait(wait: HookWait): void {
    if (this.completed || this.responseWait !== wait) return;
    this.responseWait = undefined;
    const ended = this.responseEndWaits;
    this.responseEndWaits = false;
    this.releaseResponse(HOLD.FILTER);
    if (ended && !this.completed) this.passResponseEnd();
  }

  /** A filter threw or did not answer. True: the request goes on without it. */
  protected filterFailed(filter: ConfiguredFilter, error: unknown): boolean {
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
    const { DEADLINE_EXCEEDED } = GRPC;
    const details = 'max_duration_timeout';
    this.sendLocalReply(status, 'downstream duration timeout', 0, details, undefined, DEADLINE_EXCEEDED);
  }

  /** Logs tell where a request would have gone that a filter answered, or that ended before the router saw it. */
  protected nameCluster(): void {
    const route = this.routeEntry;
    if (route === undefined || !route.leadsUpstream) return;
    const name = route.pickCluster(this.request);
    if (this.manager.clusters.get(name) !== undefined) this.upstreamCluster = name;
  }

  /** The stream is over: figures are final, filters and logs are told. Called by the codec after the last byte, or by a reset. */
  complete(): void {
    if (this.completed) return;
    this.completed = true;
    if (this.upstreamCluster === '') this.nameCluster();
    this.endMs = nowMs();
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
    if (this.trace !== undefined) this.trace.finish(this);
  }

  /** A cookie that the route's hash policy wants the client to keep. */
  abstract addResponseCookie(setCookie: string): void;

  /** The rest of a body and its end, once no hook waits. */
  protected abstract passRequestEnd(): void;
  protected abstract passResponseEnd(): void;

  /** Answers here. After a response has begun nothing can be said any more: the stream is reset. */
  abstract sendLocalReply(
    status: number,
    body: string,
    flag: number,
    details: string,
    headers?: Readonly<Record<string, string>>,
    grpcStatus?: number,
  ): void;

  /** Answers a gRPC call here, with one message; nothing happens once a response has begun. */
  abstract sendMessage(message: Uint8Array): void;
}
