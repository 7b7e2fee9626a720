import { nearest } from '../suggest.ts';
import { describe, Problem, type Schema, scalar } from './schema.ts';

const MAX_UINT32 = 4294967295;
/** google.protobuf.Duration covers ten thousand years, in seconds. */
const MAX_DURATION_SECONDS = 315576000000;

export interface StringOptions {
  minLength?: number;
  maxLength?: number;
  pattern?: RegExp;
  /** What the pattern means, for the error message. */
  allowed?: string;
}

/** A string. A bare number or boolean in YAML is not one: it must be quoted. */
export function string(options: StringOptions = {}): Schema<string> {
  const minLength = options.minLength ?? 0;
  return scalar(
    'string',
    'a string',
    (value) => {
      if (typeof value !== 'string') {
        const bare = typeof value === 'number' || typeof value === 'boolean';
        return new Problem(`expected a string, got ${describe(value)}`, bare ? { suggestion: `"${value}"` } : {});
      }
      if (!value.isWellFormed()) return new Problem('holds half a surrogate pair, which is no Unicode text');
      if (value.length < minLength) {
        return new Problem(value === '' ? 'must not be empty' : `must have at least ${minLength} characters`);
      }
      if (options.maxLength !== undefined && Buffer.byteLength(value) > options.maxLength) {
        return new Problem(`has ${Buffer.byteLength(value)} bytes`, { allowed: `at most ${options.maxLength} bytes` });
      }
      if (options.pattern !== undefined && !options.pattern.test(value)) {
        return new Problem(`${describe(value)} is not valid here`, {
          allowed: options.allowed ?? String(options.pattern),
        });
      }
      return value;
    },
    options,
  );
}

/** A string of at least one character. */
export function nonEmptyString(): Schema<string> {
  return string({ minLength: 1 });
}

/** A header name as Envoy's validation has it: not empty, without NUL, CR and LF. Output in lower case. */
export function headerName(): Schema<string> {
  return scalar('header_name', 'a header name', (value) => {
    if (typeof value !== 'string') return new Problem(`expected a header name, got ${describe(value)}`);
    if (value === '') return new Problem('must not be empty');
    if (/[\0\r\n]/.test(value)) return new Problem('a header name must not contain NUL, CR or LF');
    return value.toLowerCase();
  });
}

/** A header value without NUL, CR and LF. */
export function headerValue(): Schema<string> {
  return string({ pattern: /^[^\0\r\n]*$/, allowed: 'no NUL, CR or LF', maxLength: 16384 });
}

export interface NumberOptions {
  min?: number;
  max?: number;
  /** Exclusive bounds. */
  above?: number;
  below?: number;
}

function readNumber(value: unknown, kind: string, options: NumberOptions): number | Problem {
  const numeric = typeof value === 'string' && /^-?\d+(\.\d+)?([eE][-+]?\d+)?$/.test(value) ? Number(value) : value;
  if (typeof numeric !== 'number' || Number.isNaN(numeric)) {
    return new Problem(`expected ${kind}, got ${describe(value)}`, { allowed: bounds(options) });
  }
  const { min, max, above, below } = options;
  const outside =
    (min !== undefined && numeric < min) ||
    (max !== undefined && numeric > max) ||
    (above !== undefined && numeric <= above) ||
    (below !== undefined && numeric >= below);
  return outside ? new Problem(`${numeric} is out of range`, { allowed: bounds(options) }) : numeric;
}

function bounds(options: NumberOptions): string | undefined {
  const parts: string[] = [];
  if (options.min !== undefined) parts.push(`at least ${options.min}`);
  if (options.above !== undefined) parts.push(`more than ${options.above}`);
  if (options.max !== undefined) parts.push(`at most ${options.max}`);
  if (options.below !== undefined) parts.push(`less than ${options.below}`);
  return parts.length === 0 ? undefined : parts.join(', ');
}

function integer(type: string, base: { min: number; max: number }, options: NumberOptions): Schema<number> {
  const merged = { ...base, ...options };
  return scalar(
    type,
    'a whole number',
    (value) => {
      const number = readNumber(value, 'a whole number', merged);
      if (number instanceof Problem || Number.isInteger(number)) return number;
      return new Problem(`expected a whole number, got ${describe(value)}`, { allowed: bounds(merged) });
    },
    options,
  );
}

/** uint32, as a number or, as protobuf's JSON form permits, a string of digits. */
export function uint32(options: NumberOptions = {}): Schema<number> {
  return integer('uint32', { min: 0, max: MAX_UINT32 }, options);
}

/** google.protobuf.UInt32Value: in JSON the bare number; what distinguishes it is that absence is not 0. */
export const uint32Value = uint32;

/** uint64; output as a number, so figures above 2^53 lose their last digits. */
export function uint64(options: NumberOptions = {}): Schema<number> {
  return integer('uint64', { min: 0, max: 2 ** 64 - 1 }, options);
}

export const uint64Value = uint64;

export function int32(options: NumberOptions = {}): Schema<number> {
  return integer('int32', { min: -(2 ** 31), max: 2 ** 31 - 1 }, options);
}

export function int64(options: NumberOptions = {}): Schema<number> {
  return integer('int64', { min: -(2 ** 63), max: 2 ** 63 - 1 }, options);
}

/** double or float. */
export function double(options: NumberOptions = {}): Schema<number> {
  return scalar('double', 'a number', (value) => readNumber(value, 'a number', options), options);
}

/** One for all: it occurs in hundreds of fields. */
const BOOL: Schema<boolean> = scalar('bool', 'true or false', (value) => {
  if (typeof value === 'boolean') return value;
  if (value === 'true' || value === 'false') return value === 'true';
  return new Problem(`expected true or false, got ${describe(value)}`);
});

export function bool(): Schema<boolean> {
  return BOOL;
}

/** A switch of which only one position is available: the other one exists in Envoy and is refused with the reason. */
export function fixedBool(position: boolean, reason: string): Schema<boolean> {
  return scalar('bool', String(position), (value) => {
    if (typeof value !== 'boolean' && value !== 'true' && value !== 'false')
      return new Problem(`expected true or false, got ${describe(value)}`);
    if (value === position || value === String(position)) return position;
    return new Problem(`${value} is not supported: ${reason}`, { allowed: String(position) });
  });
}

/** google.protobuf.BoolValue: in JSON the bare value; what distinguishes it is that absence is not false. */
export const boolValue = bool;

export interface DurationOptions {
  /** Milliseconds. */
  minMs?: number;
  maxMs?: number;
  /** Exclusive lower bound in milliseconds. */
  aboveMs?: number;
}

/** google.protobuf.Duration: seconds with at most nine decimals and an `s`, never negative. Output in milliseconds. */
export function duration(options: DurationOptions = {}): Schema<number> {
  return scalar(
    'duration',
    'a duration',
    (value) => {
      if (typeof value !== 'string' || !/^-?\d+(\.\d{1,9})?s$/.test(value)) {
        const suggestion = guessDuration(value);
        return new Problem(`expected a duration, got ${describe(value)}`, {
          allowed: 'seconds, as in 5s or 0.25s',
          suggestion,
        });
      }
      const ms = Math.round(Number(value.slice(0, -1)) * 1e9) / 1e6;
      if (ms < 0) return new Problem(`a duration must not be negative, got ${value}`);
      if (ms > MAX_DURATION_SECONDS * 1000)
        return new Problem(`${value} is out of range`, { allowed: `at most ${MAX_DURATION_SECONDS}s` });
      if (options.minMs !== undefined && ms < options.minMs) {
        return new Problem(`${value} is too short`, { allowed: `at least ${options.minMs / 1000}s` });
      }
      if (options.aboveMs !== undefined && ms <= options.aboveMs) {
        return new Problem(`${value} is too short`, { allowed: `more than ${options.aboveMs / 1000}s` });
      }
      if (options.maxMs !== undefined && ms > options.maxMs) {
        return new Problem(`${value} is too long`, { allowed: `at most ${options.maxMs / 1000}s` });
      }
      return ms;
    },
    options,
  );
}

const SECONDS_PER_UNIT: Readonly<Record<string, number>> = {
  '': 1,
  ms: 0.001,
  s: 1,
  sec: 1,
  m: 60,
  min: 60,
  h: 3600,
  d: 86400,
};

/** Turns `250ms`, `1m` or a bare number into the form that protobuf wants. */
export function guessDuration(value: unknown): string | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/.exec(String(value));
  const unit = match === null ? undefined : SECONDS_PER_UNIT[match[2]!];
  return unit === undefined ? undefined : `${Number((Number(match![1]) * unit).toFixed(9))}s`;
}

/**
 * An enum by its names, in either case, or numbers (which count from 0, or as given), as Envoy's parser takes them.
 * Output is the name.
 * Names in `refused` exist in Envoy and are refused here with the reason.
 */
export function enumOf<const N extends string>(
  names: readonly N[] | Readonly<Record<N, number>>,
  refused: Readonly<Record<string, string>> = {},
): Schema<N> {
  const all = Array.isArray(names) ? (names as readonly N[]) : (Object.keys(names) as N[]);
  const usable = all.filter((name) => refused[name] === undefined);
  let values: EnumValues | undefined;
  return scalar('enum', usable.join(' | '), (value) => {
    values ??= enumValues(names);
    const name = enumName(value, values.byNumber, values.numbers);
    const reason = name === undefined ? undefined : refused[name];
    if (reason !== undefined) return new Problem(`${name} is not supported: ${reason}`, { allowed: usable.join(', ') });
    if (name !== undefined) return name as N;
    const suggestion = typeof value === 'string' ? nearest(value, usable) : undefined;
    return new Problem(`${describe(value)} is not one of the values`, { allowed: usable.join(', '), suggestion });
  });
}

/** Made when the enum is first read: most occur in few configurations. */
interface EnumValues {
  readonly numbers: ReadonlyMap<string, number>;
  readonly byNumber: ReadonlyMap<number, string>;
}

function enumValues(names: readonly string[] | Readonly<Record<string, number>>): EnumValues {
  const numbers = new Map<string, number>(
    Array.isArray(names) ? names.map((name: string, index) => [name, index]) : Object.entries<number>(names as never),
  );
  return { numbers, byNumber: new Map([...numbers].map(([name, number]) => [number, name])) };
}

function enumName(
  value: unknown,
  byNumber: ReadonlyMap<number, string>,
  numbers: ReadonlyMap<string, number>,
): string | undefined {
  if (typeof value === 'number') return byNumber.get(value);
  if (typeof value !== 'string') return undefined;
  if (numbers.has(value)) return value;
  if (numbers.has(value.toUpperCase())) return value.toUpperCase();
  return /^\d+$/.test(value) ? byNumber.get(Number(value)) : undefined;
}

/** `bytes`: base64 in JSON. */
export function bytes(): Schema<Buffer> {
  return scalar('bytes', 'base64', (value) => {
    if (typeof value === 'string' && /^[A-Za-z0-9+/_-]*={0,2}$/.test(value)) return Buffer.from(value, 'base64');
    return new Problem(`expected base64, got ${describe(value)}`);
  });
}

/** google.protobuf.Value: anything that JSON can say. */
export function jsonValue(): Schema<unknown> {
  return scalar('json', 'any value', (value) => value);
}

/** google.protobuf.Struct: a map of anything. */
export function struct(): Schema<Record<string, unknown>> {
  return scalar('struct', 'a map', (value) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : new Problem(`expected a map, got ${describe(value)}`),
  );
}
