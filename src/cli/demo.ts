import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { dirname, join } from 'node:path';
import { Command } from 'commander';
import { parseDocument } from 'yaml';
import { builtinRegistry } from '../../filters/index.ts';
import { loadConfig } from '../config/load.ts';
import { startDemoApp } from '../demo/app.ts';
import { createLogger } from '../observe/log.ts';
import { packageInfo } from '../package-info.ts';
import type { RunningProxy as Sidecar } from '../proxy.ts';
import { demoGuide } from './demo-guide.ts';
import { serve } from './serve.ts';
import { readNumber } from './serve-options.ts';
import { UsageError } from './usage-error.ts';

/** A demo has nothing worth waiting for. */
const DRAIN_TIME_MS = 2000;

const HOST = '127.0.0.1';

interface DemoPorts {
  readonly port: number;
  readonly adminPort: number;
  readonly appPort: number;
}

/** `outrigger demo`, which is `npm start` */
export function demoCommand(): Command {
  return new Command('demo')
    .description('Starts a demo app and a sidecar in front of it, and prints requests to try. Ctrl-C ends both.')
    .option('--port <port>', 'where the sidecar listens; 0 takes any free port', '10000')
    .option('--app-port <port>', 'where the demo app listens', '10001')
    .option('--admin-port <port>', 'where the admin server and its page listen', '15000')
    .addHelpText(
      'after',
      '\nThe sidecar’s configuration is examples/demo/sidecar.yaml, its own filter examples/demo/greeting.ts.',
    )
    .action(async (flags: { port: string; appPort: string; adminPort: string }) => {
      process.exitCode = await demo({
        port: readPort('--port', flags.port),
        appPort: readPort('--app-port', flags.appPort),
        adminPort: readPort('--admin-port', flags.adminPort),
      });
    });
}

function readPort(option: string, text: string): number {
  return readNumber(option, text, 0, 65_535, true);
}

async function demo(ports: DemoPorts): Promise<number> {
  await refuseTakenPorts(ports);
  const app = await startDemoApp(ports.appPort);
  try {
    const file = join(packageInfo().root, 'examples/demo/sidecar.yaml');
    const text = withPorts(readFileSync(file, 'utf8'), { ...ports, appPort: portOf(app) });
    const registry = builtinRegistry();
    return await serve({
      load: () => loadConfig(file, { registry, text }),
      file: undefined,
      watch: false,
      concurrency: 1,
      // Somebody may look at the admin page after few requests.
      probe: { mode: 'all', every: 1 },
      adminAddress: undefined,
      filterDir: dirname(file),
      drainTimeMs: DRAIN_TIME_MS,
      log: createLogger({ level: 'warning' }),
      onReady: (proxy) => process.stdout.write(demoGuide({ ...addressesOf(proxy), appPort: portOf(app), file })),
    });
  } finally {
    app.close();
    app.closeAllConnections();
  }
}

/** Tells of all taken ports at once, before anything is started. @throws UsageError */
async function refuseTakenPorts(ports: DemoPorts): Promise<void> {
  const asked = [
    { option: '--port', port: ports.port, what: 'the sidecar' },
    { option: '--app-port', port: ports.appPort, what: 'the demo app' },
    { option: '--admin-port', port: ports.adminPort, what: 'the admin server' },
  ];
  const taken: typeof asked = [];
  for (const entry of asked) if (entry.port !== 0 && (await isTaken(entry.port))) taken.push(entry);
  if (taken.length === 0) return;
  const list = taken.map(({ port, what }) => `port ${port} (for ${what})`).join(' and ');
  const options = taken.map(({ option, port }) => `${option} ${port + 1000}`).join(' ');
  throw new UsageError(
    `${list} ${taken.length === 1 ? 'is' : 'are'} in use by another process`,
    `choose others: npm start -- ${options}   (0 takes any free port)`,
  );
}

function isTaken(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(true));
    probe.listen(port, HOST, () => probe.close(() => resolve(false)));
  });
}

/** The demo's file with the ports that were asked for; comments and lines stay as they are. */
function withPorts(text: string, ports: DemoPorts): string {
  const document = parseDocument(text);
  document.set('admin', `${HOST}:${ports.adminPort}`);
  document.set('listen', `${HOST}:${ports.port}`);
  document.set('app', `${HOST}:${ports.appPort}`);
  return document.toString({ lineWidth: 0 });
}

function portOf(server: Server): number {
  return (server.address() as { port: number }).port;
}

function addressesOf(proxy: Sidecar): { port: number; adminPort: number } {
  return { port: proxy.listeners()[0]?.port ?? 0, adminPort: proxy.adminAddress?.port ?? 0 };
}
