import { AsyncLocalStorage } from 'node:async_hooks';
import { fileURLToPath } from 'node:url';

/** A custom filter as logs name it. */
export interface FilterOwner {
  /** The filter's name, or its file's before the name is known. */
  readonly name: string;
  readonly file: string;
}

/** A line of a custom filter's source. */
export interface FilterPlace {
  readonly owner: FilterOwner;
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** Which filter loaded a source file. Bounded by the number of different files, not of reloads. */
const ownerOfFile = new Map<string, FilterOwner>();
const running = new AsyncLocalStorage<FilterOwner>();

export function registerOwner(owner: FilterOwner, files: readonly string[]): void {
  for (const file of files) ownerOfFile.set(file, owner);
}

/** Runs code of a filter such that timers and promises which it makes remember whose they are. */
export function runAsOwner<T>(owner: FilterOwner, run: () => T): T {
  return running.run(owner, run);
}

/** The filter whose timer, promise or callback is running, if it began in `runAsOwner`. */
export function currentOwner(): FilterOwner | undefined {
  return running.getStore();
}

/** The innermost frame of an error's stack that lies in a custom filter's source. */
export function placeInFilter(error: unknown): FilterPlace | undefined {
  const stack = error instanceof Error ? error.stack : undefined;
  if (stack === undefined) return undefined;
  for (const line of stack.split('\n')) {
    const frame = /(?:\(|at (?:async )?)((?:file:\/\/)?\/[^()]*?):(\d+):(\d+)\)?$/.exec(line);
    if (frame === null) continue;
    const file = toPath(frame[1] as string);
    const owner = ownerOfFile.get(file);
    if (owner !== undefined) return { owner, file, line: Number(frame[2]), column: Number(frame[3]) };
  }
  return undefined;
}

/** The filter that loaded a file (a path or a file URL). */
export function ownerOf(file: string): FilterOwner | undefined {
  return ownerOfFile.get(toPath(file));
}

function toPath(file: string): string {
  return file.startsWith('file://') ? fileURLToPath(file) : file;
}
