/** The key of what one thread added to the counts of another block. */
export function ledgerKey(threadId: number, key: string): string {
  return `ledger ${threadId} ${key}`;
}

/** How many of something all threads hold together. What a thread that crashed held is given back. */
export class SharedCount {
  private readonly cell: Int32Array;
  /** This thread's own part. */
  private readonly ledger: Int32Array;

  constructor(cell: Int32Array, ledger: Int32Array) {
    this.cell = cell;
    this.ledger = ledger;
  }

  /** What is held now. */
  get value(): number {
    return Atomics.load(this.cell, 0);
  }

  /** One more; what was held before. */
  add(): number {
    Atomics.add(this.ledger, 0, 1);
    return Atomics.add(this.cell, 0, 1);
  }

  /** One less. */
  remove(): void {
    Atomics.sub(this.ledger, 0, 1);
    Atomics.sub(this.cell, 0, 1);
  }
}

/**
 * Memory that all threads of the process share, by key: limits mean the same at any concurrency. Blocks live as long
 * as the process, so that a reload does not forget what was counted.
 */
export class SharedMemory {
  /** The block of a key, zeroed when first made. A block that is too small is replaced. */
  readonly get: (key: string, bytes: number) => SharedArrayBuffer;
  private readonly blocks: Map<string, SharedArrayBuffer>;

  /** @param get where blocks come from; a worker thread asks the main thread for them. */
  constructor(
    blocks: Map<string, SharedArrayBuffer> = new Map(),
    get?: (key: string, bytes: number) => SharedArrayBuffer,
  ) {
    this.blocks = blocks;
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

  /** The count of a key. */
  count(key: string): SharedCount {
    const bytes = Int32Array.BYTES_PER_ELEMENT;
    const { threadId } = process.getBuiltinModule('node:worker_threads');
    return new SharedCount(
      new Int32Array(this.get(key, bytes)),
      new Int32Array(this.get(ledgerKey(threadId, key), bytes)),
    );
  }

  /** A block that somebody has asked for. */
  find(key: string): SharedArrayBuffer | undefined {
    return this.blocks.get(key);
  }

  /** Gives back what a thread that crashed held of shared counts. */
  settleLedgers(threadId: number): void {
    const prefix = ledgerKey(threadId, '');
    for (const [key, block] of this.blocks) {
      if (!key.startsWith(prefix)) continue;
      this.blocks.delete(key);
      const target = this.blocks.get(key.slice(prefix.length));
      if (target !== undefined) settle(new Int32Array(target), new Int32Array(block));
    }
  }
}

function settle(counts: Int32Array, ledger: Int32Array): void {
  for (let i = 0; i < ledger.length; i++) Atomics.sub(counts, i, ledger[i] as number);
}
