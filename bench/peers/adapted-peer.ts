import type { Peer, PeerName } from './peer.ts';

/** Peers that take `--concurrency`, and bound no connections by their configuration. */
export const ENVOY_LIKE: ReadonlySet<PeerName> = new Set(['envoy', 'outrigger']);

/** The peer with another number of workers. */
export function withConcurrency(peer: Peer, concurrency: number): Peer {
  return {
    ...peer,
    async prepare(run) {
      const command = await peer.prepare(run);
      if (command === undefined) return undefined;
      const at = command.args.indexOf('--concurrency') + 1;
      if (at === 0) throw new Error(`${peer.name} is not started with --concurrency`);
      return { ...command, args: command.args.with(at, String(concurrency)) };
    },
  };
}

/** The peer with a soft limit of at least so many open descriptors; where the hard limit is lower it does not start. */
export function withDescriptors(peer: Peer, count: number): Peer {
  // In place of the shell, so that the process is still the one that was started.
  const script = `soft=$(ulimit -Sn); [ "$soft" = unlimited ] || [ "$soft" -ge ${count} ] || ulimit -Sn ${count} || exit 1; exec "$0" "$@"`;
  return {
    ...peer,
    async prepare(run) {
      const command = await peer.prepare(run);
      if (command === undefined) return undefined;
      return { ...command, command: '/bin/sh', args: ['-c', script, command.command, ...command.args] };
    },
  };
}
