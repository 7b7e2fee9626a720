import type { FilterOwner } from './loader-owners.ts';

/** What the watching thread tells the blocked one when that runs again. */
export interface BlockReport {
  /** 1 + index of the filter whose hook was running, 0 for none. */
  readonly index: number;
  readonly blockedMs: number;
  readonly at: { readonly file: string; readonly line: number } | undefined;
}

interface BlockListener {
  /** The heart has not beaten for `blockedMs`; called at the limit and whenever the time has doubled. */
  blocked(index: number, blockedMs: number): void;
  ended(index: number, blockedMs: number): void;
}

/**
 * Watches a heartbeat cell. Refers to nothing outside itself: its text also runs in a thread of its own.
 * Returns the function that ends it.
 */
export function detectBlocks(cells: Int32Array, limitMs: number, listener: BlockListener): () => void {
  const tickMs = Math.min(100, limitMs / 4);
  let beat = Atomics.load(cells, 0);
  let lastTick = performance.now();
  let since = lastTick;
  let nextReport = limitMs;
  let blamed = 0;
  const timer = setInterval(() => {
    const now = performance.now();
    // A machine that slept, or starved this thread too, says nothing about the other one.
    const wasAway = now - lastTick > limitMs / 2;
    lastTick = now;
    const current = Atomics.load(cells, 0);
    if (current !== beat || wasAway) {
      if (nextReport > limitMs && current !== beat) listener.ended(blamed, now - since);
      beat = current;
      since = now;
      nextReport = limitMs;
      blamed = 0;
      return;
    }
    const blockedMs = now - since;
    if (blockedMs < nextReport) return;
    blamed = Atomics.load(cells, 1) || blamed;
    nextReport = blockedMs * 2;
    listener.blocked(blamed, blockedMs);
  }, tickMs);
  timer.unref?.();
  return () => clearInterval(timer);
}

/**
 * The body of the thread that watches the main one. While that is blocked nobody else can speak, so it writes to
 * standard error itself; the debugger protocol tells at which line the other thread is. Refers to nothing outside itself.
 */
export function watchMainThread(detect: typeof detectBlocks): void {
  // Not require: bundlers put a helper of their own in its place, which this text would not find.
  const { parentPort, workerData, isMainThread } = process.getBuiltinModule('node:worker_threads');
  const { Session } = process.getBuiltinModule('node:inspector');
  const { writeSync } = process.getBuiltinModule('node:fs');
  if (isMainThread || parentPort === null) return;
  const port = parentPort;
  let filters = workerData.filters as FilterOwner[];
  let at: { file: string; line: number } | undefined;
  let session: InstanceType<typeof Session> | undefined;
  port.on('message', (message: FilterOwner[]) => {
    filters = message;
  });

  const say = (index: number, blockedMs: number): void => {
    const place = at === undefined ? '' : `, at ${at.file}:${at.line}`;
    const filter = filters[index - 1] ?? filters.find((one) => one.file === at?.file);
    const who = filter === undefined ? 'something other than a filter' : `filter ${filter.name} (${filter.file})`;
    const seconds = (blockedMs / 1000).toFixed(1);
    const time = new Date().toISOString().replace('T', ' ').slice(0, 23);
    writeSync(2, `[${time}][warning][watchdog] ${who} has blocked its thread for ${seconds} s${place}\n`);
  };

  /** Stops the other thread for a moment at the statement that it is in, notes where, and lets it go on. */
  const locate = (done: () => void): void => {
    const one = new Session();
    const urls = new Map<string, string>();
    session = one;
    const finish = (): void => {
      if (session !== one) return;
      session = undefined;
      one.disconnect();
      done();
    };
    try {
      one.connectToMainThread();
      one.on('Debugger.scriptParsed', ({ params }) => {
        urls.set(params.scriptId, params.url.replace(/^file:\/\//, ''));
      });
      one.on('Debugger.paused', ({ params }) => {
        const places = params.callFrames
          .map(({ location }) => ({ file: urls.get(location.scriptId) ?? '', line: location.lineNumber + 1 }))
          .filter(({ file }) => file !== '' && !file.startsWith('node:'));
        at = places.find(({ file }) => filters.some((filter) => filter.file === file)) ?? places[0];
        one.post('Debugger.resume', () => finish());
      });
      one.post('Debugger.enable');
      one.post('Debugger.pause');
    } catch {
      finish();
      return;
    }
    // A thread inside a system call does not answer; then the line stays unknown.
    setTimeout(finish, 200);
  };

  detect(new Int32Array(workerData.cells), workerData.limitMs, {
    blocked(index, blockedMs) {
      if (at === undefined && session === undefined) locate(() => say(index, blockedMs));
      else say(index, blockedMs);
    },
    ended(index, blockedMs) {
      port.postMessage({ index, blockedMs, at } satisfies BlockReport);
      at = undefined;
    },
  });
}
