import { type Command, Option } from 'commander';
import { LOG_LEVELS, type LogLevel, parseLogLevel } from '../observe/log.ts';
import { type HostPort, parseHostPort } from './address.ts';
import { UsageError } from './usage-error.ts';

/** What `run` and `demo` take from the command line alike, as commander gives it. */
export interface ServeFlags {
  concurrency: string;
  admin?: string;
  logLevel: string;
  drainTime: string;
  filterDir?: string;
}

/** The same, read. */
export interface ServeSettings {
  readonly concurrency: number;
  readonly adminAddress: HostPort | undefined;
  readonly logLevel: LogLevel;
  readonly drainTimeMs: number;
  readonly filterDir: string | undefined;
}

/** Adds the options, with Envoy's spellings where they differ. */
export function addServeOptions(command: Command): Command {
  return command
    .option('--concurrency <n>', 'threads that serve; one does without worker threads', '1')
    .option('--admin <host:port>', 'address of the admin server, in place of the configuration’s')
    .option('-l, --log-level <level>', `lowest level that is logged: ${LOG_LEVELS.join(', ')}`, 'info')
    .option('--drain-time <seconds>', 'longest time to finish what runs after SIGTERM', '20')
    .addOption(new Option('--drain-time-s <seconds>').hideHelp());
}

/** @throws UsageError that names the option, the value and what is allowed. */
export function readServeSettings(flags: ServeFlags & { drainTimeS?: string }): ServeSettings {
  return {
    concurrency: readNumber('--concurrency', flags.concurrency, 1, 128, true),
    adminAddress: flags.admin === undefined ? undefined : parseHostPort(flags.admin, '--admin', '127.0.0.1'),
    logLevel: readLogLevel(flags.logLevel),
    drainTimeMs: readNumber('--drain-time', flags.drainTimeS ?? flags.drainTime, 0, 86_400, false) * 1000,
    filterDir: flags.filterDir,
  };
}

/** Reads a number between two bounds, both allowed. @throws UsageError */
export function readNumber(option: string, text: string, min: number, max: number, isWhole: boolean): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= min && value <= max && (!isWhole || Number.isInteger(value))) return value;
  throw new UsageError(`${option}: '${text}' is not a ${isWhole ? 'whole ' : ''}number from ${min} to ${max}`);
}

function readLogLevel(text: string): LogLevel {
  const level = parseLogLevel(text);
  if (level !== undefined) return level;
  throw new UsageError(`--log-level: '${text}' is not a level`, `allowed: ${LOG_LEVELS.join(', ')}`);
}
