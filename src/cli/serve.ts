import type { LoadedConfig } from '../config/load.ts';
import { watchFiles } from '../config/watch-files.ts';
import type { FilterRegistry } from '../filter/registry.ts';
import type { HotRestart, HotRestartHooks, HotRestartSettings } from '../hot-restart/hot-restart.ts';
import type { RootLogger } from '../observe/log.ts';
import type { ProbeSettings } from '../observe/probe.ts';
import { type RetirementTerms, type RunningProxy as Sidecar, startProxy } from '../proxy.ts';
import type { SpliceSettings } from '../splice-settings.ts';
import { formatHostPort } from './address.ts';
import { EXIT } from './exit-code.ts';
import { reportError } from './report-error.ts';

export interface ServeOptions {
  /** Reads the configuration; again at every reload. @throws ConfigError */
  readonly load: () => LoadedConfig;
  /** The file behind `load`; undefined when the configuration came from the command line and cannot change. */
  readonly file: string | undefined;
  /** Reload when the file changes. SIGHUP reloads in any case. */
  readonly watch: boolean;
  /** Threads that serve. */
  readonly concurrency: number;
  /** Overrides the configuration's `admin.address`. */
  readonly adminAddress: { readonly host: string; readonly port: number } | undefined;
  readonly filterDir: string | undefined;
  readonly splice?: SpliceSettings;
  readonly probe?: ProbeSettings | undefined;
  /** Filters that the configuration may name, those that come with the proxy by default. */
  readonly registry?: FilterRegistry;
  /** Longest time that a drain may take. */
  readonly drainTimeMs: number;
  /** Undefined where no other process takes over, nor is taken over from. */
  readonly hotRestart?: HotRestartSettings | undefined;
  readonly log: RootLogger;
  /** Called once, when every listener is bound. */
  readonly onReady?: (proxy: Sidecar) => void;
}

/**
 * A signal that comes again within this time is the same one: npm passes on the Ctrl-C that the terminal has already
 * sent to the whole process group.
 */
const SAME_SIGNAL_MS = 300;

/** Serves until a signal ends it. Returns the exit code. */
export async function serve(options: ServeOptions): Promise<number> {
  const log = options.log.component('main');
  // A signal during the start must neither be lost nor kill: SIGHUP's default action is to end the process.
  const signals = new SignalQueue(['SIGHUP', 'SIGTERM', 'SIGINT', 'SIGUSR1']);
  let stopWatching: (() => void) | undefined;
  let supervision: Promise<() => Promise<unknown>> | undefined;
  let restart: HotRestart | undefined;
  try {
    const { adminAddress, filterDir, registry, concurrency, drainTimeMs, probe } = options;
    const config = options.load();
    restart = await beginHotRestart(options, config);
    const proxy = await startProxy({
      config,
      ...restart?.proxyOptions,
      concurrency,
      drainTimeMs,
      probe,
      log: options.log,
      onCustomFilter: (stats) => {
        supervision = import('../filter/supervision.ts').then(({ superviseMainThread }) =>
          superviseMainThread(options.log.component('filter'), stats),
        );
      },
      ...(adminAddress === undefined ? {} : { adminAddress }),
      ...(filterDir === undefined ? {} : { filterDir }),
      ...(options.splice === undefined ? {} : { splice: options.splice }),
      ...(registry === undefined ? {} : { registry }),
    });
    const reloader = new Reloader(proxy, options);
    let handedOver: { terms: RetirementTerms; pid: number } | undefined;
    let isEnding = false;
    const hooks: HotRestartHooks = {
      isEnding: () => isEnding,
      pause: () => reloader.pause(),
      resume: () => reloader.resume(),
      onHandedOver: (terms, pid) => {
        handedOver = { terms, pid };
        signals.push('HANDED_OVER');
      },
    };
    // Without the other process's consent, this one has nothing to stay for.
    await restart?.ready(proxy, hooks).catch((error: Error) => proxy.close().then(() => Promise.reject(error)));
    if (options.watch && options.file !== undefined) {
      stopWatching = watchFiles([options.file], () => void reloader.reload('file changed'));
    }
    for (const { name, address, port } of proxy.listeners()) {
      log.info(`${name} listening on ${port > 0 ? formatHostPort({ host: address, port }) : address}`);
    }
    options.onReady?.(proxy);
    // `POST /quitquitquit` asks for the same as SIGTERM.
    void proxy.quitRequested.then(() => signals.push('SIGTERM'));
    for (;;) {
      const signal = await signals.next();
      if (signal === 'SIGHUP') void reloader.reload('SIGHUP');
      else if (signal === 'SIGUSR1') proxy.reopenLogs();
      else {
        isEnding = true;
        stopWatching?.();
        if (handedOver === undefined) return await end(proxy, signal, signals, options);
        return await retire(proxy, restart as HotRestart, handedOver, signals, options);
      }
    }
  } finally {
    restart?.close();
    stopWatching?.();
    await (await supervision)?.();
    signals.dispose();
    log.debug('ended');
  }
}

async function beginHotRestart(options: ServeOptions, config: LoadedConfig): Promise<HotRestart | undefined> {
  const { hotRestart, concurrency, adminAddress } = options;
  if (hotRestart === undefined) return undefined;
  const { HotRestart } = await import('../hot-restart/hot-restart.ts');
  const log = options.log.component('main');
  return HotRestart.begin(hotRestart, { config, concurrency, adminAddress, log });
}

/** Another process serves in this one's place: what runs here finishes. */
async function retire(
  proxy: Sidecar,
  restart: HotRestart,
  { terms, pid }: { terms: RetirementTerms; pid: number },
  signals: SignalQueue,
  options: ServeOptions,
): Promise<number> {
  const log = options.log.component('main');
  log.info(`process ${pid} has taken over: finishing what runs, at most ${terms.deadlineMs / 1000} s`);
  const over = proxy.retire(terms).then(() => 'over' as const);
  const outcome = await Promise.race([over, signals.nextToEnd(0)]);
  if (outcome !== 'over') return end(proxy, outcome, signals, options, restart);
  await restart.farewell();
  await proxy.close();
  return EXIT.ok;
}

/** One deadline for everything that is left; a second signal ends it at once. */
async function end(
  proxy: Sidecar,
  signal: string,
  signals: SignalQueue,
  options: ServeOptions,
  restart?: HotRestart,
): Promise<number> {
  const log = options.log.component('main');
  log.info(`${signal}: draining, at most ${options.drainTimeMs / 1000} s; a second signal ends at once`);
  const drained = proxy.drain().then(() => 'drained' as const);
  const outcome = await Promise.race([drained, signals.nextToEnd(Date.now() + SAME_SIGNAL_MS)]);
  if (outcome !== 'drained') log.warn(`${outcome} again: ending with connections open`);
  else await restart?.farewell();
  await proxy.close();
  return outcome === 'drained' ? EXIT.ok : EXIT.failure;
}

/** Applies one reload after the other; changes that come during a reload make one more. */
class Reloader {
  readonly #proxy: Sidecar;
  readonly #options: ServeOptions;
  #isRunning = false;
  #isPending = false;
  #isPaused = false;
  #running: Promise<void> = Promise.resolve();
  #lastProblem: string | undefined;

  constructor(proxy: Sidecar, options: ServeOptions) {
    this.#proxy = proxy;
    this.#options = options;
  }

  reload(reason: string): Promise<void> {
    if (this.#isRunning || this.#isPaused) this.#isPending = true;
    else this.#running = this.#reloadAll(reason);
    return this.#running;
  }

  /** Waits for the reload that runs; what comes until `resume` waits for that. */
  async pause(): Promise<void> {
    this.#isPaused = true;
    await this.#running;
  }

  resume(): void {
    this.#isPaused = false;
    if (this.#isPending) void this.reload('after the hot restart');
  }

  async #reloadAll(reason: string): Promise<void> {
    this.#isRunning = true;
    do {
      this.#isPending = false;
      await this.#reloadOnce(reason);
    } while (this.#isPending && !this.#isPaused);
    this.#isRunning = false;
  }

  async #reloadOnce(reason: string): Promise<void> {
    const log = this.#options.log.component('config');
    if (this.#options.file === undefined) {
      log.warn(`${reason}: nothing to reload, the configuration came from the command line`);
      return;
    }
    try {
      const config = await this.#options.load();
      const outcome = await this.#proxy.reload(config);
      this.#lastProblem = undefined;
      if (outcome === 'updated') log.info(`${reason}: configuration updated`, { hash: config.hash });
      else log.debug(`${reason}: configuration unchanged`, { hash: config.hash });
    } catch (error) {
      const problem = (error as Error).message;
      // A folder with other files in it reports often: the same complaint is made once per cause.
      if (problem === this.#lastProblem && reason !== 'SIGHUP') return;
      this.#lastProblem = problem;
      log.error(`${reason}: configuration refused, the old one goes on serving`);
      reportError(error);
    }
  }
}

type HandledSignal = 'SIGHUP' | 'SIGTERM' | 'SIGINT' | 'SIGUSR1';

/** What ends the loop that serves, or is done in it. */
type Event = HandledSignal | 'HANDED_OVER';

/**
 * The process's signals as a queue, from its making to `dispose`. A handler of SIGUSR1 also takes it from Node, which
 * would open its debugger's port (`--disable-sigusr1` is no way: it blocks the signal for everybody).
 */
class SignalQueue {
  readonly #signals: readonly HandledSignal[];
  readonly #pending: Event[] = [];
  #wake: (() => void) | undefined;
  readonly #onSignal = (signal: NodeJS.Signals): void => this.push(signal as HandledSignal);

  constructor(signals: readonly HandledSignal[]) {
    this.#signals = signals;
    for (const signal of signals) process.on(signal, this.#onSignal);
  }

  push(signal: Event): void {
    this.#pending.push(signal);
    this.#wake?.();
  }

  async next(): Promise<Event> {
    for (;;) {
      const signal = this.#pending.shift();
      if (signal !== undefined) return signal;
      await new Promise<void>((wake) => {
        this.#wake = wake;
      });
    }
  }

  /** The next SIGTERM or SIGINT that comes after the given time (milliseconds since the epoch). */
  async nextToEnd(afterEpochMs: number): Promise<'SIGTERM' | 'SIGINT'> {
    for (;;) {
      const signal = await this.next();
      if ((signal === 'SIGTERM' || signal === 'SIGINT') && Date.now() >= afterEpochMs) return signal;
    }
  }

  dispose(): void {
    for (const signal of this.#signals) process.off(signal, this.#onSignal);
  }
}
