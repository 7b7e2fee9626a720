import type { ConfigError } from '../config/errors.ts';
import { EXIT } from './exit-code.ts';
import { problemText } from './problem-text.ts';
import type { UsageError } from './usage-error.ts';

/** Tells a person what went wrong, on standard error, and returns the exit code that says it to a script. */
export function reportError(error: unknown): number {
  const code = (error as { code?: unknown }).code;
  if (typeof code === 'string' && code.startsWith('commander.')) {
    // Commander has printed it already, the help that was asked for included.
    return (error as { exitCode?: number }).exitCode === 0 ? EXIT.ok : EXIT.usage;
  }
  // By name: `run` is bundled by itself and has its own copy of the classes.
  if (isNamed<ConfigError>(error, 'ConfigError')) {
    process.stderr.write(problemText(error.file, error.problems, process.stderr));
    return EXIT.usage;
  }
  if (isNamed<UsageError>(error, 'UsageError')) {
    process.stderr.write(`outrigger: ${error.message}\n${error.hint === undefined ? '' : `  ${error.hint}\n`}`);
    return EXIT.usage;
  }
  process.stderr.write(`outrigger: ${plainMessage(error)}\n`);
  return EXIT.failure;
}

/** What people can act on: system errors in words, faults of ours with their stack. */
export function plainMessage(error: unknown): string {
  const { code, syscall, address, port, path } = error as NodeJS.ErrnoException & { address?: string; port?: number };
  const place = port === undefined ? (address ?? path) : `${address}:${port}`;
  switch (code) {
    case 'EADDRINUSE':
      return `${place} is in use by another process`;
    case 'EADDRNOTAVAIL':
      return `${place} is not an address of this machine`;
    case 'EACCES':
      return syscall === 'listen'
        ? `no permission to listen on ${place}: ports below 1024 need a capability`
        : `no permission: ${place}`;
    case 'ENOENT':
      return `no such file: ${place}`;
  }
  if (!(error instanceof Error)) return String(error);
  // A named error class of ours is a message for people; a bare TypeError is a fault whose place we need.
  return Object.getPrototypeOf(error) === Error.prototype || error.name.endsWith('LoadError')
    ? error.message
    : (error.stack ?? error.message);
}

function isNamed<E extends Error>(error: unknown, name: E['name']): error is E {
  return error instanceof Error && error.name === name;
}
