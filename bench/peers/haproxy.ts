import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram } from '../run/root.ts';
import { type HttpVersion, isPlain } from '../scenario.ts';
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
        writeFileSync(file, haproxyConfig(run));
        writeCertificate(run);
        return { command: program, args: ['-f', file, '-db'], cwd: run.directory };
      },
    },
  };
}

/** HAProxy's configuration for a run. */
export function haproxyConfig(run: PeerRun): string {
  const { protocol, downstream, upstream } = run.scenario;
  // Its default of 100 streams would hold one connection with 256 back.
  const streams = downstream === 'http2' || upstream === 'http2' ? '  tune.h2.max-concurrent-streams 1024\n' : '';
  // Without it every client's connection begins with one of its own to the backend, as HTTP/1.1 does.
  const reuse = upstream === 'http2' ? '  http-reuse always\n' : '';
  return `global
  nbthread 1
  maxconn 8192
${streams}
defaults
  mode ${protocol}
  timeout connect 5s
  timeout client 1h
  timeout server 1h

listen bench
${reuse}  bind 127.0.0.1:${run.listenPort} backlog 1024${hasTls(run) ? ` ssl crt ${certificateFile(run)}` : ''}${proto(downstream)}
  server app 127.0.0.1:${run.backendPort}${proto(upstream)}
`;
}

function hasTls({ scenario, fixtures }: PeerRun): boolean {
  return scenario.tls?.downstream !== undefined && fixtures !== undefined;
}

function certificateFile({ directory }: PeerRun): string {
  return join(directory, 'server.pem');
}

/** It wants the certificate and its key in one file. */
function writeCertificate(run: PeerRun): void {
  const { fixtures } = run;
  if (fixtures === undefined || !hasTls(run)) return;
  const read = (name: string): string => readFileSync(join(fixtures.folder, 'server', name), 'utf8');
  writeFileSync(certificateFile(run), read('svid.pem') + read('svid-key.pem'));
}

function proto(version: HttpVersion): string {
  return version === 'http2' ? ' proto h2' : '';
}
