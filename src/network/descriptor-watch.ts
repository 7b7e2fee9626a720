import { getSystemErrorName } from 'node:util';
import { type StreamHandle, unopenedHandle } from './stream-handle.ts';

type OpenableHandle = StreamHandle & { open(fd: number): number | undefined; close(): void; unref(): void };

/**
 * Calls back from the event loop whenever a set of epoll(7) has an event.
 *
 * Node has no API to wait for a descriptor. Its handle of a pipe takes any: libuv waits until the descriptor is
 * readable and reads, which a set of epoll refuses with EINVAL, and so one knows. libuv does not use that handle again;
 * the next wait takes a new one with a copy of the descriptor. Events are therefore best made rare.
 */
export class DescriptorWatch {
  private readonly duplicate: () => number;
  private readonly onReadable: () => void;
  private handle: OpenableHandle | undefined = undefined;
  private closed = false;

  /**
   * @param duplicate gives another descriptor of the set, which the watch then owns
   * @throws where a handle cannot wait for it
   */
  constructor(duplicate: () => number, onReadable: () => void) {
    this.duplicate = duplicate;
    this.onReadable = onReadable;
    this.arm();
  }

  close(): void {
    this.closed = true;
    this.handle?.close();
  }

  private arm(): void {
    const handle = unopenedHandle() as OpenableHandle | undefined;
    if (handle === undefined || typeof handle.open !== 'function') throw new Error('Node’s pipe handle is not there');
    this.handle = handle;
    const fd = this.duplicate();
    if (fd < 0) throw new Error('no descriptor left');
    handle.open(fd);
    handle.unref();
    handle.onread = () => this.fire(handle);
    const status = handle.readStart();
    if (status !== 0) throw new Error(`waiting for a descriptor: ${getSystemErrorName(status)}`);
  }

  private fire(handle: OpenableHandle): void {
    handle.close();
    if (this.closed) return;
    try {
      this.onReadable();
    } finally {
      this.arm();
    }
  }
}
