import { Command } from 'commander';
import { packageInfo } from '../package-info.ts';

/** `outrigger version` */
export function versionCommand(): Command {
  return new Command('version')
    .description('Prints the versions of Outrigger and of the Node that runs it.')
    .option('--json', 'as JSON')
    .action(({ json }: { json?: boolean }) => {
      const { version } = packageInfo();
      const platform = `${process.platform}-${process.arch}`;
      process.stdout.write(
        json === true
          ? `${JSON.stringify({ version, node: process.versions.node, v8: process.versions.v8, platform })}\n`
          : `outrigger ${version} (node ${process.versions.node}, ${platform})\n`,
      );
    });
}
