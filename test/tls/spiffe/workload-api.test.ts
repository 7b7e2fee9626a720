import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import { WorkloadApi } from '../../../src/tls/spiffe/workload-api.ts';
import { readX509SvidResponse, type WorkloadIdentity } from '../../../src/tls/spiffe/workload-message.ts';
import { TestCa } from '../../support/pki.ts';
import { httpConfig, startTestProxy, type TestProxy } from '../../support/proxy.ts';
import { type AgentAnswer, SpiffeAgent } from '../../support/spiffe-agent.ts';
import { inChain, tlsClient, tlsServer, transportSocket } from '../../support/tls.ts';

const folder = mkdtempSync(join(tmpdir(), 'outrigger-agent-'));
afterAll(() => rmSync(folder, { recursive: true }));
let sockets = 0;
const socketPath = (): string => join(folder, `${++sockets}.sock`);

const shop = new TestCa('Shop');
const bank = new TestCa('Bank');

const svid = (ca: TestCa, id: string) => ca.issue({ names: [`URI:${id}`], keyUsage: 0x80 });
const answer = (...ids: readonly string[]): AgentAnswer => ({
  svids: ids.map((id) => ({ id, issued: svid(shop, id), authorities: [shop], hint: id.split('/').at(-1) ?? '' })),
});
const CART = 'spiffe://shop.test/cart';

const QUICK = { firstMs: 5, mostMs: 50 };

/** What a client hears. */
function listen(path: string) {
  const identities: WorkloadIdentity[] = [];
  const problems: string[] = [];
  const api = new WorkloadApi(
    path,
    { onIdentity: (identity) => void identities.push(identity), onProblem: (reason) => void problems.push(reason) },
    QUICK,
  );
  onTestFinished(() => api.close());
  return { identities, problems, api };
}

test('the identity comes, and every later one, over one call', async () => {
  await using agent = await SpiffeAgent.start(socketPath(), answer(CART));
  const { identities } = listen(agent.path);
  await expect.poll(() => identities.length).toBe(1);
  const [first] = identities[0]?.svids ?? [];
  expect(first).toMatchObject({ spiffeId: CART, hint: 'cart' });
  expect(new X509Certificate(first?.chainPem ?? '').subjectAltName).toBe(`URI:${CART}`);
  expect(new X509Certificate(first?.bundlePem ?? '').subject).toBe('CN=Shop');
  agent.give({ ...answer(CART, 'spiffe://shop.test/pay'), federated: { 'bank.test': bank } });
  await expect.poll(() => identities.length).toBe(2);
  expect(identities[1]?.svids.map(({ spiffeId }) => spiffeId)).toEqual([CART, 'spiffe://shop.test/pay']);
  expect([...(identities[1]?.federated.keys() ?? [])]).toEqual(['bank.test']);
  expect(agent.calls).toBe(1);
});

test('an agent that restarts is asked again', async () => {
  await using agent = await SpiffeAgent.start(socketPath(), answer(CART));
  const { identities, problems } = listen(agent.path);
  await expect.poll(() => identities.length).toBe(1);
  agent.stop();
  await expect.poll(() => problems.length).toBeGreaterThan(1);
  await agent.listen();
  await expect.poll(() => identities.length).toBe(2);
});

test('an agent that is not there yet is waited for', async () => {
  const path = socketPath();
  const { identities, problems } = listen(path);
  await expect.poll(() => problems[0]).toMatch(/ENOENT/);
  await using _ = await SpiffeAgent.start(path, answer(CART));
  await expect.poll(() => identities.length).toBe(1);
});

test('who is denied asks again, and says why there is nothing', async () => {
  await using agent = await SpiffeAgent.start(socketPath(), undefined);
  const { identities, problems } = listen(agent.path);
  await expect.poll(() => problems[0]).toBe('PERMISSION_DENIED: no identity issued');
  agent.give(answer(CART));
  await expect.poll(() => identities.length).toBe(1);
});

test('an empty answer gives nobody an identity', async () => {
  await using agent = await SpiffeAgent.start(socketPath(), { svids: [] });
  const { identities, problems } = listen(agent.path);
  await expect.poll(() => problems[0]).toBe('an answer without an identity');
  expect(identities).toEqual([]);
});

test('a socket on which something else speaks is a problem and no more', async () => {
  const path = socketPath();
  const server = createServer((socket) =>
    socket
      .on('error', () => {})
      .resume()
      .end('HTTP/1.1 400 Bad Request\r\n\r\n'),
  );
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const { problems, api } = listen(path);
  await expect.poll(() => problems.length).toBeGreaterThan(1);
  api.close();
  await new Promise<void>((resolve) => server.close(() => resolve()));
});

test('nothing is asked any more after the end', async () => {
  await using agent = await SpiffeAgent.start(socketPath(), undefined);
  const { problems, api } = listen(agent.path);
  await expect.poll(() => problems.length).toBeGreaterThan(0);
  api.close();
  const { calls } = agent;
  const heard = problems.length;
  const other = listen(agent.path);
  await expect.poll(() => other.problems.length).toBeGreaterThan(3);
  expect(problems.length).toBe(heard);
  expect(agent.calls).toBeGreaterThan(calls);
});

test.each([
  [Buffer.from([0x0a, 0x05, 0x01]), 'cut off'],
  [Buffer.from([0x0a, 0x04, 0x12, 0x02, 0x30, 0x7f]), 'ends too early'],
  [Buffer.from([0x0a, 0x04, 0x12, 0x02, 0x30, 0x00]), 'PEM'],
])('an answer of the bytes %j cannot be read', (bytes, problem) => {
  expect(() => readX509SvidResponse(bytes)).toThrow(problem);
});

/** A secret of an agent, in Envoy's words. */
const secret = (path: string, name: string): object => ({
  name,
  sds_config: {
    resource_api_version: 'V3',
    api_config_source: {
      api_type: 'GRPC',
      transport_api_version: 'V3',
      grpc_services: [{ google_grpc: { target_uri: `unix://${path}`, stat_prefix: 'agent' } }],
    },
  },
});

const fromAgent = (path: string, trust: string): object => ({
  tls_certificate_sds_secret_configs: [secret(path, 'default')],
  validation_context_sds_secret_config: secret(path, trust),
});

async function status(proxy: TestProxy, shown: { cert: string; key: string }): Promise<string> {
  try {
    const client = await tlsClient(proxy.port, shown);
    client.socket.on('error', () => {});
    client.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
    await client.untilClosed();
    const { text } = client;
    client.destroy();
    return text.substring(9, 12);
  } catch {
    return '';
  }
}

test('a listener has its certificate and its trust from the agent, and follows both', { timeout: 30_000 }, async () => {
  await using agent = await SpiffeAgent.start(socketPath(), answer(CART));
  const routes = '- match: { prefix: / }\n  direct_response: { status: 200 }';
  const socket = transportSocket('DownstreamTlsContext', { common_tls_context: fromAgent(agent.path, 'ALL') });
  await using proxy = await startTestProxy(inChain(httpConfig(1, { routes }), socket));
  const friend = svid(shop, 'spiffe://shop.test/friend');
  const teller = svid(bank, 'spiffe://bank.test/teller');
  await expect.poll(() => status(proxy, friend), { timeout: 20_000 }).toBe('200');
  expect(await status(proxy, teller)).toBe('');
  expect(agent.calls).toBe(1);
  agent.give({ ...answer('spiffe://shop.test/renamed'), federated: { 'bank.test': bank } });
  await expect.poll(() => status(proxy, teller), { timeout: 20_000 }).toBe('200');
  const client = await tlsClient(proxy.port, friend);
  expect(client.socket.getPeerX509Certificate()?.subjectAltName).toBe('URI:spiffe://shop.test/renamed');
  client.destroy();
  // Denied, it goes on with what it has.
  agent.give(undefined);
  await expect.poll(() => proxy.stat('sds.default.update_failure')).toBeGreaterThan(0);
  expect(await status(proxy, friend)).toBe('200');
  expect(proxy.stat('sds.default.update_success')).toBe(2);
});

test('a cluster shows servers who it is, and asks who they are', { timeout: 30_000 }, async () => {
  await using agent = await SpiffeAgent.start(socketPath(), answer(CART));
  let seen: string | undefined;
  const own = svid(shop, 'spiffe://shop.test/server');
  await using server = await tlsServer({ ...own, requestCert: true, rejectUnauthorized: false }, (socket) => {
    seen = socket.getPeerX509Certificate()?.subjectAltName;
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'));
  });
  const cluster = transportSocket('UpstreamTlsContext', { common_tls_context: fromAgent(agent.path, 'ROOTCA') });
  await using proxy = await startTestProxy(httpConfig(server.port, { cluster }));
  const ask = async () => (await fetch(`http://127.0.0.1:${proxy.port}/`)).status;
  await expect.poll(ask, { timeout: 20_000 }).toBe(200);
  expect(seen).toBe(`URI:${CART}`);
});
