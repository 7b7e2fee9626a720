import type { Http2Options } from './options.ts';
import type { Http2Stats } from './stats.ts';

/** Streams that a peer reset before they were answered: so many, and more than half of all, are an attack (CVE-2023-44487). */
const MIN_PREMATURE_RESETS = 500;

export const TOO_MANY_RESETS = 'too_many_premature_resets';

/**
 * Counts what a peer may send for ever at little cost to itself, against the limits of Envoy's names. Each check
 * returns why the connection must end, '' when it need not.
 */
export class FloodGuard {
  private readonly options: Http2Options;
  private readonly stats: Http2Stats;
  private emptyFrames = 0;
  private priorityFrames = 0;
  private windowUpdates = 0;
  private streamsOpened = 0;
  private streamsClosed = 0;
  private prematureResets = 0;
  private dataFramesSent = 0;

  constructor(options: Http2Options, stats: Http2Stats) {
    this.options = options;
    this.stats = stats;
  }

  streamOpened(): void {
    this.streamsOpened++;
  }

  dataSent(): void {
    this.dataFramesSent++;
  }

  frameWithPayload(): void {
    this.emptyFrames = 0;
  }

  emptyFrame(): string {
    if (++this.emptyFrames <= this.options.maxConsecutiveEmptyFrames) return '';
    this.stats.inboundEmptyFramesFlood.inc();
    return 'http2.inbound_empty_frames_flood';
  }

  priorityFrame(): string {
    if (++this.priorityFrames <= this.options.maxPriorityFramesPerStream * (1 + this.streamsOpened)) return '';
    this.stats.inboundPriorityFramesFlood.inc();
    return 'http2.inbound_priority_frames_flood';
  }

  windowUpdate(): string {
    const allowed = 5 + 2 * (this.streamsOpened + this.options.maxWindowUpdatesPerDataFrame * this.dataFramesSent);
    if (++this.windowUpdates <= allowed) return '';
    this.stats.inboundWindowUpdateFramesFlood.inc();
    return 'http2.inbound_window_update_frames_flood';
  }

  /** @param frames that the peer has not taken yet; `controlFrames` of them answer frames of its own */
  outbound(frames: number, controlFrames: number): string {
    if (controlFrames > this.options.maxOutboundControlFrames) {
      this.stats.outboundControlFlood.inc();
      return 'http2.outbound_control_frames_flood';
    }
    if (frames > this.options.maxOutboundFrames) {
      this.stats.outboundFlood.inc();
      return 'http2.outbound_frames_flood';
    }
    return '';
  }

  /** @param premature the peer reset the stream before its response was complete, or made us reset it */
  streamClosed(premature: boolean): string {
    this.streamsClosed++;
    if (!premature) return '';
    this.prematureResets++;
    if (this.prematureResets < MIN_PREMATURE_RESETS || this.prematureResets * 2 <= this.streamsClosed) return '';
    return TOO_MANY_RESETS;
  }
}
