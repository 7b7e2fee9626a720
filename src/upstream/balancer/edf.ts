/**
 * Earliest deadline first over a fixed set of items: each `advance` lets the item with the nearest deadline have its
 * turn and puts its next deadline 1/weight later, so turns are shared by weight and spread evenly. O(log n), no allocation.
 */
export class EdfScheduler {
  /** Deadline by item. */
  private readonly deadlines: Float64Array;
  /** Binary heap of items, the nearest deadline at 0. */
  private readonly heap: Uint32Array;

  /** @param weights above 0, by item. */
  constructor(weights: ArrayLike<number>) {
    this.deadlines = new Float64Array(weights.length);
    this.heap = new Uint32Array(weights.length);
    for (let item = 0; item < weights.length; item++) {
      this.deadlines[item] = 1 / (weights[item] as number);
      this.heap[item] = item;
    }
    for (let at = (weights.length >>> 1) - 1; at >= 0; at--) this.siftDown(at);
  }

  /** The item whose turn it is. */
  peek(): number {
    return this.heap[0] as number;
  }

  /** Ends the turn of the item that `peek` gives; `weight` is what it counts until its next turn. */
  advance(weight: number): void {
    (this.deadlines[this.heap[0] as number] as number) += 1 / weight;
    this.siftDown(0);
  }

  private siftDown(start: number): void {
    const { heap } = this;
    const item = heap[start] as number;
    let at = start;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && this.before(heap[child + 1] as number, heap[child] as number)) child++;
      if (!this.before(heap[child] as number, item)) break;
      heap[at] = heap[child] as number;
      at = child;
    }
    heap[at] = item;
  }

  /** Equal deadlines go by order of configuration, so that the sequence does not depend on the heap's shape. */
  private before(a: number, b: number): boolean {
    const difference = (this.deadlines[a] as number) - (this.deadlines[b] as number);
    return difference < 0 || (difference === 0 && a < b);
  }
}
