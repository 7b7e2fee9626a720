import type { StreamInfo } from '../stream-info.ts';
import { compileOperator } from './compile-operator.ts';
import { objectToJson, quoteJson, toByteString } from './escape.ts';
import type { Field, FieldValue, FormatContext } from './field.ts';
import { NO_CONTEXT } from './field.ts';
import { parseFormat } from './parse.ts';

/** A part of the JSON text: literal, or computed for each stream (undefined is unset). */
type Node = string | ((info: StreamInfo, context: FormatContext) => string | undefined);

export interface JsonFormatOptions {
  /** Leaves out keys whose operator is unset, instead of `null`. */
  readonly omitEmptyValues?: boolean;
}

/**
 * Compiles Envoy's `json_format`: a JSON value whose strings may hold operators. A string that is one operator keeps its
 * type (numbers, metadata objects; unset is null), others become text. Keys are sorted, as Envoy writes them. The
 * answer is one line of JSON without its end, as a byte string (write it with `latin1`).
 *
 * @throws FormatError that names the operator and its column
 */
export function compileJsonFormat(
  template: Readonly<Record<string, unknown>>,
  options: JsonFormatOptions = {},
): (info: StreamInfo, context?: FormatContext) => string {
  const root = compileNode(template, options.omitEmptyValues === true);
  if (typeof root === 'string') return () => root;
  return (info, context = NO_CONTEXT) => root(info, context) ?? '{}';
}

function compileNode(value: unknown, omit: boolean): Node {
  if (typeof value === 'string') return compileString(value, omit);
  if (Array.isArray(value)) return compileList(value, omit);
  if (typeof value === 'object' && value !== null) return compileObject(value, omit);
  return JSON.stringify(value ?? null);
}

function compileString(text: string, omit: boolean): Node {
  const parts = parseFormat(text);
  const only = parts[0];
  if (parts.length === 0) return '""';
  if (parts.length > 1 || typeof only === 'string') {
    if (parts.every((part) => typeof part === 'string')) return quoteLiteral(parts.join(''));
    const pieces = parts.map((part) =>
      typeof part === 'string' ? quoteLiteral(part).slice(1, -1) : compileOperator(part),
    );
    return mixedString(pieces, omit ? '' : '-');
  }
  const field = compileOperator(only as Exclude<typeof only, string | undefined>);
  return (info, context) => jsonOf(field(info, context));
}

/** Text with operators in it: each value is quoted on its own, so that literals are quoted once, at load. */
function mixedString(pieces: readonly (string | Field)[], unset: string): Node {
  return (info, context) => {
    let text = '"';
    for (const piece of pieces) text += typeof piece === 'string' ? piece : inner(piece(info, context), unset);
    return `${text}"`;
  };
}

function inner(value: FieldValue, unset: string): string {
  if (value === undefined) return unset;
  return quoteJson(typeof value === 'object' ? JSON.stringify(value) : String(value)).slice(1, -1);
}

function quoteLiteral(text: string): string {
  return toByteString(JSON.stringify(text));
}

function jsonOf(value: FieldValue): string | undefined {
  if (typeof value === 'string') return quoteJson(value);
  if (value === undefined) return undefined;
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : 'null';
  return typeof value === 'object' ? objectToJson(value) : String(value);
}

function compileList(items: readonly unknown[], omit: boolean): Node {
  const nodes = items.map((item) => compileNode(item, omit));
  if (nodes.every((node) => typeof node === 'string')) return `[${nodes.join(',')}]`;
  if (omit) return listWithoutUnset(nodes);
  return (info, context) => {
    let text = '';
    for (const node of nodes) {
      const value = typeof node === 'string' ? node : (node(info, context) ?? 'null');
      text += text === '' ? value : `,${value}`;
    }
    return `[${text}]`;
  };
}

function listWithoutUnset(nodes: readonly Node[]): Node {
  return (info, context) => {
    let text = '';
    for (const node of nodes) {
      const value = typeof node === 'string' ? node : node(info, context);
      if (value !== undefined) text += text === '' ? value : `,${value}`;
    }
    return `[${text}]`;
  };
}

function compileObject(template: object, omit: boolean): Node {
  if (omit && Object.keys(template).length === 0) return () => undefined;
  const entries = Object.entries(template)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]): [key: string, node: Node] => [`${quoteLiteral(key)}:`, compileNode(value, omit)]);
  if (entries.every(([, node]) => typeof node === 'string')) {
    return `{${entries.map(([key, node]) => key + (node as string)).join(',')}}`;
  }
  return omit ? objectWithoutUnset(entries) : wholeObject(entries);
}

/** Every key is there: literals and the punctuation around the values are joined at load. */
function wholeObject(entries: readonly [key: string, node: Node][]): Node {
  const fields: Exclude<Node, string>[] = [];
  const literals = ['{'];
  for (const [index, [key, node]] of entries.entries()) {
    literals[fields.length] += (index === 0 ? '' : ',') + key;
    if (typeof node === 'string') literals[fields.length] += node;
    else {
      fields.push(node);
      literals.push('');
    }
  }
  literals[fields.length] += '}';
  const [head, ...tails] = literals as [string, ...string[]];
  return (info, context) => {
    let text = head;
    for (let i = 0; i < fields.length; i++) {
      text += ((fields[i] as Exclude<Node, string>)(info, context) ?? 'null') + (tails[i] as string);
    }
    return text;
  };
}

/** An object of which nothing is left is itself unset. */
function objectWithoutUnset(entries: readonly [key: string, node: Node][]): Node {
  return (info, context) => {
    let text = '';
    for (const [key, node] of entries) {
      const value = typeof node === 'string' ? node : node(info, context);
      if (value !== undefined) text += (text === '' ? '{' : ',') + key + value;
    }
    return text === '' ? undefined : `${text}}`;
  };
}
