import { nowMs } from '../../network/clock.ts';
import type { Connection, ConnectionHandler } from '../../network/connection.ts';
import { timers } from '../../network/timer.ts';
import type { ConnectionInfo } from '../../observe/stream-info.ts';
import type { DownstreamCodec } from '../codec.ts';
import type { ConnectionManager } from '../connection-manager.ts';
import type { HeaderMap } from '../headers.ts';
import type { RequestHead, ResponseHead } from '../message.ts';
import type { HttpStream } from '../stream.ts';
import { type DownstreamWire, http1Wire } from '../wire-count.ts';
import { BodyReader, type BodySink } from './body-reader.ts';
import { ConnectionTimer } from './connection-timer.ts';
import type { HeadError, HeadParser } from './head-parser.ts';
import { HeadProgress } from './head-progress.ts';
import { InputStash } from './input-stash.ts';
import { type Framing, MessageWriter } from './message-writer.ts';
import { readRequestHead } from './request-reader.ts';
import { endsExchange, responseHeadText, statusLineBytes, statusLineText } from './response-text.ts';

/** RESPONSE: the request is read, or refused; what comes is a pipelined one. CLOSING: what comes is discarded. */
const PHASE = { IDLE: 0, HEAD: 1, BODY: 2, RESPONSE: 3, TUNNEL: 4, CLOSING: 5 } as const;

/** How long a closing connection may take to flush when no stream idle timeout is set. */
const LONGEST_FLUSH_MS = 300_000;

/** Bytes of pipelined requests after which no more is read until the response is out. */
const MAX_PIPELINED_BYTES = 16 * 1024;

/**
 * The HTTP/1 side of a downstream connection: reads one request after the other, hands it to a stream, and writes the
 * stream's response. Pipelined requests wait, unread, until the one before them is answered.
 */
export class Http1ServerConnection implements ConnectionHandler, DownstreamCodec, BodySink {
  readonly protocol = 'HTTP/1';
  readonly connection: Connection;
  private readonly manager: ConnectionManager;
  private readonly info: ConnectionInfo;
  /** Undefined until something comes behind a head. */
  private body: BodyReader | undefined = undefined;
  private readonly writer: MessageWriter;
  private readonly stash = new InputStash();
  /** Undefined until a head comes in parts. */
  private headProgress: HeadProgress | undefined = undefined;
  private readonly timer: ConnectionTimer;
  /** Lent by the manager from the first byte of a request to the end of its response: idle connections have none of their own. */
  private stream: HttpStream;
  private phase: number = PHASE.IDLE;
  private requestPaused = false;
  /** Close after the current response. */
  private closeAfter = false;
  private draining = false;
  /** While draining: how long an idle connection may stay. */
  private drainIdleMs = 0;
  private headWritten = false;
  private responseEnded = false;
  private requestEnded = true;
  /** What the request line said, whatever filters made of it since: it decides how the client reads the response. */
  private isHead = false;
  private isConnect = false;
  /** The response has no body by its status or method: what a filter or an upstream says of one is dropped. */
  private bodiless = false;
  /** The app has ended its direction of a tunnel. */
  private tunnelHalfClosed = false;
  private consuming = false;
  private sawEnd = false;
  /** The client ended the connection, or its side of it before this side did. */
  endedByPeer = false;
  /** The connection ended in the middle of a request or of its response. */
  cutShort = false;
  private requests = 0;
  private readonly startedMs = performance.now();
  private headSinceMs = 0;
  private closingSinceMs = 0;
  /** When the connection became idle. */
  private idleSinceMs: number;

  constructor(connection: Connection, manager: ConnectionManager, info: ConnectionInfo) {
    this.connection = connection;
    this.manager = manager;
    this.info = info;
    this.stream = manager.noStream;
    this.writer = new MessageWriter(connection, () => this.stream.onDownstreamCongested());
    this.timer = new ConnectionTimer(this);
    this.idleSinceMs = this.startedMs;
    this.armTimer();
  }

  /** True when no request is being read or answered. */
  get idle(): boolean {
    return this.phase === PHASE.IDLE;
  }

  get congested(): boolean {
    return this.connection.congested;
  }

  get bodyPaused(): boolean {
    return this.requestPaused;
  }

  // ── reading ──

  onData(buffer: Buffer, length: number): void {
    this.manager.stats.downstreamCxRxBytesTotal.add(length);
    if (this.stash.length > 0) {
      this.stash.append(buffer, 0, length);
      this.consumeStash();
      return;
    }
    const used = this.consume(buffer, 0, length);
    if (used < length && !this.connection.closed) this.stash.append(buffer, used, length);
    this.readOn();
  }

  private consumeStash(): void {
    if (this.consuming) return;
    const { stash } = this;
    if (stash.length > 0) stash.advance(this.consume(stash.buffer, stash.begin, stash.end));
    this.readOn();
  }

  /** Uses `buffer[start, end)` as far as that is possible now; the offset behind what was used. */
  private consume(buffer: Buffer, start: number, end: number): number {
    let i = start;
    this.consuming = true;
    while (i < end && !this.connection.closed) {
      const before = i;
      const { phase } = this;
      if (phase <= PHASE.HEAD) {
        i = this.readHead(buffer, i, end);
      } else if (phase === PHASE.BODY || phase === PHASE.TUNNEL) {
        if (this.requestPaused) break;
        i = this.bodyReader().read(buffer, i, end);
      } else if (phase === PHASE.CLOSING) {
        i = end;
      } else {
        // A pipelined request: it waits until the response is out.
        break;
      }
      if (i === before && this.phase === phase) break;
    }
    this.consuming = false;
    return i;
  }

  /** Reads on, unless the body is held back or much is pipelined: only who reads learns that the client has gone. */
  private readOn(): void {
    if (this.consuming || this.connection.closed) return;
    if (this.phase === PHASE.RESPONSE && this.stash.length > MAX_PIPELINED_BYTES) this.connection.pause();
    else if (!this.requestPaused || this.requestEnded) this.connection.resume();
  }

  private readHead(buffer: Buffer, start: number, end: number): number {
    let i = start;
    if (this.phase === PHASE.IDLE) {
      // Empty lines before a request are ignored (RFC 9112 §2.2).
      while (i + 1 < end && buffer[i] === 13 && buffer[i + 1] === 10) i += 2;
      if (i === end || (i + 1 === end && buffer[i] === 13)) return i;
      this.phase = PHASE.HEAD;
      this.headSinceMs = nowMs();
      if (this.manager.settings.requestHeadersTimeoutMs > 0) this.armTimer();
      this.headProgress?.begin();
      this.stream = this.manager.takeStream(this, this.info);
    } else if (this.headProgress?.ready(buffer, i, end) === false) {
      return i;
    }
    const request = this.stream.request;
    const { headParser: parser } = this.manager;
    if (parser.parseRequest(buffer, i, end, request)) {
      const headEnd = i + parser.headBytes;
      this.startRequest(parser, buffer, i, headEnd, request);
      return headEnd;
    }
    if (parser.error === undefined) {
      this.headProgress ??= new HeadProgress(this.manager.settings.headLimits.maxHeaderBytes);
      this.headProgress.ready(buffer, i, end);
      return i;
    }
    // The head was read in part or not at all: logs must not show what the one before it said.
    request.clear();
    this.isHead = false;
    this.isConnect = false;
    this.refuse(parser.error);
    return end;
  }

  private bodyReader(): BodyReader {
    const { headLimits, enableTrailers } = this.manager.settings;
    this.body ??= new BodyReader(this.connection, this, headLimits, enableTrailers);
    return this.body;
  }

  private startRequest(parser: HeadParser, buffer: Buffer, start: number, end: number, request: RequestHead): void {
    this.requests++;
    this.body?.beginMessage();
    this.headWritten = false;
    this.responseEnded = false;
    this.closeAfter = false;
    const error = readRequestHead(parser, buffer, start, end, request, this.manager.settings);
    this.isHead = request.method === 'HEAD';
    this.isConnect = request.method === 'CONNECT';
    if (error !== undefined) {
      this.refuse(error);
      return;
    }
    this.closeAfter =
      this.draining || !request.keepAlive || this.requests >= this.manager.settings.maxRequestsPerConnection;
    const bodyFollows = parser.chunked || parser.contentLength > 0;
    // What a client sends behind CONNECT waits for the tunnel, and is never taken for another request.
    this.requestEnded = !bodyFollows && !this.isConnect;
    if (parser.chunked) this.bodyReader().begin('chunked', 0);
    else if (bodyFollows) this.bodyReader().begin('length', parser.contentLength);
    this.phase = bodyFollows ? PHASE.BODY : PHASE.RESPONSE;
    this.stream.requestContentLength = parser.chunked || this.isConnect ? -1 : Math.max(parser.contentLength, 0);
    this.stream.onRequestHead(this.requestEnded);
  }

  onBody(buffer: Buffer, start: number, end: number, stable: boolean): void {
    this.stream.onRequestBody(buffer, start, end, stable);
  }

  onBodyEnd(trailers: HeaderMap | undefined): void {
    this.requestEnded = true;
    if (this.phase !== PHASE.CLOSING) this.phase = PHASE.RESPONSE;
    this.stream.onRequestEnd(trailers);
    if (this.tunnelHalfClosed) this.finish(undefined);
  }

  onBodyError(details: string): void {
    this.manager.stats.downstreamCxProtocolError.inc();
    this.closeAfter = true;
    this.requestEnded = true;
    // Nothing behind the error is read any more, also while the answer waits for a filter.
    if (this.phase === PHASE.BODY) this.phase = PHASE.RESPONSE;
    this.stream.onDownstreamReset(details, true);
  }

  /** Answers a head that cannot be read; nothing of it is forwarded, and the connection ends. */
  private refuse(error: HeadError): void {
    this.manager.stats.downstreamCxProtocolError.inc();
    this.closeAfter = true;
    this.requestEnded = true;
    this.headWritten = false;
    this.responseEnded = false;
    this.phase = PHASE.RESPONSE;
    this.stream.onInvalidRequest(error);
  }

  onEnd(): void {
    this.sawEnd = true;
    this.endedByPeer = this.phase !== PHASE.CLOSING && !this.tunnelHalfClosed;
    if (this.phase === PHASE.TUNNEL && this.bodyReader().endOfConnection()) return;
    if (this.phase === PHASE.IDLE || this.phase === PHASE.CLOSING) {
      this.startClosing();
      return;
    }
    if (this.phase === PHASE.HEAD) {
      this.abandonHead();
      this.connection.destroy();
      return;
    }
    if (!this.responseEnded) this.goneDuringRequest();
    this.connection.destroy();
  }

  /** The client went away in the middle of a head: a request of which nothing is known but that it was begun. */
  private abandonHead(): void {
    this.phase = PHASE.CLOSING;
    this.cutShort = true;
    this.stream.request.clear();
    this.stream.onUnfinishedRequest();
  }

  private goneDuringRequest(): void {
    this.cutShort = true;
    this.stream.onDownstreamReset('downstream_remote_disconnect', false);
  }

  onDrain(): void {
    if (this.phase !== PHASE.CLOSING) this.stream.onDownstreamDrain();
    else if (this.sawEnd) this.connection.destroy();
    else this.armClosing();
  }

  onClose(error: Error | undefined): void {
    this.endedByPeer ||= error !== undefined && this.phase !== PHASE.CLOSING;
    timers.cancel(this.timer);
    this.body?.stop();
    if (this.phase === PHASE.HEAD) this.abandonHead();
    const active = this.phase === PHASE.BODY || this.phase === PHASE.RESPONSE || this.phase === PHASE.TUNNEL;
    this.phase = PHASE.CLOSING;
    if (active && !this.responseEnded) this.goneDuringRequest();
    this.manager.onConnectionClosed(this, performance.now() - this.startedMs);
  }

  // ── writing: DownstreamCodec ──

  get wire(): DownstreamWire {
    const written = this.headWritten ? this.writer : undefined;
    const { request, responseCode } = this.stream;
    return http1Wire(request.raw, this.body?.wireBytes ?? 0, written, statusLineBytes(responseCode));
  }

  writeInterim(status: number, headers: HeaderMap | undefined): void {
    if (this.headWritten || this.stream.request.protocol === 'HTTP/1.0') return;
    this.writer.raw(statusLineText(status, headers));
  }

  writeHead(response: ResponseHead, endStream: boolean, contentLength: number): void {
    if (this.headWritten) return;
    this.headWritten = true;
    const request = this.stream.request;
    // A filter may have set anything.
    if (!endsExchange(response.status)) response.status = 500;
    const { status } = response;
    const tunnel = status === 101 || (this.isConnect && status >= 200 && status < 300);
    const bodiless = !tunnel && (this.isHead || status === 204 || status === 304);
    this.bodiless = bodiless;
    let framing: Framing = 'length';
    if (tunnel) framing = 'close';
    else if (bodiless) framing = 'none';
    else if (endStream) contentLength = 0;
    else if (contentLength < 0) framing = request.protocol === 'HTTP/1.0' ? 'close' : 'chunked';
    if (framing === 'close' && !tunnel) this.closeAfter = true;
    // A response before the end of its request: waiting for the rest would let it pile up (Envoy does likewise).
    // After an upgrade that was refused, what the client sent in its hope could be taken for a request.
    const drains = this.manager.endsConnections;
    if (drains) this.manager.countEnding();
    if (drains || this.draining || (!tunnel && (!this.requestEnded || request.upgrade !== ''))) this.closeAfter = true;
    this.writer.begin(
      responseHeadText(response, request, framing, contentLength, this.closeAfter && !tunnel, this.manager.settings),
      framing,
      contentLength,
    );
    if (endStream && !tunnel) this.finish(undefined);
  }

  writeBody(buffer: Buffer, start: number, end: number, stable: boolean): void {
    if (this.responseEnded || this.bodiless) return;
    if (!this.writer.body(buffer, start, end, stable))
      this.stream.onUpstreamBroken(0, 'http1.body_exceeds_content_length');
  }

  finish(trailers: HeaderMap | undefined): void {
    if (this.responseEnded) return;
    if (this.phase === PHASE.TUNNEL) {
      // The client may go on speaking: the stream ends when it does.
      this.writer.flush();
      this.connection.end();
      this.tunnelHalfClosed = true;
      return;
    }
    if (!this.writer.finish(this.manager.settings.enableTrailers ? trailers : undefined)) {
      this.stream.onUpstreamBroken(0, 'http1.body_shorter_than_content_length');
      return;
    }
    this.responseEnded = true;
    this.stream.complete();
    this.afterResponse();
  }

  resetStream(): void {
    if (this.responseEnded) return;
    this.responseEnded = true;
    this.writer.flush();
    this.connection.destroy();
  }

  closeAfterResponse(): void {
    this.closeAfter = true;
  }

  pauseRequest(): void {
    if (this.requestPaused) return;
    this.requestPaused = true;
    // Of a request that has come whole there is nothing to hold back.
    if (!this.requestEnded) this.connection.pause();
  }

  resumeRequest(): void {
    if (!this.requestPaused) return;
    this.requestPaused = false;
    this.consumeStash();
  }

  switchToTunnel(): void {
    this.phase = PHASE.TUNNEL;
    this.tunnelHalfClosed = false;
    this.requestEnded = false;
    this.bodyReader().begin('close', 0);
    timers.cancel(this.timer);
    this.consumeStash();
  }

  /** The response is out and the request is read: the next one, or the end. */
  private afterResponse(): void {
    this.requestPaused = false;
    if (this.connection.closed) return;
    if (this.closeAfter || this.sawEnd) {
      this.startClosing();
      return;
    }
    this.phase = PHASE.IDLE;
    this.idleSinceMs = nowMs();
    this.manager.returnStream(this.stream);
    this.stream = this.manager.noStream;
    this.consumeStash();
  }

  /** FIN, then wait for the client's: closing at once would make the kernel send a reset that destroys the response. */
  private startClosing(): void {
    this.body?.stop();
    this.phase = PHASE.CLOSING;
    this.closingSinceMs = performance.now();
    this.stash.clear();
    this.requestPaused = false;
    this.connection.end();
    if (this.sawEnd) {
      if (!this.connection.congested) this.connection.destroy();
      else this.armClosing();
      return;
    }
    this.connection.resume();
    this.armClosing();
  }

  private armClosing(): void {
    timers.start(this.timer, Math.max(this.manager.settings.delayedCloseTimeoutMs, 1));
  }

  // ── time ──

  /**
   * The next response is the last one. A connection that stays idle for `idleGraceMs` ends then: ending it at once
   * would meet requests that are on their way.
   */
  drain(idleGraceMs: number): void {
    this.draining = true;
    this.drainIdleMs = idleGraceMs;
    this.idleSinceMs = Math.max(this.idleSinceMs, performance.now());
    if (this.phase === PHASE.IDLE) this.armTimer();
  }

  private armTimer(): void {
    const { idleTimeoutMs, requestHeadersTimeoutMs, maxConnectionDurationMs } = this.manager.settings;
    const now = performance.now();
    let delay = Number.POSITIVE_INFINITY;
    if (idleTimeoutMs > 0) delay = idleTimeoutMs - (this.phase === PHASE.IDLE ? now - this.idleSinceMs : 0);
    if (requestHeadersTimeoutMs > 0 && this.phase === PHASE.HEAD) {
      delay = Math.min(delay, requestHeadersTimeoutMs - (now - this.headSinceMs));
    }
    if (this.draining) delay = Math.min(delay, this.drainIdleMs - (now - this.idleSinceMs));
    else if (maxConnectionDurationMs > 0) delay = Math.min(delay, maxConnectionDurationMs - (now - this.startedMs));
    if (delay !== Number.POSITIVE_INFINITY) timers.start(this.timer, Math.max(1, delay));
  }

  onTimer(): void {
    const { idleTimeoutMs, requestHeadersTimeoutMs, maxConnectionDurationMs } = this.manager.settings;
    const now = performance.now();
    const stats = this.manager.stats;
    if (this.phase === PHASE.CLOSING) {
      // A slow client still takes the response: it may, as long as a stream may be idle.
      const limitMs = this.manager.settings.streamIdleTimeoutMs || LONGEST_FLUSH_MS;
      if (this.connection.congested && now - this.closingSinceMs < limitMs) this.armClosing();
      else this.connection.destroy();
      return;
    }
    if (this.phase === PHASE.HEAD && requestHeadersTimeoutMs > 0 && now - this.headSinceMs >= requestHeadersTimeoutMs) {
      stats.downstreamRqHeaderTimeout.inc();
      this.closeAfter = true;
      this.phase = PHASE.RESPONSE;
      this.headWritten = false;
      this.responseEnded = false;
      this.isHead = false;
      this.isConnect = false;
      this.stream.request.clear();
      this.stream.onRequestHeaderTimeout();
      return;
    }
    if (this.phase === PHASE.IDLE && idleTimeoutMs > 0 && now - this.idleSinceMs >= idleTimeoutMs) {
      stats.downstreamCxIdleTimeout.inc();
      this.startClosing();
      return;
    }
    if (this.draining && this.phase === PHASE.IDLE && now - this.idleSinceMs >= this.drainIdleMs) {
      stats.downstreamCxDrainClose.inc();
      this.startClosing();
      return;
    }
    if (!this.draining && maxConnectionDurationMs > 0 && now - this.startedMs >= maxConnectionDurationMs) {
      stats.downstreamCxMaxDurationReached.inc();
      const { endsAfterResponseOnly, drainTimeoutMs } = this.manager.settings;
      this.drain(endsAfterResponseOnly ? Number.POSITIVE_INFINITY : drainTimeoutMs);
      return;
    }
    this.armTimer();
  }
}
