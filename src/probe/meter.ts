import { COMPONENTS } from '../observe/components.ts';

/** Components and filters that are told apart; what comes after them is counted among the filters as a whole. */
const MAX_PARTS = 256;

/**
 * An event that took so much longer than its CPU time was not alone on the processor: switching to somebody else and back
 * takes more than this, whatever the other one did.
 */
const DISTURBED_MS = 0.002;

/** Sums of one route; times in milliseconds. */
export class RouteSums {
  readonly route: string;
  requests = 0;
  reads = 0;
  readonly ms = new Float64Array(MAX_PARTS);
  /** Pairs of `enter` and `leave` around a part, and pairs directly within a part: what to subtract for the probe. */
  readonly inner = new Float64Array(MAX_PARTS);
  readonly outer = new Float64Array(MAX_PARTS);

  constructor(route: string) {
    this.route = route;
  }
}

/** What led to an event: the CPU time between the end of the one before it and its beginning. */
export interface Gap {
  /** Milliseconds of CPU. */
  readonly ms: number;
  /** The event loop went round in between, and polled. */
  readonly polled: boolean;
  /** Bytes that the event read; 0 for timers, accepts and the like. */
  readonly bytes: number;
}

/** A number for each part. The components come first, in their order; filters follow. */
export class PartNumbers {
  readonly names: string[] = COMPONENTS.map(({ id }) => id);
  private readonly byName = new Map(this.names.map((name, index) => [name, index]));

  of(name: string): number {
    let part = this.byName.get(name);
    if (part === undefined) {
      if (this.names.length === MAX_PARTS) return this.of('filter');
      part = this.names.push(name) - 1;
      this.byName.set(name, part);
    }
    return part;
  }
}

/**
 * Adds up where the time of an event goes. Each moment belongs to exactly one part, the innermost that was entered, so
 * parts add up to the event. Only between `beginEvent` and `endEvent` is anything counted.
 */
export class Meter {
  /** Whether the event that runs is timed. */
  active = false;
  readonly parts = new PartNumbers();
  readonly routes = new Map<string, RouteSums>();
  timed = 0;
  /** CPU time of these. */
  cpuMs = 0;
  /** Of these, the ones in which somebody else had the processor for a while. */
  disturbed = 0;
  /** Held here, since the global is a getter of Node's. */
  private readonly clock = performance;
  private readonly base: number;
  private current: number;
  private markMs = 0;
  private startMs = 0;
  /** The longest stretch without a change of part, and its part. */
  private longestMs = 0;
  private longestPart = 0;
  private readonly ms = new Float64Array(MAX_PARTS);
  private readonly inner = new Float64Array(MAX_PARTS);
  private readonly outer = new Float64Array(MAX_PARTS);
  /** Of the event, by route; it is added up at the end of the event. */
  private readonly pending: { route: string; requests: number; taken: EventTimes }[] = [];
  private route = '';
  private requests = 0;
  private bytes = 0;

  /** @param onGap - what led to an event that counts, with the sums that it belongs to */
  private readonly onGap: (sums: RouteSums, gap: Gap) => void;

  constructor(onGap: (sums: RouteSums, gap: Gap) => void) {
    this.onGap = onGap;
    this.base = this.parts.of('packet_processing');
    this.current = this.base;
  }

  beginEvent(): void {
    this.clear();
    this.route = '';
    this.requests = 0;
    this.bytes = 0;
    this.pending.length = 0;
    this.longestMs = 0;
    this.current = this.base;
    this.active = true;
    this.startMs = this.clock.now();
    this.markMs = this.startMs;
  }

  /** Time up to now belongs to the current part. */
  private count(nowMs: number): void {
    const part = this.current;
    const elapsedMs = nowMs - this.markMs;
    this.ms[part] = (this.ms[part] as number) + elapsedMs;
    this.markMs = nowMs;
    if (elapsedMs <= this.longestMs) return;
    this.longestMs = elapsedMs;
    this.longestPart = part;
  }

  /** The part is on; returns the one that was, for `leave`. */
  enter(part: number): number {
    const outside = this.current;
    this.count(this.clock.now());
    this.outer[outside] = (this.outer[outside] as number) + 1;
    this.inner[part] = (this.inner[part] as number) + 1;
    this.current = part;
    return outside;
  }

  leave(outside: number): void {
    this.count(this.clock.now());
    this.current = outside;
  }

  /** So many bytes were read from a socket. */
  read(bytes: number): void {
    this.bytes += bytes;
  }

  /** What follows belongs to a message whose route is not known yet. */
  beginMessage(): void {
    if (this.route !== '') this.setAside();
    this.route = '';
  }

  /** What was timed since `beginMessage` belongs to this route, and what follows. */
  belongsTo(route: string): void {
    if (this.route !== '' && this.route !== route) this.setAside();
    this.route = route;
  }

  /** A request begins; it is one of the route that is named next. */
  beginRequest(): void {
    this.requests++;
  }

  /** What was timed so far is forgotten. */
  forget(): void {
    this.routes.clear();
    this.timed = 0;
    this.cpuMs = 0;
    this.disturbed = 0;
  }

  /**
   * @param cpuOf - reads the CPU time of the event; undefined where there is no such clock
   * @param counts - false forgets the event
   */
  endEvent(cpuOf: (() => number) | undefined, gap: Gap | undefined, counts = true): void {
    const nowMs = this.clock.now();
    const cpuMs = cpuOf?.();
    this.count(nowMs);
    this.active = false;
    if (!counts) return;
    const notOursMs = cpuMs === undefined ? 0 : nowMs - this.startMs - cpuMs;
    if (notOursMs > DISTURBED_MS) this.takeOut(notOursMs);
    this.timed++;
    this.cpuMs += cpuMs ?? 0;
    const last = this.route;
    this.setAside();
    for (const { route, requests, taken } of this.pending) addTo(this.sumsOf(route), requests, taken);
    const sums = this.sumsOf(last);
    if (this.bytes > 0) sums.reads++;
    if (gap !== undefined) this.onGap(sums, { ...gap, bytes: this.bytes });
  }

  /**
   * Somebody else had the processor for so long. Where, the clocks do not tell; but it was within one stretch, or a few,
   * and as a rule the longest one is long because of it.
   */
  private takeOut(notOursMs: number): void {
    this.disturbed++;
    const { longestPart } = this;
    const counted =
      this.pending.find(({ taken }) => (taken.ms[longestPart] ?? 0) >= this.longestMs)?.taken.ms ?? this.ms;
    counted[longestPart] = Math.max(0, (counted[longestPart] as number) - Math.min(notOursMs, this.longestMs));
  }

  private sumsOf(route: string): RouteSums {
    let sums = this.routes.get(route);
    if (sums === undefined) {
      sums = new RouteSums(route);
      this.routes.set(route, sums);
    }
    return sums;
  }

  private setAside(): void {
    const count = this.parts.names.length;
    this.pending.push({
      route: this.route,
      requests: this.requests,
      taken: {
        ms: this.ms.slice(0, count),
        inner: this.inner.slice(0, count),
        outer: this.outer.slice(0, count),
      },
    });
    this.requests = 0;
    this.clear();
  }

  private clear(): void {
    this.ms.fill(0);
    this.inner.fill(0);
    this.outer.fill(0);
  }
}

interface EventTimes {
  readonly ms: Float64Array;
  readonly inner: Float64Array;
  readonly outer: Float64Array;
}

function addTo(sums: RouteSums, requests: number, { ms, inner, outer }: EventTimes): void {
  sums.requests += requests;
  for (let i = 0; i < ms.length; i++) {
    sums.ms[i] = (sums.ms[i] as number) + (ms[i] as number);
    sums.inner[i] = (sums.inner[i] as number) + (inner[i] as number);
    sums.outer[i] = (sums.outer[i] as number) + (outer[i] as number);
  }
}
