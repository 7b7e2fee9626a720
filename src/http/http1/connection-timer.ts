import { TimerEntry } from '../../network/timer.ts';

/** One timer per connection serves the times of every phase; it is looked at when it fires, not moved on every byte. */
export class ConnectionTimer extends TimerEntry {
  private readonly connection: { onTimer(): void };

  constructor(connection: { onTimer(): void }) {
    super();
    this.connection = connection;
  }

  override onTimeout(): void {
    this.connection.onTimer();
  }
}
