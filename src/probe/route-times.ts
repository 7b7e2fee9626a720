import { WRITE_CALL } from '../observe/components.ts';
import type { RouteTimes } from '../observe/probe.ts';
import type { Calibration } from './calibration.ts';
import type { PlainSums } from './events.ts';
import { dispatchOf, type GapSums, gapParts } from './gaps.ts';
import type { Meter, RouteSums } from './meter.ts';

/** What the sampler knows beside the meter. */
export interface SampledSums {
  readonly plain: PlainSums;
  /** That were chosen from. */
  readonly events: number;
  /** That somebody looked at, those that do not count included. */
  readonly rowEvents: number;
  /** CPU time of the thread meanwhile; undefined where there is no such clock, or every event is timed. */
  readonly threadCpuMs: number | undefined;
}

/** The times of all routes by part, without the probe's own; and that. */
export function routeTimes(
  meter: Meter,
  gaps: ReadonlyMap<string, GapSums>,
  calibration: Calibration,
  sampled: SampledSums,
): { readonly list: RouteTimes[]; readonly probeNs: number; readonly rowScale: number } {
  const { plain, events } = sampled;
  const partScale = slowDown(meter, plain, calibration);
  const probeMs = probeCost(meter, sampled, calibration, partScale);
  const rowScale = scaleOfRows(sampled, probeMs);
  const scale = rowScale * partScale;
  const gapScale = rowScale * gapSlowDown(gaps.values(), plain);
  const scaledGaps = new Map([...gaps].map(([route, sums]) => [route, sums.scaled(gapScale)]));
  const dispatchMs = dispatchOf(scaledGaps.values());
  const perRequest = requestScale(meter, events);
  const list: RouteTimes[] = [];
  for (const sums of meter.routes.values()) {
    const parts = partsOf(sums, meter.parts.names, calibration, scale);
    const gap = scaledGaps.get(sums.route);
    if (gap !== undefined) {
      const { osReadMs, sidecarReadMs, pollMs } = gapParts(gap, dispatchMs);
      parts.set('os_read', osReadMs);
      parts.set('sidecar_read', sidecarReadMs);
      parts.set('event_poll', pollMs);
    }
    const inNs = [...parts].filter(([, ms]) => ms !== 0).map(([part, ms]) => [part, Math.round(ms * 1e6)] as const);
    list.push({
      route: sums.route,
      requests: sums.requests * perRequest,
      reads: sums.reads,
      parts: Object.fromEntries(inNs),
    });
  }
  return { list, probeNs: Math.round(probeMs * 1e6), rowScale };
}

function partsOf(
  { ms, inner, outer }: RouteSums,
  names: readonly string[],
  { innerMs, outerMs, writeMs }: Calibration,
  scale: number,
): Map<string, number> {
  const parts = new Map<string, number>();
  for (const [part, name] of names.entries()) {
    const cost = (inner[part] as number) * innerMs + (outer[part] as number) * outerMs;
    const own = scale * Math.max(0, (ms[part] as number) - cost);
    if (name === WRITE_CALL) {
      const userMs = Math.min(own, (inner[part] as number) * writeMs);
      parts.set('sidecar_write', (parts.get('sidecar_write') ?? 0) + userMs);
      parts.set('os_write', own - userMs);
    } else if (own > 0) {
      parts.set(name, (parts.get(name) ?? 0) + own);
    }
  }
  return parts;
}

/** Events of both kinds that must have been seen before they are compared. */
const ENOUGH_EVENTS = 300;
/** Timing parts slows an event down, and where streams share a connection, more of them wait for it then. */
const SLOWEST = 0.2;
/** Rows of the one kind may have had larger events by chance. */
const FASTEST = 2;

/**
 * How long events would have taken without their parts being timed, to how long they took less the calls of the probe:
 * beside its own time, the probe takes room in caches from what it times. What parts have of an event is that of
 * timed events; how long an event takes is that of events which are timed as a whole.
 */
function slowDown(meter: Meter, plain: PlainSums, { innerMs, outerMs }: Calibration): number {
  if (plain.events < ENOUGH_EVENTS || meter.timed < ENOUGH_EVENTS) return 1;
  let ownMs = 0;
  for (const { ms, inner, outer } of meter.routes.values()) {
    for (let part = 0; part < meter.parts.names.length; part++) {
      const cost = (inner[part] as number) * innerMs + (outer[part] as number) * outerMs;
      ownMs += Math.max(0, (ms[part] as number) - cost);
    }
  }
  const plainMs = (plain.eventMs / plain.events) * meter.timed;
  return Math.min(Math.max(plainMs / ownMs, SLOWEST), FASTEST);
}

/** The same of what leads to events: the probe's work after an event leaves less of it in the caches. */
function gapSlowDown(gaps: Iterable<GapSums>, plain: PlainSums): number {
  let count = 0;
  let ms = 0;
  for (const sums of gaps) {
    count += sums.count;
    ms += sums.ms;
  }
  if (plain.gaps < ENOUGH_EVENTS || count < ENOUGH_EVENTS) return 1;
  return Math.min(Math.max(plain.gapMs / plain.gaps / (ms / count), SLOWEST), FASTEST);
}

/**
 * How many requests an event of those that were timed stands for, to how many it had: where streams share a connection, an
 * event that takes longer has more of them. All requests are counted; how they are divided among routes, timed ones show.
 */
function requestScale({ requests, timed, routes }: Meter, events: number): number {
  let seen = 0;
  for (const sums of routes.values()) seen += sums.requests;
  return seen === 0 ? 1 : requests / ((seen * events) / timed);
}

/**
 * What the probe itself has taken: in events that were timed, in those that were timed as a whole, and in those that began
 * a row and do not count.
 */
function probeCost(meter: Meter, sampled: SampledSums, calibration: Calibration, partScale: number): number {
  const { plain, rowEvents } = sampled;
  const { innerMs, outerMs, eventMs, plainEventMs } = calibration;
  let ms = meter.timed * eventMs + plain.events * plainEventMs;
  for (const sums of meter.routes.values()) {
    for (let part = 0; part < meter.parts.names.length; part++) {
      const all = sums.ms[part] as number;
      const cost = (sums.inner[part] as number) * innerMs + (sums.outer[part] as number) * outerMs;
      ms += all - Math.min(1, partScale) * Math.max(0, all - cost);
    }
  }
  const counted = meter.timed + plain.events;
  return counted === 0 ? 0 : (ms * Math.max(rowEvents, counted)) / counted;
}

/** Rows that say something so different from all events had other events. */
const LARGEST_ROW_SCALE = 2;

/**
 * How long an event with what leads to it takes on average, to how long it takes in the rows. Rows are a sample, and
 * neighbours on the processor make some of them long; the thread's CPU time is known exactly.
 */
function scaleOfRows({ plain, events, threadCpuMs }: SampledSums, probeMs: number): number {
  if (threadCpuMs === undefined || plain.events < ENOUGH_EVENTS || plain.gaps < ENOUGH_EVENTS) return 1;
  const rowMs = plain.eventMs / plain.events + plain.gapMs / plain.gaps;
  const ratio = (threadCpuMs - probeMs) / events / rowMs;
  return Math.min(Math.max(ratio, 1 / LARGEST_ROW_SCALE), LARGEST_ROW_SCALE);
}
