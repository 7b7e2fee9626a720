/**
 * Memory that all threads of the process share, by key: limits mean the same at any concurrency. Blocks live as long
 * as the process, so that a reload does not forget what was counted.
 */
export class SharedMemory {
  /** The block of a key, zeroed when first made. A block that is too small is replaced. */
  readonly get: (key: string, bytes: number) => SharedArrayBuffer;

  /** @param get where blocks come from; a worker thread asks the main thread for them. */
  constructor(
    blocks: Map<string, SharedArrayBuffer> = new Map(),
    get?: (key: string, bytes: number) => SharedArrayBuffer,
  ) {
    this.get =
      get ??
      ((key, bytes) => {
        let block = blocks.get(key);
        if (block === undefined || block.byteLength < bytes) {
          block = new SharedArrayBuffer(bytes);
          blocks.set(key, block);
        }
        return block;
      });
  }
}
