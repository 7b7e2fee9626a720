import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { EXCLUDED, meshConfig, TestMesh } from '../support/intercepted/mesh.ts';
import { InterceptedPod } from '../support/intercepted/pod.ts';
import { PORTS } from '../support/intercepted/protocol.ts';
import { whyNoNamespaces } from '../support/netns.ts';

// Each call is a process of its own, on a machine that may be busy.
vi.setConfig({ testTimeout: 120_000 });

/** Two pods: apps that know of no proxy, proxies that know of each other by their certificates alone. */

const reason = whyNoNamespaces('iptables-nft', 'curl');
let mesh: TestMesh;
let shop: InterceptedPod;
let cart: InterceptedPod;
/** Has no proxy. */
let guest: InterceptedPod;

beforeAll(async () => {
  if (reason !== undefined) return;
  mesh = await TestMesh.create();
  const options = { config: meshConfig('strict'), installFlags: EXCLUDED };
  shop = await mesh.pod('shop', options);
  cart = await mesh.pod('cart', options);
  guest = await InterceptedPod.bare(mesh.network.pod('guest'));
}, 300_000);

afterAll(() => mesh?.[Symbol.asyncDispose]());

beforeEach((context) => {
  if (reason !== undefined) context.skip(reason);
});

/** The newest line of the log that begins with a destination; it is written when its connection is over. */
async function logged(pod: InterceptedPod, destination: string): Promise<string> {
  const find = () => pod.logLines().findLast((line) => line.startsWith(`${destination} `)) ?? '';
  await expect.poll(find, { timeout: 30_000 }).not.toBe('');
  return find();
}

const FAMILIES = [
  ['IPv4', (pod: InterceptedPod) => pod.pod.ipv4, '127.0.0.6'],
  ['IPv6', (pod: InterceptedPod) => pod.pod.ipv6, '::6'],
] as const;

describe.each(FAMILIES)(
  'over %s, an app reaches another one, and its proxy knows by whom it is called',
  (_, of, self) => {
    test('by HTTP/1.1', async () => {
      const answer = (await shop.call('http', of(cart), PORTS.http)) as { status: number; text: string };
      expect(answer.status).toBe(200);
      const echo = JSON.parse(answer.text);
      expect(echo.body).toBe('hello');
      expect(echo.headers['x-forwarded-client-cert']).toContain('URI=spiffe://shop.test/shop');
      expect(echo.headers['x-forwarded-for']).toBe(of(shop));
      // The app hears from the address that no rule redirects, at the one that the client wanted.
      expect(echo.remoteAddress.replace('::ffff:', '')).toBe(self);
      expect(echo.localAddress.replace('::ffff:', '')).toBe(of(cart));
    });

    test('by gRPC', async () => {
      expect(await shop.call('grpc', of(cart), PORTS.grpc)).toBe('grpc hello');
    });

    test('by WebSocket', async () => {
      expect(await shop.call('websocket', of(cart), PORTS.http)).toBe('welcome /chatping');
    });

    test('by TCP, and both logs have the destination that the client wanted', async () => {
      expect(await shop.call('tcp', of(cart), PORTS.tcp)).toBe('hello');
      const host = of(cart).includes(':') ? `[${of(cart)}]` : of(cart);
      const destination = `${host}:${PORTS.tcp}`;
      expect(await logged(shop, destination)).toMatch(/:15001 \S+:9000 outbound_mesh - - \S+ -$/);
      const inbound = await logged(cart, destination);
      expect(inbound).toMatch(/:15006 \S+:9000 inbound_passthrough - - \S+ spiffe:\/\/shop.test\/shop$/);
      expect(inbound).toContain(` ${self.includes(':') ? `[${self}]` : self}:`);
    });

    test('where the server speaks first', async () => {
      expect(await shop.call('server-first', of(cart), PORTS.serverFirst)).toEqual([
        '220 shop ready\r\n',
        '250 EHLO\r\n',
      ]);
    });

    test('past the proxies at a port that is excluded', async () => {
      const before = await shop.stat('listener.[__]_15001.original_dst.restored');
      expect(await shop.call('tcp', of(cart), PORTS.excluded)).toBe('hello');
      expect(await shop.stat('listener.[__]_15001.original_dst.restored')).toBe(before);
    });

    test('itself, by its own address', async () => {
      expect(await shop.call('tcp', of(shop), PORTS.tcp)).toBe('hello');
      expect(await shop.call('http', of(shop), PORTS.http)).toMatchObject({ status: 200 });
    });

    test('itself, by the loopback', async () => {
      expect(await shop.call('tcp', of(shop).includes(':') ? '::1' : '127.0.0.1', PORTS.tcp)).toBe('hello');
    });

    test('but nobody without an identity does', async () => {
      const got = await guest.call('tcp', of(cart), PORTS.tcp);
      expect(['', 'error ECONNRESET']).toContain(got);
      const refused = await guest.call('http', of(cart), PORTS.http);
      expect(refused).toHaveProperty('error');
    });
  },
);

describe('who wants to reach the proxy itself', () => {
  const refusals = async (pod: InterceptedPod): Promise<number> =>
    (await pod.stat('listener.[__]_15001.original_dst.own_listener_refused')) +
    (await pod.stat('listener.[__]_15006.original_dst.own_listener_refused'));

  test.each([15001, 15006])('from its own pod, at port %i, is refused and counted', async (port) => {
    for (const host of ['127.0.0.1', shop.pod.ipv4, '::1', shop.pod.ipv6]) {
      const before = await refusals(shop);
      expect(['', 'error ECONNRESET']).toContain(await shop.call('tcp', host, port));
      expect(await refusals(shop)).toBe(before + 1);
      const text = host.includes(':') ? `[${host}]` : host;
      expect(await logged(shop, `${text}:${port}`)).toContain(' NR original_destination_is_own_listener ');
    }
  });

  test.each([15001, 15006])('from another pod, at port %i, is refused and counted once', async (port) => {
    for (const host of [cart.pod.ipv4, cart.pod.ipv6]) {
      const before = await refusals(cart);
      expect(['', 'error ECONNRESET']).toContain(await guest.call('tcp', host, port));
      expect(await refusals(cart)).toBe(before + 1);
    }
  });

  test('as the user of the proxy, at its own address: a loop would begin like this', async () => {
    const before = await refusals(shop);
    const { stdout } = await shop.pod.run(['curl', '-s', '-m', '5', `http://${shop.pod.ipv4}:15001/`], {
      uid: 1337,
      gid: 1337,
    });
    expect(stdout).toBe('');
    expect(await refusals(shop)).toBe(before + 1);
  });
});

test('an app that writes IPv4 as IPv6 is in the same mesh', async () => {
  expect(await shop.call('tcp', `::ffff:${cart.pod.ipv4}`, PORTS.tcp)).toBe('hello');
  expect(['', 'error ECONNRESET']).toContain(await shop.call('tcp', '::ffff:127.0.0.1', 15001));
});

test('who connects and says nothing is let go, and holds nobody else up', async () => {
  const before = await cart.stat('listener.[__]_15006.downstream_pre_cx_active');
  const [host, port] = [cart.pod.ipv4, PORTS.tcp];
  const silent = `const s = require('net').connect(${port}, '${host}'); s.on('connect', () => process.stdout.write('in')); s.on('close', () => process.exit())`;
  const client = guest.pod.spawn([process.execPath, '-e', silent]);
  await new Promise((done) => client.stdout.once('data', done));
  await expect
    .poll(() => cart.stat('listener.[__]_15006.downstream_pre_cx_active'), { timeout: 30_000 })
    .toBe(before + 1);
  expect(await shop.call('tcp', host, port)).toBe('hello');
  // Half-open: nothing tells the proxy that the client is gone for good, but its time is limited.
  client.kill('SIGSTOP');
  await expect.poll(() => cart.stat('listener.[__]_15006.downstream_pre_cx_active'), { timeout: 30_000 }).toBe(before);
  expect(await cart.stat('listener.[__]_15006.downstream_pre_cx_timeout')).toBeGreaterThan(0);
  client.kill('SIGKILL');
}, 200_000);

test('what nobody listens at is refused, and the log says so', async () => {
  expect(['', 'error ECONNRESET']).toContain(await shop.call('tcp', cart.pod.ipv4, 4444));
  const line = await logged(cart, `${cart.pod.ipv4}:4444`);
  expect(line).toContain(' inbound_passthrough UF,URX upstream_connection_failure ');
});

test('the app may go wherever it wants outside of the mesh, as it is', async () => {
  // In none of the mesh's ranges, and their owner has no proxy; rules leave the second one alone.
  guest.pod.sh('ip addr add 10.99.0.1/32 dev lo; ip addr add 10.77.0.250/32 dev lo');
  shop.pod.sh(`ip route add 10.99.0.1/32 via ${guest.pod.ipv4}; ip route add 10.77.0.250/32 via ${guest.pod.ipv4}`);
  expect(await shop.call('tcp', '10.99.0.1', PORTS.tcp)).toBe('hello');
  expect(await shop.call('http', '10.99.0.1', PORTS.http)).toMatchObject({ status: 200 });
  expect(await shop.call('server-first', '10.99.0.1', PORTS.serverFirst)).toHaveLength(2);
  expect(await logged(shop, `10.99.0.1:${PORTS.tcp}`)).toContain(' outbound_passthrough - - ');
  const before = await shop.stat('listener.[__]_15001.original_dst.restored');
  expect(await shop.call('tcp', '10.77.0.250', PORTS.tcp)).toBe('hello');
  expect(await shop.stat('listener.[__]_15001.original_dst.restored')).toBe(before);
});

test('10,000 connections one after the other are answered rightly, and leave nothing behind', async () => {
  const before = [shop.descriptors(), cart.descriptors()];
  expect(await shop.call('sequential', cart.pod.ipv4, PORTS.tcp, 10_000)).toEqual({ right: 10_000, wrong: [] });
  await expect.poll(() => shop.descriptors(), { timeout: 20_000 }).toBeLessThan((before[0] ?? 0) + 20);
  await expect.poll(() => cart.descriptors(), { timeout: 20_000 }).toBeLessThan((before[1] ?? 0) + 20);
  // Each connection is tracked until its TIME_WAIT is over, once by either leg: not more than that.
  expect(shop.tracked()).toBeLessThan(2 * 10_000 + 1000);
  expect(shop.pod.sh('dmesg 2>/dev/null | grep -c "nf_conntrack: table full" || true').trim()).toBe('0');
}, 300_000);

test('1,000 connections at once are answered rightly', async () => {
  expect(await shop.call('parallel', cart.pod.ipv4, PORTS.tcp, 1000)).toEqual({ right: 1000, wrong: [] });
}, 200_000);
