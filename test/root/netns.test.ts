import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { beforeEach, expect, test } from 'vitest';
import { type Pod, TestNetwork, whyNoNamespaces } from '../support/netns.ts';

beforeEach((context) => {
  const reason = whyNoNamespaces();
  if (reason !== undefined) context.skip(reason);
});

const LISTEN = `net.createServer((socket) => socket.end('hello')).listen(8080, '::', () => console.log('listens'))`;
const ASK = `net.connect(8080, process.argv[1]).on('error', (e) => console.log(e.code)).pipe(process.stdout)`;

test('pods reach each other by IPv4 and IPv6, and themselves by loopback', async () => {
  await using network = TestNetwork.create();
  const [a, b] = [network.pod('a'), network.pod('b')];
  const server = b.spawn([process.execPath, '-e', LISTEN], { uid: 1000 });
  await once(server.stdout, 'data');
  const ask = async (pod: Pod, host: string) => (await pod.run([process.execPath, '-e', ASK, host])).stdout;
  for (const address of [b.ipv4, b.ipv6]) expect(await ask(a, address), address).toBe('hello');
  for (const address of [b.ipv4, b.ipv6, '127.0.0.1', '::1']) expect(await ask(b, address), address).toBe('hello');
  expect(await ask(a, '127.0.0.1')).toBe('ECONNREFUSED\n');
});

test('a pod without IPv6 has no address of it', async () => {
  await using network = TestNetwork.create({ ipv6: false });
  expect(network.pod('a').sh('ip -6 addr')).toBe('');
});

test('commands run as whom they are told to, with the capabilities that are left', async () => {
  await using network = TestNetwork.create();
  const pod = network.pod('a');
  expect((await pod.run(['sh', '-c', 'id -u; id -g; id -G'], { uid: 1337 })).stdout).toBe('1337\n1337\n1337\n');
  const { stdout } = await pod.run(['cat', '/proc/self/status'], { capabilities: ['net_admin', 'net_raw'] });
  // Bits 12 and 13 of linux/capability.h.
  expect(stdout).toContain('CapEff:\t0000000000003000\n');
});

test('nothing of a network is left when it is disposed of, what runs in it included', async () => {
  let folder = '';
  let ended: Promise<unknown>;
  {
    await using network = TestNetwork.create();
    const pod = network.pod('a');
    folder = `/run/netns/${pod.namespace}`;
    const child = pod.spawn(['sleep', '100']);
    ended = new Promise((resolve) => child.once('exit', (_, signal) => resolve(signal)));
    expect(existsSync(folder)).toBe(true);
  }
  expect(await ended).toBe('SIGKILL');
  expect(existsSync(folder)).toBe(false);
});
