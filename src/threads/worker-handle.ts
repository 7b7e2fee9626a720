import { setTimeout as sleep } from 'node:timers/promises';
import { MessageChannel, Worker } from 'node:worker_threads';
import type { Logger } from '../filter/env.ts';
import type { SharedMemory } from '../shared-memory.ts';
import type {
  AnswerMessage,
  CommandName,
  ReadyMessage,
  WatchedMessage,
  WorkerCommands,
  WorkerStart,
} from './messages.ts';
import { serveSharedMemory } from './shared-memory-port.ts';

/** Longest time that a worker may take to close; one that a filter blocks never does. */
const CLOSE_LIMIT_MS = 2000;

/** A running worker, as the main thread sees it. */
export class WorkerHandle {
  readonly listeners: ReadyMessage['listeners'];
  /** Stays known when the thread has ended. */
  readonly threadId: number;
  /** Unix sockets cannot be shared as ports can: one worker has them. */
  readonly servesPipes: boolean;
  private readonly worker: Worker;
  private readonly waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  private lastId = 0;
  /** Called when the thread ended without being asked to. */
  onCrash: ((error: Error) => void) | undefined = undefined;
  private closing = false;
  private readonly log: Logger;
  private unwatch: () => void = () => {};

  private constructor(
    worker: Worker,
    ready: ReadyMessage,
    servesPipes: boolean,
    log: Logger,
    watched: WatchedMessage | undefined,
  ) {
    this.servesPipes = servesPipes;
    this.worker = worker;
    this.threadId = worker.threadId;
    this.listeners = ready.listeners;
    this.log = log;
    if (watched !== undefined) void this.watch(watched);
    worker.on('message', (message: AnswerMessage | WatchedMessage) => {
      if ('watched' in message) {
        void this.watch(message);
        return;
      }
      const { id, result, error } = message;
      const waiting = this.waiting.get(id);
      this.waiting.delete(id);
      if (error === undefined) waiting?.resolve(result);
      else waiting?.reject(new Error(error));
    });
    let failure: Error | undefined;
    worker.on('error', (error: Error) => {
      failure = error;
    });
    worker.on('exit', (code) => {
      this.unwatch();
      for (const { reject } of this.waiting.values()) reject(new Error('the worker thread has ended'));
      this.waiting.clear();
      if (!this.closing) this.onCrash?.(failure ?? new Error(`a worker thread ended with code ${code}`));
    });
  }

  /** Starts a worker and waits until it serves. @throws what its start threw */
  static start(start: Omit<WorkerStart, 'sharedPort'>, memory: SharedMemory, log: Logger): Promise<WorkerHandle> {
    const { port1, port2 } = new MessageChannel();
    serveSharedMemory(port1, memory);
    const worker = new Worker(new URL('./worker.ts', import.meta.url), {
      workerData: { ...start, sharedPort: port2 },
      transferList: [port2],
    });
    return new Promise((resolve, reject) => {
      worker.once('error', reject);
      worker.once('exit', () => reject(new Error('a worker thread ended before it served')));
      let watched: WatchedMessage | undefined;
      const onMessage = (message: ReadyMessage | WatchedMessage): void => {
        if ('watched' in message) {
          watched = message;
          return;
        }
        worker.removeAllListeners('error');
        worker.removeAllListeners('exit');
        // The new listener comes first: a worker without one stops listening for good.
        resolve(new WorkerHandle(worker, message, start.servesPipes, log, watched));
        worker.off('message', onMessage);
      };
      worker.on('message', onMessage);
    });
  }

  /** Follows the worker's heartbeat from here: a thread that a filter blocks cannot say so itself. */
  private async watch({ watched }: WatchedMessage): Promise<void> {
    const { watchThread } = await import('../filter/watchdog.ts');
    this.unwatch();
    this.unwatch = watchThread(`worker ${this.worker.threadId}`, watched.cells, () => watched.filters, {
      log: this.log,
    });
  }

  ask<Name extends CommandName>(
    name: Name,
    ...argument: WorkerCommands[Name]['argument'] extends undefined ? [] : [WorkerCommands[Name]['argument']]
  ): Promise<WorkerCommands[Name]['result']> {
    const id = ++this.lastId;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
      this.worker.postMessage({ id, name, argument: argument[0] });
    });
  }

  async close(): Promise<void> {
    this.closing = true;
    await Promise.race([this.ask('close').catch(() => undefined), sleep(CLOSE_LIMIT_MS)]);
    await this.worker.terminate();
  }
}
