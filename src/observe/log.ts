import type { Logger } from '../filter/env.ts';

/** Envoy's names, from the most talkative. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warning', 'error', 'critical', 'off'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface LoggerOptions {
  /** Lines below it are not written; default info. `warn` is taken for `warning`. */
  readonly level?: LogLevel | 'warn';
  readonly format?: 'text' | 'json';
  /** Takes whole lines with their end; default standard error. */
  readonly write?: (line: string) => void;
  /** Wall clock in milliseconds, for tests. */
  readonly now?: () => number;
}

/** The proxy's own log: one logger per component, levels that change at run time (`POST /logging`). */
export interface RootLogger extends Logger {
  /** The logger of a part of the proxy, such as `upstream`; the same for the same name. */
  component(name: string): Logger;
  /** Levels by component. */
  levels(): ReadonlyMap<string, LogLevel>;
  /** Sets one component's level, or all when there is no name; false when there is no such component. */
  setLevel(level: LogLevel, component?: string): boolean;
}

const RANK = new Map<string, number>(LOG_LEVELS.map((level, rank) => [level, rank]));

/** The same message of one component is written this often per window; the rest is counted and told afterwards. */
const REPEATS_PER_WINDOW = 5;
const WINDOW_MS = 10_000;
/** Different messages remembered at a time. */
const MAX_REMEMBERED = 1000;

/** A level by its name, `warn` included; undefined when there is none. */
export function parseLogLevel(text: string): LogLevel | undefined {
  const name = text.toLowerCase();
  return name === 'warn' ? 'warning' : LOG_LEVELS.find((level) => level === name);
}

/**
 * Makes the proxy's logger. A line is `[2026-11-21 21:14:54.340][warning][upstream] text key=value`, or one JSON object.
 * Control characters of a message are escaped: what peers send cannot forge a line.
 */
export function createLogger(options: LoggerOptions = {}): RootLogger {
  const write = options.write ?? ((line: string) => void process.stderr.write(line));
  const now = options.now ?? Date.now;
  const render = options.format === 'json' ? jsonLine : textLine;
  const levels = new Map<string, LogLevel>();
  const loggers = new Map<string, Logger>();
  let defaultLevel = parseLogLevel(options.level ?? 'info') ?? 'info';

  const component = (name: string): Logger => {
    let logger = loggers.get(name);
    if (logger === undefined) {
      logger = makeComponent(name);
      loggers.set(name, logger);
      levels.set(name, defaultLevel);
    }
    return logger;
  };

  function makeComponent(name: string): Logger {
    const limiter = new RepeatLimiter();
    const at = (level: LogLevel) => {
      const rank = RANK.get(level) as number;
      return (message: string, fields?: Record<string, unknown>): void => {
        if (rank < (RANK.get(levels.get(name) ?? defaultLevel) as number)) return;
        const timeMs = now();
        const suppressed = limiter.admit(`${level}${message}`, timeMs);
        if (suppressed < 0) return;
        write(render(timeMs, level, name, message, suppressed === 0 ? fields : { ...fields, suppressed }));
      };
    };
    return { debug: at('debug'), info: at('info'), warn: at('warning'), error: at('error') };
  }

  const setLevel = (level: LogLevel, name?: string): boolean => {
    if (name === undefined) {
      defaultLevel = level;
      for (const key of levels.keys()) levels.set(key, level);
      return true;
    }
    if (!levels.has(name)) return false;
    levels.set(name, level);
    return true;
  };

  return { ...component('main'), component, levels: () => levels, setLevel };
}

/** Counts equal messages, so that a peer that fails a thousand times a second does not fill the disk. */
class RepeatLimiter {
  #windows = new Map<string, { startMs: number; seen: number }>();

  /** -1 when the message must not be written, else how many were suppressed since it last was. */
  admit(message: string, timeMs: number): number {
    const window = this.#windows.get(message);
    if (window === undefined || timeMs - window.startMs >= WINDOW_MS) {
      if (window === undefined && this.#windows.size >= MAX_REMEMBERED) this.#windows.clear();
      this.#windows.set(message, { startMs: timeMs, seen: 1 });
      return Math.max(0, (window?.seen ?? 0) - REPEATS_PER_WINDOW);
    }
    return ++window.seen > REPEATS_PER_WINDOW ? -1 : 0;
  }
}

function textLine(timeMs: number, level: string, component: string, message: string, fields?: object): string {
  const time = new Date(timeMs).toISOString().replace('T', ' ').slice(0, 23);
  let line = `[${time}][${level}][${component}] ${oneLine(message)}`;
  for (const [key, value] of Object.entries(fields ?? {})) line += ` ${key}=${textValue(value)}`;
  return `${line}\n`;
}

function jsonLine(timeMs: number, level: string, component: string, message: string, fields?: object): string {
  const entries = Object.entries(fields ?? {}).map(([key, value]) => [key, plain(value)]);
  const time = new Date(timeMs).toISOString();
  return `${JSON.stringify({ ...Object.fromEntries(entries), time, level, component, message })}\n`;
}

function textValue(value: unknown): string {
  const text = plain(value);
  if (typeof text === 'string') return /^[!-~]+$/.test(text) && !/["=]/.test(text) ? text : JSON.stringify(text);
  return JSON.stringify(text) ?? 'undefined';
}

/** Errors by their message, bigints as text: what JSON cannot say. */
function plain(value: unknown): unknown {
  if (value instanceof Error) return value.message;
  return typeof value === 'bigint' ? String(value) : value;
}

function oneLine(message: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the purpose
  return message.replace(/[\x00-\x08\x0a-\x1f\x7f]/g, (control) => JSON.stringify(control).slice(1, -1));
}
