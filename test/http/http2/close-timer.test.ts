import { expect, test } from 'vitest';
import { CloseTimer } from '../../../src/http/http2/close-timer.ts';
import type { Connection } from '../../../src/network/connection.ts';
import { eventually, sleep } from '../../support/story.ts';

/** What the timer looks at of a connection. */
class Closing {
  congested = true;
  destroyed = false;
  destroy(): void {
    this.destroyed = true;
  }
  timer(): CloseTimer {
    return new CloseTimer(this as unknown as Connection);
  }
}

test('a connection whose peer does not end it is ended', async () => {
  const connection = new Closing();
  connection.timer().start(1, 0);
  await eventually('it is ended', () => connection.destroyed);
});

test('a slow peer may take what was written, and then has its usual time', async () => {
  const connection = new Closing();
  connection.timer().start(1, 60_000);
  await sleep(100);
  expect(connection.destroyed).toBe(false);
  connection.congested = false;
  await eventually('it is ended', () => connection.destroyed);
});

test('a peer that takes nothing has so long and no longer', async () => {
  const connection = new Closing();
  connection.timer().start(1, 100);
  await sleep(20);
  expect(connection.destroyed).toBe(false);
  await eventually('it is ended', () => connection.destroyed);
});
