import { compileFormat } from '../../observe/format/compile-format.ts';
import { compileJsonFormat } from '../../observe/format/compile-json-format.ts';
import { Problem } from './schema.ts';

/** Text with `%…%` operators: what the format compiler has against it; undefined when it compiles. */
export function formatProblem(text: string | undefined, path: readonly (string | number)[]): Problem | undefined {
  if (text === undefined || !text.includes('%')) return undefined;
  return problemOf(() => compileFormat(text), path);
}

/** Likewise for a JSON format. */
export function jsonFormatProblem(
  template: Record<string, unknown> | undefined,
  path: readonly (string | number)[],
): Problem | undefined {
  return template === undefined ? undefined : problemOf(() => compileJsonFormat(template), path);
}

function problemOf(compile: () => unknown, path: readonly (string | number)[]): Problem | undefined {
  try {
    compile();
    return undefined;
  } catch (error) {
    return new Problem((error as Error).message, { path });
  }
}
