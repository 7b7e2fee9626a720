import type { Connection, ConnectionHandler } from '../../network/connection.ts';
import { sharedLargeReadBuffer } from '../../network/read-buffer.ts';
import { timers } from '../../network/timer.ts';
import type { HeaderMap } from '../headers.ts';
import { CloseTimer } from './close-timer.ts';
import { ClosedStreams } from './closed-streams.ts';
import { CutFrame } from './cut-frame.ts';
import { DataIntake } from './data-intake.ts';
import { FloodGuard } from './flood-guard.ts';
import { FrameOutput } from './frame-output.ts';
import { FrameReader, type FrameSink } from './frame-reader.ts';
import { HeadWriter } from './head-writer.ts';
import { HpackDecoder } from './hpack/decoder.ts';
import { FieldList } from './hpack/field-list.ts';
import type { Http2Stream } from './http2-stream.ts';
import { Keepalive } from './keepalive.ts';
import type { Http2Options } from './options.ts';
import { PeerSettings } from './peer-settings.ts';
import { DEFAULT_WINDOW_BYTES, ERROR, FRAME_HEADER_BYTES, MAX_WINDOW_BYTES, SETTING } from './protocol.ts';
import { ReceiveWindows } from './receive-windows.ts';
import { SendTurns } from './send-turns.ts';
import type { Http2Stats } from './stats.ts';
import { StreamTable } from './stream-table.ts';

/** A stream that is given up later than this was meant to be served: a watch, for instance (Envoy's default). */
const MIN_LIFETIME_MS = 1000;
/** A header block may be this much longer than its list, for names and values that compression does not shorten. */
const BLOCK_SLACK_BYTES = 16 * 1024;
/** How long a peer may take to acknowledge our settings and to let a closing connection end. */
const CLOSE_WAIT_MS = 1000;

/**
 * What both ends of an HTTP/2 connection have in common: frames, settings, windows, the turn that streams take in
 * sending, and the ways in which a connection ends.
 */
export abstract class Http2Connection implements ConnectionHandler, FrameSink {
  readonly connection: Connection;
  readonly options: Http2Options;
  readonly stats: Http2Stats;
  protected readonly output: FrameOutput;
  private readonly input: CutFrame;
  private readonly decoder: HpackDecoder;
  protected readonly heads: HeadWriter;
  protected readonly fields = new FieldList();
  /** Bytes of the frame that the fields came in. */
  protected headersBytes = 0;
  protected readonly floods: FloodGuard;
  protected readonly keepalive: Keepalive;
  private readonly closeTimer: CloseTimer;
  protected readonly streams = new StreamTable<Http2Stream>();
  protected readonly closedStreams = new ClosedStreams();
  private readonly turns = new SendTurns();
  private readonly intake = new DataIntake();
  /** What the peer allows. */
  sendWindow = DEFAULT_WINDOW_BYTES;
  protected readonly peer = new PeerSettings();
  /** What we allow; and whether the peer knows that. */
  private readonly windows: ReceiveWindows;
  protected isAcknowledged = false;
  /** The peer ended the connection, not this side; and whether streams were open then. */
  endedByPeer = false;
  cutShort = false;
  /** The connection ends: what still comes is dropped. */
  protected closing = false;
  private reading = false;
  readonly startedMs = performance.now();

  constructor(connection: Connection, options: Http2Options, stats: Http2Stats) {
    this.connection = connection;
    connection.setReadBuffer(sharedLargeReadBuffer());
    this.options = options;
    this.stats = stats;
    this.output = new FrameOutput(connection);
    this.windows = new ReceiveWindows(this.output, options);
    this.input = new CutFrame(new FrameReader(this, options.maxListBytes + BLOCK_SLACK_BYTES));
    this.decoder = new HpackDecoder(options.tableBytes, options.maxListBytes, options.maxFields);
    this.heads = new HeadWriter(this.output, options);
    this.floods = new FloodGuard(options, stats);
    this.closeTimer = new CloseTimer(connection);
    this.keepalive = new Keepalive(options, this.output, () => {
      stats.keepaliveTimeout.inc();
      connection.destroy();
    });
  }

  /** A header block came for `streamId`, decoded into `fields`. */
  protected abstract onHeaders(streamId: number, endStream: boolean): void;
  /** Whether the peer could have opened this stream. */
  protected abstract isIdle(streamId: number): boolean;
  /** The last stream of the peer's that was served, which a GOAWAY tells it. */
  protected abstract lastPeerStream(): number;
  abstract onGoAway(lastStreamId: number, code: number, debug: string): void;
  abstract onHeaderBlockOpen(isOpen: boolean): void;
  /** A stream is gone from the table. */
  protected abstract onStreamGone(stream: Http2Stream): void;
  protected abstract onSettled(): void;
  /** The peer broke the protocol. */
  protected abstract onBroken(details: string): void;

  /** Sends what comes first: our settings, and the window that they do not cover. */
  protected sendSettings(parameters: (readonly [id: number, value: number])[]): void {
    const { options, output } = this;
    if (options.tableBytes !== 4096) parameters.push([SETTING.HEADER_TABLE_SIZE, options.tableBytes]);
    parameters.push([SETTING.INITIAL_WINDOW_SIZE, this.windows.streamBytes]);
    parameters.push(...options.customSettings);
    output.settings(parameters);
    this.windows.open();
    this.keepalive.start();
  }

  get stopped(): boolean {
    return this.closing || this.connection.closed;
  }

  // ── reading ──

  onData(buffer: Buffer, length: number): void {
    this.read(buffer, 0, length);
  }

  /** Frames, or parts of them, in `buffer[start, end)`. */
  protected read(buffer: Buffer, start: number, end: number): void {
    if (this.closing) return;
    this.keepalive.onActivity();
    this.reading = true;
    this.input.read(buffer, start, end);
    this.reading = false;
    this.runReady();
    this.checkOutput();
  }

  onHeaderBlock(streamId: number, endStream: boolean, buffer: Buffer, start: number, end: number): void {
    const error = this.decoder.decode(buffer, start, end, this.fields);
    if (error !== '') {
      this.onConnectionError(ERROR.COMPRESSION_ERROR, error);
      return;
    }
    if (this.fields.tooLarge) this.stats.headerOverflow.inc();
    this.floods.frameWithPayload();
    this.headersBytes = FRAME_HEADER_BYTES + end - start;
    this.onHeaders(streamId, endStream);
  }

  onDataFrame(streamId: number, length: number, bytes: number, endStream: boolean): void {
    this.intake.begin(undefined, endStream);
    if (bytes > 0) this.floods.frameWithPayload();
    if (!this.windows.take(length)) {
      this.onConnectionError(ERROR.FLOW_CONTROL_ERROR, 'connection window exceeded');
      return;
    }
    const stream = this.streams.get(streamId);
    if (stream === undefined || stream.remoteEnded) {
      this.credit(length);
      this.onStrayData(streamId, stream);
      return;
    }
    stream.receiveWindow -= length;
    stream.countData(length, false);
    if (stream.receiveWindow < 0) {
      this.credit(length);
      this.onStreamError(streamId, ERROR.FLOW_CONTROL_ERROR, 'stream window exceeded');
      return;
    }
    // Nobody uses padding up.
    if (length > bytes) this.consumed(stream, length - bytes);
    this.intake.begin(stream, endStream);
  }

  /** DATA for a stream that takes none (RFC 9113 §5.1). */
  private onStrayData(streamId: number, stream: Http2Stream | undefined): void {
    if (stream !== undefined) this.onStreamError(streamId, ERROR.STREAM_CLOSED, 'DATA after the end of the stream');
    else if (this.isIdle(streamId)) this.onConnectionError(ERROR.PROTOCOL_ERROR, 'DATA on an idle stream');
    else if (!this.closedStreams.ignores(streamId)) this.refuseStream(streamId, ERROR.STREAM_CLOSED);
  }

  onDataBytes(buffer: Buffer, start: number, end: number): void {
    this.credit(this.intake.take(buffer, start, end));
  }

  onDataFrameEnd(): void {
    this.intake.end();
  }

  onEmptyFrame(endStream: boolean): void {
    if (!endStream) this.endOnFlood(this.floods.emptyFrame());
  }

  onPriority(streamId: number, dependsOn: number): void {
    if (streamId === dependsOn) this.onStreamError(streamId, ERROR.PROTOCOL_ERROR, 'a stream depends on itself');
    else this.endOnFlood(this.floods.priorityFrame());
  }

  onResetStream(streamId: number, code: number): void {
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      if (this.isIdle(streamId)) this.onConnectionError(ERROR.PROTOCOL_ERROR, 'RST_STREAM on an idle stream');
      return;
    }
    this.stats.rxReset.inc();
    if (stream.keepsMessage) {
      stream.stopSending();
      return;
    }
    const premature = !stream.localEnded && stream.ageMs < MIN_LIFETIME_MS;
    this.drop(stream, false);
    stream.onReset(code, code === ERROR.REFUSED_STREAM ? 'http2.remote_refuse' : 'http2.remote_reset', true);
    this.countClosed(premature);
  }

  /** Streams that end too early, by the peer's reset or by its fault, are limited (CVE-2023-44487, CVE-2025-8671). */
  private countClosed(premature: boolean): void {
    this.endOnFlood(this.floods.streamClosed(premature));
  }

  /** RST_STREAM for a stream that is not in the table. */
  protected refuseStream(streamId: number, code: number, isFault = true): void {
    if (this.closing) return;
    this.output.resetStream(streamId, code);
    this.stats.txReset.inc();
    this.countClosed(isFault);
  }

  /** Ends the connection when a limit was passed; `flood` names it. */
  private endOnFlood(flood: string): boolean {
    if (flood === '') return false;
    this.onConnectionError(ERROR.ENHANCE_YOUR_CALM, flood);
    return true;
  }

  onPushPromise(): void {
    this.onConnectionError(ERROR.PROTOCOL_ERROR, 'PUSH_PROMISE was not allowed');
  }

  // ── settings ──

  onSettings(buffer: Buffer, start: number, end: number): void {
    const { peer } = this;
    const before = peer.streamWindowBytes;
    const error = peer.apply(buffer, start, end);
    if (error !== undefined) {
      this.onConnectionError(error.code, error.details);
      return;
    }
    for (const bytes of peer.tableSizes) this.heads.setPeerTableBytes(bytes);
    if (!this.changeSendWindows(peer.streamWindowBytes - before)) return;
    this.output.settingsAck();
    this.checkOutput();
    this.onSettled();
  }

  /** A new size holds for every stream, also for what is under way (RFC 9113 §6.9.2). */
  private changeSendWindows(change: number): boolean {
    if (change === 0) return true;
    for (const stream of this.streams.values()) {
      stream.sendWindow += change;
      if (stream.sendWindow > MAX_WINDOW_BYTES) {
        this.onConnectionError(ERROR.FLOW_CONTROL_ERROR, 'a window is too large');
        return false;
      }
      if (stream.pendingBytes > 0) this.schedule(stream);
    }
    return true;
  }

  onSettingsAck(): void {
    this.isAcknowledged = true;
    this.decoder.settingsAcknowledged();
  }

  onPing(ack: boolean, buffer: Buffer, start: number): void {
    if (!ack) {
      this.output.ping(true, buffer, start);
      this.checkOutput();
    } else if (this.windows.isAnswer(buffer, start)) {
      const growth = this.windows.onRoundTrip();
      if (growth > 0) for (const stream of this.streams.values()) stream.receiveWindow += growth;
    } else {
      this.keepalive.onAnswer();
    }
  }

  // ── windows ──

  onWindowUpdate(streamId: number, increment: number): void {
    if (this.endOnFlood(this.floods.windowUpdate())) return;
    if (streamId === 0) {
      this.sendWindow += increment;
      if (increment === 0) this.onConnectionError(ERROR.PROTOCOL_ERROR, 'WINDOW_UPDATE of 0');
      else if (this.sendWindow > MAX_WINDOW_BYTES)
        this.onConnectionError(ERROR.FLOW_CONTROL_ERROR, 'connection window too large');
      return;
    }
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      if (this.isIdle(streamId)) this.onConnectionError(ERROR.PROTOCOL_ERROR, 'WINDOW_UPDATE on an idle stream');
      return;
    }
    stream.sendWindow += increment;
    if (increment === 0) this.onStreamError(streamId, ERROR.PROTOCOL_ERROR, 'WINDOW_UPDATE of 0');
    else if (stream.sendWindow > MAX_WINDOW_BYTES)
      this.onStreamError(streamId, ERROR.FLOW_CONTROL_ERROR, 'stream window too large');
    else if (stream.pendingBytes > 0) this.schedule(stream);
  }

  /** Bytes of a stream were used up: the peer may send as many more. */
  consumed(stream: Http2Stream, bytes: number): void {
    if (!stream.remoteEnded) {
      stream.uncredited += bytes;
      if (stream.uncredited * 2 >= this.windows.streamBytes && !this.closing) {
        this.output.windowUpdate(stream.id, stream.uncredited);
        stream.receiveWindow += stream.uncredited;
        stream.uncredited = 0;
      }
    }
    this.credit(bytes);
  }

  /** Bytes were used up for the connection's window alone. */
  credit(bytes: number): void {
    if (!this.closing) this.windows.credit(bytes);
  }

  // ── streams ──

  /** Takes a stream object into the table. */
  protected open(stream: Http2Stream, streamId: number): void {
    stream.begin(streamId, this.peer.streamWindowBytes, this.windows.streamBytes);
    this.streams.add(stream);
    this.floods.streamOpened();
    this.stats.streamsActive.inc();
  }

  /** Both directions of a stream have ended. */
  closeIfDone(stream: Http2Stream): void {
    if (!stream.open || !stream.localEnded || !stream.remoteEnded) return;
    this.drop(stream, false);
    this.floods.streamClosed(false);
  }

  /** Ends a stream with RST_STREAM; nothing is called. */
  reset(stream: Http2Stream, code: number): void {
    if (!stream.open) return;
    if (!this.closing) {
      this.output.resetStream(stream.id, code);
      this.stats.txReset.inc();
    }
    this.drop(stream, true);
  }

  /** Ends a stream without a word to anybody. */
  protected drop(stream: Http2Stream, byUs: boolean): void {
    this.streams.delete(stream.id);
    this.intake.forget(stream);
    this.closedStreams.add(stream.id, byUs);
    this.stats.streamsActive.dec();
    stream.release();
    this.onStreamGone(stream);
  }

  onStreamError(streamId: number, code: number, details: string): void {
    if (streamId === 0) {
      this.onConnectionError(code, details);
      return;
    }
    this.stats.rxMessagingError.inc();
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      // A stream that never was cannot be reset (RFC 9113 §6.4).
      if (this.isIdle(streamId)) this.onConnectionError(code, details);
      else this.refuseStream(streamId, code);
      return;
    }
    this.reset(stream, code);
    stream.onReset(code, `http2.${details.replaceAll(' ', '_')}`, false);
    this.countClosed(true);
  }

  // ── sending ──

  /** Streams may write DATA at once: none waits before them, and the kernel takes more. */
  get mayWriteData(): boolean {
    return this.turns.isEmpty && this.sendWindow > 0 && !this.connection.congested;
  }

  writeData(streamId: number, buffer: Buffer, start: number, end: number): void {
    this.sendWindow -= end - start;
    this.floods.dataSent();
    this.output.data(streamId, buffer, start, end);
  }

  /** END_STREAM, behind trailers if there are any. */
  writeEnd(stream: Http2Stream, trailers: HeaderMap | undefined): void {
    if (trailers !== undefined && this.heads.trailers(stream.id, trailers)) {
      this.stats.trailers.inc();
      stream.countHeaders(this.heads.frameBytes, true);
    } else if (this.output.endStream(stream.id)) {
      stream.countData(0, true);
    }
    this.checkOutput();
  }

  /** The stream has bytes that wait. */
  schedule(stream: Http2Stream): void {
    this.turns.add(stream);
  }

  /** Streams that wait send a frame each in turn, as far as the window and the kernel let them. */
  protected runReady(): void {
    const { turns, connection } = this;
    while (!turns.isEmpty && this.sendWindow > 0 && !connection.congested && !this.closing) turns.next();
  }

  onDrain(): void {
    this.output.flushNow();
    if (this.closing) return;
    if (!this.reading) this.runReady();
  }

  private checkOutput(): void {
    if (this.closing) return;
    const { outboundFrames, outboundControlFrames } = this.output;
    if (outboundControlFrames < 100 && outboundFrames < 1000) return;
    if (!this.connection.congested) this.output.flushNow();
    const flood = this.floods.outbound(this.output.outboundFrames, this.output.outboundControlFrames);
    // The peer reads nothing, so nothing can be said to it.
    if (flood !== '') this.abandon(flood);
  }

  // ── the end ──

  /** GOAWAY with the reason, then the end; streams are told. */
  onConnectionError(code: number, details: string): void {
    if (this.closing) return;
    this.closing = true;
    this.onBroken(details);
    this.stats.goawaySent.inc();
    this.output.goAway(this.lastPeerStream(), code, details);
    this.endStreams(details);
    this.finishClosing();
  }

  /** Ends without a word. */
  private abandon(details: string): void {
    if (this.closing) return;
    this.closing = true;
    this.onBroken(details);
    this.endStreams(details);
    this.connection.destroy();
  }

  /** Everything is said: FIN, and some time for the peer to read it before the connection is closed. */
  protected finishClosing(flushMs = 0): void {
    this.closing = true;
    this.input.clear();
    this.output.flushNow();
    this.connection.end();
    this.closeTimer.start(this.closeWaitMs, flushMs);
  }

  protected get closeWaitMs(): number {
    return CLOSE_WAIT_MS;
  }

  protected endStreams(details: string): void {
    for (const stream of this.streams.values()) {
      // The end of one may have ended another; and what came before the connection's end came whole.
      if (!stream.open || (details === '' && stream.keepsMessage)) continue;
      this.drop(stream, false);
      stream.onReset(-1, details, false);
    }
  }

  protected sendGoAway(lastStreamId: number): void {
    if (this.closing) return;
    this.stats.goawaySent.inc();
    this.output.goAway(lastStreamId, ERROR.NO_ERROR, '');
  }

  onEnd(): void {
    this.endedByPeer = true;
    this.closing = true;
    this.connection.destroy();
  }

  onClose(error: Error | undefined): void {
    if (error !== undefined) this.endedByPeer = true;
    this.cutShort = this.streams.size > 0;
    this.closing = true;
    timers.cancel(this.closeTimer);
    this.keepalive.stop();
    this.endStreams('');
    this.input.clear();
  }
}
