import { nowMs } from '../../network/clock.ts';
import type { Connection } from '../../network/connection.ts';
import { localEndOf } from '../../network/local-end.ts';
import type { UpstreamEvents } from '../codec.ts';
import type { RequestHead } from '../message.ts';
import { Http2ClientStream } from './client-stream.ts';
import { Http2Connection } from './connection.ts';
import type { Http2Stream } from './http2-stream.ts';
import type { Http2Options } from './options.ts';
import { ERROR, MAX_STREAM_ID, PREFACE, SETTING } from './protocol.ts';
import { SpareStreams } from './spare-streams.ts';
import type { Http2Stats } from './stats.ts';

/** Who owns the connection. */
export interface Http2ClientOwner {
  /** An exchange is over; the connection may have room again. */
  onExchangeEnd(connection: Http2ClientConnection): void;
  /** The server's first SETTINGS came, or later ones: its limits may have changed. */
  onLimits(connection: Http2ClientConnection): void;
  /** The connection takes no more exchanges. */
  onGoingAway(connection: Http2ClientConnection): void;
  onConnectionClosed(connection: Http2ClientConnection): void;
  /** A stream was reset from this side. */
  onReset(): void;
}

/** Streams that are opened before the server's SETTINGS say how many it takes (RFC 9113 §6.5.2 recommends at least so many). */
const STREAMS_BEFORE_SETTINGS = 100;

/** The HTTP/2 side of an upstream connection: many exchanges at once. */
export class Http2ClientConnection extends Http2Connection {
  readonly localAddress: string;
  private readonly owner: Http2ClientOwner;
  private readonly spares = new SpareStreams<Http2ClientStream>();
  private nextStreamId = 1;
  /** Exchanges that have begun and are not over, those without a stream yet included. */
  active = 0;
  /** Exchanges begun on this connection. */
  exchanges = 0;
  idleSinceMs = this.startedMs;
  /** No more exchanges: the server said so, its numbers are used up, or the pool has had enough of it. */
  goingAway = false;
  closeNotified = false;

  constructor(connection: Connection, owner: Http2ClientOwner, options: Http2Options, stats: Http2Stats) {
    super(connection, options, stats);
    this.localAddress = localEndOf(connection);
    this.owner = owner;
    this.peer.maxEnablePush = 0;
    this.output.text(PREFACE);
    this.sendSettings([[SETTING.ENABLE_PUSH, 0]]);
    connection.handler = this;
    connection.resume();
  }

  /** How many more exchanges may begin now. */
  get room(): number {
    if (this.goingAway || this.stopped) return 0;
    const ofPeer = this.peer.isKnown ? this.peer.maxStreams : STREAMS_BEFORE_SETTINGS;
    return Math.min(this.options.maxConcurrentStreams, ofPeer) - this.active;
  }

  /** The server has not said yet how many streams it takes. */
  get isUnsettled(): boolean {
    return !this.peer.isKnown && !this.stopped && !this.goingAway;
  }

  /** Extended CONNECT; before its first SETTINGS nobody knows, and asking is allowed to fail. */
  get takesUpgrades(): boolean {
    return this.peer.allowsConnect || !this.peer.isKnown;
  }

  /** Begins an exchange, for which there must be room. */
  begin(events: UpstreamEvents): Http2ClientStream {
    const stream = this.spares.take() ?? new Http2ClientStream(this);
    this.active++;
    this.exchanges++;
    this.keepalive.beforeStream();
    stream.prepare(events);
    return stream;
  }

  /** False when the connection can take no stream any more. */
  openStream(stream: Http2ClientStream): boolean {
    if (this.stopped || this.nextStreamId > MAX_STREAM_ID) return false;
    this.open(stream, this.nextStreamId);
    this.nextStreamId += 2;
    if (this.nextStreamId > MAX_STREAM_ID) this.goAway();
    return true;
  }

  writeRequestHead(stream: Http2Stream, request: RequestHead, endStream: boolean, contentLength: number): void {
    this.heads.request(stream.id, request, endStream, contentLength);
    stream.countHeaders(this.heads.frameBytes, true);
  }

  /** An exchange ends before it had a stream. Its object is not used again: its owner may not have let go of it. */
  unreserve(): void {
    this.endExchange();
  }

  /** The stream's head could not be written: the server never hears of it. */
  forget(stream: Http2ClientStream): void {
    this.drop(stream, true);
  }

  protected override onStreamGone(stream: Http2Stream): void {
    this.endExchange();
    // Not before: an exchange that begins now must not get the object whose end is still being told.
    const { tunnel } = stream as Http2ClientStream;
    if (!tunnel) this.spares.give(stream as Http2ClientStream);
  }

  private endExchange(): void {
    this.active--;
    if (this.active === 0) {
      this.idleSinceMs = nowMs();
      if (this.goingAway) this.closeWhenIdle();
    }
    this.owner.onExchangeEnd(this);
  }

  protected override onHeaders(streamId: number, endStream: boolean): void {
    const stream = this.streams.get(streamId) as Http2ClientStream | undefined;
    if (stream === undefined) {
      if (this.isIdle(streamId)) this.onConnectionError(ERROR.PROTOCOL_ERROR, 'HEADERS on an idle stream');
      else if (!this.closedStreams.ignores(streamId))
        this.onConnectionError(ERROR.STREAM_CLOSED, 'HEADERS on a closed stream');
    } else if (stream.remoteEnded) {
      this.onStreamError(streamId, ERROR.STREAM_CLOSED, 'HEADERS after the end of the stream');
    } else {
      stream.countHeaders(this.headersBytes, false);
      stream.onFields(this.fields, endStream);
    }
  }

  protected override isIdle(streamId: number): boolean {
    return (streamId & 1) === 0 || streamId >= this.nextStreamId;
  }

  protected override lastPeerStream(): number {
    return 0;
  }

  /** This side resets a stream. */
  countReset(): void {
    this.owner.onReset();
  }

  /** Streams above the last one were not processed: they may go elsewhere (RFC 9113 §6.8). */
  override onGoAway(lastStreamId: number, _code: number, _debug: string): void {
    this.closeNotified = true;
    this.goAway();
    for (const stream of this.streams.values()) {
      if (!stream.open || stream.id <= lastStreamId) continue;
      this.drop(stream, true);
      stream.onReset(ERROR.REFUSED_STREAM, '', true);
    }
    if (this.active === 0) this.closeWhenIdle();
  }

  /** No more exchanges; the connection ends with those that run. */
  goAway(): void {
    if (this.goingAway) return;
    this.goingAway = true;
    this.owner.onGoingAway(this);
  }

  /** As `goAway`, and at once when nothing runs. */
  drain(): void {
    this.goAway();
    if (this.active === 0) this.closeWhenIdle();
  }

  private closeWhenIdle(): void {
    if (this.stopped) return;
    this.sendGoAway(0);
    this.finishClosing();
  }

  override onHeaderBlockOpen(_isOpen: boolean): void {}

  protected override onSettled(): void {
    this.owner.onLimits(this);
  }

  protected override onBroken(_details: string): void {
    this.goAway();
  }

  override onEnd(): void {
    this.goAway();
    super.onEnd();
  }

  override onClose(error: Error | undefined): void {
    this.goAway();
    super.onClose(error);
    this.spares.stop();
    this.owner.onConnectionClosed(this);
  }
}
