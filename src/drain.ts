import type { ListenerRuntime } from './listener/listener.ts';
import type { ListenerSocket } from './listener/listener-socket.ts';
import type { DrainOptions } from './observe/admin/view.ts';

/** At shutdown, an app without any connection for so long through the listeners of what it sends is taken for gone. */
const APP_GONE_MS = 5000;

/** At shutdown a connection that is idle for so long ends; before that, a request may be on its way. */
const SHUTDOWN_IDLE_GRACE_MS = 250;

const POLL_MS = 20;

/**
 * The end of a proxy, with one deadline for everything: what comes in first, what the app sends after that.
 *
 * @param more - configurations that drain already, after a reload
 */
export async function drainInOrder(
  sockets: readonly ListenerSocket[],
  more: readonly ListenerRuntime[],
  drainTimeMs: number,
): Promise<void> {
  const deadline = performance.now() + drainTimeMs;
  const outbound = sockets.filter(({ current }) => current.config.traffic_direction === 'OUTBOUND');
  const others = sockets.filter((socket) => !outbound.includes(socket));
  const graceMs = Math.min(SHUTDOWN_IDLE_GRACE_MS, drainTimeMs);
  await end(others, more, graceMs, deadline);
  // What the app still has to say, it says through these: they go when it is gone, or seems to be.
  if (outbound.length > 0) await untilQuiet(outbound, Math.min(APP_GONE_MS, drainTimeMs / 4), deadline);
  await end(outbound, [], graceMs, deadline);
}

/** `POST /drain_listeners`. */
export function drainAsAsked(
  all: readonly ListenerSocket[],
  { inboundOnly, graceful, skipExit }: DrainOptions,
  drainTimeMs: number,
): void {
  const sockets = all.filter(({ current }) => !inboundOnly || current.config.traffic_direction === 'INBOUND');
  const graceMs = graceful || skipExit ? drainTimeMs : SHUTDOWN_IDLE_GRACE_MS;
  for (const { current } of sockets) current.drain(graceMs);
  const stop = (): void => {
    for (const socket of sockets) socket.close();
  };
  // Gracefully, new connections are served meanwhile, one response each: whoever sends them learns of it by then.
  if (skipExit) return;
  if (graceful) setTimeout(stop, drainTimeMs).unref();
  else stop();
}

/** Waits until no connection is open. */
export async function untilIdle(runtimes: readonly ListenerRuntime[], deadline: number): Promise<void> {
  while (performance.now() < deadline && runtimes.some((runtime) => runtime.activeConnections > 0)) {
    await sleep(POLL_MS);
  }
}

function end(
  sockets: readonly ListenerSocket[],
  more: readonly ListenerRuntime[],
  graceMs: number,
  deadline: number,
): Promise<void> {
  const runtimes = [...sockets.map((socket) => socket.current), ...more];
  for (const socket of sockets) socket.close();
  for (const runtime of runtimes) runtime.drain(graceMs);
  return untilIdle(runtimes, deadline);
}

/** Waits until nobody has been connected for a while. */
async function untilQuiet(sockets: readonly ListenerSocket[], quietMs: number, deadline: number): Promise<void> {
  let quietSinceMs = performance.now();
  for (let now = quietSinceMs; now < deadline && now - quietSinceMs < quietMs; now = performance.now()) {
    if (sockets.some(({ current }) => current.activeConnections > 0)) quietSinceMs = now;
    await sleep(POLL_MS);
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}
