import { accessSync, closeSync, constants, openSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { makeFolder } from '../make-folder.ts';
import { UsageError } from './usage-error.ts';

/** What is wrong with a place to write to, in words, by the system's code. */
const PLACE_PROBLEMS: Readonly<Record<string, string>> = {
  EACCES: 'no permission',
  EEXIST: 'something that is no folder is there already',
  EISDIR: 'it is a folder',
  ELOOP: 'symbolic links lead in a circle',
  ENAMETOOLONG: 'the name is too long',
  ENOENT: 'no folder can be made there',
  ENOTDIR: 'a part of the path is a file, not a folder',
  EPERM: 'no permission',
  EROFS: 'the file system is read-only',
  ETXTBSY: 'it is a program that runs',
};

/** What goes wrong at a place that would do. */
const FAILURES: Readonly<Record<string, string>> = {
  EDQUOT: 'the quota is used up',
  EFBIG: 'the file would be too large',
  EIO: 'the disk fails',
  ENOSPC: 'the disk is full',
};

/** Writes what a command was asked to write, and makes the folders above it. @throws UsageError, Error when the disk is full */
export function writeOutput(file: string, data: string): void {
  refuseNameless(file, 'file');
  attempt(file, () => {
    makeFolder(dirname(file));
    writeFileSync(file, data);
  });
}

/** The same for a folder. @throws UsageError, Error */
export function makeOutputFolder(folder: string): void {
  refuseNameless(folder, 'folder');
  attempt(folder, () => {
    makeFolder(folder);
    accessSync(folder, constants.W_OK);
  });
}

/**
 * Finds out before a long measurement whether a file can be written after it; makes the folders above it.
 *
 * @param file undefined: nothing is to be written
 * @throws UsageError, Error
 */
export function checkOutput(file: string | undefined): void {
  if (file === undefined) return;
  refuseNameless(file, 'file');
  attempt(file, () => {
    makeFolder(dirname(file));
    const there = statSync(file, { throwIfNoEntry: false });
    // Who waits at the other end of a pipe would take the end of this for the end of everything.
    if (there !== undefined && !there.isFile() && !there.isDirectory()) {
      accessSync(file, constants.W_OK);
      return;
    }
    closeSync(openSync(file, 'a'));
    if (there === undefined) rmSync(file);
  });
}

/** An empty name is a variable of a script that is not set; as a path it would be the current folder. @throws UsageError */
function refuseNameless(path: string, what: 'file' | 'folder'): void {
  if (path === '') throw new UsageError(`the ${what} to write to has no name`);
}

/** Files of one command line that are written, with what they are read from: none may be there twice. @throws UsageError */
export function refuseSame(outputs: readonly (string | undefined)[], inputs: readonly string[] = []): void {
  const seen = new Set(inputs.map((file) => resolve(file)));
  for (const file of outputs) {
    // What is no file, as /dev/stdout, takes several.
    if (file === undefined || attempt(file, () => statSync(file, { throwIfNoEntry: false })?.isFile()) === false)
      continue;
    if (seen.has(resolve(file)))
      throw new UsageError(
        `${file} would be written over what this command ${inputs.some((one) => resolve(one) === resolve(file)) ? 'reads' : 'writes there too'}`,
      );
    seen.add(resolve(file));
  }
}

/** Runs what touches a path, with errors that a person can act on. @throws UsageError, Error */
export function attempt<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    const { code = '', path: at = path } = error as NodeJS.ErrnoException;
    const where = at === path || join(at) === join(path) ? '' : ` (${at})`;
    const place = PLACE_PROBLEMS[code];
    if (place !== undefined) throw new UsageError(`${path} cannot be written: ${place}${where}`);
    const failure = FAILURES[code];
    if (failure !== undefined) throw new Error(`${path} cannot be written: ${failure}`);
    throw error;
  }
}
