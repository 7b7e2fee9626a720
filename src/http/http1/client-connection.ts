import type { Connection, ConnectionHandler } from '../../network/connection.ts';
import { localEndOf } from '../../network/local-end.ts';
import type { TlsInfo } from '../../observe/stream-info.ts';
import type { UpstreamCodec, UpstreamEvents } from '../codec.ts';
import type { HeaderMap } from '../headers.ts';
import type { RequestHead, ResponseHead } from '../message.ts';
import { BodyReader, type BodySink } from './body-reader.ts';
import { type HeadLimits, HeadParser } from './head-parser.ts';
import { HeadProgress } from './head-progress.ts';
import { CONNECTION, proxyConnectionCloses, readConnection, removeHopByHop, stillPresent } from './hop-by-hop.ts';
import { InputStash } from './input-stash.ts';
import { MessageWriter } from './message-writer.ts';
import { requestHeadText } from './request-text.ts';

/** How a cluster speaks HTTP/1. */
export interface Http1ClientOptions {
  readonly headLimits: HeadLimits;
  readonly enableTrailers: boolean;
  /** Write names as `Proper-Case`. */
  readonly properCase: boolean;
}

/** Who owns the connection between exchanges. */
export interface Http1ClientOwner {
  /** The exchange is over; `reusable` when the connection may serve another one. */
  onExchangeEnd(connection: Http1ClientConnection, reusable: boolean): void;
  onConnectionClosed(connection: Http1ClientConnection): void;
}

/** Interim responses to one request; more of them is a flood. */
const MAX_INTERIM_RESPONSES = 100;

const PHASE = { IDLE: 0, HEAD: 1, BODY: 2, TUNNEL: 3, CLOSED: 4 } as const;

/** The HTTP/1 side of an upstream connection: one exchange after the other. */
export class Http1ClientConnection implements ConnectionHandler, UpstreamCodec, BodySink {
  readonly connection: Connection;
  readonly localAddress: string;
  readonly tls: TlsInfo | undefined;
  private readonly owner: Http1ClientOwner;
  private readonly options: Http1ClientOptions;
  private readonly parser: HeadParser;
  private readonly body: BodyReader;
  private readonly writer: MessageWriter;
  private readonly stash = new InputStash();
  private readonly headProgress: HeadProgress;
  private events: UpstreamEvents | undefined = undefined;
  private phase: number = PHASE.IDLE;
  private paused = false;
  private consuming = false;
  private keepAlive = true;
  /** No part of a request is still to be written. */
  requestDone = true;
  private responseDone = false;
  private anyByte = false;
  private headWritten = false;
  /** The head of the response, interim ones left out. */
  private headReceived = '';
  private method = '';
  private upgrade = false;
  /** The client has ended its direction of a tunnel. */
  private tunnelWritten = false;
  private interimResponses = 0;
  /** A part of a head has come. */
  private headBegun = false;
  private trailers: HeaderMap | undefined = undefined;
  /** Counted as an active request of its cluster; kept by the pool. */
  inUse = false;
  /** Exchanges begun on this connection. */
  exchanges = 0;
  idleSinceMs = 0;
  /** The server ended the connection, or said with a response that it would. */
  endedByPeer = false;
  closeNotified = false;
  readonly startedMs = performance.now();

  constructor(connection: Connection, owner: Http1ClientOwner, options: Http1ClientOptions) {
    this.connection = connection;
    this.localAddress = localEndOf(connection);
    this.tls = connection.tls;
    this.owner = owner;
    this.options = options;
    this.parser = new HeadParser(options.headLimits);
    this.headProgress = new HeadProgress(options.headLimits.maxHeaderBytes);
    this.body = new BodyReader(connection, this, options.headLimits, options.enableTrailers);
    this.writer = new MessageWriter(connection, () => this.events?.onUpstreamCongested());
    connection.handler = this;
    connection.resume();
  }

  get congested(): boolean {
    return this.connection.congested;
  }

  get bodyPaused(): boolean {
    return this.paused;
  }

  /** Begins an exchange on an idle connection. */
  begin(events: UpstreamEvents): void {
    this.events = events;
    this.exchanges++;
    this.phase = PHASE.HEAD;
    this.keepAlive = true;
    this.requestDone = false;
    this.responseDone = false;
    this.anyByte = false;
    this.body.beginMessage();
    this.headWritten = false;
    this.headReceived = '';
    this.paused = false;
    this.trailers = undefined;
    this.interimResponses = 0;
    this.headBegun = false;
  }

  // ── writing: UpstreamCodec ──

  writeHead(request: RequestHead, endStream: boolean, contentLength: number): void {
    this.method = request.method;
    this.upgrade = request.upgrade !== '';
    const tunnel = (this.upgrade && endStream) || request.method === 'CONNECT';
    const framing = tunnel ? 'none' : endStream || contentLength >= 0 ? 'length' : 'chunked';
    const length = endStream ? 0 : contentLength;
    this.headWritten = true;
    this.writer.begin(requestHeadText(request, framing, length, this.options.properCase), framing, length);
    if (endStream || tunnel) {
      this.requestDone = true;
      this.writer.flush();
    }
  }

  writeBody(buffer: Buffer, start: number, end: number, stable: boolean): void {
    if (this.events !== undefined && !this.writer.body(buffer, start, end, stable))
      this.fail('local_reset', 'request body does not fit its length');
  }

  finish(trailers: HeaderMap | undefined): void {
    if (this.phase === PHASE.TUNNEL) {
      // Its last bytes may have come with its end, in one event.
      this.writer.flush();
      this.connection.end();
      this.tunnelWritten = true;
      if (this.responseDone) this.endTunnel();
      return;
    }
    if (this.events === undefined || this.requestDone) return;
    this.requestDone = true;
    if (!this.writer.finish(this.options.enableTrailers ? trailers : undefined))
      this.fail('local_reset', 'request body is shorter than its length');
  }

  resetStream(): void {
    if (this.events === undefined) return;
    this.tellWire();
    this.events = undefined;
    this.connection.destroy();
  }

  pauseResponse(): void {
    if (this.paused) return;
    this.paused = true;
    this.connection.pause();
  }

  resumeResponse(): void {
    if (!this.paused) return;
    this.paused = false;
    if (this.connection.closed) return;
    this.consumeStash();
  }

  /** After a 101, or a 2xx to CONNECT. */
  switchToTunnel(): void {
    this.phase = PHASE.TUNNEL;
    this.tunnelWritten = false;
    this.keepAlive = false;
    this.body.begin('close', 0);
    this.writer.begin('', 'close', 0);
  }

  // ── reading ──

  onData(buffer: Buffer, length: number): void {
    if (this.stash.length > 0) {
      this.stash.append(buffer, 0, length);
      if (!this.paused) this.consumeStash();
      return;
    }
    const used = this.consume(buffer, 0, length);
    if (used < length && !this.connection.closed) this.stash.append(buffer, used, length);
  }

  private consumeStash(): void {
    if (this.consuming) return;
    const { stash } = this;
    if (stash.length > 0) stash.advance(this.consume(stash.buffer, stash.begin, stash.end));
    if (!this.paused && !this.connection.closed) this.connection.resume();
  }

  /** Uses `buffer[start, end)` as far as that is possible now; the offset behind what was used. */
  private consume(buffer: Buffer, start: number, end: number): number {
    let i = start;
    this.consuming = true;
    while (i < end && !this.connection.closed) {
      const before = i;
      if (this.phase === PHASE.IDLE) {
        // Nobody asked: what comes now could be taken for the answer to the next request.
        this.connection.destroy();
        break;
      }
      if (this.paused) break;
      i = this.phase === PHASE.HEAD ? this.readHead(buffer, i, end) : this.body.read(buffer, i, end);
      if (this.responseDone) {
        this.consuming = false;
        // Gone before the connection may serve another exchange, which must not see a byte of it.
        this.stash.clear();
        this.endExchange(i < end);
        return end;
      }
      if (i === before) break;
    }
    this.consuming = false;
    return i;
  }

  private readHead(buffer: Buffer, start: number, end: number): number {
    const events = this.events as UpstreamEvents;
    const head = events.upstreamHead;
    this.anyByte = true;
    const { parser, headProgress } = this;
    if (this.headBegun && !headProgress.ready(buffer, start, end)) return start;
    if (!parser.parseResponse(buffer, start, end, head)) {
      if (parser.error !== undefined) {
        this.fail('protocol_error', parser.error.details);
      } else if (!this.headBegun) {
        this.headBegun = true;
        headProgress.begin();
        headProgress.ready(buffer, start, end);
      }
      return start;
    }
    this.headBegun = false;
    const headEnd = start + parser.headBytes;
    head.raw = buffer.latin1Slice(start, headEnd);
    this.headReceived = head.raw;
    head.status = parser.status;
    head.present = parser.present;
    const close = this.readHopByHop(head);
    // Interim responses have no body, and may not speak of one (RFC 9110 §8.6, §15.2).
    if (parser.status < 200) head.remove('content-length');
    if (parser.status < 200 && parser.status !== 101) {
      if (++this.interimResponses > MAX_INTERIM_RESPONSES)
        this.fail('protocol_error', 'http1.too_many_interim_responses');
      else events.onUpstreamInterim(head);
      return headEnd;
    }
    if (parser.status === 101) {
      if (!this.upgrade || !this.requestDone) {
        this.fail('protocol_error', 'http1.unexpected_101');
        return headEnd;
      }
      return this.offerTunnel(head, headEnd);
    }
    if (parser.status === 204 && (parser.chunked || parser.contentLength > 0)) {
      this.fail('protocol_error', 'http1.body_disallowed');
      return headEnd;
    }
    const bodiless = this.method === 'HEAD' || parser.status === 204 || parser.status === 304;
    const tunnel = this.method === 'CONNECT' && parser.status < 300;
    const length = bodiless || tunnel ? 0 : parser.chunked ? -1 : parser.contentLength;
    // Chunks in HTTP/1.0 are faulty framing: read, but never followed by another response (RFC 9112 §6.1).
    this.keepAlive =
      !close && !this.upgrade && this.method !== 'CONNECT' && !(parser.chunked && parser.minorVersion === 0);
    if (tunnel) return this.offerTunnel(head, headEnd);
    if (length === 0) {
      this.responseDone = true;
      this.lastEvent = head.status;
      return headEnd;
    }
    this.phase = PHASE.BODY;
    if (parser.chunked) this.body.begin('chunked', 0);
    else if (length > 0) this.body.begin('length', length);
    else {
      this.keepAlive = false;
      this.body.begin('close', 0);
    }
    events.onUpstreamHead(head, false, length);
    return headEnd;
  }

  /** What follows the head is no other head, also while a filter still thinks about this one. */
  private offerTunnel(head: ResponseHead, headEnd: number): number {
    this.phase = PHASE.BODY;
    this.body.begin('close', 0);
    this.events?.onUpstreamHead(head, false, -1);
    return headEnd;
  }

  /** Both directions of the tunnel are over. */
  private endTunnel(): void {
    this.tellWire();
    this.events = undefined;
    this.owner.onExchangeEnd(this, false);
    this.connection.destroy();
  }

  /** Status of a response without a body whose head has not been passed on yet. */
  private lastEvent = 0;

  /** Takes hop-by-hop headers out; true when the server closes after this response. */
  private readHopByHop(head: ResponseHead): boolean {
    const parser = this.parser;
    let close = parser.minorVersion === 0;
    if (parser.connectionIndex >= 0) {
      const connection = readConnection(head, parser.connectionIndex);
      if (connection & CONNECTION.KEEP_ALIVE) close = false;
      if (connection & CONNECTION.CLOSE) close = true;
      if (connection & CONNECTION.NOMINATED) head.present = stillPresent(head, parser.present);
    }
    if (proxyConnectionCloses(head, parser.present)) close = true;
    removeHopByHop(head, parser.present, parser.status === 101);
    if (close) this.closeNotified = true;
    return close;
  }

  onBody(buffer: Buffer, start: number, end: number, stable: boolean): void {
    this.events?.onUpstreamBody(buffer, start, end, stable);
  }

  onBodyEnd(trailers: HeaderMap | undefined): void {
    this.responseDone = true;
    this.trailers = trailers;
  }

  onBodyError(details: string): void {
    this.fail('protocol_error', details);
  }

  /** The response is complete. `extra` bytes behind it mean that the server cannot be trusted with another request. */
  private endExchange(extra: boolean): void {
    const events = this.events;
    const headOnly = this.lastEvent;
    const trailers = this.trailers;
    this.lastEvent = 0;
    this.tellWire();
    this.events = undefined;
    this.phase = PHASE.IDLE;
    const reusable =
      this.keepAlive && this.requestDone && !extra && !this.connection.congested && !this.connection.closed;
    if (!reusable) this.connection.destroy();
    else if (this.paused) this.connection.resume();
    this.paused = false;
    this.owner.onExchangeEnd(this, reusable);
    if (headOnly > 0) events?.onUpstreamHead(events.upstreamHead, true, 0);
    else events?.onUpstreamEnd(trailers);
    this.responseDone = false;
  }

  /** The exchange is over: what was counted of it. */
  private tellWire(): void {
    const wire = this.events?.upstreamHead.wire;
    if (wire === undefined || !this.headWritten) return;
    wire.sent = this.writer.sentBytes;
    wire.headSent = this.writer.headBytes;
    wire.headReceived = this.headReceived;
    wire.bodyReceived = this.body.wireBytes;
  }

  private fail(reason: 'protocol_error' | 'connection_termination' | 'local_reset', failure: string): void {
    this.tellWire();
    const events = this.events;
    this.events = undefined;
    this.body.stop();
    this.connection.destroy();
    events?.onUpstreamReset(reason, failure, this.anyByte);
  }

  onEnd(): void {
    this.endedByPeer = true;
    if (this.phase === PHASE.TUNNEL && this.body.endOfConnection()) {
      const { events } = this;
      if (this.tunnelWritten) this.endTunnel();
      events?.onUpstreamEnd(undefined);
      return;
    }
    if (this.phase === PHASE.BODY && this.body.endOfConnection()) {
      this.endExchange(true);
      return;
    }
    if (this.phase === PHASE.IDLE) this.connection.destroy();
    else this.fail(this.endReason, '');
  }

  /** A connection that ends in the middle of a message broke the protocol, as Envoy counts it. */
  private get endReason(): 'protocol_error' | 'connection_termination' {
    return this.headBegun || this.phase === PHASE.BODY ? 'protocol_error' : 'connection_termination';
  }

  onDrain(): void {
    this.events?.onUpstreamDrain();
  }

  onClose(error: Error | undefined): void {
    if (error !== undefined) this.endedByPeer = true;
    const reason = this.endReason;
    this.phase = PHASE.CLOSED;
    this.body.stop();
    this.owner.onConnectionClosed(this);
    this.tellWire();
    const events = this.events;
    this.events = undefined;
    events?.onUpstreamReset(reason, '', this.anyByte);
  }
}
