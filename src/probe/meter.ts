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

/** What led to an event: the CPU time between the end of the one before it and its beginning. One object serves all. */
export interface Gap {
  /** Milliseconds of CPU. */
  ms: number;
  /** The event loop went round in between, and polled. */
  polled: boolean;
  /** Bytes that the event read; 0 for timers, accepts and the like. */
  bytes: number;
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
  /** All of them, timed or not. */
  requests = 0;
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
  /** Whether the event is added to the sums. */
  private counts = false;
  /** The longest stretch without a change of part, its part, and the sums that it was added to, if it was already. */
  private longestMs = 0;
  private longestPart = 0;
  private longestIn: RouteSums | undefined = undefined;
  /** Of what `belongsTo` has not named yet. */
  private readonly ms = new Float64Array(MAX_PARTS);
  private readonly inner = new Float64Array(MAX_PARTS);
  private readonly outer = new Float64Array(MAX_PARTS);
  private route = '';
  private begun = 0;
  private bytes = 0;

  /** @param onGap - what led to an event that counts, with the sums that it belongs to */
  private readonly onGap: (sums: RouteSums, gap: Gap) => void;

  constructor(onGap: (sums: RouteSums, gap: Gap) => void) {
    this.onGap = onGap;
    this.base = this.parts.of('packet_processing');
    this.current = this.base;
  }

  /** @param counts - false forgets the event */
  beginEvent(counts = true): void {
    this.counts = counts;
    this.route = '';
    this.begun = 0;
    this.bytes = 0;
    this.longestMs = 0;
    this.longestIn = undefined;
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
    this.longestIn = undefined;
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
    this.begun++;
  }

  /** What was timed so far is forgotten. */
  forget(): void {
    this.routes.clear();
    this.requests = 0;
    this.timed = 0;
    this.cpuMs = 0;
    this.disturbed = 0;
  }

  /** What comes now is no longer the event's. */
  stopClock(): void {
    this.count(this.clock.now());
    this.active = false;
  }

  /**
   * Adds up the event whose clock was stopped.
   *
   * @param cpuMs - CPU time of the event; undefined where there is no such clock
   */
  endEvent(cpuMs: number | undefined, gap: Gap | undefined): void {
    this.setAside();
    if (!this.counts) return;
    const notOursMs = cpuMs === undefined ? 0 : this.markMs - this.startMs - cpuMs;
    if (notOursMs > DISTURBED_MS) this.takeOut(notOursMs);
    this.timed++;
    this.cpuMs += cpuMs ?? 0;
    const sums = this.sumsOf(this.route);
    if (this.bytes > 0) sums.reads++;
    if (gap === undefined) return;
    gap.bytes = this.bytes;
    this.onGap(sums, gap);
  }

  /**
   * Somebody else had the processor for so long. Where, the clocks do not tell; but it was within one stretch, or a few,
   * and as a rule the longest one is long because of it.
   */
  private takeOut(notOursMs: number): void {
    this.disturbed++;
    const { longestPart, longestIn } = this;
    if (longestIn === undefined) return;
    longestIn.ms[longestPart] = (longestIn.ms[longestPart] as number) - Math.min(notOursMs, this.longestMs);
  }

  private sumsOf(route: string): RouteSums {
    let sums = this.routes.get(route);
    if (sums === undefined) {
      sums = new RouteSums(route);
      this.routes.set(route, sums);
    }
    return sums;
  }

  /** Adds what was timed so far to its route, and begins anew. It runs within events: nothing is allocated. */
  private setAside(): void {
    const { ms, inner, outer } = this;
    const count = this.parts.names.length;
    if (this.counts) {
      const sums = this.sumsOf(this.route);
      sums.requests += this.begun;
      for (let i = 0; i < count; i++) {
        if ((inner[i] as number) === 0 && (outer[i] as number) === 0 && (ms[i] as number) === 0) continue;
        sums.ms[i] = (sums.ms[i] as number) + (ms[i] as number);
        sums.inner[i] = (sums.inner[i] as number) + (inner[i] as number);
        sums.outer[i] = (sums.outer[i] as number) + (outer[i] as number);
      }
      this.longestIn ??= sums;
    }
    this.begun = 0;
    ms.fill(0, 0, count);
    inner.fill(0, 0, count);
    outer.fill(0, 0, count);
  }
}
