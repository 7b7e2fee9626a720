import { nowMs } from '../../network/clock.ts';
import type { DownstreamCodec } from '../codec.ts';
import type { ConnectionManager } from '../connection-manager.ts';
import { HeaderMap } from '../headers.ts';
import { KNOWN } from '../http1/header-names.ts';
import type { ResponseHead } from '../message.ts';
import { FLAG } from '../response-flags.ts';
import type { HttpStream } from '../stream.ts';
import type { DownstreamWire } from '../wire-count.ts';
import { contentLengthOf } from './field-values.ts';
import { bringLength } from './head-writer.ts';
import type { FieldList } from './hpack/field-list.ts';
import { Http2Stream } from './http2-stream.ts';
import { ERROR } from './protocol.ts';
import { readRequestFields } from './request-fields.ts';
import type { Http2ServerConnection } from './server-connection.ts';
import { readTrailerFields } from './trailer-fields.ts';

/** The downstream side of one request: the codec that its `HttpStream` speaks through. */
export class Http2ServerStream extends Http2Stream implements DownstreamCodec {
  protected override readonly connection: Http2ServerConnection;
  private readonly manager: ConnectionManager;
  private http: HttpStream;
  private used = false;
  private headWritten = false;
  private finished = false;
  private isHead = false;
  private isConnect = false;
  private bodiless = false;
  private tunnel = false;
  /** What comes behind CONNECT, extended or not, waits until the tunnel is granted, as it does in HTTP/1.1. */
  private awaitsTunnel = false;
  private readonly requestTrailers = new HeaderMap();
  /** The request's head could not be used: its stream never began. */
  private isMalformed = false;

  constructor(connection: Http2ServerConnection, manager: ConnectionManager, http: HttpStream) {
    super();
    this.connection = connection;
    this.manager = manager;
    this.http = http;
    http.codec = this;
  }

  protected override get holdsEnd(): boolean {
    return this.awaitsTunnel;
  }

  override get ageMs(): number {
    return nowMs() - this.http.startMs;
  }

  /** The head of the request, which the connection has decoded. */
  override onFields(fields: FieldList, endStream: boolean): void {
    if (this.used) this.http = this.manager.nextStream(this.http);
    this.used = true;
    this.headWritten = false;
    this.finished = false;
    this.bodiless = false;
    this.tunnel = false;
    this.awaitsTunnel = false;
    this.isMalformed = false;
    const { http, manager } = this;
    const { request } = http;
    const result = readRequestFields(fields, request, manager.settings, this.connection.options.allowConnect);
    this.isHead = request.method === 'HEAD';
    this.isConnect = request.method === 'CONNECT';
    if (endStream) this.remoteEnded = true;
    if (result !== undefined) {
      if ('refused' in result) {
        http.onInvalidRequest(result.refused);
        return;
      }
      this.isMalformed = true;
      this.refuse(result.malformed);
      return;
    }
    const length = this.bodyLength(endStream);
    if (length === undefined) {
      this.isMalformed = true;
      this.refuse('invalid_content_length');
      return;
    }
    const isExtended = request.upgrade !== '';
    const asksForTunnel = isExtended || this.isConnect;
    this.bodyLeft = asksForTunnel ? -1 : length;
    this.awaitsTunnel = asksForTunnel && !endStream;
    if (this.awaitsTunnel) this.pause();
    const isComplete = endStream || isExtended;
    http.requestContentLength = isComplete ? 0 : this.bodyLeft;
    http.onRequestHead(isComplete);
  }

  /** What content-length says, -1 when there is none; undefined when it cannot be true. */
  private bodyLength(endStream: boolean): number | undefined {
    const { request } = this.http;
    if ((request.present & (1 << KNOWN.CONTENT_LENGTH)) === 0) return -1;
    const length = contentLengthOf(request.get('content-length') as string);
    return length < 0 || (endStream && length !== 0) ? undefined : length;
  }

  /** A malformed request: nothing of it is forwarded (RFC 9113 §8.1.1). */
  private refuse(why: string): void {
    this.manager.stats.downstreamCxProtocolError.inc();
    this.connection.onStreamError(this.id, ERROR.PROTOCOL_ERROR, why);
  }

  /** Trailers, which end the request. */
  onTrailerFields(fields: FieldList): void {
    const { requestTrailers: trailers } = this;
    trailers.reset('');
    const problem = readTrailerFields(fields, trailers);
    if (problem !== '') this.refuse(problem);
    else if (this.bodyLeft > 0) this.refuse('body_shorter_than_content_length');
    else this.receiveEnd(trailers);
  }

  override receive(buffer: Buffer, start: number, end: number): void {
    if (this.bodyLeft >= 0) {
      this.bodyLeft -= end - start;
      if (this.bodyLeft < 0) {
        this.refuse('body_exceeds_content_length');
        return;
      }
    }
    super.receive(buffer, start, end);
  }

  override receiveEnd(trailers: HeaderMap | undefined): void {
    if (this.bodyLeft > 0) this.refuse('body_shorter_than_content_length');
    else super.receiveEnd(trailers);
  }

  protected override onBody(buffer: Buffer, start: number, end: number): void {
    this.http.onRequestBody(buffer, start, end, false);
  }

  protected override onEnd(trailers: HeaderMap | undefined): void {
    this.http.onRequestEnd(trailers);
    // Only a tunnel is over when both sides have ended it. A response without a body has ended its side with its head,
    // and is over when whoever makes it says so.
    if (!this.tunnel || !this.localEnded) return;
    this.http.complete();
    this.connection.closeIfDone(this);
  }

  override onReset(code: number, details: string, byPeer: boolean): void {
    if (this.isMalformed) this.http.onMalformedRequest(details);
    else if (code < 0 && details === '') this.http.onDownstreamReset('downstream_remote_disconnect', false);
    else if (byPeer) this.http.onDownstreamGone(FLAG.DR, details);
    else this.http.onDownstreamGone(FLAG.DPE, details);
  }

  // ── writing: DownstreamCodec ──

  get wire(): DownstreamWire {
    const { wireReceived, wireSent, headersReceived, headersSent } = this;
    return { received: wireReceived, sent: wireSent, headersReceived, headersSent };
  }

  writeInterim(status: number, headers: HeaderMap | undefined): void {
    if (!this.headWritten && this.open && status !== 101)
      this.connection.writeResponseHead(this, status, headers, false);
  }

  writeHead(response: ResponseHead, endStream: boolean, contentLength: number): void {
    if (this.headWritten || !this.open) return;
    this.headWritten = true;
    let { status } = response;
    // An upgrade is what extended CONNECT asked for, and 200 is how that is granted (RFC 8441 §5).
    this.tunnel = status === 101 || (this.isConnect && status >= 200 && status < 300);
    if (status === 101) status = 200;
    if (!(status >= 200 && status <= 999)) status = 500;
    this.bodiless = !this.tunnel && (this.isHead || status === 204 || status === 304);
    if (this.tunnel || status === 204) response.remove('content-length');
    else if (!this.bodiless) bringLength(response, endStream ? 0 : contentLength);
    const ends = (endStream || this.bodiless) && !this.tunnel;
    this.connection.writeResponseHead(this, status, response, ends);
    if (!ends) return;
    this.localEnded = true;
    if (endStream) this.finish(undefined);
  }

  writeBody(buffer: Buffer, start: number, end: number, stable: boolean): void {
    if (this.open && !this.localEnded && end > start) this.sendBody(buffer, start, end, stable);
  }

  finish(trailers: HeaderMap | undefined): void {
    if (this.finished || !this.open) return;
    this.finished = true;
    if (this.localEnded) this.onSent();
    else this.sendEnd(trailers);
  }

  protected override onSent(): void {
    // The other direction of a tunnel goes on until its end was passed on.
    if (this.tunnel && (!this.remoteEnded || this.stashedEnd)) return;
    this.http.complete();
    // The rest of a request that is answered already is of no use (RFC 9113 §8.1).
    if (this.remoteEnded) this.connection.closeIfDone(this);
    else this.connection.reset(this, ERROR.NO_ERROR);
  }

  protected override onCongested(): void {
    this.http.onDownstreamCongested();
  }

  protected override onDrained(): void {
    this.http.onDownstreamDrain();
  }

  resetStream(): void {
    // The response was complete: what ran out is the time for the client to take it.
    if (this.open && this.finished) this.connection.stats.txFlushTimeout.inc();
    this.connection.reset(this, ERROR.INTERNAL_ERROR);
  }

  closeAfterResponse(): void {
    // Streams are framed by the connection: one wrong request says nothing about the others.
  }

  pauseRequest(): void {
    this.pause();
  }

  resumeRequest(): void {
    if (!this.awaitsTunnel) this.resume();
  }

  switchToTunnel(): void {
    if (!this.awaitsTunnel) {
      // The request ended with its head: so does the client's side of the tunnel.
      this.http.onRequestEnd(undefined);
      return;
    }
    this.awaitsTunnel = false;
    this.resume();
  }
}
