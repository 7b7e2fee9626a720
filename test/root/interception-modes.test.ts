import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { EXCLUDED, meshConfig, TestMesh } from '../support/intercepted/mesh.ts';
import { APP_USER, InterceptedPod } from '../support/intercepted/pod.ts';
import { PORTS } from '../support/intercepted/protocol.ts';
import { whyNoNamespaces } from '../support/netns.ts';
import { missing } from '../support/program.ts';

// Each call is a process of its own, on a machine that may be busy.
vi.setConfig({ testTimeout: 120_000 });

/** Pods beside the ordinary ones: worker threads, clear text that is taken too, TPROXY, and a database. */

const reason = whyNoNamespaces('iptables-nft', 'curl');
let mesh: TestMesh;
let shop: InterceptedPod;
let guest: InterceptedPod;

beforeAll(async () => {
  if (reason !== undefined) return;
  mesh = await TestMesh.create();
  const options = { config: meshConfig('strict'), installFlags: EXCLUDED, withoutApp: true };
  shop = await mesh.pod('shop', { ...options, runFlags: ['--concurrency', '2'] });
  guest = await InterceptedPod.bare(mesh.network.pod('guest'));
}, 300_000);

afterAll(() => mesh?.[Symbol.asyncDispose]());

beforeEach((context) => {
  if (reason !== undefined) context.skip(reason);
});

describe('with two worker threads and permissive', { timeout: 200_000 }, () => {
  let cart: InterceptedPod;

  beforeAll(async () => {
    if (reason !== undefined) return;
    const config = meshConfig('permissive');
    cart = await mesh.pod('cart', { config, installFlags: EXCLUDED, runFlags: ['--concurrency', '2'] });
  }, 200_000);

  test('who has an identity comes encrypted, who has none in clear text', async () => {
    const member = (await shop.call('http', cart.pod.ipv4, PORTS.http)) as { text: string };
    expect(member.text).toContain('URI=spiffe://shop.test/shop');
    const stranger = (await guest.call('http', cart.pod.ipv4, PORTS.http)) as { text: string };
    expect(stranger.text).toContain('"body":"hello"');
    expect(stranger.text).not.toContain('spiffe');
    expect(await guest.call('tcp', cart.pod.ipv6, PORTS.tcp)).toBe('hello');
  });

  test('a server that speaks first is heard in either way', async () => {
    const heard = ['220 shop ready\r\n', '250 EHLO\r\n'];
    expect(await shop.call('server-first', cart.pod.ipv4, PORTS.serverFirst)).toEqual(heard);
    expect(await guest.call('server-first', cart.pod.ipv4, PORTS.serverFirst)).toEqual(heard);
    // Only the one in clear text waited for the time limit.
    expect(await cart.stat('listener.[__]_15006.downstream_pre_cx_timeout')).toBe(1);
  });

  test('both threads serve, and both refuse who wants to reach the proxy', async () => {
    expect(await shop.call('parallel', cart.pod.ipv4, PORTS.tcp, 100)).toEqual({ right: 100, wrong: [] });
    for (let index = 0; index < 8; index++)
      expect(['', 'error ECONNRESET']).toContain(await cart.call('tcp', cart.pod.ipv4, 15006));
    expect(await cart.stat('listener.[__]_15006.original_dst.own_listener_refused')).toBe(8);
  });
});

test('by TPROXY, the proxy knows where a connection wanted to go without asking', { timeout: 200_000 }, async () => {
  const config = meshConfig('permissive', 'mode: tproxy');
  const pod = await mesh.pod('transparent', { config, installFlags: [...EXCLUDED, '--mode', 'tproxy'], asRoot: true });
  for (const host of [pod.pod.ipv4, pod.pod.ipv6]) {
    expect(await shop.call('tcp', host, PORTS.tcp)).toBe('hello');
    expect(await guest.call('tcp', host, PORTS.tcp)).toBe('hello');
    expect(await shop.call('http', host, PORTS.http)).toMatchObject({ status: 200 });
    expect(['', 'error ECONNRESET']).toContain(await guest.call('tcp', host, 15006));
  }
  expect(await pod.stat('listener.[__]_15006.original_dst.own_listener_refused')).toBe(2);
  await expect
    .poll(() => pod.logLines().join('\n'), { timeout: 30_000 })
    .toContain(
      `${pod.pod.ipv4}:${PORTS.tcp} ${pod.pod.ipv4}:${PORTS.tcp} ${pod.pod.ipv4}:${PORTS.tcp} inbound_passthrough - -`,
    );
});

test('without CAP_NET_ADMIN, a transparent listener says what it lacks', async () => {
  const config = meshConfig('permissive', 'mode: tproxy');
  const start = mesh.pod('powerless', { config, installFlags: EXCLUDED, withoutApp: true });
  await expect(start).rejects.toThrow(/15006 cannot be transparent without CAP_NET_ADMIN/);
}, 200_000);

test('MariaDB answers to a client in another pod, as encrypted as it does not know', {
  timeout: 300_000,
}, async (context) => {
  const lacking = missing('mariadbd', 'mariadb-server') ?? missing('mariadb', 'mariadb-client');
  if (lacking !== undefined) return context.skip(lacking);
  const database = await mesh.pod('database', {
    config: meshConfig('strict'),
    installFlags: EXCLUDED,
    withoutApp: true,
  });
  const data = join(mesh.folder, 'mariadb');
  const small = ['--innodb-buffer-pool-size=8M', '--innodb-log-file-size=4M'];
  const own = ['--no-defaults', '--user=root', `--datadir=${data}`];
  const made = await database.pod.run(['mariadb-install-db', ...own, ...small, '--skip-test-db'], {
    timeoutMs: 90_000,
  });
  expect(made).toMatchObject({ code: 0 });
  const files = [`--socket=${data}/mariadb.sock`, `--pid-file=${data}/mariadb.pid`];
  database.pod.spawn([
    'mariadbd',
    ...own,
    ...small,
    ...files,
    '--skip-grant-tables',
    '--bind-address=*',
    '--port=3306',
  ]);
  const client = ['mariadb', '--no-defaults', '--protocol=tcp', '--user=root', '--skip-ssl', '--skip-column-names'];
  const ask = (host: string) =>
    shop.pod.run([...client, `--host=${host}`, '--connect-timeout=10', '--execute=select 6*7'], APP_USER);
  await expect.poll(async () => (await ask(database.pod.ipv4)).stdout, { timeout: 30_000 }).toBe('42\n');
  expect((await ask(database.pod.ipv6)).stdout).toBe('42\n');
  // Nobody else gets as far as its greeting.
  const stranger = await guest.pod.run([...client, `--host=${database.pod.ipv4}`, '--execute=select 1'], APP_USER);
  expect(stranger.code).not.toBe(0);
});
