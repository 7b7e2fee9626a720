import type { TlsInfo } from '../../observe/stream-info.ts';
import type { UpstreamCodec, UpstreamEvents, UpstreamResetReason } from '../codec.ts';
import type { HeaderMap } from '../headers.ts';
import { KNOWN } from '../http1/header-names.ts';
import type { RequestHead, ResponseHead } from '../message.ts';
import type { Http2ClientConnection } from './client-connection.ts';
import { contentLengthOf } from './field-values.ts';
import type { FieldList } from './hpack/field-list.ts';
import { Http2Stream } from './http2-stream.ts';
import { ERROR } from './protocol.ts';
import { readResponseFields } from './response-fields.ts';
import { readTrailerFields } from './trailer-fields.ts';

/** Interim responses to one request; more of them is a flood. */
const MAX_INTERIM_RESPONSES = 100;

/** The upstream side of one exchange: the codec that the router speaks through. */
export class Http2ClientStream extends Http2Stream implements UpstreamCodec {
  protected override readonly connection: Http2ClientConnection;
  /** Undefined once the exchange is over, or given up. */
  private events: UpstreamEvents | undefined = undefined;
  private headSeen = false;
  private anyByte = false;
  private isHead = false;
  private isConnect = false;
  private upgrade = '';
  /** Such a stream is used once: the router keeps it until both of its ways are over. */
  tunnel = false;
  private interimResponses = 0;

  /** A server may reset what it likes. */
  override readonly ageMs = Number.POSITIVE_INFINITY;

  constructor(connection: Http2ClientConnection) {
    super();
    this.connection = connection;
  }

  get localAddress(): string {
    return this.connection.localAddress;
  }

  get tls(): TlsInfo | undefined {
    return this.connection.connection.tls;
  }

  /** An exchange begins; its stream is opened with the head. */
  prepare(events: UpstreamEvents): void {
    this.events = events;
    this.id = 0;
    this.headSeen = false;
    this.anyByte = false;
    this.tunnel = false;
    this.interimResponses = 0;
  }

  // ── writing: UpstreamCodec ──

  writeHead(request: RequestHead, endStream: boolean, contentLength: number): void {
    if (this.events === undefined) return;
    const { connection } = this;
    this.isHead = request.method === 'HEAD';
    this.isConnect = request.method === 'CONNECT';
    this.upgrade = request.upgrade;
    const opensTunnel = this.isConnect || this.upgrade !== '';
    if (this.upgrade !== '' && !connection.takesUpgrades) {
      this.fail('local_reset', 'the upstream takes no extended CONNECT');
      return;
    }
    if (!connection.openStream(this)) {
      this.fail('connection_termination', '');
      return;
    }
    const ends = endStream && !opensTunnel;
    try {
      connection.writeRequestHead(this, request, ends, contentLength);
    } catch (error) {
      // Nothing of the head was written, and the stream's number is used up.
      this.events = undefined;
      connection.forget(this);
      throw error;
    }
    if (ends) this.localEnded = true;
  }

  writeBody(buffer: Buffer, start: number, end: number, stable: boolean): void {
    if (this.open && !this.localEnded && end > start) this.sendBody(buffer, start, end, stable);
  }

  finish(trailers: HeaderMap | undefined): void {
    if (this.open && !this.localEnded) this.sendEnd(trailers);
  }

  protected override onSent(): void {
    this.connection.closeIfDone(this);
    this.letGoOfTunnel();
  }

  /** Both ways of a tunnel are over: whoever still holds the codec holds nothing. */
  private letGoOfTunnel(): void {
    if (this.tunnel && !this.open) this.events = undefined;
  }

  protected override onCongested(): void {
    this.events?.onUpstreamCongested();
  }

  protected override onDrained(): void {
    this.events?.onUpstreamDrain();
  }

  resetStream(): void {
    if (this.events === undefined) return;
    this.events = undefined;
    if (this.open) {
      this.connection.countReset();
      this.connection.reset(this, ERROR.CANCEL);
    } else this.connection.unreserve();
  }

  pauseResponse(): void {
    this.pause();
  }

  resumeResponse(): void {
    this.resume();
  }

  switchToTunnel(): void {
    this.tunnel = true;
  }

  // ── reading ──

  override get keepsMessage(): boolean {
    return this.stashedEnd;
  }

  override onFields(fields: FieldList, endStream: boolean): void {
    this.anyByte = true;
    if (this.headSeen) {
      this.onTrailerFields(fields, endStream);
      return;
    }
    const { events } = this;
    if (events === undefined) return;
    const head = events.upstreamHead;
    const problem = readResponseFields(fields, head);
    if (problem !== '') {
      this.refuse(problem);
      return;
    }
    if (head.status < 200) {
      this.onInterim(events, head, endStream);
      return;
    }
    const opensTunnel = (this.upgrade !== '' || this.isConnect) && head.status < 300;
    const length = opensTunnel ? -1 : this.bodyLength(head, endStream);
    if (length === undefined) {
      this.refuse('invalid_content_length');
      return;
    }
    this.headSeen = true;
    if (opensTunnel) {
      this.onTunnelHead(events, head, endStream);
      return;
    }
    if (endStream) this.remoteEnded = true;
    this.bodyLeft = this.isHead || head.status === 304 ? -1 : length;
    if (endStream) this.endExchange();
    events.onUpstreamHead(head, endStream, endStream ? 0 : length);
  }

  /** A tunnel begins, of which the server's side may end at once. */
  private onTunnelHead(events: UpstreamEvents, head: ResponseHead, endStream: boolean): void {
    // What HTTP/1.1 calls switching protocols; the client's codec says it in its own way.
    if (this.upgrade !== '') {
      head.status = 101;
      head.append('upgrade', this.upgrade);
    }
    events.onUpstreamHead(head, false, -1);
    if (endStream && this.open) this.receiveEnd(undefined);
  }

  private onInterim(events: UpstreamEvents, head: ResponseHead, endStream: boolean): void {
    if (endStream || head.status === 101) this.refuse('invalid_interim_response');
    else if (++this.interimResponses > MAX_INTERIM_RESPONSES) this.refuse('too_many_interim_responses');
    else {
      head.remove('content-length');
      events.onUpstreamInterim(head);
    }
  }

  private onTrailerFields(fields: FieldList, endStream: boolean): void {
    if (this.events === undefined) return;
    const trailers = this.events.upstreamTrailers;
    const problem = endStream ? readTrailerFields(fields, trailers) : 'trailers_without_end';
    if (problem !== '') this.refuse(problem);
    else this.receiveEnd(trailers);
  }

  /** What content-length says, -1 when there is none; undefined when it cannot be true. */
  private bodyLength(head: ResponseHead, endStream: boolean): number | undefined {
    if ((head.present & (1 << KNOWN.CONTENT_LENGTH)) === 0) return -1;
    const length = contentLengthOf(head.get('content-length') as string);
    return length < 0 || (endStream && length !== 0 && !this.isHead && head.status !== 304) ? undefined : length;
  }

  override receive(buffer: Buffer, start: number, end: number): void {
    this.anyByte = true;
    if (!this.headSeen) {
      this.refuse('data_before_head');
      return;
    }
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
    if (!this.headSeen) this.refuse('end_before_head');
    else if (this.bodyLeft > 0) this.refuse('body_shorter_than_content_length');
    else super.receiveEnd(trailers);
  }

  protected override onBody(buffer: Buffer, start: number, end: number): void {
    this.events?.onUpstreamBody(buffer, start, end, false);
  }

  protected override onEnd(trailers: HeaderMap | undefined): void {
    const { events } = this;
    if (events === undefined) return;
    if (!this.tunnel) {
      this.endExchange();
      events.onUpstreamEnd(trailers);
      return;
    }
    events.onUpstreamEnd(trailers);
    this.connection.closeIfDone(this);
    this.letGoOfTunnel();
  }

  /** The response is complete: what is left of the request is of no use (RFC 9113 §8.1). */
  private endExchange(): void {
    this.tellWire();
    this.events = undefined;
    if (!this.localEnded) this.connection.reset(this, ERROR.NO_ERROR);
    else this.connection.closeIfDone(this);
  }

  /** The exchange is over: what was counted of it. */
  private tellWire(): void {
    const wire = this.events?.upstreamHead.wire;
    if (wire === undefined) return;
    wire.isHttp2 = true;
    wire.sent = this.wireSent;
    wire.headSent = this.headersSent;
    wire.bodyReceived = this.wireReceived;
    wire.headersReceived = this.headersReceived;
  }

  /** A malformed response. */
  private refuse(why: string): void {
    this.connection.onStreamError(this.id, ERROR.PROTOCOL_ERROR, why);
  }

  private fail(reason: UpstreamResetReason, failure: string): void {
    const { events } = this;
    this.events = undefined;
    this.connection.unreserve();
    events?.onUpstreamReset(reason, failure, false);
  }

  override onReset(code: number, details: string, byPeer: boolean): void {
    const { events, anyByte } = this;
    this.tellWire();
    this.events = undefined;
    const reason = reasonOf(code, details, byPeer);
    if (reason === 'protocol_error') this.connection.countReset();
    events?.onUpstreamReset(reason, '', anyByte);
  }
}

function reasonOf(code: number, details: string, byPeer: boolean): UpstreamResetReason {
  if (code === ERROR.REFUSED_STREAM) return 'remote_refused';
  if (byPeer) return 'remote_reset';
  return code < 0 && details === '' ? 'connection_termination' : 'protocol_error';
}
