import { build, type Histogram } from 'hdr-histogram-js';
import { clockMs } from './clock.ts';
import { type ConnectionEvents, OpenLoopConnection } from './open-loop-connection.ts';
import { type Pacer, startPacer } from './pacer.ts';

export interface OpenLoopOptions {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  /** Requests per second, spread evenly. */
  readonly rate: number;
  readonly connections: number;
  /** Length of the measured part. */
  readonly durationMs: number;
  /** Load at the same rate before it, not recorded. */
  readonly warmupMs: number;
  /** Bytes of a POST body; 0 sends GET. */
  readonly uploadBytes: number;
  /** The status that counts as success. */
  readonly expectStatus: number;
  /** Besides host and content-length. */
  readonly headers: Readonly<Record<string, string>>;
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
const CONNECT_TIMEOUT_MS = 5000;
const DRAIN_MS = 2000;
const MAX_LAG_P99_MICROS = 1000;
const MAX_CPU_PERCENT = 90;
const CURVE = [1, 5, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.99, 100];

/**
 * Sends requests by a schedule, whatever the answers do, and counts latency from the moment at which a request should
 * have been sent: time spent waiting for a free connection, or for a stalled proxy, is in the figures (no coordinated
 * omission). Requests share `connections` keep-alive connections, one under way on each.
 */
export async function runOpenLoop(options: OpenLoopOptions): Promise<OpenLoopResult> {
  const load = new OpenLoopLoad(options);
  return await load.run();
}

class OpenLoopLoad implements ConnectionEvents {
  private readonly options: OpenLoopOptions;
  private readonly request: Buffer;
  private readonly connections: OpenLoopConnection[] = [];
  private readonly idle: OpenLoopConnection[] = [];
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
    this.request = requestBytes(options);
  }

  async run(): Promise<OpenLoopResult> {
    await this.connect();
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
    const result = this.result();
    for (const connection of this.connections) connection.close();
    return result;
  }

  onIdle(connection: OpenLoopConnection): void {
    this.idle.push(connection);
    if (this.startMs >= 0) this.tick();
  }

  onResponse(connection: OpenLoopConnection, status: number): void {
    const now = clockMs() - this.startMs;
    const intended = connection.intendedMs;
    connection.intendedMs = -1;
    this.idle.push(connection);
    this.count(intended, now, status === this.options.expectStatus);
    if (this.cpuAtStart !== undefined) this.answeredInWindow++;
    this.sendDue(now);
  }

  onLost(connection: OpenLoopConnection, intendedMs: number): void {
    const at = this.idle.indexOf(connection);
    if (at >= 0) this.idle.splice(at, 1);
    if (intendedMs >= 0) this.count(intendedMs, clockMs() - this.startMs, false);
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
    while (this.next < this.looked) {
      const connection = this.idle.pop();
      if (connection === undefined) return;
      if (!connection.up) continue;
      connection.send(this.request, this.next * this.intervalMs);
      this.next++;
    }
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

  private async connect(): Promise<void> {
    const { host, port, connections, connectTimeoutMs = CONNECT_TIMEOUT_MS } = this.options;
    for (let i = 0; i < connections; i++) this.connections.push(new OpenLoopConnection(host, port, this));
    const deadline = clockMs() + connectTimeoutMs;
    while (this.idle.length < connections) {
      if (clockMs() > deadline) {
        for (const connection of this.connections) connection.close();
        throw new Error(`only ${this.idle.length} of ${connections} connections to ${host}:${port} opened in time`);
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  private result(): OpenLoopResult {
    if (this.cpuAtStart !== undefined) this.endMeasuring();
    const unanswered = this.total - this.answered;
    const now = clockMs() - this.startMs;
    for (const connection of this.connections) this.recordCutOff(connection.intendedMs, now);
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

function requestBytes(options: OpenLoopOptions): Buffer {
  const { path, host, port, uploadBytes, headers } = options;
  const method = uploadBytes > 0 ? 'POST' : 'GET';
  const length = uploadBytes > 0 ? `content-length: ${uploadBytes}\r\n` : '';
  const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = `${method} ${path} HTTP/1.1\r\nhost: ${host}:${port}\r\n${fields.join('')}${length}\r\n`;
  return Buffer.concat([Buffer.from(head, 'latin1'), Buffer.alloc(uploadBytes, 'x')]);
}
