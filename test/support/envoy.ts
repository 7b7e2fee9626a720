import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..', '..');

/** Why tests against the real Envoy do not run, for their names. */
export const NO_ENVOY = 'no Envoy found: run `outrigger bench setup`, or set OUTRIGGER_ENVOY';

/** The real Envoy: from OUTRIGGER_ENVOY, from PATH, or from `outrigger bench setup` (.bench/envoy). */
export function findEnvoy(): string | undefined {
  const named = process.env.OUTRIGGER_ENVOY;
  if (named !== undefined && named !== '') return named;
  return inPath() ?? inBenchFolder();
}

function inPath(): string | undefined {
  const folders = (process.env.PATH ?? '').split(':').filter((folder) => folder !== '');
  return folders.map((folder) => join(folder, 'envoy')).find((program) => existsSync(program));
}

function inBenchFolder(): string | undefined {
  const lib = join(ROOT, '.bench', 'envoy', 'lib');
  if (!existsSync(lib)) return undefined;
  const programs = readdirSync(lib).map((python) => join(lib, python, 'site-packages', 'envoy', '_bin', 'envoy'));
  return programs.find((program) => existsSync(program));
}

/** What the real Envoy says of a configuration: undefined when it is valid, else its reason. */
export function envoyRejection(envoy: string, text: string, extension: 'yaml' | 'json' = 'yaml'): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-envoy-'));
  try {
    const file = join(folder, `envoy.${extension}`);
    writeFileSync(file, text);
    const args = ['--mode', 'validate', '--disable-hot-restart', '-l', 'critical', '-c', file];
    const result = spawnSync(envoy, args, { encoding: 'utf8', timeout: 20_000 });
    if (result.error !== undefined) throw result.error;
    return result.status === 0 ? undefined : result.stdout + result.stderr;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Envoy's version, `1.40.0`. */
export function envoyVersion(envoy: string): string {
  return /\/(\d+\.\d+\.\d+)\//.exec(execFileSync(envoy, ['--version'], { encoding: 'utf8' }))?.[1] ?? 'unknown';
}
