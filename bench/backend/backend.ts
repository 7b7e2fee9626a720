import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { clientTls } from '../load/client-tls.ts';
import { nginxHttpPreamble, nginxListen, nginxPreamble } from '../peers/nginx.ts';
import { pipePath } from '../pipe-path.ts';
import type { Fixtures } from '../policies/fixtures.ts';
import { type Child, type Command, start } from '../run/children.ts';
import { freePorts } from '../run/ports.ts';
import { waitForAnswer } from '../run/probe.ts';
import { findProgram } from '../run/root.ts';
import { GRPC_PATH, type Scenario } from '../scenario.ts';
import { findGrpcBackend } from './grpc-backend.ts';

export interface Backend {
  readonly kind: 'nginx' | 'node' | 'node:http2' | 'grpc-go';
  readonly port: number;
  readonly child: Child;
}

const SMALL = 100;
const FILE_SIZES = [1, 16, 32, 64, 128, 256, 512, 1024].map((kib) => kib * 1024);

/**
 * Which backend answers a scenario: nginx where it is installed, but uploads go to our own sink; gRPC's is in Go where
 * `outrigger bench setup` has built it.
 */
export function backendKind(scenario: Scenario, root: string): Backend['kind'] {
  if (scenario.grpc !== undefined) return findGrpcBackend(root) === undefined ? 'node:http2' : 'grpc-go';
  if (scenario.direction === 'download' && findProgram('nginx') !== undefined) return 'nginx';
  if (scenario.tls?.upstream !== undefined) throw new Error(`${scenario.name} needs nginx, which speaks TLS`);
  if (scenario.pipes?.upstream !== undefined) throw new Error(`${scenario.name} needs nginx, which takes Unix sockets`);
  return scenario.upstream === 'http2' ? 'node:http2' : 'node';
}

/** Starts the backend on the given cores and waits until it answers. */
export async function startBackend(
  scenario: Scenario,
  root: string,
  directory: string,
  cores: readonly number[],
  fixtures?: Fixtures,
): Promise<Backend> {
  const [port] = (await freePorts(1)) as [number];
  const kind = backendKind(scenario, root);
  const child = start(backendCommand(kind, scenario, root, directory, port, fixtures), cores);
  const isGrpc = scenario.grpc !== undefined;
  const tls = clientTls(scenario.tls?.upstream, fixtures);
  const path = isGrpc ? GRPC_PATH : `/${SMALL}`;
  try {
    await waitForAnswer({ port, path, status: 200, version: scenario.upstream, isGrpc, tls }, child);
  } catch (error) {
    await child.stop();
    throw new Error(`backend (${kind}): ${(error as Error).message}`);
  }
  return { kind, port, child };
}

function backendCommand(
  kind: Backend['kind'],
  scenario: Scenario,
  root: string,
  directory: string,
  port: number,
  fixtures: Fixtures | undefined,
): Command {
  switch (kind) {
    case 'nginx':
      return nginxBackend(directory, port, scenario, fixtures);
    case 'grpc-go':
      return { command: findGrpcBackend(root) as string, args: [String(port)] };
    case 'node':
      return nodeBackend(root, 'node-backend.ts', port);
    case 'node:http2':
      return nodeBackend(root, 'node-http2-backend.ts', port);
  }
}

function nodeBackend(root: string, file: string, port: number): Command {
  return {
    command: join(root, 'bin', 'node'),
    args: [join(root, 'bench', 'backend', file), String(port)],
  };
}

function nginxBackend(directory: string, port: number, scenario: Scenario, fixtures: Fixtures | undefined): Command {
  const program = findProgram('nginx') as string;
  const home = join(directory, 'backend');
  const files = join(home, 'files');
  mkdirSync(files, { recursive: true });
  for (const size of FILE_SIZES) {
    const file = join(files, String(size));
    if (!existsSync(file)) writeFileSync(file, Buffer.alloc(size, 'x'));
  }
  const config = join(home, 'nginx.conf');
  writeFileSync(
    config,
    `${nginxPreamble(home)}
http {
${nginxHttpPreamble(home)}
  default_type text/plain;
  sendfile on;
  open_file_cache max=100;
  server {
    ${nginxListen(program, port, scenario.upstream === 'http2', scenario.tls?.upstream !== undefined)}
    ${nginxTls(scenario, fixtures)}
    ${nginxPipe(scenario, port)}
    root ${files};
    location = /${SMALL} { return 200 "${'x'.repeat(SMALL)}"; }
  }
}
`,
  );
  return { command: program, args: ['-c', config, '-p', home, '-e', 'stderr'] };
}

/** A Unix socket beside the port, by which it is asked whether it is ready. */
function nginxPipe({ pipes }: Scenario, port: number): string {
  if (pipes?.upstream === undefined) return '';
  // One of a run that was killed would be in the way.
  rmSync(pipePath(port), { force: true });
  return `listen unix:${pipePath(port)} backlog=1024;`;
}

/** The directives that have a server speak TLS, and ask its clients for their certificates. */
function nginxTls({ tls }: Scenario, fixtures: Fixtures | undefined): string {
  if (tls?.upstream === undefined || fixtures === undefined) return '';
  const { folder } = fixtures;
  const own = `ssl_certificate ${folder}/server/svid.pem; ssl_certificate_key ${folder}/server/svid-key.pem; ssl_protocols TLSv1.3;`;
  return tls.upstream === 'mtls' ? `${own} ssl_client_certificate ${folder}/ca.pem; ssl_verify_client on;` : own;
}
