import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { SharedMemory } from '../shared-memory.ts';

interface BlockRequest {
  readonly key: string;
  readonly bytes: number;
  readonly flag: Int32Array;
}

/** Main thread: answers workers that ask for shared blocks on `port`. */
export function serveSharedMemory(port: MessagePort, memory: SharedMemory): void {
  port.on('message', ({ key, bytes, flag }: BlockRequest) => {
    port.postMessage(memory.get(key, bytes));
    Atomics.store(flag, 0, 1);
    Atomics.notify(flag, 0);
  });
  port.unref();
}

/** Longest time that a worker waits for the main thread. */
const WAIT_LIMIT_MS = 10_000;

/** Worker: blocks come from the main thread, which is waited for. Used at load only. */
export function sharedMemoryOf(port: MessagePort): SharedMemory {
  const known = new Map<string, SharedArrayBuffer>();
  const get = (key: string, bytes: number): SharedArrayBuffer => {
    const have = known.get(key);
    if (have !== undefined && have.byteLength >= bytes) return have;
    const flag = new Int32Array(new SharedArrayBuffer(4));
    port.postMessage({ key, bytes, flag } satisfies BlockRequest);
    Atomics.wait(flag, 0, 0, WAIT_LIMIT_MS);
    const block = receiveMessageOnPort(port)?.message as SharedArrayBuffer | undefined;
    if (block === undefined) throw new Error(`the main thread did not give the shared memory ${key}`);
    known.set(key, block);
    return block;
  };
  return new SharedMemory(new Map(), get);
}
