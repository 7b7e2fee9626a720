import { FormatError } from './format-error.ts';

/** One `%NAME(argument):length%` of a format. */
export interface Operator {
  readonly name: string;
  /** What stands between the parentheses; undefined without parentheses. */
  readonly argument: string | undefined;
  /** Longest text to print, in characters; undefined without a limit. */
  readonly maxLength: number | undefined;
  /** Where the `%` stands, from 1. */
  readonly column: number;
}

const NAME = /[A-Z][A-Z0-9_]*/y;
/** The argument ends at the first `)` that is followed by the end of the operator: `START_TIME(%H (%s))` has inner ones. */
const ARGUMENT = /\((.*?)\)(?=%|:\d+%)/sy;
const LENGTH = /:(\d+)/y;

/**
 * Splits a format into literal text and operators, in order. `%%` is a percent sign; any other `%` must begin an
 * operator, as in Envoy.
 *
 * @throws FormatError
 */
export function parseFormat(text: string): (string | Operator)[] {
  const parts: (string | Operator)[] = [];
  let literal = '';
  let at = 0;
  while (at < text.length) {
    const percent = text.indexOf('%', at);
    if (percent < 0) break;
    literal += text.slice(at, percent);
    if (text[percent + 1] === '%') {
      literal += '%';
      at = percent + 2;
      continue;
    }
    const [operator, end] = parseOperator(text, percent);
    if (literal !== '') parts.push(literal);
    literal = '';
    parts.push(operator);
    at = end;
  }
  literal += text.slice(at);
  if (literal !== '') parts.push(literal);
  return parts;
}

function parseOperator(text: string, percent: number): [operator: Operator, end: number] {
  const column = percent + 1;
  const name = match(NAME, text, percent + 1);
  if (name === undefined) {
    throw new FormatError(text.slice(percent, percent + 12), column, 'expected %OPERATOR%, or %% for a percent sign');
  }
  let at = percent + 1 + name[0].length;
  const argument = match(ARGUMENT, text, at);
  if (argument !== undefined) at += argument[0].length;
  const length = match(LENGTH, text, at);
  if (length !== undefined) at += length[0].length;
  if (text[at] !== '%') {
    throw new FormatError(
      `%${name[0]}`,
      column,
      'expected %OPERATOR%, %OPERATOR(ARGUMENT)% or %OPERATOR(ARGUMENT):LENGTH%',
    );
  }
  const operator: Operator = {
    name: name[0],
    argument: argument?.[1],
    maxLength: length === undefined ? undefined : Number(length[1]),
    column,
  };
  return [operator, at + 1];
}

function match(pattern: RegExp, text: string, at: number): RegExpExecArray | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text) ?? undefined;
}
