/**
 * The monotonic clock of the data path. What one message causes within one event of the event loop happens at one time:
 * the clock is read once for all of it, since reading it costs as much as parsing a header. One per thread.
 */

/** The event's time, 0 when it was not read yet or no event runs. */
let eventMs = 0;
let inEvent = false;

/**
 * Milliseconds of `performance.now()`. Within an event it is the time of the message that is being processed, as of the
 * first call since `tick`; outside of one it is exact.
 */
export function nowMs(): number {
  if (eventMs !== 0) return eventMs;
  const now = performance.now();
  if (inEvent) eventMs = now;
  return now;
}

/** Time has passed within the event: another message begins, or filters have run. */
export function tick(): void {
  eventMs = 0;
}

/** An event begins or ends; called by the flush queue alone. */
export function setInEvent(isInEvent: boolean): void {
  inEvent = isInEvent;
  eventMs = 0;
}
