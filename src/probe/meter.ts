import { COMPONENTS } from '../observe/components.ts';

/** Components and filters that are told apart; what comes after them is counted among the filters as a whole. */
const MAX_PARTS = 256;

/** Sums of one route; times in milliseconds. */
export class RouteSums {
  readonly route: string;
  requests = 0;
  reads = 0;
  /** Whether something is in these sums that was neither kept nor dropped. */
  isPending = false;
  readonly ms = new Float64Array(MAX_PARTS);
  /** Pairs of `enter` and `leave` around a part, and pairs directly within a part: what to subtract for the probe. */
  readonly inner = new Float64Array(MAX_PARTS);
  readonly outer = new Float64Array(MAX_PARTS);

  constructor(route: string) {
    this.route = route;
  }

  /** Adds these sums to others, and begins anew. */
  moveTo(sums: RouteSums, parts: number): void {
    sums.requests += this.requests;
    sums.reads += this.reads;
    for (let i = 0; i < parts; i++) {
      sums.ms[i] = (sums.ms[i] as number) + (this.ms[i] as number);
      sums.inner[i] = (sums.inner[i] as number) + (this.inner[i] as number);
      sums.outer[i] = (sums.outer[i] as number) + (this.outer[i] as number);
    }
    this.clear(parts);
  }

  clear(parts: number): void {
    this.isPending = false;
    this.requests = 0;
    this.reads = 0;
    this.ms.fill(0, 0, parts);
    this.inner.fill(0, 0, parts);
    this.outer.fill(0, 0, parts);
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
 * parts add up to the event. Only between `beginEvent` and `endEvent` is anything counted. What was counted is kept by
 * `keep`, or forgotten by `drop`, when the row of events is over.
 */
export class Meter {
  /** Whether the event that runs is timed. */
  active = false;
  readonly parts = new PartNumbers();
  readonly routes = new Map<string, RouteSums>();
  /** All of them, timed or not. */
  requests = 0;
  timed = 0;
  /** Held here, since the global is a getter of Node's. */
  private readonly clock = performance;
  private readonly base: number;
  private current: number;
  private markMs = 0;
  /** Whether the event is added to the sums. */
  private counts = false;
  /** Sums of the row that runs, by route. */
  private readonly pending = new Map<string, RouteSums>();
  /** Of these, the ones that the row's events belong to. */
  private readonly touched: RouteSums[] = [];
  private pendingEvents = 0;
  /** Of what `belongsTo` has not named yet. */
  private readonly ms = new Float64Array(MAX_PARTS);
  private readonly inner = new Float64Array(MAX_PARTS);
  private readonly outer = new Float64Array(MAX_PARTS);
  private route = '';
  private begun = 0;
  /** That the event has read. */
  bytes = 0;

  constructor() {
    this.base = this.parts.of('packet_processing');
    this.current = this.base;
  }

  /**
   * @param counts - false forgets the event
   * @returns its beginning
   */
  beginEvent(counts = true): number {
    this.counts = counts;
    this.route = '';
    this.begun = 0;
    this.bytes = 0;
    this.current = this.base;
    // Half of reading the clock here and half of it at the end are the event's, as with a part.
    this.inner[this.base] = 1;
    this.active = true;
    this.markMs = this.clock.now();
    return this.markMs;
  }

  /** Time up to now belongs to the current part. */
  private count(nowMs: number): void {
    const part = this.current;
    this.ms[part] = (this.ms[part] as number) + nowMs - this.markMs;
    this.markMs = nowMs;
  }

  /** The part is on; returns the one that was, for `leave`. */
  enter(part: number): number {
    const outside = this.current;
    if (part === outside) return outside;
    this.count(this.clock.now());
    this.outer[outside] = (this.outer[outside] as number) + 1;
    this.inner[part] = (this.inner[part] as number) + 1;
    this.current = part;
    return outside;
  }

  leave(outside: number): void {
    if (outside === this.current || !this.active) return;
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
    this.drop();
  }

  /** What comes now is no longer the event's. @returns its end */
  stopClock(): number {
    this.count(this.clock.now());
    this.active = false;
    return this.markMs;
  }

  /** Adds up the event whose clock was stopped. @returns the name of its route */
  endEvent(): string {
    this.setAside();
    if (this.counts) {
      this.pendingEvents++;
      if (this.bytes > 0) this.pendingOf(this.route).reads++;
    }
    return this.route;
  }

  /** Nothing disturbed the events since the last call: they are counted. */
  keep(): void {
    const parts = this.parts.names.length;
    for (const sums of this.touched) sums.moveTo(this.sumsOf(sums.route), parts);
    this.touched.length = 0;
    this.timed += this.pendingEvents;
    this.pendingEvents = 0;
  }

  /** The events since the last call are forgotten. */
  drop(): void {
    for (const sums of this.touched) sums.clear(this.parts.names.length);
    this.touched.length = 0;
    this.pendingEvents = 0;
  }

  private pendingOf(route: string): RouteSums {
    let sums = this.pending.get(route);
    if (sums === undefined) {
      sums = new RouteSums(route);
      this.pending.set(route, sums);
    }
    if (!sums.isPending) {
      sums.isPending = true;
      this.touched.push(sums);
    }
    return sums;
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
    const sums = this.counts ? this.pendingOf(this.route) : undefined;
    if (sums !== undefined) sums.requests += this.begun;
    // Not by `fill`, which is a call out of compiled code, and longer than all the rest.
    for (let i = 0; i < count; i++) {
      if ((inner[i] as number) === 0 && (outer[i] as number) === 0 && (ms[i] as number) === 0) continue;
      if (sums !== undefined) {
        sums.ms[i] = (sums.ms[i] as number) + (ms[i] as number);
        sums.inner[i] = (sums.inner[i] as number) + (inner[i] as number);
        sums.outer[i] = (sums.outer[i] as number) + (outer[i] as number);
      }
      ms[i] = 0;
      inner[i] = 0;
      outer[i] = 0;
    }
    this.begun = 0;
  }
}
