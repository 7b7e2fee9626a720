/** One window of load. */
export const WARMUP_WINDOW_S = 1;
/** Windows at most. */
export const WARMUP_WINDOWS = 6;

/** A window that costs no less than so much of the one before says that the code is warm. */
const STEADY = 0.95;

/**
 * Loads a proxy until a request costs what it goes on to cost: a runtime that compiles while it serves gets cheaper for
 * some seconds, and more filters take it longer, which would count as what the filters cost. Every proxy is warmed up by
 * the same rule; one without a compiler takes two windows.
 *
 * @param costOfWindow loads for a window; CPU time per request in it, µs; NaN where nothing was answered.
 * @returns how many windows it took.
 */
export async function warmUp(costOfWindow: () => Promise<number>): Promise<number> {
  let before = await costOfWindow();
  for (let windows = 2; windows <= WARMUP_WINDOWS; windows++) {
    const cost = await costOfWindow();
    // Also where nothing was answered: what is wrong shows in the measurement.
    if (!(cost < STEADY * before)) return windows;
    before = cost;
  }
  return WARMUP_WINDOWS;
}
