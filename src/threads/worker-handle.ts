import { MessageChannel, Worker } from 'node:worker_threads';
import type { SharedMemory } from '../shared-memory.ts';
import type { AnswerMessage, CommandName, ReadyMessage, WorkerCommands, WorkerStart } from './messages.ts';
import { serveSharedMemory } from './shared-memory-port.ts';

/** A running worker, as the main thread sees it. */
export class WorkerHandle {
  readonly listeners: ReadyMessage['listeners'];
  private readonly worker: Worker;
  private readonly waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  private lastId = 0;
  /** Called when the thread ended without being asked to. */
  onCrash: ((error: Error) => void) | undefined = undefined;
  private closing = false;

  private constructor(worker: Worker, ready: ReadyMessage) {
    this.worker = worker;
    this.listeners = ready.listeners;
    worker.on('message', ({ id, result, error }: AnswerMessage) => {
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
      for (const { reject } of this.waiting.values()) reject(new Error('the worker thread has ended'));
      this.waiting.clear();
      if (!this.closing) this.onCrash?.(failure ?? new Error(`a worker thread ended with code ${code}`));
    });
  }

  /** Starts a worker and waits until it serves. @throws what its start threw */
  static start(start: Omit<WorkerStart, 'sharedPort'>, memory: SharedMemory): Promise<WorkerHandle> {
    const { port1, port2 } = new MessageChannel();
    serveSharedMemory(port1, memory);
    const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData: { ...start, sharedPort: port2 }, transferList: [port2] });
    return new Promise((resolve, reject) => {
      worker.once('error', reject);
      worker.once('exit', () => reject(new Error('a worker thread ended before it served')));
      worker.once('message', (ready: ReadyMessage) => {
        worker.removeAllListeners('error');
        worker.removeAllListeners('exit');
        resolve(new WorkerHandle(worker, ready));
      });
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
    await this.ask('close').catch(() => undefined);
    await this.worker.terminate();
  }
}
