import { expect, test } from 'vitest';
import type { PeerRun } from '../../../bench/peers/peer.ts';
import { profiledPeer } from '../../../bench/profile/profiled-peer.ts';
import { checkoutRoot } from '../../../bench/run/root.ts';

const ROOT = checkoutRoot() as string;
const LIMIT = /^--max-inlined-bytecode-size-cumulative=/;

/** The command that Outrigger is started by to be looked at. */
async function commandOf(adminPort: number | undefined) {
  const peer = {
    name: 'outrigger',
    version: '1',
    description: '',
    supports: () => true,
    prepare: async () => ({ command: 'outrigger', args: ['run', '-c', 'sidecar.yaml'] }),
  } as const;
  return await profiledPeer({ root: ROOT, peer, canonical: undefined, adminPort }).prepare({
    directory: '.',
  } as PeerRun);
}

test('names of files are those of this checkout: nothing comes from a compile cache', async () => {
  expect((await commandOf(undefined))?.env).toMatchObject({ NODE_DISABLE_COMPILE_CACHE: '1' });
});

test('with probes V8 is kept from putting too much together, by a flag of Node and not of the proxy', async () => {
  const args = (await commandOf(9901))?.args ?? [];
  const limit = args.findIndex((arg) => LIMIT.test(arg));
  expect(limit).toBeGreaterThanOrEqual(0);
  expect(limit).toBeLessThan(args.indexOf('run'));
  expect(args).toContain('--probe');
});

test('without probes V8 is left as it is', async () => {
  const args = (await commandOf(undefined))?.args ?? [];
  expect(args.filter((arg) => LIMIT.test(arg))).toEqual([]);
  expect(args).not.toContain('--probe');
});
