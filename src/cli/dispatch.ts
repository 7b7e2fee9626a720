import { COMMANDS } from './commands.ts';
import { EXIT } from './exit-code.ts';
import { UsageError } from './usage-error.ts';

/**
 * Runs one command line.
 *
 * @returns the exit code; a command that goes on in the background (a proxy that serves) returns when it has ended.
 */
export async function main(args: readonly string[]): Promise<number> {
  try {
    return await dispatch(args);
  } catch (error) {
    return (await import('./report-error.ts')).reportError(error);
  }
}

async function dispatch(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  switch (name) {
    case undefined:
    case '-h':
    case '--help':
      return help();
    case 'help':
      return rest[0] === undefined ? help() : dispatch([rest[0], '--help']);
    case '-V':
    case '--version':
      return dispatch(['version']);
  }
  // Envoy has no commands: `outrigger -c envoy.yaml` means what `envoy -c envoy.yaml` does.
  if (name.startsWith('-')) return dispatch(['run', ...args]);
  const entry = COMMANDS.find((command) => command.name === name);
  if (entry === undefined) {
    const { nearest } = await import('../config/suggest.ts');
    const meant = nearest(
      name,
      COMMANDS.map((command) => command.name),
    );
    const hint = meant === undefined ? 'outrigger help lists the commands' : `did you mean outrigger ${meant}?`;
    throw new UsageError(`there is no command '${name}'`, hint);
  }
  const ordinary = await entry.runOrdinary?.(rest);
  if (ordinary !== undefined) return ordinary;
  if (name !== 'run' && name !== 'demo') process.stdout.on('error', endWithReader);
  const command = await entry.load();
  for (const one of [command, ...command.commands]) {
    one
      .exitOverride()
      .showSuggestionAfterError()
      .configureOutput({ outputError: (text, write) => write(text.replace(/^error:/, 'outrigger:')) });
  }
  await command.name(`outrigger ${entry.name}`).parseAsync(rest, { from: 'user' });
  return Number(process.exitCode ?? EXIT.ok);
}

/** Whoever read the output has enough of it, as `head` does: no reason for a stack trace. */
function endWithReader(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
  process.exit(EXIT.failure);
}

async function help(): Promise<number> {
  const { helpText } = await import('./help.ts');
  process.stdout.write(helpText());
  return EXIT.ok;
}
