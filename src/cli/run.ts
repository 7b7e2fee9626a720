import { resolve } from 'node:path';
import { type Command, Command as CommandBuilder, Option } from 'commander';
import type { LoadedConfig } from '../config/load.ts';
import { quickStartConfig } from './quick-start.ts';
import { addServeOptions, readServeSettings, type ServeFlags } from './serve-options.ts';
import { UsageError } from './usage-error.ts';

interface RunFlags extends ServeFlags {
  config?: string;
  configPath?: string;
  mode: 'serve' | 'validate';
  watch?: true;
  app?: string;
  listen?: string;
  protocol: 'tcp' | 'http';
  filter: string[];
}

/** `outrigger run` */
export function runCommand(): Command {
  const command = new CommandBuilder('run')
    .description(
      'Runs the proxy with a configuration file (Envoy v3 YAML or JSON, or a short sidecar file), or for one app.',
    )
    .option('-c, --config <file>', 'configuration file')
    .addOption(new Option('--config-path <file>', 'the same, as Envoy spells it').hideHelp());
  addServeOptions(command)
    .addOption(
      new Option('--mode <mode>', 'validate reads the file, tells its problems and ends')
        .choices(['serve', 'validate'])
        .default('serve'),
    )
    .option('--watch', 'reload the file when it changes, ConfigMap swaps included (SIGHUP reloads in any case)')
    .option('--filter-dir <folder>', 'folder of the TypeScript filters that the configuration may name')
    .option('--app <host:port>', 'quick start: the app to stand in front of')
    .option('--listen <host:port>', 'quick start: where clients connect')
    .addOption(
      new Option('--protocol <protocol>', 'quick start: what the app speaks').choices(['tcp', 'http']).default('http'),
    )
    .option('--filter <file>', 'quick start: a filter of your own, may be repeated; in this order', collect, [])
    .addHelpText('after', EXAMPLES)
    .action(async (flags: RunFlags) => {
      process.exitCode = await run(flags);
    });
  return command;
}

const EXAMPLES = `
Examples
  outrigger run -c envoy.yaml --watch
  outrigger run -c sidecar.yaml --filter-dir ./filters --log-level debug
  outrigger run --app 127.0.0.1:3000 --listen 0.0.0.0:8080 --filter ./greeting.ts
  outrigger run --app :6379 --listen :16379 --protocol tcp

Signals
  SIGHUP            reads the file again; a bad one is refused and the old one goes on serving
  SIGTERM, SIGINT   finish what runs, at most --drain-time; the second one ends at once
  SIGUSR1           opens log files anew, after a rotation
`;

function collect(value: string, previous: string[]): string[] {
  return [...previous, value];
}

async function run(flags: RunFlags): Promise<number> {
  const settings = readServeSettings(flags);
  const { load, file, filterDir } = await configSource(flags);
  if (flags.mode === 'validate') {
    load();
    process.stderr.write(`${file ?? 'the command line'}: OK\n`);
    return 0;
  }
  const [{ serve }, { createLogger }] = await Promise.all([import('./serve.ts'), import('../observe/log.ts')]);
  return serve({
    ...settings,
    load,
    file,
    filterDir: settings.filterDir ?? filterDir,
    watch: flags.watch === true,
    log: createLogger({ level: settings.logLevel }),
  });
}

interface ConfigSource {
  readonly load: () => LoadedConfig;
  readonly file: string | undefined;
  /** Where filters may lie when no --filter-dir says so. */
  readonly filterDir: string | undefined;
}

/** From a file or, for the quick start, from the command line. @throws UsageError when it is neither or both. */
async function configSource(flags: RunFlags): Promise<ConfigSource> {
  const file = flags.config ?? flags.configPath;
  const quick = flags.app !== undefined || flags.listen !== undefined || flags.filter.length > 0;
  if (file !== undefined && quick) {
    throw new UsageError(
      '-c and the quick start (--app, --listen, --filter) exclude each other',
      'in a file, name your filter as typed_config of type outrigger.v1.HttpFilterModule and pass --filter-dir',
    );
  }
  if (file === undefined && (flags.app === undefined || flags.listen === undefined)) {
    throw new UsageError(
      quick ? 'the quick start needs both --app and --listen' : 'nothing to run: no configuration and no app',
      'outrigger run -c FILE, or outrigger run --app HOST:PORT --listen HOST:PORT',
    );
  }
  const [{ loadConfig }, { builtinRegistry }] = await Promise.all([
    import('../config/load.ts'),
    import('../../filters/index.ts'),
  ]);
  const registry = builtinRegistry();
  if (file !== undefined) return { load: () => loadConfig(file, { registry }), file, filterDir: undefined };
  const text = quickStartConfig({
    app: flags.app as string,
    listen: flags.listen as string,
    protocol: flags.protocol,
    filters: flags.filter,
  });
  // Whoever types the command line may run any file: the fence of --filter-dir is for what configurations name.
  const name = resolve('command-line.yaml');
  return { load: () => loadConfig(name, { registry, text }), file: undefined, filterDir: '/' };
}
