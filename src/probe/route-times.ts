import type { RouteTimes } from '../observe/probe.ts';
import type { Calibration } from './calibration.ts';
import type { PlainSums } from './events.ts';
import { dispatchOf, type GapSums, gapParts } from './gaps.ts';
import type { Meter, RouteSums } from './meter.ts';

/** Both sides of a write, before they are told apart. */
export const WRITE_CALL = 'write_call';

/** The times of all routes by part, without the probe's own; and that. */
export function routeTimes(
  meter: Meter,
  gaps: ReadonlyMap<string, GapSums>,
  calibrated: Calibration,
  plain: PlainSums,
): { readonly list: RouteTimes[]; readonly probeNs: number } {
  const calibration = inPlace(calibrated, meter, plain);
  const dispatchMs = dispatchOf(gaps.values());
  let probeMs = meter.timed * calibration.eventMs;
  const list: RouteTimes[] = [];
  for (const sums of meter.routes.values()) {
    const { parts, costMs } = partsOf(sums, meter.parts.names, calibration);
    probeMs += costMs;
    const gap = gaps.get(sums.route);
    if (gap !== undefined) {
      const { osReadMs, sidecarReadMs, pollMs } = gapParts(gap, dispatchMs);
      parts.set('os_read', osReadMs);
      parts.set('sidecar_read', sidecarReadMs);
      parts.set('event_poll', pollMs);
    }
    const inNs = [...parts].filter(([, ms]) => ms !== 0).map(([part, ms]) => [part, Math.round(ms * 1e6)] as const);
    list.push({ route: sums.route, requests: sums.requests, reads: sums.reads, parts: Object.fromEntries(inNs) });
  }
  return { list, probeNs: Math.round(probeMs * 1e6) };
}

function partsOf(
  { ms, inner, outer }: RouteSums,
  names: readonly string[],
  { innerMs, outerMs, writeMs }: Calibration,
): { parts: Map<string, number>; costMs: number } {
  const parts = new Map<string, number>();
  let costMs = 0;
  for (const [part, name] of names.entries()) {
    const cost = (inner[part] as number) * innerMs + (outer[part] as number) * outerMs;
    const own = Math.max(0, (ms[part] as number) - cost);
    costMs += Math.min(cost, ms[part] as number);
    if (name === WRITE_CALL) {
      const userMs = Math.min(own, (inner[part] as number) * writeMs);
      parts.set('sidecar_write', (parts.get('sidecar_write') ?? 0) + userMs);
      parts.set('os_write', own - userMs);
    } else if (own > 0) {
      parts.set(name, (parts.get(name) ?? 0) + own);
    }
  }
  return { parts, costMs };
}

/** Timed calls that must have been seen before what they cost in place is believed. */
const ENOUGH_EVENTS = 300;
/** In place a call may cost so many times what it does in a loop of its own. */
const MOST = 5;

/**
 * What timed calls cost among the proxy's own code, where they have less of the caches to themselves than in a loop:
 * events whose parts are timed, against events that are timed as a whole.
 */
function inPlace(calibration: Calibration, meter: Meter, plain: PlainSums): Calibration {
  if (plain.events < ENOUGH_EVENTS || meter.timed < ENOUGH_EVENTS) return calibration;
  let pairs = 0;
  for (const { inner } of meter.routes.values()) for (const count of inner) pairs += count;
  if (pairs === 0) return calibration;
  const excessMs = (meter.cpuMs / meter.timed - plain.cpuMs / plain.events) * meter.timed;
  const { innerMs, outerMs } = calibration;
  const factor = Math.min(Math.max(excessMs / (pairs * (innerMs + outerMs)), 1), MOST);
  return { ...calibration, innerMs: innerMs * factor, outerMs: outerMs * factor };
}
