import { nearest } from '../../config/suggest.ts';
import { coalesce } from './coalesce-operator.ts';
import type { Field, FieldFactory } from './field.ts';
import { FormatError } from './format-error.ts';
import { HEADER_OPERATORS } from './header-operators.ts';
import type { Operator } from './parse.ts';
import { STREAM_OPERATORS } from './stream-operators.ts';
import { TIME_OPERATORS } from './time-operators.ts';

const OPERATORS = new Map<string, FieldFactory>([
  ...Object.entries(HEADER_OPERATORS),
  ...Object.entries(TIME_OPERATORS),
  ...Object.entries(STREAM_OPERATORS),
  ['COALESCE', (argument) => coalesce(compileOperator)(argument)],
]);

/** Names of all operators that a format may use. */
export const OPERATOR_NAMES: readonly string[] = [...OPERATORS.keys()].sort();

/** @throws FormatError for an operator that does not exist, or whose argument is wrong */
export function compileOperator(operator: Operator): Field {
  const factory = OPERATORS.get(operator.name);
  if (factory === undefined) {
    const near = nearest(operator.name, OPERATOR_NAMES);
    const hint = near === undefined ? '' : `; did you mean %${near}%?`;
    throw new FormatError(`%${operator.name}%`, operator.column, `unknown operator${hint}`);
  }
  try {
    return shortened(factory(operator.argument), operator.maxLength);
  } catch (error) {
    throw new FormatError(`%${operator.name}%`, operator.column, (error as Error).message);
  }
}

function shortened(field: Field, maxLength: number | undefined): Field {
  if (maxLength === undefined) return field;
  return (info, context) => {
    const value = field(info, context);
    return typeof value === 'string' && value.length > maxLength ? value.slice(0, maxLength) : value;
  };
}
