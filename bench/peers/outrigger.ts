import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Scenario } from '../scenario.ts';
import { outriggerConfig } from '../scenario-config.ts';
import type { FoundPeer } from './peer.ts';

/**
 * Outrigger by its real launcher: the bundle when it is newer than every source file or `OUTRIGGER_BUNDLE` is set, else
 * the sources.
 */
export function findOutrigger(root: string): FoundPeer {
  const bundle = join(root, 'dist', 'outrigger.js');
  const hasBundle = existsSync(bundle);
  const isAsked = Boolean(process.env.OUTRIGGER_BUNDLE);
  if (isAsked && !hasBundle) return { missing: 'OUTRIGGER_BUNDLE is set but there is no bundle: run `npm run build`' };
  const isFresh = hasBundle && newestSource(root) <= statSync(bundle).mtimeMs;
  const useBundle = isAsked || isFresh;
  const stale = isFresh ? '' : ' (older than the sources)';
  const description = useBundle
    ? `bundle dist/outrigger.js${stale}`
    : `sources${hasBundle ? ', the bundle is stale' : ''}`;
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  return {
    peer: {
      name: 'outrigger',
      version: manifest.version,
      description,
      supports: () => true,
      async prepare(run) {
        const file = join(run.directory, 'outrigger.yaml');
        writeFileSync(file, outriggerConfig(run));
        return {
          command: join(root, 'bin', 'outrigger'),
          args: ['run', '-c', file, '--concurrency', '1', '--log-level', 'error', ...spliceArguments(run.scenario)],
          env: { OUTRIGGER_BUNDLE: useBundle ? '1' : '' },
          cwd: run.directory,
        };
      },
    },
  };
}

/** TCP is measured in user space unless the scenario asks for the kernel; where that is not permitted, it must fail. */
function spliceArguments({ protocol, splice }: Scenario): string[] {
  return protocol === 'tcp' ? ['--splice', splice === true ? 'on' : 'off'] : [];
}

function newestSource(root: string): number {
  let newest = 0;
  for (const folder of ['src', 'filters']) {
    for (const name of readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })) {
      if (name.endsWith('.ts')) newest = Math.max(newest, statSync(join(root, folder, name)).mtimeMs);
    }
  }
  return newest;
}
