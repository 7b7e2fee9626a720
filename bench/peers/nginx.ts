import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram } from '../run/root.ts';
import { isPlain } from '../scenario.ts';
import type { FoundPeer, PeerRun } from './peer.ts';

export function findNginx(): FoundPeer {
  const program = findProgram('nginx');
  if (program === undefined) return { missing: 'nginx is not in PATH' };
  const facts = spawnSync(program, ['-V'], { encoding: 'utf8' }).stderr;
  const stream = streamModule(facts);
  return {
    peer: {
      name: 'nginx',
      version: /nginx version: nginx\/(\S+)/.exec(facts)?.[1] ?? 'unknown',
      description: stream === undefined ? 'one worker, HTTP only: its stream module is not installed' : 'one worker',
      // To HTTP/2 backends it speaks gRPC only.
      supports: (scenario) =>
        isPlain(scenario) && scenario.upstream === 'http1' && (scenario.protocol === 'http' || stream !== undefined),
      async prepare(run) {
        const file = join(run.directory, 'nginx.conf');
        writeFileSync(file, run.scenario.protocol === 'tcp' ? tcpConfig(run, stream ?? '') : httpConfig(program, run));
        return { command: program, args: ['-c', file, '-p', run.directory, '-e', 'stderr'], cwd: run.directory };
      },
    },
  };
}

/** The line that loads the TCP proxy, '' when it is compiled in, undefined when it is missing. */
function streamModule(facts: string): string | undefined {
  if (/--with-stream(\s|$)/.test(facts)) return '';
  const folder = /--modules-path=(\S+)/.exec(facts)?.[1];
  const file = folder === undefined ? undefined : join(folder, 'ngx_stream_module.so');
  return file !== undefined && existsSync(file) ? `load_module ${file};` : undefined;
}

/** What every nginx of the benchmark begins with: one worker in the foreground, nothing outside its directory. */
export function nginxPreamble(directory: string): string {
  const user = process.getuid?.() === 0 ? 'user root;\n' : '';
  return `${user}daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid ${directory}/nginx.pid;
error_log stderr error;
events { worker_connections 8192; }
`;
}

/** Paths below the directory, so that nginx needs no right to write anywhere else. */
export function nginxHttpPreamble(directory: string): string {
  const kinds = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `${kinds.map((kind) => `  ${kind}_temp_path ${directory}/nginx-${kind};`).join('\n')}
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  client_max_body_size 0;
`;
}

/** HTTP/2 in clear text, with prior knowledge; from 1.25.1 on nginx has a directive of its own for it. */
export function nginxListen(program: string, port: number, isHttp2: boolean, isTls = false): string {
  const listen = `listen 127.0.0.1:${port}${isTls ? ' ssl' : ''} backlog=1024`;
  if (!isHttp2) return `${listen};`;
  const facts = spawnSync(program, ['-v'], { encoding: 'utf8' }).stderr;
  const [, major = 0, minor = 0, patch = 0] = /nginx\/(\d+)\.(\d+)\.(\d+)/.exec(facts)?.map(Number) ?? [];
  const hasDirective = major * 1e6 + minor * 1e3 + patch >= 1_025_001;
  return `${hasDirective ? `${listen};\n    http2 on;` : `${listen} http2;`}\n    http2_max_concurrent_streams 1024;\n    http2_chunk_size 16k;`;
}

function httpConfig(program: string, run: PeerRun): string {
  return `${nginxPreamble(run.directory)}
http {
${nginxHttpPreamble(run.directory)}
  upstream app {
    server 127.0.0.1:${run.backendPort};
    keepalive 1024;
    keepalive_requests 1000000000;
  }
  server {
    ${nginxListen(program, run.listenPort, run.scenario.downstream === 'http2', run.scenario.tls !== undefined)}
${certificate(run)}    location / {
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_request_buffering off;
      proxy_max_temp_file_size 0;
    }
  }
}
`;
}

/** What the listener shows, where the clients speak TLS. */
function certificate({ scenario, fixtures }: PeerRun): string {
  if (scenario.tls?.downstream === undefined || fixtures === undefined) return '';
  const folder = join(fixtures.folder, 'server');
  return `    ssl_certificate ${folder}/svid.pem;\n    ssl_certificate_key ${folder}/svid-key.pem;\n    ssl_protocols TLSv1.2 TLSv1.3;\n`;
}

function tcpConfig(run: PeerRun, loadModule: string): string {
  return `${loadModule}
${nginxPreamble(run.directory)}
stream {
  server {
    listen 127.0.0.1:${run.listenPort} backlog=1024;
    proxy_pass 127.0.0.1:${run.backendPort};
  }
}
`;
}
