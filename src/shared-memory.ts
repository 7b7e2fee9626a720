/**
 * Memory that all threads of the process share, by key: limits mean the same at any concurrency. Blocks live as long
 * as the process, so that a reload does not forget what was counted.
 */
export class SharedMemory {
  private readonly blocks: Map<string, SharedArrayBuffer>;

  constructor(blocks: Map<string, SharedArrayBuffer> = new Map()) {
    this.blocks = blocks;
  }

  /** The block of a key, zeroed when first made. A block that is too small is replaced. */
  readonly get = (key: string, bytes: number): SharedArrayBuffer => {
    let block = this.blocks.get(key);
    if (block === undefined || block.byteLength < bytes) {
      block = new SharedArrayBuffer(bytes);
      this.blocks.set(key, block);
    }
    return block;
  };
}
