import { styleText } from 'node:util';
import { type ConfigProblem, formatProblems } from '../config/errors.ts';

/** The problems of a file as lines; their places stand out where `stream` is a terminal that takes colours. */
export function problemText(file: string, problems: readonly ConfigProblem[], stream: NodeJS.WriteStream): string {
  return problems
    .map((problem) => {
      const line = formatProblems(file, [problem]);
      const placeEnd = line.indexOf('  ');
      return `${styleText(['bold', 'red'], line.slice(0, placeEnd), { stream })}${line.slice(placeEnd)}\n`;
    })
    .join('');
}
