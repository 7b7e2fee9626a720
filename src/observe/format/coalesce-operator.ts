import type { Field, FieldFactory } from './field.ts';
import type { Operator } from './parse.ts';

const FORM = 'needs {"operators": ["NAME", {"command": "NAME", "param": "…", "max_length": 1}]}';

/**
 * `COALESCE({"operators": […]})`: the first of several operators that has a value. An operator is its name, or its name
 * with argument and longest length.
 */
export function coalesce(compile: (operator: Operator) => Field): FieldFactory {
  return (argument) => {
    const fields = readOperators(argument ?? '').map(compile);
    return (info, context) => {
      for (const field of fields) {
        const value = field(info, context);
        if (value !== undefined && value !== '') return value;
      }
      return undefined;
    };
  };
}

function readOperators(text: string): Operator[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new Error(FORM);
  }
  const { operators } = (parsed ?? {}) as { operators?: unknown };
  if (!Array.isArray(operators) || operators.length === 0) throw new Error(FORM);
  return operators.map((entry: unknown) => {
    if (typeof entry === 'string') return { name: entry, argument: undefined, maxLength: undefined, column: 1 };
    const { command, param, max_length: maxLength } = (entry ?? {}) as Record<string, unknown>;
    const isRight =
      typeof command === 'string' &&
      (param === undefined || typeof param === 'string') &&
      (maxLength === undefined || (Number.isInteger(maxLength) && (maxLength as number) > 0));
    if (!isRight) throw new Error(FORM);
    return { name: command, argument: param as string, maxLength: maxLength as number, column: 1 };
  });
}
