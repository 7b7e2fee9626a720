import { expect, test } from 'vitest';
import { failure, failureKind } from '../../src/intercept/failure.ts';

/** What the programs of Debian 12 and Alpine print. */
test.each([
  [
    'iptables v1.8.9 (legacy): can’t initialize iptables table `nat’: Permission denied (you must be root)',
    'permission',
  ],
  ['Could not fetch rule set generation id: Permission denied (you must be root)', 'permission'],
  ['netlink: Error: cache initialization failed: Operation not permitted', 'permission'],
  ['RTNETLINK answers: Operation not permitted', 'permission'],
  ["iptables-restore: unable to initialize table 'nat'", 'module'],
  ['can’t initialize ip6tables table `nat’: Table does not exist (do you need to insmod?)', 'module'],
  ['iptables-nft-save: Failed to initialize nft: Protocol not supported', 'module'],
  ['Warning: Extension owner revision 0 not supported, missing kernel module?', 'module'],
  ['iptables: No chain/target/match by that name.', 'module'],
  ['Another app is currently holding the xtables lock; waiting (1s) for it to exit...', 'lock'],
  ['iptables-restore: line 3 failed', 'other'],
])('%j is of the kind %s', (stderr, kind) => {
  expect(failureKind({ code: 1, stdout: '', stderr })).toBe(kind);
});

test('a program that says nothing is told by its code', () => {
  const silent = { code: 4, stdout: '', stderr: '' };
  expect(failure('/usr/sbin/nft', undefined, silent)).toMatchObject({ name: 'InterceptError' });
  expect(
    failure('/usr/sbin/nft', undefined, silent).message + failure('/usr/sbin/nft', undefined, silent).hint,
  ).toMatch(/nft: it ended with 4/);
});
