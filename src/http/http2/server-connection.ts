import { nowMs } from '../../network/clock.ts';
import type { Connection } from '../../network/connection.ts';
import { TimerEntry, timers } from '../../network/timer.ts';
import type { ConnectionInfo } from '../../observe/stream-info.ts';
import type { ConnectionManager } from '../connection-manager.ts';
import type { HeaderMap } from '../headers.ts';
import { HttpStream } from '../stream.ts';
import { Http2Connection } from './connection.ts';
import { TOO_MANY_RESETS } from './flood-guard.ts';
import type { Http2Stream } from './http2-stream.ts';
import type { Http2Options } from './options.ts';
import { ERROR, MAX_STREAM_ID, PREFACE, SETTING } from './protocol.ts';
import { Http2ServerStream } from './server-stream.ts';
import { SpareStreams } from './spare-streams.ts';
import type { Http2Stats } from './stats.ts';

/** Between the announcement of the end and the end: the time in which a client learns of it. */
const LONGEST_GOAWAY_GRACE_MS = 5000;

/** Streams that a client may open on its first guess, or before it hears that there are no more. */
const MAX_FORGIVEN = 1024;
/** How long a closing connection may take to flush when no stream idle timeout is set. */
const LONGEST_FLUSH_MS = 300_000;

/** OPEN: streams are served. ANNOUNCED: the client was asked to open no more. LAST: no new one is served. */
const LIFE = { OPEN: 0, ANNOUNCED: 1, LAST: 2 } as const;

/** One timer serves the times of a connection; it is looked at when it fires. */
class ConnectionTimer extends TimerEntry {
  private readonly connection: Http2ServerConnection;

  constructor(connection: Http2ServerConnection) {
    super();
    this.connection = connection;
  }

  override onTimeout(): void {
    this.connection.onTimer();
  }
}

/** The HTTP/2 side of a downstream connection: each stream that the client opens becomes an `HttpStream` of the manager. */
export class Http2ServerConnection extends Http2Connection {
  readonly protocol = 'HTTP/2';
  private readonly manager: ConnectionManager;
  private readonly info: ConnectionInfo;
  private readonly spares = new SpareStreams<Http2ServerStream>();
  private readonly timer: ConnectionTimer;
  private prefaceBytes = 0;
  private lastStreamId = 0;
  /** The last one that was not refused: what a GOAWAY says never grows (RFC 9113 §6.8). */
  private lastServedId = 0;
  private streamsServed = 0;
  /** Refused streams of a client that had not heard of the limit, or of the end. */
  private forgiven = 0;
  private life: number = LIFE.OPEN;
  private drainGraceMs = 0;
  private drainingSinceMs = 0;
  private idleSinceMs = this.startedMs;
  /** When the header block that is still incomplete began; 0 when there is none. */
  private headSinceMs = 0;

  constructor(
    connection: Connection,
    info: ConnectionInfo,
    manager: ConnectionManager,
    options: Http2Options,
    stats: Http2Stats,
  ) {
    super(connection, options, stats);
    this.manager = manager;
    this.info = info;
    this.timer = new ConnectionTimer(this);
    const settings: [number, number][] = [[SETTING.MAX_CONCURRENT_STREAMS, options.maxConcurrentStreams]];
    if (options.allowConnect) settings.push([SETTING.ENABLE_CONNECT_PROTOCOL, 1]);
    this.sendSettings(settings);
    this.armTimer();
  }

  override onData(buffer: Buffer, length: number): void {
    this.manager.stats.downstreamCxRxBytesTotal.add(length);
    if (this.prefaceBytes === PREFACE.length) {
      this.read(buffer, 0, length);
      return;
    }
    let i = 0;
    while (i < length && this.prefaceBytes < PREFACE.length) {
      if (buffer[i] !== PREFACE.charCodeAt(this.prefaceBytes)) {
        this.onConnectionError(ERROR.PROTOCOL_ERROR, 'no HTTP/2 preface');
        return;
      }
      i++;
      this.prefaceBytes++;
    }
    if (i < length) this.read(buffer, i, length);
  }

  protected override onHeaders(streamId: number, endStream: boolean): void {
    const stream = this.streams.get(streamId) as Http2ServerStream | undefined;
    if (stream !== undefined) {
      if (stream.remoteEnded) this.onStreamError(streamId, ERROR.STREAM_CLOSED, 'HEADERS after the end of the stream');
      else if (!endStream) this.onStreamError(streamId, ERROR.PROTOCOL_ERROR, 'trailers without END_STREAM');
      else {
        stream.countHeaders(this.headersBytes, false);
        stream.onTrailerFields(this.fields);
      }
      return;
    }
    if ((streamId & 1) === 0) {
      this.onConnectionError(ERROR.PROTOCOL_ERROR, 'a client opens odd streams');
    } else if (streamId <= this.lastStreamId) {
      if (this.closedStreams.ignores(streamId)) return;
      const code = this.closedStreams.has(streamId) ? ERROR.STREAM_CLOSED : ERROR.PROTOCOL_ERROR;
      this.onConnectionError(code, 'HEADERS on a closed stream');
    } else {
      this.openStream(streamId, endStream);
    }
  }

  private openStream(streamId: number, endStream: boolean): void {
    this.lastStreamId = streamId;
    if (this.life === LIFE.LAST || this.streams.size >= this.options.maxConcurrentStreams) {
      this.closedStreams.add(streamId, true);
      // A client that cannot know better yet is not to blame, unless it goes on and on.
      const knows = this.life !== LIFE.LAST && this.isAcknowledged;
      this.refuseStream(streamId, ERROR.REFUSED_STREAM, knows || ++this.forgiven > MAX_FORGIVEN);
      return;
    }
    const stream =
      this.spares.take() ?? new Http2ServerStream(this, this.manager, new HttpStream(this.manager, this.info));
    this.lastServedId = streamId;
    this.open(stream, streamId);
    if (++this.streamsServed >= this.manager.settings.maxRequestsPerConnection) this.refuseFurther();
    stream.countHeaders(this.headersBytes, false);
    stream.onFields(this.fields, endStream);
  }

  protected override onStreamGone(stream: Http2Stream): void {
    this.spares.give(stream as Http2ServerStream);
    if (this.streams.size > 0) return;
    this.idleSinceMs = nowMs();
    if (this.life === LIFE.LAST) this.closeGracefully();
  }

  protected override isIdle(streamId: number): boolean {
    return (streamId & 1) === 0 || streamId > this.lastStreamId;
  }

  protected override lastPeerStream(): number {
    return this.lastServedId;
  }

  override onGoAway(_lastStreamId: number, _code: number, _debug: string): void {
    // The client opens no more streams; those that are open go on.
  }

  override onHeaderBlockOpen(isOpen: boolean): void {
    this.headSinceMs = isOpen ? nowMs() : 0;
    if (isOpen && this.manager.settings.requestHeadersTimeoutMs > 0) this.armTimer();
  }

  protected override onSettled(): void {}

  protected override onBroken(details: string): void {
    const { stats } = this.manager;
    stats.downstreamCxProtocolError.inc();
    if (details === TOO_MANY_RESETS) stats.downstreamRqTooManyPrematureResets.inc();
  }

  writeResponseHead(stream: Http2Stream, status: number, head: HeaderMap | undefined, endStream: boolean): void {
    if (this.life === LIFE.OPEN && this.manager.endsConnections) this.drain(this.manager.settings.drainTimeoutMs);
    this.heads.response(stream.id, status, head, endStream);
    stream.countHeaders(this.heads.frameBytes, true);
  }

  override onClose(error: Error | undefined): void {
    timers.cancel(this.timer);
    super.onClose(error);
    this.spares.stop();
    this.manager.onConnectionClosed(this, performance.now() - this.startedMs);
  }

  // ── the end, and time ──

  protected override get closeWaitMs(): number {
    return Math.max(this.manager.settings.delayedCloseTimeoutMs, 1);
  }

  /**
   * Asks the client to open no more streams, and refuses new ones once it had time to hear that. The connection ends
   * with its last stream then.
   */
  drain(idleGraceMs: number): void {
    if (this.life !== LIFE.OPEN || this.stopped) return;
    this.life = LIFE.ANNOUNCED;
    this.drainGraceMs = Math.min(idleGraceMs, LONGEST_GOAWAY_GRACE_MS);
    this.drainingSinceMs = performance.now();
    // No new streams, please; those on their way are served (RFC 9113 §6.8).
    this.sendGoAway(MAX_STREAM_ID);
    this.armTimer();
  }

  private refuseFurther(): void {
    if (this.life === LIFE.LAST || this.stopped) return;
    this.life = LIFE.LAST;
    this.sendGoAway(this.lastServedId);
    if (this.streams.size === 0) this.closeGracefully();
  }

  private closeGracefully(): void {
    if (this.stopped) return;
    // A slow client still takes its responses: it may, as long as a stream may be idle.
    this.finishClosing(this.manager.settings.streamIdleTimeoutMs || LONGEST_FLUSH_MS);
  }

  private armTimer(): void {
    const { idleTimeoutMs, requestHeadersTimeoutMs, maxConnectionDurationMs } = this.manager.settings;
    const now = performance.now();
    let delay = Number.POSITIVE_INFINITY;
    if (idleTimeoutMs > 0) delay = idleTimeoutMs - (this.streams.size === 0 ? now - this.idleSinceMs : 0);
    if (requestHeadersTimeoutMs > 0 && this.headSinceMs > 0)
      delay = Math.min(delay, requestHeadersTimeoutMs - (now - this.headSinceMs));
    if (this.life === LIFE.ANNOUNCED) delay = Math.min(delay, this.drainGraceMs - (now - this.drainingSinceMs));
    else if (this.life === LIFE.OPEN && maxConnectionDurationMs > 0)
      delay = Math.min(delay, maxConnectionDurationMs - (now - this.startedMs));
    if (delay !== Number.POSITIVE_INFINITY) timers.start(this.timer, Math.max(1, delay));
  }

  onTimer(): void {
    if (this.stopped) return;
    const { idleTimeoutMs, requestHeadersTimeoutMs, maxConnectionDurationMs, drainTimeoutMs } = this.manager.settings;
    const { stats } = this.manager;
    const now = performance.now();
    if (this.headSinceMs > 0 && requestHeadersTimeoutMs > 0 && now - this.headSinceMs >= requestHeadersTimeoutMs) {
      stats.downstreamRqHeaderTimeout.inc();
      this.onConnectionError(ERROR.NO_ERROR, 'request header timeout');
    } else if (this.streams.size === 0 && idleTimeoutMs > 0 && now - this.idleSinceMs >= idleTimeoutMs) {
      stats.downstreamCxIdleTimeout.inc();
      this.refuseFurther();
    } else if (this.life === LIFE.ANNOUNCED && now - this.drainingSinceMs >= this.drainGraceMs) {
      if (this.streams.size === 0) stats.downstreamCxDrainClose.inc();
      this.refuseFurther();
    } else if (
      this.life === LIFE.OPEN &&
      maxConnectionDurationMs > 0 &&
      now - this.startedMs >= maxConnectionDurationMs
    ) {
      stats.downstreamCxMaxDurationReached.inc();
      this.drain(drainTimeoutMs);
    }
    if (!this.stopped) this.armTimer();
  }
}
