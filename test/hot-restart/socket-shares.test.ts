import { fstatSync, openSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Listener } from '../../src/config/schema/listener.ts';
import { shareOut } from '../../src/hot-restart/socket-shares.ts';
import { addressKey } from '../../src/sidecar-proxy.ts';

/** As much of a listener as its address key needs. */
function listener(port: number, fields: Partial<Listener> = {}): Listener {
  return {
    name: `l${port}`,
    address: { socket_address: { address: '127.0.0.1', port_value: port } },
    ...fields,
  } as Listener;
}

const KEY = addressKey(listener(80));
/** Descriptors that nobody has. */
const [A, B, C] = [1_000_001, 1_000_002, 1_000_003];

test('more sockets than threads: threads get several, and none is left out', () => {
  const { byThread, taken } = shareOut([{ key: KEY, port: 80, descriptors: [A, B, C] }], [listener(80)], 2);
  expect(byThread.map((shares) => shares[KEY]?.descriptors)).toEqual([[A, C], [B]]);
  expect(taken).toEqual([KEY]);
});

test('fewer sockets than threads: the others share the address with sockets of their own', () => {
  const { byThread } = shareOut([{ key: KEY, port: 80, descriptors: [A] }], [listener(80)], 3);
  expect(byThread.map((shares) => shares[KEY]?.descriptors)).toEqual([[A], [], []]);
});

test('an address that threads do not share goes to the first', () => {
  const alone = listener(80, { enable_reuse_port: false });
  const { byThread } = shareOut([{ key: KEY, port: 80, descriptors: [A, B] }], [alone], 2);
  expect(byThread).toEqual([{ [KEY]: { port: 80, descriptors: [A, B] } }, {}]);
});

test('sockets of listeners that are gone are closed', () => {
  const fd = openSync('/dev/null', 'r');
  const { byThread, taken } = shareOut(
    [{ key: addressKey(listener(81)), port: 81, descriptors: [fd] }],
    [listener(80)],
    1,
  );
  expect([byThread, taken]).toEqual([[{}], []]);
  expect(() => fstatSync(fd)).toThrow('EBADF');
});
