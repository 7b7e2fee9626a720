import { LOG_LEVELS, type LogLevel, parseLogLevel } from '../observe/log.ts';
import type { ProbeMode, ProbeSettings } from '../observe/probe.ts';
import type { SpliceMode, SpliceSettings } from '../splice-settings.ts';
import { type HostPort, parseHostPort } from './address.ts';
import { usableProcessors } from './cpu-limit.ts';
import { UsageError } from './usage-error.ts';

/** How the proxy is to serve, as the command line has it. */
export interface ServeFlags {
  concurrency?: string;
  admin?: string;
  logLevel?: string;
  drainTime?: string;
  splice?: string;
  nodeAgent?: string;
  /** Envoy's spelling of `drainTime`. */
  drainTimeS?: string;
  filterDir?: string;
  probe?: ProbeMode;
  probeInterval?: string;
}

/** The same, read. */
export interface ServeSettings {
  readonly concurrency: number;
  readonly adminAddress: HostPort | undefined;
  readonly logLevel: LogLevel;
  readonly splice: SpliceSettings;
  readonly drainTimeMs: number;
  readonly filterDir: string | undefined;
  readonly probe: ProbeSettings | undefined;
}

/** Below the 30 s that Kubernetes gives a pod to end. */
const DRAIN_TIME_S = '20';

/** Costs well below 3 % and has enough after a few thousand requests. */
const PROBE_EVERY = '200';

/** @throws UsageError that names the option, the value and what is allowed. */
export function readServeSettings(flags: ServeFlags): ServeSettings {
  const drainTimeS = flags.drainTimeS ?? flags.drainTime ?? DRAIN_TIME_S;
  return {
    concurrency: readConcurrency(flags.concurrency),
    adminAddress: flags.admin === undefined ? undefined : parseHostPort(flags.admin, '--admin', '127.0.0.1'),
    logLevel: readLogLevel(flags.logLevel ?? 'info'),
    drainTimeMs: readNumber('--drain-time', drainTimeS, 0, 86_400, false) * 1000,
    filterDir: flags.filterDir,
    // The command line's parser let no other one pass.
    splice: { mode: (flags.splice ?? 'auto') as SpliceMode, agent: flags.nodeAgent },
    probe: readProbe(flags),
  };
}

function readProbe({ probe = 'off', probeInterval }: ServeFlags): ProbeSettings | undefined {
  if (probeInterval !== undefined && probe !== 'sampled') {
    throw new UsageError('--probe-interval goes with --probe sampled');
  }
  if (probe === 'off') return undefined;
  return { mode: probe, every: readNumber('--probe-interval', probeInterval ?? PROBE_EVERY, 1, 1_000_000, true) };
}

/**
 * Threads that serve: as the command line says, else as OUTRIGGER_CONCURRENCY does, else as many as there are processors
 * for them. @throws UsageError
 */
export function readConcurrency(given: string | undefined): number {
  if (given !== undefined) return readNumber('--concurrency', given, 1, 128, true);
  const { OUTRIGGER_CONCURRENCY: fallback = '' } = process.env;
  return fallback === '' ? usableProcessors() : readNumber('OUTRIGGER_CONCURRENCY', fallback, 1, 128, true);
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
