import { Command } from 'commander';
import { builtinRegistry } from '../../filters/index.ts';
import { ConfigError, type ConfigProblem } from '../config/errors.ts';
import { loadConfig } from '../config/load.ts';
import type { FilterRegistry } from '../filter/registry.ts';
import { EXIT } from './exit-code.ts';
import { problemText } from './problem-text.ts';
import { UsageError } from './usage-error.ts';

/** `outrigger check` */
export function checkCommand(): Command {
  return new Command('check')
    .description('Tells everything that is wrong with configuration files, each problem with its line and column.')
    .argument('[files...]', 'configuration files')
    .option('-c, --config <file>', 'configuration file, as for run')
    .option('--json', 'problems as one JSON array on standard output')
    .addHelpText(
      'after',
      '\nExit code 0: all files are good; 2: there are problems, one per line, as file:line:col  path  what is wrong.',
    )
    .action((positional: string[], { config, json }: { config?: string; json?: true }) => {
      const files = config === undefined ? positional : [config, ...positional];
      if (files.length === 0) throw new UsageError('no file to check', 'outrigger check -c FILE');
      process.exitCode = check(files, json === true);
    });
}

function check(files: readonly string[], asJson: boolean): number {
  const all: (ConfigProblem & { readonly file: string })[] = [];
  const registry = builtinRegistry();
  for (const file of files) {
    const problems = problemsOf(file, registry);
    all.push(...problems.map((problem) => ({ file, ...problem })));
    if (asJson) continue;
    if (problems.length === 0) process.stderr.write(`${file}: OK\n`);
    else process.stdout.write(problemText(file, problems, process.stdout));
  }
  if (asJson) process.stdout.write(`${JSON.stringify(all, null, 2)}\n`);
  return all.length === 0 ? EXIT.ok : EXIT.usage;
}

function problemsOf(file: string, registry: FilterRegistry): readonly ConfigProblem[] {
  try {
    loadConfig(file, { registry });
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}
