import { build, type Histogram } from 'hdr-histogram-js';
import { clockMs } from './clock.ts';
import { type LoadClient, type LoadEvents, openClient } from './load-client.ts';
import type { LoadTarget } from './load-target.ts';
import { type Pacer, startPacer } from './pacer.ts';

export interface OpenLoopOptions extends LoadTarget {
  /** Requests per second, spread evenly. */
  readonly rate: number;
  /** Length of the measured part. */
  readonly durationMs: number;
  /** Load at the same rate before it, not recorded. */
  readonly warmupMs: number;
  /** Longest wait for all connections to open, default 5000 ms. */
  readonly connectTimeoutMs?: number;
  /** How long answers are waited for after the last request was due, default 2000 ms. */
  readonly drainMs?: number;
  /** Called when the measured part begins. */
  readonly onMeasure?: () => void;
  /** Called when its schedule has ended; answers may still be on their way. */
  readonly onMeasured?: () => void;
}

/** Microseconds. */
export interface LatencyFigures {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
  readonly mean: number;
}

export interface OpenLoopResult {
  readonly latency: LatencyFigures;
  /** Latency in µs at rising percentiles, for a plot. */
  readonly curve: readonly (readonly [percentile: number, micros: number])[];
  readonly intendedRate: number;
  /** Responses per second that arrived within the measured part. */
  readonly achievedRate: number;
  /** Responses that arrived within the measured part: what the CPU time of that part was spent on. */
  readonly answeredInWindow: number;
  /** Requests that were due in the measured part. */
  readonly requests: number;
  /** Wrong status, lost connection. */
  readonly errors: number;
  /** Requests that had no answer `drainMs` after the end; their latency so far is in the figures. */
  readonly unanswered: number;
  /** How much later than intended the generator itself looked at a request, µs. */
  readonly lag: { readonly p50: number; readonly p99: number; readonly max: number };
  /** The generator's own CPU time by wall time, all its threads, %. */
  readonly cpuPercent: number;
  /** Why these figures say more about the generator than about the proxy; empty when they do not. */
  readonly generatorLimits: readonly string[];
}

/** Shortest time between two looks at the schedule: finer costs the core that the backend may need. */
const MIN_GAP_MS = 0.2;
/** Time for the pacer's thread to come up. */
const START_DELAY_MS = 100;
const DRAIN_MS = 2000;
const MAX_LAG_P99_MICROS = 1000;
const MAX_CPU_PERCENT = 90;
const CURVE = [1, 5, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.99, 100];

/**
 * Sends requests by a schedule, whatever the answers do, and counts latency from the moment at which a request should
 * have been sent: time spent waiting for a free connection, or for a stalled proxy, is in the figures (no coordinated
 * omission). Requests share the target's connections and their streams.
 */
export async function runOpenLoop(options: OpenLoopOptions): Promise<OpenLoopResult> {
  const load = new OpenLoopLoad(options);
  return await load.run();
}

class OpenLoopLoad implements LoadEvents {
  private readonly options: OpenLoopOptions;
  private client: LoadClient | undefined;
  private readonly latency = newHistogram();
  private readonly lag = newHistogram();
  private readonly intervalMs: number;
  private readonly total: number;
  /** Requests before this one are warm-up. */
  private readonly firstMeasured: number;
  /** Clock reading of request 0; -1 before the start. */
  private startMs = -1;
  /** The next request of the schedule to be sent. */
  private next = 0;
  /** The next request of the schedule that the generator has not looked at: for its lag. */
  private looked = 0;
  private answered = 0;
  /** Answers between `onMeasure` and `onMeasured`, whenever their requests were due. */
  private answeredInWindow = 0;
  private windowStartMs = 0;
  private windowMs = 0;
  private errors = 0;
  private measuring = false;
  private finish: (() => void) | undefined;
  private cpuAtStart: NodeJS.CpuUsage | undefined;
  private cpuPercent = 0;

  constructor(options: OpenLoopOptions) {
    this.options = options;
    this.intervalMs = 1000 / options.rate;
    this.firstMeasured = Math.round((options.warmupMs / 1000) * options.rate);
    this.total = this.firstMeasured + Math.max(1, Math.round((options.durationMs / 1000) * options.rate));
  }

  async run(): Promise<OpenLoopResult> {
    const client = await openClient(this.options, this, this.options.connectTimeoutMs);
    this.client = client;
    const done = new Promise<void>((resolve) => {
      this.finish = resolve;
    });
    this.startMs = clockMs() + START_DELAY_MS;
    const pacer: Pacer = await startPacer(this.startMs, pacerGapMs(this.intervalMs), () => this.tick());
    const endMs = this.startMs + this.total * this.intervalMs;
    const deadline = setTimeout(() => this.finish?.(), endMs + (this.options.drainMs ?? DRAIN_MS) - clockMs());
    await done;
    clearTimeout(deadline);
    await pacer.stop();
    const result = this.result(client);
    client.close();
    return result;
  }

  onReady(): void {
    if (this.startMs >= 0) this.tick();
  }

  onAnswer(intendedMs: number, isRight: boolean): void {
    if (this.cpuAtStart !== undefined) this.answeredInWindow++;
    this.count(intendedMs, clockMs() - this.startMs, isRight);
  }

  private count(intended: number, now: number, good: boolean): void {
    this.answered++;
    if (intended >= this.firstMeasured * this.intervalMs) {
      this.latency.recordValue(micros(now - intended));
      if (!good) this.errors++;
    }
    if (this.answered === this.total) this.finish?.();
  }

  private tick(): void {
    const now = clockMs() - this.startMs;
    if (!this.measuring && now >= this.firstMeasured * this.intervalMs) this.beginMeasuring();
    if (this.cpuAtStart !== undefined && now >= this.total * this.intervalMs) this.endMeasuring();
    this.sendDue(now);
  }

  private sendDue(now: number): void {
    while (this.looked < this.total) {
      const lateMs = now - this.looked * this.intervalMs;
      if (lateMs < 0) break;
      if (this.looked >= this.firstMeasured) this.lag.recordValue(micros(lateMs));
      this.looked++;
    }
    const client = this.client as LoadClient;
    while (this.next < this.looked && client.trySend(this.next * this.intervalMs)) this.next++;
    client.flush();
  }

  private beginMeasuring(): void {
    this.measuring = true;
    this.cpuAtStart = process.cpuUsage();
    this.windowStartMs = clockMs();
    this.options.onMeasure?.();
  }

  private endMeasuring(): void {
    const used = process.cpuUsage(this.cpuAtStart);
    this.cpuAtStart = undefined;
    this.windowMs = clockMs() - this.windowStartMs;
    this.cpuPercent = (used.user + used.system) / (10 * this.windowMs);
    this.options.onMeasured?.();
  }

  private result(client: LoadClient): OpenLoopResult {
    if (this.cpuAtStart !== undefined) this.endMeasuring();
    const unanswered = this.total - this.answered;
    const now = clockMs() - this.startMs;
    for (const intendedMs of client.pending()) this.recordCutOff(intendedMs, now);
    for (; this.next < this.total; this.next++) this.recordCutOff(this.next * this.intervalMs, now);
    const lag = { p50: at(this.lag, 50), p99: at(this.lag, 99), max: this.lag.maxValue };
    return {
      latency: latencyFigures(this.latency),
      curve: CURVE.map((percentile) => [percentile, at(this.latency, percentile)] as const),
      intendedRate: this.options.rate,
      achievedRate: (1000 * this.answeredInWindow) / this.windowMs,
      answeredInWindow: this.answeredInWindow,
      requests: this.latency.totalCount,
      errors: this.errors,
      unanswered,
      lag,
      cpuPercent: this.cpuPercent,
      generatorLimits: generatorLimits(lag.p99, this.cpuPercent),
    };
  }

  /** A request without an answer counts with the time that it has waited so far, or a stall at the end would be lost. */
  private recordCutOff(intendedMs: number, now: number): void {
    if (intendedMs >= this.firstMeasured * this.intervalMs) this.latency.recordValue(micros(now - intendedMs));
  }
}

/** Reasons to distrust a run: the generator, not the proxy, was what could not keep up. */
export function generatorLimits(lagP99Micros: number, cpuPercent: number): string[] {
  const limits: string[] = [];
  if (cpuPercent > MAX_CPU_PERCENT) limits.push(`generator used ${Math.round(cpuPercent)} % of a core`);
  if (lagP99Micros > MAX_LAG_P99_MICROS)
    limits.push(`generator sent ${(lagP99Micros / 1000).toFixed(1)} ms late (p99)`);
  return limits;
}

/** Whole intervals, so that ticks fall on moments at which a request is due. */
function pacerGapMs(intervalMs: number): number {
  return intervalMs * Math.ceil(MIN_GAP_MS / intervalMs);
}

function latencyFigures(histogram: Histogram): LatencyFigures {
  return {
    p50: at(histogram, 50),
    p90: at(histogram, 90),
    p99: at(histogram, 99),
    p999: at(histogram, 99.9),
    max: histogram.maxValue,
    mean: Math.round(histogram.mean),
  };
}

function at(histogram: Histogram, percentile: number): number {
  return histogram.getValueAtPercentile(percentile);
}

function newHistogram(): Histogram {
  return build({
    bitBucketSize: 32,
    lowestDiscernibleValue: 1,
    highestTrackableValue: 600_000_000,
    numberOfSignificantValueDigits: 3,
  });
}

function micros(ms: number): number {
  return Math.max(0, Math.round(ms * 1000));
}
