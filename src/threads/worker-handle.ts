import { setTimeout as sleep } from 'node:timers/promises';
import { MessageChannel, Worker } from 'node:worker_threads';
import type { Logger } from '../filter/env.ts';
import { closeDescriptor } from '../kernel/close-descriptor.ts';
import type { SharedMemory } from '../shared-memory.ts';
import type {
  AnswerMessage,
  CommandName,
  HandedOver,
  Notice,
  ReadyMessage,
  WatchedMessage,
  WorkerCommands,
  WorkerStart,
} from './messages.ts';
import { serveSharedMemory } from './shared-memory-port.ts';

/** Longest time that a worker may take to close; one that a filter blocks never does. */
const CLOSE_LIMIT_MS = 2000;

/** The worker ended before it answered. */
export class WorkerGone extends Error {
  constructor() {
    super('the worker thread has ended');
  }
}

/** The answers of the workers that gave one; one that has crashed is not waited for. @throws what another one threw */
export async function answersOf<T>(asked: readonly Promise<T>[]): Promise<T[]> {
  const outcomes = await Promise.allSettled(asked);
  const answers: T[] = [];
  for (const outcome of outcomes) {
    if (outcome.status === 'fulfilled') answers.push(outcome.value);
    else if (!(outcome.reason instanceof WorkerGone)) throw outcome.reason;
  }
  return answers;
}

/** What a worker is started with, as the main thread has it. */
export interface WorkerSettings extends Omit<WorkerStart, 'sharedPort'> {
  readonly configHash: string;
  /** Undefined leaves it to V8. */
  readonly heapLimitMiB: number | undefined;
}

/** Three semi-spaces of 16 MiB, as the launcher gives a process of one thread. */
const YOUNG_GENERATION_MIB = 48;

/** A worker has ended before it served: nothing waits in its queues that another one would not get by itself. */
function closeKept(notices: readonly Notice[]): void {
  const kept = new Map<string, readonly number[]>();
  for (const notice of notices) if ('keep' in notice) kept.set(notice.keep.address, notice.keep.descriptors);
  for (const descriptors of kept.values()) for (const fd of descriptors) closeDescriptor(fd);
}

/** A running worker, as the main thread sees it. */
export class WorkerHandle {
  readonly listeners: ReadyMessage['listeners'];
  /** Stays known when the thread has ended. */
  readonly threadId: number;
  /** Unix sockets cannot be shared as ports can: one worker has them. */
  readonly servesPipes: boolean;
  readonly slot: number;
  /** Of the configuration that it serves. */
  configHash: string;
  /** Listening descriptors that stay open when the worker crashes, by address: its successor accepts what waits there. */
  readonly kept = new Map<string, readonly number[]>();
  /** Connections that are on their way to it. */
  readonly expected = new Set<HandedOver>();
  /** Called with a connection that another worker is to serve. */
  onHandOver: ((connection: HandedOver) => void) | undefined = undefined;
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
    start: WorkerSettings,
    log: Logger,
    notices: readonly Notice[],
  ) {
    this.servesPipes = start.servesPipes;
    this.slot = start.slot;
    this.configHash = start.configHash;
    this.worker = worker;
    this.threadId = worker.threadId;
    this.listeners = ready.listeners;
    this.log = log;
    for (const notice of notices) this.hear(notice);
    worker.on('message', (message: AnswerMessage | Notice) => {
      if (!('id' in message)) {
        this.hear(message);
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
      for (const { reject } of this.waiting.values()) reject(new WorkerGone());
      this.waiting.clear();
      if (!this.closing) this.onCrash?.(failure ?? new Error(`a worker thread ended with code ${code}`));
    });
  }

  /** Starts a worker and waits until it serves. @throws what its start threw */
  static start(
    { configHash, heapLimitMiB, ...start }: WorkerSettings,
    memory: SharedMemory,
    log: Logger,
  ): Promise<WorkerHandle> {
    const { port1, port2 } = new MessageChannel();
    serveSharedMemory(port1, memory);
    const worker = new Worker(new URL('./worker.ts', import.meta.url), {
      workerData: { ...start, sharedPort: port2 },
      transferList: [port2],
      resourceLimits: {
        maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB,
        ...(heapLimitMiB === undefined ? {} : { maxOldGenerationSizeMb: heapLimitMiB }),
      },
    });
    return new Promise((resolve, reject) => {
      const notices: Notice[] = [];
      let failure: Error | undefined;
      worker.once('error', (error: Error) => {
        failure = error;
      });
      // Not before its sockets are closed: nobody would accept what the kernel gives to them.
      worker.once('exit', () => {
        closeKept(notices);
        reject(failure ?? new Error('a worker thread ended before it served'));
      });
      const onMessage = (message: ReadyMessage | Notice): void => {
        if (!('listeners' in message)) {
          notices.push(message);
          return;
        }
        worker.removeAllListeners('error');
        worker.removeAllListeners('exit');
        // The new listener comes first: a worker without one stops listening for good.
        resolve(new WorkerHandle(worker, message, { ...start, configHash, heapLimitMiB }, log, notices));
        worker.off('message', onMessage);
      };
      worker.on('message', onMessage);
    });
  }

  private hear(notice: Notice): void {
    if ('watched' in notice) {
      void this.watch(notice);
    } else if ('keep' in notice) {
      const { address, descriptors } = notice.keep;
      if (descriptors.length === 0) this.kept.delete(address);
      else this.kept.set(address, descriptors);
    } else {
      this.onHandOver?.(notice.handOver);
    }
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
