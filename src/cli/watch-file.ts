import { type FSWatcher, lstatSync, readlinkSync, watch } from 'node:fs';
import { dirname, resolve } from 'node:path';

/** Quiet time after the last report before the file is read: editors and kubelets make several changes in a row. */
const SETTLE_MS = 50;
/** More links than this on the way to a file are a loop (as in the kernel's ELOOP). */
const MAX_LINKS = 40;

/**
 * Calls `onChange` after anything changed in a folder on the way to `file`. Folders are watched, not the file: editors
 * replace it, and a ConfigMap swaps a symbolic link above it. Whether the content changed is for the caller to find
 * out. Returns the function that ends it.
 */
export function watchFile(file: string, onChange: () => void): () => void {
  const watchers = new Map<string, FSWatcher>();
  let settle: NodeJS.Timeout | undefined;
  let isClosed = false;

  const changed = (): void => {
    if (isClosed) return;
    clearTimeout(settle);
    settle = setTimeout(() => {
      rearm();
      onChange();
    }, SETTLE_MS);
  };

  const forget = (folder: string): void => {
    watchers.get(folder)?.close();
    watchers.delete(folder);
  };

  const rearm = (): void => {
    const wanted = foldersOnTheWay(resolve(file));
    for (const folder of watchers.keys()) if (!wanted.has(folder)) forget(folder);
    for (const folder of wanted) {
      if (watchers.has(folder)) continue;
      try {
        const watcher = watch(folder, { persistent: false }, changed);
        // A folder that went away is looked for again: what took its place is reported by the one above it.
        watcher.on('error', () => {
          forget(folder);
          changed();
        });
        watchers.set(folder, watcher);
      } catch {
        // It is not there at the moment; the folder above reports when it comes back.
      }
    }
  };

  rearm();
  return () => {
    isClosed = true;
    clearTimeout(settle);
    for (const folder of watchers.keys()) forget(folder);
  };
}

/** The folders whose entries decide which file a path means: its own, and that of every symbolic link on the way. */
function foldersOnTheWay(file: string): Set<string> {
  const folders = new Set([dirname(file)]);
  let links = 0;
  const follow = (path: string): void => {
    const folder = dirname(path);
    if (folder === path) return;
    const target = linkTarget(path);
    if (target !== undefined && ++links <= MAX_LINKS) {
      folders.add(folder);
      const place = resolve(folder, target);
      folders.add(dirname(place));
      follow(place);
    }
    follow(folder);
  };
  follow(file);
  return folders;
}

function linkTarget(path: string): string | undefined {
  try {
    return lstatSync(path).isSymbolicLink() ? readlinkSync(path) : undefined;
  } catch {
    return undefined;
  }
}
