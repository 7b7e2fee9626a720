/** Envoy's default of `max_ejection_time` (config/cluster/v3/outlier_detection.proto). */
const DEFAULT_MAX_EJECTION_MS = 300_000;

/** How long ejections last, in milliseconds. */
export interface EjectionTimes {
  readonly base_ejection_time: number;
  readonly max_ejection_time?: number | undefined;
}

/** The most that an ejection may last. */
export function longestEjectionMs({ base_ejection_time, max_ejection_time }: EjectionTimes): number {
  return max_ejection_time ?? Math.max(base_ejection_time, DEFAULT_MAX_EJECTION_MS);
}

/** @param backOff ejections in short order: grows by one with each, falls by one with each interval without. */
export function ejectionMs(times: EjectionTimes, backOff: number): number {
  return Math.min(times.base_ejection_time * backOff, longestEjectionMs(times));
}
