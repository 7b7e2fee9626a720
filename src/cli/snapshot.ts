import { builtinRegistry } from '../../filters/index.ts';
import { HTTP_FILTER_MODULE, NETWORK_FILTER_MODULE } from '../config/extensions.ts';
import { type LoadedConfig, loadConfig } from '../config/load.ts';
import { preloadModules } from '../preload.ts';
import { reportError } from './report-error.ts';
import { run } from './run.ts';
import { readOrdinary } from './run-options.ts';
import { readConcurrency } from './serve-options.ts';

/** In the form that needs no YAML parser. */
const ORDINARY = 'listen: 127.0.0.1:1\napp: 127.0.0.1:2\n';

/** Kept for its hidden classes, which V8 would make anew for the next one. */
export let ordinary: LoadedConfig | undefined;

/** Evaluates the modules of an ordinary run, and the schemas that it reads, where the start-up snapshot is made. */
export async function preload(): Promise<void> {
  await Promise.all([import('./serve.ts'), import('../observe/log.ts'), preloadModules()]);
  ordinary = loadConfig('ordinary.yaml', { registry: builtinRegistry(), text: ORDINARY });
}

/**
 * Runs a command line in a process that was started from the snapshot. What is no ordinary run of built-in filters in
 * one thread makes the process start anew without it: in such a process Node aborts when a thread loads `node:net`, and
 * what is asked for in the environment was decided when the snapshot was made.
 *
 * @param entry - `dist/outrigger.js`
 * @returns the exit code
 */
export async function start(entry: string, args: readonly string[]): Promise<number> {
  const flags = readOrdinary(args[0] === 'run' ? args.slice(1) : args);
  const isSpecial = process.env.OUTRIGGER_PORTABLE_IO !== undefined || needsThreads(flags?.concurrency);
  if (flags === undefined || isSpecial) return startWithoutSnapshot(entry, args);
  try {
    return await run(flags, ({ canonical }) => {
      // They may start threads.
      if (namesCustomFilter(canonical)) startWithoutSnapshot(entry, args);
    });
  } catch (error) {
    return reportError(error);
  }
}

/** A number that is none is left to whoever reports it. */
function needsThreads(concurrency: string | undefined): boolean {
  try {
    return readConcurrency(concurrency) > 1;
  } catch {
    return true;
  }
}

/** What the launcher gives Node, too. */
const YOUNG_GENERATION = ['--min-semi-space-size=2', '--max-semi-space-size=16'];

/** The same process, as Node starts it by itself. */
function startWithoutSnapshot(entry: string, args: readonly string[]): never {
  const command = [process.execPath, '--disable-warning=ExperimentalWarning', ...YOUNG_GENERATION, entry, ...args];
  process.execve?.(process.execPath, command);
  throw new Error('this Node cannot start anew in its process');
}

/** Whether a filter of the user's is named anywhere in a configuration in Envoy's form. */
function namesCustomFilter(part: unknown): boolean {
  if (typeof part !== 'object' || part === null) return false;
  const { '@type': type } = part as { '@type'?: unknown };
  const isNamed = (name: string): boolean => typeof type === 'string' && type.endsWith(`/${name}`);
  return isNamed(HTTP_FILTER_MODULE) || isNamed(NETWORK_FILTER_MODULE) || Object.values(part).some(namesCustomFilter);
}
