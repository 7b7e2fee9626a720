import { nowMs } from '../network/clock.ts';
import { TimerEntry, timers } from '../network/timer.ts';
import type { HttpSettings } from './connection-manager-settings.ts';
import { grpcDeadlineMs, grpcTimeout } from './grpc/timeout.ts';
import type { RouteEntry } from './route/route-entry.ts';

/** 0 is no limit: a deadline that is over when the call comes is this one. */
const AT_ONCE_MS = 0.001;

/** What a stream is told when one of its times is up. */
export interface TimedStream {
  readonly requestComplete: boolean;
  readonly isUpgrade: boolean;
  readonly isGrpc: boolean;
  readonly request: { get(name: string): string | undefined; set(name: string, value: string): void };
  onIdleTimeout(): void;
  onRequestTimeout(): void;
  onMaxDuration(): void;
}

/**
 * The times of one stream: how long it may be quiet, how long its request may take to come in, how long it may last.
 * One timer serves all three; it is looked at when it fires, not moved on every byte.
 */
export class StreamTimes extends TimerEntry {
  /** Last time that a byte of a body passed, either way. */
  lastActivityMs = 0;
  private readonly stream: TimedStream;
  private readonly settings: HttpSettings;
  private startMs = 0;
  private idleTimeoutMs = 0;
  private maxDurationMs = 0;

  constructor(stream: TimedStream, settings: HttpSettings) {
    super();
    this.stream = stream;
    this.settings = settings;
  }

  begin(nowMs: number): void {
    const { settings } = this;
    this.startMs = nowMs;
    this.lastActivityMs = nowMs;
    this.idleTimeoutMs = settings.streamIdleTimeoutMs;
    this.maxDurationMs = settings.maxStreamDurationMs;
    if (settings.hasStreamTimes) this.arm(nowMs);
  }

  /** The route says otherwise. */
  adopt(entry: RouteEntry): void {
    this.idleTimeoutMs = entry.idleTimeoutMs ?? this.settings.streamIdleTimeoutMs;
    this.maxDurationMs = this.durationOf(entry);
    this.cancel();
    this.arm(nowMs());
  }

  /** `grpc-timeout` where the route follows it, else the route's limit, else the manager's. */
  private durationOf(entry: RouteEntry): number {
    const { request } = this.stream;
    const header = request.get('grpc-timeout');
    const deadlineMs = grpcDeadlineMs(entry, header);
    const durationMs = deadlineMs ?? entry.maxStreamDurationMs ?? this.settings.maxStreamDurationMs;
    // The server hears of the limit that holds here, rather than of the one that was asked for.
    if (this.stream.isGrpc && (durationMs > 0 || deadlineMs === 0))
      request.set('grpc-timeout', grpcTimeout(durationMs));
    return deadlineMs === 0 ? AT_ONCE_MS : durationMs;
  }

  cancel(): void {
    timers.cancel(this);
  }

  private arm(nowMs: number): void {
    let delayMs = Number.POSITIVE_INFINITY;
    if (this.idleTimeoutMs > 0) delayMs = this.idleTimeoutMs - (nowMs - this.lastActivityMs);
    if (this.waitsForRequest()) delayMs = Math.min(delayMs, this.settings.requestTimeoutMs - (nowMs - this.startMs));
    if (this.maxDurationMs > 0) delayMs = Math.min(delayMs, this.maxDurationMs - (nowMs - this.startMs));
    if (delayMs !== Number.POSITIVE_INFINITY) timers.start(this, Math.max(1, delayMs), nowMs);
  }

  private waitsForRequest(): boolean {
    return this.settings.requestTimeoutMs > 0 && !this.stream.requestComplete && !this.stream.isUpgrade;
  }

  override onTimeout(): void {
    const now = nowMs();
    const ageMs = now - this.startMs;
    if (this.maxDurationMs > 0 && ageMs >= this.maxDurationMs) this.stream.onMaxDuration();
    else if (this.waitsForRequest() && ageMs >= this.settings.requestTimeoutMs) this.stream.onRequestTimeout();
    else if (this.idleTimeoutMs > 0 && now - this.lastActivityMs >= this.idleTimeoutMs) this.stream.onIdleTimeout();
    else this.arm(now);
  }
}
