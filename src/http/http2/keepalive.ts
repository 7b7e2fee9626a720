import { nowMs } from '../../network/clock.ts';
import { TimerEntry, timers } from '../../network/timer.ts';
import type { FrameOutput } from './frame-output.ts';
import type { Http2Options } from './options.ts';

const PAYLOAD = Buffer.from('outrider', 'latin1');

/** PINGs that find out whether the peer is still there (`connection_keepalive`). Off unless configured. */
export class Keepalive extends TimerEntry {
  private readonly options: Http2Options;
  private readonly output: FrameOutput;
  private readonly onDead: () => void;
  private waiting = false;
  private lastActivityMs = 0;

  constructor(options: Http2Options, output: FrameOutput, onDead: () => void) {
    super();
    this.options = options;
    this.output = output;
    this.onDead = onDead;
  }

  start(): void {
    if (this.options.keepaliveTimeoutMs > 0) this.lastActivityMs = nowMs();
    if (this.options.keepaliveIntervalMs > 0) this.startInterval();
  }

  private startInterval(): void {
    const { keepaliveIntervalMs, keepaliveJitter } = this.options;
    timers.start(this, keepaliveIntervalMs * (1 + keepaliveJitter * Math.random()));
  }

  /** Some frame came: the peer lives. */
  onActivity(): void {
    if (this.options.keepaliveTimeoutMs === 0) return;
    this.lastActivityMs = nowMs();
    if (this.waiting) this.onAnswer();
  }

  onAnswer(): void {
    if (!this.waiting) return;
    this.waiting = false;
    timers.cancel(this);
    if (this.options.keepaliveIntervalMs > 0) this.startInterval();
  }

  /** A stream is about to be opened: a connection that was idle for long is asked first. */
  beforeStream(): void {
    const { keepaliveIdleMs } = this.options;
    if (keepaliveIdleMs > 0 && !this.waiting && performance.now() - this.lastActivityMs >= keepaliveIdleMs) this.ping();
  }

  private ping(): void {
    this.waiting = true;
    this.output.ping(false, PAYLOAD, 0);
    timers.start(this, this.options.keepaliveTimeoutMs);
  }

  override onTimeout(): void {
    if (this.waiting) this.onDead();
    else this.ping();
  }

  stop(): void {
    timers.cancel(this);
  }
}
