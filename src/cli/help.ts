import { COMMANDS } from './commands.ts';

/** What `outrigger help` prints. */
export function helpText(): string {
  const width = Math.max(...COMMANDS.map((command) => command.name.length)) + 2;
  const list = COMMANDS.map((command) => `  ${command.name.padEnd(width)}${command.summary}`).join('\n');
  return `Outrigger: a sidecar proxy that runs Envoy's own v3 configuration, with filters in TypeScript.

Usage: outrigger <command> [options]

Commands
${list}

Try it
  outrigger demo                                        see it work: prints requests to try
  outrigger run --app 127.0.0.1:3000 --listen :8080     a sidecar in front of your app
  outrigger run -c envoy.yaml                           the configuration that Envoy runs
  outrigger check -c envoy.yaml                         all its problems at once, with line and column

Grow it
  outrigger filter new greeting                         a filter in one TypeScript file, with its test
  outrigger run --app :3000 --listen :8080 --filter ./greeting.ts
                                                        saved changes act on live traffic within a second
  outrigger expand sidecar.yaml > envoy.yaml            the same for the real Envoy
  outrigger bench --quick                               a table of ratios to Envoy, in two minutes

outrigger <command> --help tells more. Exit codes: 0 done, 1 failed, 2 the command line or the configuration is wrong.
`;
}
