import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Peer, PeerName, PeerRun } from '../peers/peer.ts';
import { downstreamTls } from '../policies/policy-config.ts';
import type { Command } from '../run/children.ts';
import { withTlsOf } from './canonical.ts';

/** What V8 must be told so that its code has names, lines and frames. */
const NODE_FLAGS = ['--disable-warning=ExperimentalWarning', '--perf-prof', '--interpreted-frames-native-stack'];

export interface ProfiledPeerOptions {
  readonly root: string;
  readonly peer: Peer;
  /** Canonical configuration in place of the scenario's, for the peers that read it; its ports are replaced. */
  readonly canonical: Readonly<Record<string, unknown>> | undefined;
  /** For Outrigger: its admin server, and its probes. */
  readonly adminPort: number | undefined;
}

/**
 * Where its probes look too. Else they raise V8's limit so far that its map no longer tells which function instructions belong
 * to: builtins have no frame of their own, and hide the function that calls them.
 */
const INSIDE_NODE_FLAGS = ['--max-inlined-bytecode-size-cumulative=1400'];

/** Seconds of load are few: more is timed than a proxy in service would have timed. */
const INSIDE_EVERY = '10';

/** Peers that read Envoy's configuration. */
export const READS_CONFIG: ReadonlySet<PeerName> = new Set(['outrigger', 'envoy']);

/** The peer as it is started to be looked at: Outrigger with V8's map of its code, from the sources. */
export function profiledPeer({ root, peer, canonical, adminPort }: ProfiledPeerOptions): Peer {
  return {
    ...peer,
    async prepare(run): Promise<Command | undefined> {
      const command = await peer.prepare(run);
      if (command === undefined || !READS_CONFIG.has(peer.name)) return command;
      let file = command.args[command.args.indexOf('-c') + 1] as string;
      if (canonical !== undefined) {
        file = join(run.directory, 'profiled.json');
        const socket = downstreamTls(run);
        const shown = socket === undefined ? canonical : withTlsOf(canonical, socket);
        writeFileSync(file, JSON.stringify(withPorts(shown, run)));
      }
      const args = command.args.map((arg, index) => (command.args[index - 1] === '-c' ? file : arg));
      if (peer.name !== 'outrigger') return { ...command, args };
      const isInside = adminPort !== undefined;
      const flags = isInside ? [...NODE_FLAGS, ...INSIDE_NODE_FLAGS] : NODE_FLAGS;
      const inside = isInside
        ? ['--probe', 'sampled', '--probe-interval', INSIDE_EVERY, '--admin', `127.0.0.1:${adminPort}`]
        : [];
      return {
        command: process.execPath,
        args: [...flags, join(root, 'src', 'cli', 'main.ts'), ...args, ...inside],
        // What is in the cache names the files that it was made of first, of another checkout perhaps.
        env: { NODE_DISABLE_COMPILE_CACHE: '1' },
        cwd: run.directory,
      };
    },
  };
}

interface SocketAddress {
  address: string;
  port_value: number;
}

/** The first listener on the run's port, every endpoint at its backend, and no admin server. */
function withPorts(canonical: Readonly<Record<string, unknown>>, run: PeerRun): unknown {
  const bootstrap = structuredClone(canonical) as {
    admin?: unknown;
    static_resources: { listeners: { address: unknown }[]; clusters: unknown[] };
  };
  delete bootstrap.admin;
  const { listeners, clusters } = bootstrap.static_resources;
  const [first] = listeners;
  if (first === undefined) throw new Error('the configuration has no listener');
  bootstrap.static_resources.listeners = [first];
  first.address = { socket_address: { address: '127.0.0.1', port_value: run.listenPort } };
  redirect(clusters, run.backendPort);
  return bootstrap;
}

function redirect(value: unknown, port: number): void {
  if (typeof value !== 'object' || value === null) return;
  const address = (value as { socket_address?: SocketAddress }).socket_address;
  if (address !== undefined) Object.assign(address, { address: '127.0.0.1', port_value: port });
  for (const child of Object.values(value)) redirect(child, port);
}
