import { type FSWatcher, lstatSync, readlinkSync, statSync, watch } from 'node:fs';
import { dirname, resolve } from 'node:path';

/** Quiet time after the last report before the file is read: editors and kubelets make several changes in a row. */
const SETTLE_MS = 50;
/** More links than this on the way to a file are a loop (as in the kernel's ELOOP). */
const MAX_LINKS = 40;

/**
 * Calls `onChange` after anything changed in a folder on the way to one of `paths`. Folders are watched, not files:
 * editors replace them, and a ConfigMap or a Secret swaps a symbolic link above them. A path that is a folder stands for
 * its entries. Whether any content changed is for the caller to find out. Returns the function that ends it.
 */
export function watchFiles(paths: readonly string[], onChange: () => void): () => void {
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

  const forget = (identity: string): void => {
    watchers.get(identity)?.close();
    watchers.delete(identity);
  };

  const rearm = (): void => {
    const wanted = foldersOnTheWay(paths);
    for (const identity of watchers.keys()) if (!wanted.has(identity)) forget(identity);
    for (const [identity, folder] of wanted) {
      if (watchers.has(identity)) continue;
      try {
        const watcher = watch(folder, { persistent: false }, changed);
        // A folder that went away is looked for again: what took its place is reported by the one above it.
        watcher.on('error', () => {
          forget(identity);
          changed();
        });
        watchers.set(identity, watcher);
      } catch {
        // It is not there at the moment; the folder above reports when it comes back.
      }
    }
  };

  rearm();
  return () => {
    isClosed = true;
    clearTimeout(settle);
    for (const identity of watchers.keys()) forget(identity);
  };
}

/**
 * The folders whose entries decide which file a path means: its own, and that of every symbolic link on the way. By
 * device and inode, since a report comes from the folder that was there when the watch began, whatever took its name.
 */
function foldersOnTheWay(paths: readonly string[]): Map<string, string> {
  const folders = new Map<string, string>();
  const add = (folder: string): void => {
    try {
      const { dev, ino } = statSync(folder);
      folders.set(`${dev}:${ino}`, folder);
    } catch {
      // Missing or not ours to see.
    }
  };
  let links = 0;
  const follow = (path: string): void => {
    const folder = dirname(path);
    if (folder === path) return;
    const target = linkTarget(path);
    if (target !== undefined && ++links <= MAX_LINKS) {
      const place = resolve(folder, target);
      add(folder);
      add(dirname(place));
      follow(place);
    }
    follow(folder);
  };
  for (const path of paths) {
    const place = resolve(path);
    links = 0;
    add(isFolder(place) ? place : dirname(place));
    follow(place);
  }
  return folders;
}

function linkTarget(path: string): string | undefined {
  try {
    return lstatSync(path).isSymbolicLink() ? readlinkSync(path) : undefined;
  } catch {
    return undefined;
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
