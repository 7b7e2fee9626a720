import { Worker } from 'node:worker_threads';
import type { Logger } from './env.ts';
import { HOOKS } from './loader-check.ts';
import { type FilterOwner, ownerOf } from './loader-owners.ts';
import { type BlockReport, detectBlocks, watchMainThread } from './watchdog-thread.ts';

/** Indices into the cells that a thread shares with whoever watches it. */
const BEAT = 0;
const RUNNING = 1;
const BEAT_INTERVAL_MS = 100;
const DEFAULT_LIMIT_MS = 1000;

/** This thread's cells: a heartbeat, and 1 + the index of the custom filter whose hook is running (0: none). */
const cells = new Int32Array(new SharedArrayBuffer(8));
const owners: FilterOwner[] = [];
let onNewOwner: (() => void) | undefined;

/** The cells for a watcher in another thread. */
export function watchdogCells(): SharedArrayBuffer {
  return cells.buffer as SharedArrayBuffer;
}

/** The custom filters of this thread in the order of their indices. */
export function watchedFilters(): readonly FilterOwner[] {
  return owners;
}

/** Hooks that say in this thread's cells which filter runs: one plain store before each call and one behind it. */
export function watchHooks<H extends object>(hooks: H, owner: FilterOwner): H {
  const index = indexOf(owner) + 1;
  const watched: Record<string, unknown> = {};
  for (const name of new Set([...HOOKS.http, ...HOOKS.network])) {
    const hook = (hooks as Record<string, unknown>)[name];
    if (typeof hook !== 'function') continue;
    watched[name] = (first: unknown, second: unknown, third: unknown): unknown => {
      cells[RUNNING] = index;
      try {
        return hook.call(hooks, first, second, third);
      } finally {
        cells[RUNNING] = 0;
      }
    };
  }
  return watched as H;
}

function indexOf(owner: FilterOwner): number {
  const known = owners.findIndex((one) => one.name === owner.name && one.file === owner.file);
  if (known >= 0) return known;
  owners.push(owner);
  onNewOwner?.();
  return owners.length - 1;
}

/** A block that has ended, or is still going on for threads that are watched from outside. */
export interface Block {
  /** Undefined when no custom filter could be blamed. */
  readonly filter: FilterOwner | undefined;
  readonly blockedMs: number;
  /** `file:line` that was running, where it could be found out. */
  readonly at: string | undefined;
}

export interface WatchdogOptions {
  readonly log: Logger;
  /** A thread that does not turn its event loop for so long is reported; default 1000 ms. */
  readonly limitMs?: number;
  readonly onBlocked?: (block: Block) => void;
}

/**
 * Watches the calling thread's event loop from a small thread of its own (about 10 MB), which can still speak while
 * this one is blocked: it writes one line to standard error, and again when the time has doubled. The thread starts
 * with the first custom filter; without any, this costs nothing. Returns the function that ends it.
 */
export function startWatchdog(options: WatchdogOptions): () => Promise<void> {
  let stop: (() => Promise<unknown>) | undefined;
  const start = (): void => {
    stop ??= startThread(options);
  };
  if (owners.length > 0) start();
  else onNewOwner = start;
  return async () => {
    onNewOwner = undefined;
    await stop?.();
  };
}

function startThread(options: WatchdogOptions): () => Promise<unknown> {
  // As text, so that it runs from the sources and from a bundle alike.
  const thread = new Worker(`(${watchMainThread.toString()})(${detectBlocks.toString()})`, {
    eval: true,
    execArgv: [],
    workerData: { cells: cells.buffer, limitMs: options.limitMs ?? DEFAULT_LIMIT_MS, filters: owners },
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 1, stackSizeMb: 1 },
  });
  const beat = startHeartbeat();
  onNewOwner = () => thread.postMessage(owners);
  thread.unref();
  thread.on('error', (error: unknown) => options.log.warn(`the watchdog thread ended: ${String(error)}`));
  thread.on('message', (report: BlockReport) => {
    const block = toBlock(report);
    options.log.warn(`${describe(block)}; it runs again`);
    options.onBlocked?.(block);
  });
  return () => {
    clearInterval(beat);
    return thread.terminate();
  };
}

/** Lets this thread's heart beat, for a watcher in another thread. Returns its timer, which holds no process open. */
export function startHeartbeat(): NodeJS.Timeout {
  return setInterval(() => Atomics.add(cells, BEAT, 1), BEAT_INTERVAL_MS).unref();
}

/**
 * Watches another thread (a proxy worker) from this one by the cells that it shared. `filters` are that thread's.
 * Returns the function that ends it.
 */
export function watchThread(
  name: string,
  shared: SharedArrayBuffer,
  filters: () => readonly FilterOwner[],
  options: WatchdogOptions,
): () => void {
  return detectBlocks(new Int32Array(shared), options.limitMs ?? DEFAULT_LIMIT_MS, {
    blocked(index, blockedMs) {
      const block = { filter: filters()[index - 1], blockedMs, at: undefined };
      options.log.warn(`${describe(block)} (${name})`);
      options.onBlocked?.(block);
    },
    ended() {},
  });
}

function toBlock(report: BlockReport): Block {
  const at = report.at === undefined ? undefined : `${report.at.file}:${report.at.line}`;
  const byPlace = report.at === undefined ? undefined : ownerOf(report.at.file);
  return { filter: owners[report.index - 1] ?? byPlace, blockedMs: report.blockedMs, at };
}

function describe({ filter, blockedMs, at }: Block): string {
  const who = filter === undefined ? 'something other than a filter' : `filter ${filter.name} (${filter.file})`;
  return `${who} has blocked its thread for ${(blockedMs / 1000).toFixed(1)} s${at === undefined ? '' : `, at ${at}`}`;
}
