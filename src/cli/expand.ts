import { Command } from 'commander';
import { expandFile } from '../config/expand.ts';
import { UsageError } from './usage-error.ts';

/** `outrigger expand` */
export function expandCommand(): Command {
  return new Command('expand')
    .description(
      'Turns a short sidecar file into Envoy v3 configuration, on standard output; the real Envoy takes it too.',
    )
    .argument('[file]', 'sidecar file; a file that is canonical already comes out as it is')
    .option('-c, --config <file>', 'the same, as for run')
    .option('--json', 'JSON in place of YAML')
    .addHelpText(
      'after',
      '\nExample\n  outrigger expand sidecar.yaml > envoy.yaml && envoy --mode validate -c envoy.yaml',
    )
    .action((positional: string | undefined, { config, json }: { config?: string; json?: true }) => {
      const file = positional ?? config;
      if (file === undefined) throw new UsageError('no file to expand', 'outrigger expand FILE');
      process.stdout.write(expandFile(file, { json: json === true }));
    });
}
