import type { HeaderMutation, HeaderValueOption } from '../../config/schema/core.ts';
import { toWireText } from '../../matching/wire-text.ts';
import { compileFormat } from '../../observe/format/index.ts';
import type { StreamInfo } from '../../observe/stream-info.ts';
import type { HeaderMap } from '../headers.ts';

/** Changes the headers of one message. */
export type HeaderMutator = (head: HeaderMap, info: StreamInfo) => void;

/** What may not stand in a field value (RFC 9110 §5.5). */
const FORBIDDEN = /[^\t\x20-\x7e\x80-\xff]/;

type Value = (info: StreamInfo) => string;

/** One header to add, ready to be applied. */
interface Addition {
  readonly name: string;
  /** Undefined for a constant. */
  readonly format: Value | undefined;
  readonly constant: string;
  readonly keepEmpty: boolean;
  readonly action: HeaderValueOption['append_action'];
}

/** What one level of the configuration (`request_headers_to_add` and `…_to_remove`) does. */
interface Level {
  readonly removed: readonly string[];
  readonly additions: readonly Addition[];
}

/**
 * Compiles `…_headers_to_add` and `…_headers_to_remove` of one level, in Envoy's order: removals come first, all values
 * are computed before any header is added, and replacements come before additions. Undefined when there is nothing to do.
 *
 * @throws FormatError for a bad `%…%` operator; Error for a header that must not be changed this way
 */
export function compileHeaderMutations(
  add: readonly HeaderValueOption[],
  remove: readonly string[],
): HeaderMutator | undefined {
  for (const name of remove)
    if (isReserved(name)) throw new Error(`${name}: pseudo-headers and host cannot be removed`);
  for (const { header } of add) {
    if (isReserved(header.key)) throw new Error(`${header.key}: pseudo-headers and host cannot be added or replaced`);
  }
  const level: Level = { removed: remove.map((name) => name.toLowerCase()), additions: add.map(compileAddition) };
  if (level.additions.length === 0 && level.removed.length === 0) return undefined;
  const [only] = level.additions;
  if (only !== undefined && level.additions.length === 1) {
    return (head, info) => {
      for (const name of level.removed) head.remove(name);
      applyAddition(only, head, info);
    };
  }
  // Filled and read within one call, which nothing can interrupt.
  const values = new Array<string | undefined>(level.additions.length).fill(undefined);
  return (head, info) => applyLevel(level, values, head, info);
}

function applyLevel(level: Level, values: (string | undefined)[], head: HeaderMap, info: StreamInfo): void {
  const { removed, additions } = level;
  for (let i = 0; i < removed.length; i++) head.remove(removed[i] as string);
  for (let i = 0; i < additions.length; i++) values[i] = valueToWrite(additions[i] as Addition, head, info);
  for (let i = 0; i < additions.length; i++) {
    const addition = additions[i] as Addition;
    const value = values[i];
    if (value !== undefined && replaces(addition)) head.set(addition.name, value);
  }
  for (let i = 0; i < additions.length; i++) {
    const addition = additions[i] as Addition;
    const value = values[i];
    if (value !== undefined && !replaces(addition)) addLine(addition, head, value);
  }
}

/**
 * Compiles envoy.config.common.mutation_rules.v3.HeaderMutation, a step of the header mutation filter: steps run one
 * after the other, each seeing what the one before did, and may also replace pseudo-headers.
 *
 * @throws FormatError; Error for a value that no header may carry
 */
export function compileHeaderMutation(config: HeaderMutation): HeaderMutator {
  if (config.append === undefined) {
    const name = (config.remove ?? '').toLowerCase();
    return (head) => {
      head.remove(name);
    };
  }
  const addition = compileAddition(config.append);
  return (head, info) => applyAddition(addition, head, info);
}

function applyAddition(addition: Addition, head: HeaderMap, info: StreamInfo): void {
  const value = valueToWrite(addition, head, info);
  if (value === undefined) return;
  // A pseudo-header is a field of the head and has one value.
  if (replaces(addition) || isReserved(addition.name)) head.set(addition.name, value);
  else addLine(addition, head, value);
}

/** A constant was checked at load, a formatted value may hold what a header cannot carry. */
function addLine(addition: Addition, head: HeaderMap, value: string): void {
  if (addition.format === undefined) head.append(addition.name, value);
  else head.add(addition.name, value);
}

/** The value, or undefined when the header stays as it is. */
function valueToWrite(addition: Addition, head: HeaderMap, info: StreamInfo): string | undefined {
  if (addition.action === 'ADD_IF_ABSENT' && head.has(addition.name)) return undefined;
  if (addition.action === 'OVERWRITE_IF_EXISTS' && !head.has(addition.name)) return undefined;
  const value = addition.format === undefined ? addition.constant : addition.format(info);
  return value === '' && !addition.keepEmpty ? undefined : value;
}

function replaces(addition: Addition): boolean {
  return addition.action === 'OVERWRITE_IF_EXISTS_OR_ADD' || addition.action === 'OVERWRITE_IF_EXISTS';
}

function compileAddition(config: HeaderValueOption): Addition {
  const { key, value, raw_value: rawValue } = config.header;
  const compiled = rawValue === undefined ? compileHeaderValue(value) : rawValue.toString('latin1');
  if (typeof compiled === 'string' && FORBIDDEN.test(compiled))
    throw new Error(`${key}: the value holds a control byte`);
  return {
    name: key.toLowerCase(),
    format: typeof compiled === 'string' ? undefined : compiled,
    constant: typeof compiled === 'string' ? compiled : '',
    keepEmpty: config.keep_empty_value,
    action: config.append_action,
  };
}

/**
 * Compiles a header value with `%…%` operators; an operator without a value prints nothing. A value without operators
 * comes back as the string that it always is.
 *
 * @throws FormatError
 */
export function compileHeaderValue(text: string): string | Value {
  if (!text.includes('%')) return toWireText(text);
  const format = compileFormat(text, { unset: '' });
  // Only percent signs and what stands around them: the same for every stream.
  if (text.replaceAll('%%', '').indexOf('%') < 0) return toWireText(text.replaceAll('%%', '%'));
  return format;
}

function isReserved(name: string): boolean {
  return name.charCodeAt(0) === 58 || name.toLowerCase() === 'host';
}
