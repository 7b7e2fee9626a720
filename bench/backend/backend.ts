import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nginxHttpPreamble, nginxPreamble } from '../peers/nginx.ts';
import { type Child, type Command, start } from '../run/children.ts';
import { freePorts } from '../run/ports.ts';
import { waitForStatus } from '../run/probe.ts';
import { findProgram } from '../run/root.ts';
import type { Scenario } from '../scenario.ts';

export interface Backend {
  readonly kind: 'nginx' | 'node';
  readonly port: number;
  readonly child: Child;
}

const SMALL = 100;
const FILE_SIZES = [1024, 16 * 1024, 64 * 1024, 1024 * 1024];

/** Which backend answers a scenario: nginx where it is installed, but uploads go to our own sink. */
export function backendKind(scenario: Scenario): Backend['kind'] {
  return scenario.direction === 'download' && findProgram('nginx') !== undefined ? 'nginx' : 'node';
}

/** Starts the backend on the given cores and waits until it answers. */
export async function startBackend(
  scenario: Scenario,
  root: string,
  directory: string,
  cores: readonly number[],
): Promise<Backend> {
  const [port] = (await freePorts(1)) as [number];
  const kind = backendKind(scenario);
  const command = kind === 'nginx' ? nginxBackend(directory, port) : nodeBackend(root, port);
  const child = start(command, cores);
  try {
    await waitForStatus(port, `/${SMALL}`, 200, child);
  } catch (error) {
    await child.stop();
    throw new Error(`backend (${kind}): ${(error as Error).message}`);
  }
  return { kind, port, child };
}

function nodeBackend(root: string, port: number): Command {
  return {
    command: join(root, 'bin', 'node'),
    args: [join(root, 'bench', 'backend', 'node-backend.ts'), String(port)],
  };
}

function nginxBackend(directory: string, port: number): Command {
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
    listen 127.0.0.1:${port} backlog=1024;
    root ${files};
    location = /${SMALL} { return 200 "${'x'.repeat(SMALL)}"; }
  }
}
`,
  );
  return { command: findProgram('nginx') as string, args: ['-c', config, '-p', home, '-e', 'stderr'] };
}
