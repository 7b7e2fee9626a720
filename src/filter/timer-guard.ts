import type { Logger } from './env.ts';
import { currentOwner, type FilterOwner, placeInFilter } from './loader-owners.ts';

export interface TimerGuardOptions {
  readonly log: Logger;
  /** Counts the exception, for a statistic. */
  readonly onFault?: (filter: FilterOwner) => void;
  /** What ends the process after an exception that no filter made; `process.exit(1)` by default. */
  readonly exit?: () => void;
}

/**
 * Keeps the process alive when a timer, a promise or an event handler of a custom filter throws: the exception is
 * logged with the filter's name and file:line and counted. Any other exception is logged and ends the process with
 * exit code 1, as without the guard. Returns the function that removes it.
 */
export function installTimerGuard({ log, onFault, exit = () => process.exit(1) }: TimerGuardOptions): () => void {
  const onException = (error: unknown, origin: NodeJS.UncaughtExceptionOrigin): void => {
    const place = placeInFilter(error);
    const filter = currentOwner() ?? place?.owner;
    const what = origin === 'unhandledRejection' ? 'a promise that nobody awaits' : 'a callback outside of its hooks';
    if (filter === undefined) {
      log.error(`uncaught exception: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
      exit();
      return;
    }
    const where = place === undefined ? filter.file : `${place.file}:${place.line}:${place.column}`;
    log.error(`filter ${filter.name} threw in ${what} at ${where}: ${message(error)}`, { filter: filter.name });
    onFault?.(filter);
  };
  process.on('uncaughtException', onException);
  return () => {
    process.off('uncaughtException', onException);
  };
}

function message(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Node wraps a rejection that is no Error into a paragraph of advice, with the reason at its end.
  const reason = /The promise rejected with the reason "(.*)"\.$/s.exec(error.message);
  return reason === null ? `${error.name}: ${error.message}` : (reason[1] as string);
}
