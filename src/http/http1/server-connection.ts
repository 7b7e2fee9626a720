import type { Connection, ConnectionHandler } from '../../network/connection.ts';
import { TimerEntry, timers } from '../../network/timer.ts';
import type { DownstreamCodec } from '../codec.ts';
import type { ConnectionManager } from '../connection-manager.ts';
import type { HeaderMap } from '../headers.ts';
import type { RequestHead, ResponseHead } from '../message.ts';
import type { HttpStream } from '../stream.ts';
import { BodyReader, type BodySink } from './body-reader.ts';
import { type HeadError, HeadParser } from './head-parser.ts';
import { InputStash } from './input-stash.ts';
import { type Framing, MessageWriter } from './message-writer.ts';
import { readRequestHead } from './request-reader.ts';
import { responseHeadText, statusLineText } from './response-text.ts';

/** Bytes after the response of a request that was not read to its end are discarded up to here, then the connection is closed. */
const PHASE = { IDLE: 0, HEAD: 1, BODY: 2, RESPONSE: 3, TUNNEL: 4, CLOSING: 5 } as const;

/** One timer per connection serves the times of every phase; it is looked at when it fires, not moved on every byte. */
class ConnectionTimer extends TimerEntry {
  private readonly connection: Http1ServerConnection;

  constructor(connection: Http1ServerConnection) {
    super();
    this.connection = connection;
  }

  override onTimeout(): void {
    this.connection.onTimer();
  }
}

/**
 * The HTTP/1 side of a downstream connection: reads one request after the other, hands it to a stream, and writes the
 * stream's response. Pipelined requests wait, unread, until the one before them is answered.
 */
export class Http1ServerConnection implements ConnectionHandler, DownstreamCodec, BodySink {
  readonly connection: Connection;
  private readonly manager: ConnectionManager;
  private readonly parser: HeadParser;
  private readonly body: BodyReader;
  private readonly writer: MessageWriter;
  private readonly stash = new InputStash();
  private readonly timer: ConnectionTimer;
  private stream: HttpStream;
  private phase: number = PHASE.IDLE;
  private requestPaused = false;
  /** Close after the current response. */
  private closeAfter = false;
  private draining = false;
  private headWritten = false;
  private responseEnded = false;
  private requestEnded = true;
  private consuming = false;
  private sawEnd = false;
  private requests = 0;
  private readonly startedMs = performance.now();
  private headSinceMs = 0;
  /** When the connection became idle. */
  private idleSinceMs: number;

  constructor(connection: Connection, manager: ConnectionManager, stream: HttpStream) {
    this.connection = connection;
    this.manager = manager;
    this.stream = stream;
    this.parser = new HeadParser(manager.settings.headLimits);
    this.body = new BodyReader(connection, this, manager.settings.headLimits, manager.settings.enableTrailers);
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
    } else {
      this.consume(buffer, 0, length);
    }
  }

  private consumeStash(): void {
    if (this.consuming) return;
    const stashed = this.stash.take();
    if (stashed !== undefined) this.consume(stashed.buffer, stashed.start, stashed.end);
  }

  private consume(buffer: Buffer, start: number, end: number): void {
    let i = start;
    this.consuming = true;
    while (i < end && !this.connection.closed) {
      const before = i;
      if (this.phase <= PHASE.HEAD) {
        i = this.readHead(buffer, i, end);
        if (i === before) break;
      } else if (this.phase === PHASE.BODY || this.phase === PHASE.TUNNEL) {
        if (this.requestPaused) break;
        i = this.body.read(buffer, i, end);
        if (i === before && this.body.active) break;
      } else if (this.phase === PHASE.CLOSING) {
        i = end;
      } else {
        // A pipelined request: it stays unread until the response is out.
        this.connection.pause();
        break;
      }
    }
    this.consuming = false;
    if (i < end && !this.connection.closed) this.stash.append(buffer, i, end);
  }

  private readHead(buffer: Buffer, start: number, end: number): number {
    let i = start;
    if (this.phase === PHASE.IDLE) {
      // Empty lines before a request are ignored (RFC 9112 §2.2).
      while (i + 1 < end && buffer[i] === 13 && buffer[i + 1] === 10) i += 2;
      if (i === end || (i + 1 === end && buffer[i] === 13)) return i;
      this.phase = PHASE.HEAD;
      this.headSinceMs = performance.now();
      if (this.manager.settings.requestHeadersTimeoutMs > 0) this.armTimer();
    }
    const request = this.stream.request;
    if (this.parser.parseRequest(buffer, i, end, request)) {
      const headEnd = i + this.parser.headBytes;
      this.startRequest(buffer, i, headEnd, request);
      return headEnd;
    }
    if (this.parser.error === undefined) return i;
    this.refuse(this.parser.error);
    return end;
  }

  private startRequest(buffer: Buffer, start: number, end: number, request: RequestHead): void {
    const parser = this.parser;
    this.requests++;
    this.headWritten = false;
    this.responseEnded = false;
    this.closeAfter = false;
    const error = readRequestHead(parser, buffer, start, end, request, this.manager.settings);
    if (error !== undefined) {
      this.refuse(error);
      return;
    }
    this.closeAfter =
      this.draining || !request.keepAlive || this.requests >= this.manager.settings.maxRequestsPerConnection;
    const isTunnel = request.method === 'CONNECT';
    const bodyFollows = isTunnel || parser.chunked || parser.contentLength > 0;
    this.requestEnded = !bodyFollows;
    if (isTunnel) this.body.begin('close', 0);
    else if (parser.chunked) this.body.begin('chunked', 0);
    else if (bodyFollows) this.body.begin('length', parser.contentLength);
    this.phase = isTunnel ? PHASE.TUNNEL : bodyFollows ? PHASE.BODY : PHASE.RESPONSE;
    this.stream.requestContentLength = parser.chunked || isTunnel ? -1 : bodyFollows ? parser.contentLength : 0;
    this.stream.onRequestHead(!bodyFollows);
  }

  onBody(buffer: Buffer, start: number, end: number, stable: boolean): void {
    this.stream.onRequestBody(buffer, start, end, stable);
  }

  onBodyEnd(trailers: HeaderMap | undefined): void {
    this.requestEnded = true;
    if (this.phase !== PHASE.CLOSING) this.phase = PHASE.RESPONSE;
    this.stream.onRequestEnd(trailers);
  }

  onBodyError(details: string): void {
    this.manager.stats.downstreamCxProtocolError.inc();
    this.closeAfter = true;
    this.requestEnded = true;
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
    if (this.phase === PHASE.TUNNEL && this.body.endOfConnection()) return;
    if (this.phase === PHASE.IDLE || this.phase === PHASE.CLOSING) {
      this.connection.destroy();
      return;
    }
    if (this.phase === PHASE.HEAD) {
      this.manager.stats.downstreamCxProtocolError.inc();
      this.connection.destroy();
      return;
    }
    if (!this.responseEnded) this.stream.onDownstreamReset('downstream_remote_disconnect', false);
    this.connection.destroy();
  }

  onDrain(): void {
    if (this.phase === PHASE.CLOSING) return;
    this.stream.onDownstreamDrain();
  }

  onClose(_error: Error | undefined): void {
    timers.cancel(this.timer);
    this.body.stop();
    const active = this.phase === PHASE.BODY || this.phase === PHASE.RESPONSE || this.phase === PHASE.TUNNEL;
    this.phase = PHASE.CLOSING;
    if (active && !this.responseEnded) this.stream.onDownstreamReset('downstream_remote_disconnect', false);
    this.manager.onConnectionClosed(this, performance.now() - this.startedMs);
  }

  // ── writing: DownstreamCodec ──

  writeInterim(status: number, headers: HeaderMap | undefined): void {
    if (this.headWritten || this.stream.request.protocol === 'HTTP/1.0') return;
    this.writer.raw(statusLineText(status, headers));
  }

  writeHead(response: ResponseHead, endStream: boolean, contentLength: number): void {
    if (this.headWritten) return;
    this.headWritten = true;
    const request = this.stream.request;
    const status = response.status;
    const bodiless = request.method === 'HEAD' || status === 204 || status === 304 || status === 101;
    const tunnel = status === 101 || (request.method === 'CONNECT' && status >= 200 && status < 300);
    let framing: Framing = 'length';
    if (tunnel) framing = 'close';
    else if (bodiless) framing = 'none';
    else if (endStream) contentLength = 0;
    else if (contentLength < 0) framing = request.protocol === 'HTTP/1.0' ? 'close' : 'chunked';
    if (framing === 'close' && !tunnel) this.closeAfter = true;
    // A response before the end of its request: waiting for the rest would let it pile up (Envoy does likewise).
    if (this.draining || (!this.requestEnded && !tunnel)) this.closeAfter = true;
    this.writer.begin(
      responseHeadText(response, request, framing, contentLength, this.closeAfter && !tunnel, this.manager.settings),
      framing,
      contentLength,
    );
    if (endStream && !tunnel) this.finish(undefined);
  }

  writeBody(buffer: Buffer, start: number, end: number, stable: boolean): void {
    if (this.responseEnded) return;
    if (!this.writer.body(buffer, start, end, stable)) this.resetStream();
  }

  finish(trailers: HeaderMap | undefined): void {
    if (this.responseEnded) return;
    this.responseEnded = true;
    if (!this.writer.finish(this.manager.settings.enableTrailers ? trailers : undefined)) {
      this.connection.destroy();
      return;
    }
    this.stream.complete();
    this.afterResponse();
  }

  resetStream(): void {
    if (this.responseEnded) return;
    this.responseEnded = true;
    this.writer.flush();
    this.connection.destroy();
  }

  pauseRequest(): void {
    if (this.requestPaused) return;
    this.requestPaused = true;
    this.connection.pause();
  }

  resumeRequest(): void {
    if (!this.requestPaused) return;
    this.requestPaused = false;
    if (this.connection.closed) return;
    this.consumeStash();
    if (!this.requestPaused && !this.connection.closed && this.stash.length === 0) this.connection.resume();
  }

  switchToTunnel(): void {
    this.phase = PHASE.TUNNEL;
    this.requestEnded = false;
    this.body.begin('close', 0);
    timers.cancel(this.timer);
    if (this.stash.length > 0) this.consumeStash();
    if (!this.requestPaused && this.stash.length === 0) this.connection.resume();
  }

  /** The response is out and the request is read: the next one, or the end. */
  private afterResponse(): void {
    this.requestPaused = false;
    if (this.connection.closed) return;
    if (this.closeAfter || this.sawEnd || this.phase === PHASE.TUNNEL) {
      this.startClosing();
      return;
    }
    this.phase = PHASE.IDLE;
    this.idleSinceMs = performance.now();
    this.stream = this.manager.nextStream(this.stream);
    if (this.stash.length > 0) this.consumeStash();
    if (!this.connection.closed && this.phase !== PHASE.RESPONSE) this.connection.resume();
  }

  /** FIN, then wait for the client's: closing at once would make the kernel send a reset that destroys the response. */
  private startClosing(): void {
    this.body.stop();
    this.phase = PHASE.CLOSING;
    this.stash.take();
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

  /** No new request after the current one; an idle connection ends at once. */
  drain(): void {
    this.draining = true;
    if (this.phase === PHASE.IDLE && this.stash.length === 0) {
      this.manager.stats.downstreamCxDrainClose.inc();
      this.startClosing();
    }
  }

  private armTimer(): void {
    const { idleTimeoutMs, requestHeadersTimeoutMs, maxConnectionDurationMs } = this.manager.settings;
    const now = performance.now();
    let delay = Number.POSITIVE_INFINITY;
    if (idleTimeoutMs > 0) delay = idleTimeoutMs - (this.phase === PHASE.IDLE ? now - this.idleSinceMs : 0);
    if (requestHeadersTimeoutMs > 0 && this.phase === PHASE.HEAD) {
      delay = Math.min(delay, requestHeadersTimeoutMs - (now - this.headSinceMs));
    }
    if (maxConnectionDurationMs > 0) delay = Math.min(delay, maxConnectionDurationMs - (now - this.startedMs));
    if (delay !== Number.POSITIVE_INFINITY) timers.start(this.timer, Math.max(1, delay));
  }

  onTimer(): void {
    const { idleTimeoutMs, requestHeadersTimeoutMs, maxConnectionDurationMs } = this.manager.settings;
    const now = performance.now();
    const stats = this.manager.stats;
    if (this.phase === PHASE.CLOSING) {
      this.connection.destroy();
      return;
    }
    if (this.phase === PHASE.HEAD && requestHeadersTimeoutMs > 0 && now - this.headSinceMs >= requestHeadersTimeoutMs) {
      stats.downstreamRqHeaderTimeout.inc();
      this.closeAfter = true;
      this.phase = PHASE.RESPONSE;
      this.headWritten = false;
      this.responseEnded = false;
      this.stream.onRequestHeaderTimeout();
      return;
    }
    if (this.phase === PHASE.IDLE && idleTimeoutMs > 0 && now - this.idleSinceMs >= idleTimeoutMs) {
      stats.downstreamCxIdleTimeout.inc();
      this.startClosing();
      return;
    }
    if (maxConnectionDurationMs > 0 && now - this.startedMs >= maxConnectionDurationMs) {
      stats.downstreamCxMaxDurationReached.inc();
      this.drain();
      return;
    }
    this.armTimer();
  }
}
