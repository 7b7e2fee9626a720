import { setFlagsFromString } from 'node:v8';
import { threadCpuClock } from '../kernel/thread-clock.ts';
import { flushQueue } from '../network/flush-queue.ts';
import type { TcpProxy } from '../network/tcp-proxy.ts';
import { turnQueue } from '../network/turn-queue.ts';
import type { AccessLogger } from '../observe/access-log/index.ts';
import { filterPart } from '../observe/components.ts';
import type { Probe, ProbeSettings, ThreadTimes } from '../observe/probe.ts';
import { type Calibration, calibrate } from './calibration.ts';
import { asEvent, type EventClock, EventSampler } from './events.ts';
import { GapSums } from './gaps.ts';
import { type Gap, Meter } from './meter.ts';
import { routeTimes } from './route-times.ts';
import { weaveSeams } from './seam-weaver.ts';
import { Loom, timed } from './weave.ts';

type Method = (this: unknown, ...args: unknown[]) => unknown;

/** Hooks that serve traffic. The others (`onStart`, `dispose`, `rewritesBody`) are called as they are. */
const TIMED_HOOKS: ReadonlySet<string> = new Set([
  'onRequest',
  'onRequestBody',
  'onRequestTrailers',
  'onResponse',
  'onResponseBody',
  'onResponseTrailers',
  'onDone',
  'onConnection',
  'onData',
  'onWrite',
  'onClose',
]);

/**
 * Bytecode of the functions that V8 puts into one that it compiles, all together; 920 unless told. Where a method was one
 * function, the woven one is two: without more room, others of the proxy's would be left out, which costs untimed events 1 %.
 */
const INLINING = '--max-inlined-bytecode-size-cumulative';
const INLINED_BYTECODE = 2400;

let isRunning = false;

/** Begins to time this thread's components. Call it before any chain is built; one at a time per thread. @throws Error when there is one already */
export async function startProbe(settings: ProbeSettings): Promise<Probe> {
  if (isRunning) throw new Error('a probe times this thread already');
  isRunning = true;
  if (!process.execArgv.some((flag) => flag.startsWith(INLINING)))
    setFlagsFromString(`${INLINING}=${INLINED_BYTECODE}`);
  const clock: EventClock = { cpuMs: threadCpuClock(), turns: loopTurns, readMs: 0, readCpuMs: 0 };
  const calibration = await calibrate(clock);
  return new ThreadProbe(settings, clock, calibration);
}

function loopTurns(): number {
  return performance.nodeTiming.uvMetricsInfo.loopCount;
}

class ThreadProbe implements Probe {
  private readonly settings: ProbeSettings;
  private readonly clock: EventClock;
  private readonly calibration: Calibration;
  private readonly meter: Meter;
  private readonly sampler: EventSampler;
  private readonly loom: Loom;
  private readonly gaps = new Map<string, GapSums>();
  private startCpuMs: number;
  private readonly tcpNames = new WeakMap<object, string>();

  constructor(settings: ProbeSettings, clock: EventClock, calibration: Calibration) {
    this.settings = settings;
    this.clock = clock;
    this.calibration = calibration;
    this.meter = new Meter();
    const every = settings.mode === 'all' ? 1 : settings.every;
    const onGap = (route: string, gap: Gap): void => this.gapsOf(route).add(gap, calibration);
    this.sampler = new EventSampler(this.meter, clock, every, onGap, () => this.forget());
    this.loom = new Loom(this.meter);
    this.weaveQueues();
    weaveSeams(this.loom, this.meter, this.sampler, (proxy: TcpProxy) => this.tcpNames.get(proxy) ?? 'tcp');
    this.startCpuMs = clock.cpuMs?.() ?? 0;
  }

  private forget(): void {
    this.meter.forget();
    this.gaps.clear();
    this.startCpuMs = this.clock.cpuMs?.() ?? 0;
  }

  /** The two queues stand at the beginning and the end of everything that the event loop calls. */
  private weaveQueues(): void {
    const { sampler } = this;
    const prototype = Object.getPrototypeOf(flushQueue) as object;
    this.loom.substitute(
      prototype,
      'enter',
      (enter) =>
        function (this: unknown) {
          sampler.enter();
          enter.call(this);
        },
    );
    this.loom.substitute(
      prototype,
      'leave',
      (leave) =>
        function (this: unknown) {
          try {
            leave.call(this);
          } finally {
            sampler.leave();
          }
        },
    );
    this.loom.substitute(turnQueue, 'run', (run) => asEvent(sampler, run));
  }

  private gapsOf(route: string): GapSums {
    let sums = this.gaps.get(route);
    if (sums === undefined) {
      sums = new GapSums();
      this.gaps.set(route, sums);
    }
    return sums;
  }

  filterHooks<Hooks extends object>(filter: string, hooks: Hooks): Hooks {
    const part = this.meter.parts.of(filterPart(filter));
    const woven: Record<string, unknown> = {};
    for (
      let owner: object = hooks;
      owner !== Object.prototype && owner !== null;
      owner = Object.getPrototypeOf(owner)
    ) {
      for (const name of Object.getOwnPropertyNames(owner)) {
        const hook = (hooks as Record<string, unknown>)[name];
        if (name === 'constructor' || name in woven || typeof hook !== 'function') continue;
        woven[name] = TIMED_HOOKS.has(name)
          ? timed(this.meter, hook as Method, { part, receiver: hooks })
          : hook.bind(hooks);
      }
    }
    return woven as Hooks;
  }

  accessLog(logger: AccessLogger): AccessLogger {
    const part = this.meter.parts.of(filterPart('access log'));
    const log = timed(this.meter, logger.log as Method, { part }) as AccessLogger['log'];
    return { log, dispose: logger.dispose };
  }

  nameTcpProxy(proxy: object, statPrefix: string): void {
    this.tcpNames.set(proxy, `tcp/${statPrefix}`);
  }

  report(): ThreadTimes {
    const { meter, sampler, calibration, settings, clock } = this;
    const threadCpuMs = clock.cpuMs === undefined ? undefined : clock.cpuMs() - this.startCpuMs;
    const { plain, events, rowEvents } = sampler;
    const routes = routeTimes(meter, this.gaps, calibration, {
      plain,
      events,
      rowEvents,
      // Where every event is timed, what the probe's calls do to the rest is not known well enough.
      threadCpuMs: settings.mode === 'all' ? undefined : threadCpuMs,
    });
    return {
      mode: settings.mode,
      every: settings.mode === 'all' ? 1 : settings.every,
      events: sampler.events,
      timed: meter.timed,
      disturbed: sampler.disturbed,
      threadCpuNs: threadCpuMs === undefined ? undefined : Math.round(threadCpuMs * 1e6),
      probeNs: routes.probeNs,
      rowScale: routes.rowScale,
      isWarm: sampler.isWarm,
      routes: routes.list,
    };
  }

  stop(): void {
    this.sampler.stopped = true;
    this.loom.unweave();
    isRunning = false;
  }
}
