import { resolve } from 'node:path';
import { builtinRegistry } from '../../filters/index.ts';
import { type LoadedConfig, loadConfig } from '../config/load.ts';
import { readHotRestart } from './hot-restart-options.ts';
import { quickStartConfig } from './quick-start.ts';
import type { QuickProtocol, RunFlags } from './run-options.ts';
import { readServeSettings } from './serve-options.ts';
import { UsageError } from './usage-error.ts';

/**
 * Runs until a signal ends it.
 *
 * @param onConfig - sees the configuration before it is used, but not those of reloads
 * @returns the exit code
 * @throws UsageError, ConfigError, or why it could not start
 */
export async function run(flags: RunFlags, onConfig?: (config: LoadedConfig) => void): Promise<number> {
  const settings = readServeSettings(flags);
  const { load, file, filterDir } = configSource(flags);
  if (flags.mode === 'validate') {
    load();
    process.stderr.write(`${file ?? 'the command line'}: OK\n`);
    return 0;
  }
  let first = onConfig;
  const loadAndTell = (): LoadedConfig => {
    const config = load();
    first?.(config);
    first = undefined;
    return config;
  };
  const [{ serve }, { createLogger }] = await Promise.all([import('./serve.ts'), import('../observe/log.ts')]);
  return serve({
    ...settings,
    hotRestart: readHotRestart(flags, settings.drainTimeMs),
    load: loadAndTell,
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
function configSource(flags: RunFlags): ConfigSource {
  const file = flags.config ?? flags.configPath;
  const filters = flags.filter ?? [];
  const isQuick = flags.app !== undefined || flags.listen !== undefined || filters.length > 0;
  if (file !== undefined && isQuick) {
    throw new UsageError(
      '-c and the quick start (--app, --listen, --filter) exclude each other',
      'in a sidecar file, name your filter as "- module: ./mine.ts" and pass --filter-dir',
    );
  }
  const registry = builtinRegistry();
  if (file !== undefined) return { load: () => loadConfig(file, { registry }), file, filterDir: undefined };
  if (flags.app === undefined || flags.listen === undefined) {
    throw new UsageError(
      isQuick ? 'the quick start needs both --app and --listen' : 'nothing to run: no configuration and no app',
      'outrigger run -c FILE, or outrigger run --app HOST:PORT --listen HOST:PORT',
    );
  }
  // The command line's parser let no other one pass.
  const protocol = (flags.protocol ?? 'http') as QuickProtocol;
  const text = quickStartConfig({ app: flags.app, listen: flags.listen, protocol, filters });
  // Whoever types the command line may run any file: the fence of --filter-dir is for what configurations name.
  const name = resolve('command-line.yaml');
  return { load: () => loadConfig(name, { registry, text }), file: undefined, filterDir: '/' };
}
