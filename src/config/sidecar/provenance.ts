import type { Path } from '../errors.ts';

/** Remembers which part of a sidecar file each object of its expansion comes from. */
export class Provenance {
  private readonly paths = new WeakMap<object, Path>();

  /** Notes where an object comes from, and returns it. */
  mark<T extends object>(path: Path, made: T): T {
    this.paths.set(made, path);
    return made;
  }

  /** The place in the sidecar file that made the deepest noted object on the way to a path of the expansion. */
  sourcePathOf(root: unknown, path: Path): Path {
    let node = root;
    let source: Path = this.pathOf(node) ?? [];
    for (const key of path) {
      if (typeof node !== 'object' || node === null) break;
      node = (node as Record<string | number, unknown>)[key];
      source = this.pathOf(node) ?? source;
    }
    return source;
  }

  private pathOf(node: unknown): Path | undefined {
    return typeof node === 'object' && node !== null ? this.paths.get(node) : undefined;
  }
}
