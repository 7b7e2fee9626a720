import { describe, expect, it } from 'vitest';
import { withConcurrency, withDescriptors } from '../../../bench/peers/adapted-peer.ts';
import type { Peer, PeerRun } from '../../../bench/peers/peer.ts';
import { type Command, runToEnd } from '../../../bench/run/children.ts';

const run = {} as PeerRun;

function peer(command: Command): Peer {
  return { name: 'envoy', version: '1', description: '', supports: () => true, prepare: async () => command };
}

describe('a peer with other workers', () => {
  it('is started with their number', async () => {
    const adapted = withConcurrency(peer({ command: 'envoy', args: ['--concurrency', '1', '-l', 'off'] }), 2);
    expect((await adapted.prepare(run))?.args).toEqual(['--concurrency', '2', '-l', 'off']);
  });

  it('is an error where the peer has no such option', async () => {
    const adapted = withConcurrency(peer({ command: 'nginx', args: ['-c', 'file'] }), 2);
    await expect(adapted.prepare(run)).rejects.toThrow('not started with --concurrency');
  });
});

describe('a peer with many descriptors', () => {
  /** What the process sees as its limits, with a soft one of 200 before. */
  async function limits(count: number, hard: number): Promise<string> {
    const show = { command: '/bin/sh', args: ['-c', 'echo "$1 $(ulimit -Sn)"', 'sh', 'an argument'] };
    const { command, args } = (await withDescriptors(peer(show), count).prepare(run)) as Command;
    const lowered = `ulimit -Sn 200; ulimit -Hn ${hard}; exec "$0" "$@"`;
    return (await runToEnd({ command: '/bin/sh', args: ['-c', lowered, command, ...args] }, [])).trim();
  }

  it('has its soft limit raised where it is lower, never lowered', async () => {
    expect(await limits(300, 400)).toBe('an argument 300');
    expect(await limits(100, 400)).toBe('an argument 200');
  });

  it('does not start where the hard limit is lower', async () => {
    await expect(limits(500, 400)).rejects.toThrow(/ulimit/);
  });
});
