/** One branch of the tree: what lies between its parent and here, and the values whose prefix ends here. */
interface Branch<T> {
  label: Uint16Array;
  values: T[];
  /** By the first character code of the child's label. */
  readonly children: Map<number, Branch<T>>;
}

/** A radix tree: finds every stored prefix of a text in one walk along it, without allocation. */
export class PrefixTree<T> {
  readonly #root: Branch<T> = newBranch(new Uint16Array());

  add(prefix: string, value: T): void {
    let branch = this.#root;
    let rest = Uint16Array.from({ length: prefix.length }, (_, i) => prefix.charCodeAt(i));
    while (rest.length > 0) {
      const first = rest[0] as number;
      const child = branch.children.get(first);
      if (child === undefined) {
        const leaf = newBranch<T>(rest);
        branch.children.set(first, leaf);
        branch = leaf;
        break;
      }
      const shared = sharedLength(child.label, rest);
      branch = shared < child.label.length ? split(branch, child, shared) : child;
      rest = rest.subarray(shared);
    }
    branch.values.push(value);
  }

  /**
   * Visits the values of every prefix of `text`, the shortest first. `visit` gets the best answer so far, which is
   * `bound` at first, and gives the new one; `a` and `b` are handed through.
   */
  fold<A, B>(
    text: string,
    bound: number,
    visit: (values: readonly T[], best: number, a: A, b: B) => number,
    a: A,
    b: B,
  ): number {
    let best = bound;
    let at = 0;
    let branch: Branch<T> | undefined = this.#root;
    while (branch !== undefined) {
      const label: Uint16Array = branch.label;
      const length = label.length;
      if (at + length > text.length) return best;
      for (let i = 0; i < length; i++) if (label[i] !== text.charCodeAt(at + i)) return best;
      at += length;
      if (branch.values.length > 0) best = visit(branch.values, best, a, b);
      if (at === text.length) return best;
      branch = branch.children.get(text.charCodeAt(at));
    }
    return best;
  }
}

function newBranch<T>(label: Uint16Array): Branch<T> {
  return { label, values: [], children: new Map() };
}

function sharedLength(a: Uint16Array, b: Uint16Array): number {
  const limit = Math.min(a.length, b.length);
  let length = 0;
  while (length < limit && a[length] === b[length]) length++;
  return length;
}

/** Puts a branch into the edge from `parent` to `child`, behind `length` characters of the child's label. */
function split<T>(parent: Branch<T>, child: Branch<T>, length: number): Branch<T> {
  const middle = newBranch<T>(child.label.slice(0, length));
  parent.children.set(child.label[0] as number, middle);
  child.label = child.label.slice(length);
  middle.children.set(child.label[0] as number, child);
  return middle;
}
