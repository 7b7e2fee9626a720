import type { BodyHookResult, HookResult } from '../filter/http.ts';
import type { Verdict } from '../filter/verdict.ts';
import { nowMs, tick } from '../network/clock.ts';
import { BodyCollector } from './body-collector.ts';
import type { ConfiguredFilter } from './filter-chain.ts';
import { frameMessage } from './grpc/unary-call.ts';
import { HeaderMap } from './headers.ts';
import { localReplyHead } from './local-reply.ts';
import type { ResponseHead } from './message.ts';
import { mutateResponse } from './response-mutations.ts';
import { HOLD, StreamCore } from './stream-core.ts';

const EMPTY = Buffer.alloc(0);

/**
 * The way back: a head, a body and trailers from the router, or an answer of the proxy's own, through the response
 * hooks, in reverse order, to the codec.
 */
export abstract class ResponsePath extends StreamCore {
  protected responseLength = -1;
  protected responseCollector: BodyCollector | undefined = undefined;
  protected responseCollectorNext = 0;
  protected responseCookies: string[] | undefined = undefined;
  /** The source of the response has nothing more to say. */
  protected responseEnded = false;
  protected collectedResponse: Buffer | undefined = undefined;
  /** Body of a local reply, which follows its head through the response hooks. */
  protected localBody: Buffer | undefined = undefined;

  /** A cookie that the route's hash policy wants the client to keep. */
  override addResponseCookie(setCookie: string): void {
    this.responseCookies ??= [];
    this.responseCookies.push(setCookie);
  }

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

  protected opensTunnel(status: number): boolean {
    return this.isUpgrade && (status === 101 || (this.request.method === 'CONNECT' && status >= 200 && status < 300));
  }

  protected runResponseHooks(from: number): void {
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
    if (hooks.length > 0) tick();
    this.responseHeadDone();
  }

  protected afterResponseHook(result: HookResult, index: number): void {
    if (result !== undefined && result.kind !== 'continue' && !this.obeyResponseVerdict(result, index)) return;
    this.runResponseHooks(index + 1);
  }

  protected obeyResponseVerdict(verdict: Verdict, index: number): boolean {
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

  protected responseHeadDone(): void {
    if (this.completed) return;
    const head = this.response as ResponseHead;
    const collected = this.collectedResponse;
    if (collected !== undefined) {
      this.collectedResponse = undefined;
      this.runResponseBodyHooks(0, collected, true, false);
      return;
    }
    if (!this.responseEnded && !this.isUpgrade && this.chain.changesResponseBodyOf(this)) this.responseLength = -1;
    const body = this.localBody;
    this.sendResponseHead(head, this.responseEnded);
    if (body === undefined || this.completed) return;
    this.localBody = undefined;
    this.onResponseBody(body, 0, body.length, false);
    this.onResponseEnd(this.responseTrailers);
  }

  protected sendResponseHead(head: ResponseHead, endStream: boolean): void {
    if (this.isUpgrade ? !this.opensTunnel(head.status) : !isFinalStatus(head.status)) {
      this.manager.log.warn('a filter left a response that cannot be sent', { status: head.status });
      this.sendLocalReply(500, 'Internal Server Error', 0, 'invalid_response_from_filter');
      return;
    }
    this.responseHeadSent = true;
    mutateResponse(this, head);
    if (this.responseCookies !== undefined) for (const cookie of this.responseCookies) head.add('set-cookie', cookie);
    if (this.trace !== undefined) this.trace.onResponseHead(head);
    this.responseCode = head.status;
    this.downstreamTxBeginMs = nowMs();
    if (this.isUpgrade) {
      this.codec.writeHead(head, false, -1);
      this.beginTunnel();
      return;
    }
    // With `endStream` the codec completes the stream.
    this.codec.writeHead(head, endStream, this.responseLength);
  }

  protected beginTunnel(): void {
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
    this.times.lastActivityMs = nowMs();
    if (this.chain.responseBody.length === 0) this.writeBody(buffer, start, end, stable);
    else this.runResponseBodyHooks(0, buffer.subarray(start, end), false, stable);
  }

  protected writeBody(buffer: Buffer, start: number, end: number, stable: boolean): void {
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

  protected override passResponseEnd(): void {
    if (this.chain.responseBody.length === 0) this.finishResponse();
    else this.runResponseBodyHooks(0, EMPTY, true, false);
  }

  protected runResponseBodyHooks(from: number, chunk: Buffer, end: boolean, stable: boolean): void {
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
      const hasTrailers = this.trailersToSend !== undefined;
      this.responseLength = hasTrailers ? -1 : bytes.length;
      this.sendResponseHead(this.response as ResponseHead, bytes.length === 0 && !hasTrailers);
      if (this.completed) return;
    }
    if (bytes.length > 0) this.writeBody(bytes, 0, bytes.length, stable);
    if (end) this.finishResponse();
  }

  protected finishResponse(): void {
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
    this.codec.finish(this.trailersToSend);
  }

  /** A filter may have taken them all. */
  private get trailersToSend(): HeaderMap | undefined {
    const trailers = this.responseTrailers;
    return trailers === undefined || trailers.length === 0 ? undefined : trailers;
  }

  onResponseInterim(head: ResponseHead): void {
    if (this.manager.settings.proxy100Continue && !this.completed && !this.responseHeadSent)
      this.codec.writeInterim(head.status, head);
  }

  /** The upstream failed after its head went out: the client must not take what it got for a whole. */
  onUpstreamBroken(flag: number, details: string): void {
    this.endWithoutAnswer(flag, details);
  }

  /** Answers here. After a response has begun nothing can be said any more: the stream is reset. */
  override sendLocalReply(
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
    // A filter that answers may have taken its time.
    tick();
    this.router.cancel();
    this.responseFlags |= flag;
    this.responseCodeDetails = details;
    // Who sends one wrong request is not trusted to frame the next one right (as in Envoy).
    if (status === 400) this.codec.closeAfterResponse();
    if (this.upstreamCluster === '') this.nameCluster();
    const text = localReplyHead(this, this.responseHead, status, body, headers, grpcStatus);
    const bytes = Buffer.from(text, 'latin1');
    const hasBody = bytes.length > 0 && this.request.method !== 'HEAD';
    // HEAD is told the length that GET would have had.
    if (bytes.length > 0 && !hasBody) this.responseHead.set('content-length', String(bytes.length));
    this.beginReply();
    if (this.responseStarted) {
      this.sendDirectly(bytes, hasBody);
      return;
    }
    this.localBody = hasBody ? bytes : undefined;
    this.onResponseHead(this.responseHead, !hasBody, bytes.length);
  }

  /** Whatever hooks still wait for, of the request or of an answer that this one replaces, comes too late. */
  private beginReply(): void {
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
  }

  /** Answers a gRPC call with one message, in place of an upstream. */
  override sendMessage(message: Uint8Array): void {
    if (this.completed || this.responseStarted) return;
    tick();
    this.router.cancel();
    this.responseCodeDetails = 'direct_response';
    this.responseCode = 200;
    this.beginReply();
    const head = this.responseHead;
    head.reset('');
    head.present = 0;
    head.status = 200;
    head.append('content-type', 'application/grpc');
    const trailers = new HeaderMap();
    trailers.append('grpc-status', '0');
    this.responseTrailers = trailers;
    this.localBody = frameMessage(message);
    this.onResponseHead(head, false, -1);
  }

  /** An answer in place of one that response hooks have begun to see: they see no second one (as in Envoy). */
  protected sendDirectly(bytes: Buffer, hasBody: boolean): void {
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
}

/** What ends an exchange and is no tunnel. */
function isFinalStatus(status: number): boolean {
  return status >= 200 && status <= 999 && Number.isInteger(status);
}
