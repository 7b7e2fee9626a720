import type { Connection } from '../../network/connection.ts';
import { TimerEntry } from '../../network/timer.ts';

/** Ends a connection whose peer does not end it. */
export class CloseTimer extends TimerEntry {
  private readonly connection: Connection;

  constructor(connection: Connection) {
    super();
    this.connection = connection;
  }

  override onTimeout(): void {
    this.connection.destroy();
  }
}
