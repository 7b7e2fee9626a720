import { type MessagePort, workerData } from 'node:worker_threads';
import { clockMs } from './clock.ts';

/** What the pacer's thread is told; see `startPacer`. */
export interface PacerData {
  /** [0]: a tick is on its way and not yet taken; [1]: stop. */
  readonly flags: SharedArrayBuffer;
  readonly port: MessagePort;
  /** First tick, on `clockMs`. */
  readonly startMs: number;
  readonly gapMs: number;
}

const { flags, port, startMs, gapMs } = workerData as PacerData;
const shared = new Int32Array(flags);
const sleeper = new Int32Array(new SharedArrayBuffer(4));
let due = startMs;
while (Atomics.load(shared, 1) === 0) {
  const now = clockMs();
  while (due <= now) due += gapMs;
  Atomics.wait(sleeper, 0, 0, due - now);
  if (Atomics.exchange(shared, 0, 1) === 0) port.postMessage(0);
}
port.close();
