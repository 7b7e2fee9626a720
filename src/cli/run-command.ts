import { Command, Option } from 'commander';
import { run } from './run.ts';
import { RUN_OPTIONS, type RunFlags } from './run-options.ts';

const EXAMPLES = `
Examples
  outrigger run -c envoy.yaml --watch
  outrigger run -c sidecar.yaml --filter-dir ./filters --log-level debug
  outrigger run --app 127.0.0.1:3000 --listen 0.0.0.0:8080 --filter ./greeting.ts
  outrigger run --app :6379 --listen :16379 --protocol tcp
  outrigger run --app :50051 --listen :8080 --protocol grpc
  outrigger run -c envoy.yaml --hot-restart /run/outrigger/restart.sock

Signals
  SIGHUP            reads the file again; a bad one is refused and the old one goes on serving
  SIGTERM, SIGINT   finish what runs, at most --drain-time; the second one ends at once
  SIGUSR1           opens log files anew, after a rotation
`;

/** `outrigger run`, for its help and for command lines that are not ordinary. */
export function runCommand(): Command {
  const command = new Command('run').description(
    'Runs the proxy with a configuration file (Envoy v3, or a short sidecar file), or for one app.',
  );
  for (const { flags, help, choices, repeatable } of RUN_OPTIONS) {
    const option = new Option(flags, help).hideHelp(help === '');
    if (choices !== undefined) option.choices(choices);
    if (repeatable === true) option.argParser(collect);
    command.addOption(option);
  }
  return command.addHelpText('after', EXAMPLES).action(async (flags: RunFlags) => {
    process.exitCode = await run(flags);
  });
}

function collect(value: string, previous: readonly string[] | undefined): string[] {
  return [...(previous ?? []), value];
}
