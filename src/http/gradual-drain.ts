/** How often some of the connections are asked. */
const STEP_MS = 100;

/**
 * Visits each connection once, at a moment that is drawn evenly from the time that is given; `undefined` at the end, for
 * those that are new since. Connections that end before their moment are not visited.
 */
export function drainGradually<T>(
  connections: ReadonlySet<T>,
  overMs: number,
  visit: (one: T | undefined) => void,
): void {
  const visited = new WeakSet<T & object>();
  const endMs = performance.now() + overMs;
  const timer = setInterval(() => {
    const leftMs = endMs - performance.now();
    if (leftMs <= 0) {
      clearInterval(timer);
      visit(undefined);
      return;
    }
    for (const one of [...connections]) {
      const key = one as T & object;
      // Of those that are left, the share that makes every moment as likely as any other.
      if (visited.has(key) || Math.random() * leftMs >= STEP_MS) continue;
      visited.add(key);
      visit(one);
    }
  }, STEP_MS);
  timer.unref();
}
