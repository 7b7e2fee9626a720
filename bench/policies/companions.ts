import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type Child, start } from '../run/children.ts';
import { freePorts } from '../run/ports.ts';
import type { Scenario } from '../scenario.ts';

const PATIENCE_MS = 15_000;

/** Services that policies call: where they listen. */
export interface CompanionPorts {
  readonly rateLimit?: number;
  readonly collector?: number;
}

export interface Companions {
  readonly ports: CompanionPorts;
  stop(): Promise<void>;
}

/** Starts the services that a scenario's policies call, on the cores of the load. */
export async function startCompanions(
  scenario: Scenario,
  root: string,
  directory: string,
  cores: readonly number[],
): Promise<Companions> {
  const children: Child[] = [];
  const ports: { rateLimit?: number; collector?: number } = {};
  const stop = async (): Promise<void> => {
    for (const child of children) await child.stop();
  };
  const run = async (port: number, command: string, args: readonly string[]): Promise<void> => {
    const child = start({ command, args }, cores);
    children.push(child);
    await waitForPort(port, child, args[0] ?? command);
  };
  try {
    const [rateLimit, collector] = (await freePorts(2)) as [number, number];
    if (scenario.policies?.includes('global_rate_limit')) {
      ports.rateLimit = rateLimit;
      const file = join(directory, 'limits.yaml');
      writeFileSync(file, LIMITS);
      const args = ['ratelimit', '--listen', `127.0.0.1:${rateLimit}`, '--config', file];
      await run(rateLimit, join(root, 'bin', 'outrigger'), args);
    }
    if (scenario.policies?.includes('tracing')) {
      ports.collector = collector;
      const args = [join(root, 'bench', 'backend', 'trace-sink.ts'), String(collector)];
      await run(collector, join(root, 'bin', 'node'), args);
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return { ports, stop };
}

/** Limits that are never reached. */
const LIMITS = `domain: bench
descriptors:
  - key: generic_key
    value: all
    rate_limit: { unit: second, requests_per_unit: 100000000 }
  - key: tenant
    rate_limit: { unit: second, requests_per_unit: 100000000 }
`;

async function waitForPort(port: number, child: Child, name: string): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (Date.now() < deadline) {
    if (await isOpen(port)) return;
    if (child.hasExited()) break;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`${name} did not listen: ${child.stderrTail() || 'it said nothing'}`);
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    const finish = (open: boolean): void => {
      socket.destroy();
      resolve(open);
    };
    socket.on('connect', () => finish(true));
    socket.on('error', () => finish(false));
  });
}
