import { TimerEntry, timers } from '../network/timer.ts';

/** The longest time that a connection to an endpoint takes new requests (`max_connection_duration`). */
export class ConnectionAge extends TimerEntry {
  private readonly onOld: () => void;

  /** @param onOld called once, when the time is over */
  constructor(maxAgeMs: number, onOld: () => void) {
    super();
    this.onOld = onOld;
    timers.start(this, maxAgeMs);
  }

  override onTimeout(): void {
    this.onOld();
  }
}
