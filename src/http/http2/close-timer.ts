import type { Connection } from '../../network/connection.ts';
import { TimerEntry, timers } from '../../network/timer.ts';

/** Ends a connection whose peer does not end it. */
export class CloseTimer extends TimerEntry {
  private readonly connection: Connection;
  private waitMs = 0;
  private flushUntilMs = 0;

  constructor(connection: Connection) {
    super();
    this.connection = connection;
  }

  /**
   * Everything was written, FIN included.
   * @param waitMs for the peer's FIN
   * @param flushMs for a slow peer to take what was written; as long as it has not, its FIN is not waited for
   */
  start(waitMs: number, flushMs: number): void {
    this.waitMs = waitMs;
    this.flushUntilMs = performance.now() + flushMs;
    timers.start(this, waitMs);
  }

  override onTimeout(): void {
    if (this.connection.congested && performance.now() < this.flushUntilMs) timers.start(this, this.waitMs);
    else this.connection.destroy();
  }
}
