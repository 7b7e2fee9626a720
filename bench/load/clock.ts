/** Milliseconds of the system's monotonic clock: unlike `performance.now()` it reads the same in every thread. */
export function clockMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
}
