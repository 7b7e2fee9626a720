import { type FSWatcher, lstatSync, readlinkSync, realpathSync, statSync, watch } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Logger } from './env.ts';
import { type LoadedFilterModule, loadFilterModule, PACKAGE_VERSION } from './loader.ts';
import type { FilterKind } from './loader-check.ts';
import { FilterLoadError } from './loader-error.ts';
import { versionOfFiles } from './loader-graph.ts';

export interface WatchFilterOptions {
  readonly log?: Logger;
  /** Time from the first report of a change until the files are looked at; default 50 ms. */
  readonly settleMs?: number;
  /** How often files are looked at where the system cannot report changes; default 500 ms. */
  readonly pollMs?: number;
  /** Looks instead of waiting for reports, for file systems that send none. */
  readonly poll?: boolean;
}

/** A version that was half written is read once more after this time before it is called broken. */
const RETRY_MS = 150;

/**
 * Loads a custom filter again whenever it, a file that it imports, or a link on the way to them changes. Folders are
 * watched, not files: editors replace files, and a ConfigMap swaps a link above them. `onChange` gets the new version
 * or why it does not load; the caller goes on with the old one then. Returns the function that ends it.
 */
export function watchFilterModule<K extends FilterKind | 'any'>(
  loaded: LoadedFilterModule<K>,
  onChange: (result: LoadedFilterModule<K> | FilterLoadError) => void,
  options: WatchFilterOptions = {},
): () => void {
  const watcher = new FilterWatcher(loaded, onChange, options);
  watcher.start();
  return () => watcher.close();
}

class FilterWatcher<K extends FilterKind | 'any'> {
  readonly #onChange: (result: LoadedFilterModule<K> | FilterLoadError) => void;
  readonly #options: WatchFilterOptions;
  readonly #folders = new Map<string, FSWatcher>();
  #current: LoadedFilterModule<K>;
  #files: readonly string[];
  #signature: string;
  #lastProblem: string | undefined;
  #settle: NodeJS.Timeout | undefined;
  #poll: NodeJS.Timeout | undefined;
  /** The files may have changed since they were read, without a report. */
  #isUnsure = true;
  #isLoading = false;
  #isClosed = false;

  constructor(
    loaded: LoadedFilterModule<K>,
    onChange: (result: LoadedFilterModule<K> | FilterLoadError) => void,
    options: WatchFilterOptions,
  ) {
    this.#current = loaded;
    this.#onChange = onChange;
    this.#options = options;
    this.#files = loaded.dependencies;
    this.#signature = signatureOf(this.#files);
  }

  start(): void {
    if (this.#options.poll === true) this.#startPolling();
    else this.#watchFolders();
    // A change between loading and watching would otherwise be missed.
    this.#schedule();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#settle);
    clearInterval(this.#poll);
    for (const watcher of this.#folders.values()) watcher.close();
    this.#folders.clear();
  }

  #watchFolders(): void {
    const wanted = new Set(this.#files.flatMap(foldersOf));
    for (const [folder, watcher] of this.#folders) {
      if (wanted.has(folder)) continue;
      watcher.close();
      this.#folders.delete(folder);
    }
    for (const folder of wanted) {
      if (this.#folders.has(folder)) continue;
      try {
        const watcher = watch(folder, { persistent: false }, (event) => {
          // The folder itself may be gone and made anew: its watcher is dead then.
          if (event === 'rename') this.#forget(folder);
          this.#schedule();
        });
        watcher.on('error', () => {
          this.#forget(folder);
          this.#startPolling();
        });
        this.#folders.set(folder, watcher);
      } catch {
        this.#startPolling();
      }
    }
  }

  #forget(folder: string): void {
    this.#folders.get(folder)?.close();
    this.#folders.delete(folder);
  }

  #startPolling(): void {
    if (this.#isClosed || this.#poll !== undefined) return;
    this.#poll = setInterval(() => {
      if (signatureOf(this.#files) !== this.#signature) this.#schedule();
    }, this.#options.pollMs ?? 500).unref();
  }

  #schedule(): void {
    // Not put off by later reports: in a busy folder there is always one more.
    if (this.#isClosed || this.#settle !== undefined) return;
    this.#settle = setTimeout(() => {
      this.#settle = undefined;
      void this.#reload();
    }, this.#options.settleMs ?? 50).unref();
  }

  async #reload(): Promise<void> {
    if (this.#isLoading) {
      this.#schedule();
      return;
    }
    this.#rearm();
    const before = signatureOf(this.#files);
    const isStale = this.#isUnsure && this.#isStale();
    this.#isUnsure = false;
    if (before === this.#signature && !isStale) return;
    this.#isLoading = true;
    try {
      const result = await this.#load();
      if (this.#isClosed) return;
      const old = this.#files;
      const found = result.dependencies;
      this.#files = result instanceof FilterLoadError ? union(this.#current.dependencies, found) : found;
      this.#signature = signatureOf(this.#files);
      this.#deliver(result);
      // What changed while it was read is another change.
      this.#isUnsure = signatureOf(old) !== before || this.#isStale();
      if (this.#isUnsure) this.#schedule();
    } finally {
      this.#isLoading = false;
    }
    this.#rearm();
  }

  /** True when the version that runs is not what the files say, and no problem is known that explains it. */
  #isStale(): boolean {
    if (this.#lastProblem !== undefined || this.#current.version === PACKAGE_VERSION) return false;
    try {
      return versionOfFiles(this.#current.dependencies) !== this.#current.version;
    } catch {
      return true;
    }
  }

  #rearm(): void {
    if (this.#options.poll !== true) this.#watchFolders();
  }

  async #load(): Promise<LoadedFilterModule<K> | FilterLoadError> {
    const first = await this.#loadOnce();
    if (!(first instanceof FilterLoadError)) return first;
    await new Promise((done) => setTimeout(done, RETRY_MS));
    return this.#loadOnce();
  }

  async #loadOnce(): Promise<LoadedFilterModule<K> | FilterLoadError> {
    try {
      return await loadFilterModule(this.#current.spec, this.#current.options);
    } catch (error) {
      if (error instanceof FilterLoadError) return error;
      return new FilterLoadError((error as Error).message, this.#current.file, undefined, undefined, error);
    }
  }

  #deliver(result: LoadedFilterModule<K> | FilterLoadError): void {
    if (result instanceof FilterLoadError) {
      if (this.#lastProblem === result.message) return;
      this.#lastProblem = result.message;
      this.#options.log?.warn(`filter ${this.#current.definition.name} goes on in its old version: ${result.message}`);
      this.#onChange(result);
      return;
    }
    this.#lastProblem = undefined;
    if (result.version === this.#current.version) return;
    this.#current = result;
    this.#options.log?.info(`filter ${result.definition.name} loaded anew`, {
      file: result.file,
      version: result.version,
    });
    this.#onChange(result);
  }
}

/** The folder of a file as named, of its real place, and of every link on the way. */
function foldersOf(file: string): string[] {
  const folders = new Set<string>();
  const follow = (path: string, depth: number): void => {
    const folder = dirname(path);
    if (depth > 20 || folder === path) return;
    try {
      if (lstatSync(path).isSymbolicLink()) {
        folders.add(folder);
        follow(resolve(folder, readlinkSync(path)), depth + 1);
      }
    } catch {
      // Missing: the folder above will report when it comes.
    }
    follow(folder, depth + 1);
  };
  folders.add(dirname(file));
  follow(file, 0);
  try {
    folders.add(dirname(realpathSync(file)));
  } catch {
    // As above.
  }
  return [...folders];
}

/** Changes whenever one of the files does: place, inode, size or time. */
function signatureOf(files: readonly string[]): string {
  let text = '';
  for (const file of files) {
    try {
      const { mtimeNs, size, ino } = statSync(file, { bigint: true });
      text += `${realpathSync(file)} ${ino} ${size} ${mtimeNs}\n`;
    } catch {
      text += `${file} missing\n`;
    }
  }
  return text;
}

function union(first: readonly string[], second: readonly string[]): string[] {
  return [...new Set([...first, ...second])];
}
