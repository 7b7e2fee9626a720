/** Upper bounds of the histogram buckets in the histogram's own unit, as Envoy exposes them to Prometheus (its default buckets). */
export const BUCKET_BOUNDS: readonly number[] = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 600000, 1800000, 3600000,
];

/** A number that only grows, until it is reset by `POST /reset_counters`. */
export class Counter {
  readonly name: string;
  value = 0;

  constructor(name: string) {
    this.name = name;
  }

  inc(): void {
    this.value++;
  }

  add(amount: number): void {
    this.value += amount;
  }
}

/** A number that goes up and down. */
export class Gauge {
  readonly name: string;
  value = 0;

  constructor(name: string) {
    this.name = name;
  }

  inc(): void {
    this.value++;
  }

  dec(): void {
    this.value--;
  }

  set(value: number): void {
    this.value = value;
  }
}

/** Counts of values in fixed buckets; `counts` has one more entry than the bounds, for what lies above. */
export class Histogram {
  readonly name: string;
  readonly counts = new Float64Array(BUCKET_BOUNDS.length + 1);
  sum = 0;
  count = 0;

  constructor(name: string) {
    this.name = name;
  }

  record(value: number): void {
    let i = 0;
    while (i < BUCKET_BOUNDS.length && value > (BUCKET_BOUNDS[i] as number)) i++;
    (this.counts[i] as number)++;
    this.sum += value;
    this.count++;
  }
}

/** Makes statistics whose names begin with the scope's prefix. The same name gives the same statistic. */
export interface StatsScope {
  readonly prefix: string;
  counter(name: string): Counter;
  gauge(name: string): Gauge;
  histogram(name: string): Histogram;
  /** A scope below this one; `name` is put behind the prefix with a dot. */
  scope(name: string): StatsScope;
  /** The scope without a prefix, for filters whose statistics Envoy keeps outside the filter chain's. */
  readonly root: StatsScope;
}

/** All statistics of one thread, by full name. The main thread merges the workers' on read. */
export class StatsStore implements StatsScope {
  readonly prefix = '';
  readonly counters = new Map<string, Counter>();
  readonly gauges = new Map<string, Gauge>();
  readonly histograms = new Map<string, Histogram>();

  counter(name: string): Counter {
    return memo(this.counters, name, () => new Counter(name));
  }

  gauge(name: string): Gauge {
    return memo(this.gauges, name, () => new Gauge(name));
  }

  histogram(name: string): Histogram {
    return memo(this.histograms, name, () => new Histogram(name));
  }

  scope(name: string): StatsScope {
    return new PrefixScope(this, `${name}.`);
  }

  get root(): StatsScope {
    return this;
  }
}

class PrefixScope implements StatsScope {
  readonly prefix: string;
  readonly store: StatsStore;

  constructor(store: StatsStore, prefix: string) {
    this.store = store;
    this.prefix = prefix;
  }

  counter(name: string): Counter {
    return this.store.counter(this.prefix + name);
  }

  gauge(name: string): Gauge {
    return this.store.gauge(this.prefix + name);
  }

  histogram(name: string): Histogram {
    return this.store.histogram(this.prefix + name);
  }

  scope(name: string): StatsScope {
    return new PrefixScope(this.store, `${this.prefix}${name}.`);
  }

  get root(): StatsScope {
    return this.store;
  }
}

function memo<T>(map: Map<string, T>, name: string, make: () => T): T {
  let value = map.get(name);
  if (value === undefined) {
    value = make();
    map.set(name, value);
  }
  return value;
}
