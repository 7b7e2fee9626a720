import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram } from '../run/root.ts';
import { isPlain } from '../scenario.ts';
import type { FoundPeer, PeerRun } from './peer.ts';

export function findHaproxy(): FoundPeer {
  const program = findProgram('haproxy');
  if (program === undefined) return { missing: 'haproxy is not in PATH' };
  const facts = spawnSync(program, ['-v'], { encoding: 'utf8' }).stdout;
  return {
    peer: {
      name: 'haproxy',
      version: /version (\d[^\s-]*)/.exec(facts)?.[1] ?? 'unknown',
      description: 'one thread',
      supports: isPlain,
      async prepare(run) {
        const file = join(run.directory, 'haproxy.cfg');
        writeFileSync(file, config(run));
        return { command: program, args: ['-f', file, '-db'], cwd: run.directory };
      },
    },
  };
}

function config(run: PeerRun): string {
  return `global
  nbthread 1
  maxconn 8192

defaults
  mode ${run.scenario.protocol}
  timeout connect 5s
  timeout client 1h
  timeout server 1h

listen bench
  bind 127.0.0.1:${run.listenPort} backlog 1024
  server app 127.0.0.1:${run.backendPort}
`;
}
