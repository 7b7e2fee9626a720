import { X509Certificate } from 'node:crypto';
import { type AddressInfo, createServer } from 'node:net';
import { createSecureContext, type SecureContext, type SecureContextOptions, TLSSocket } from 'node:tls';
import { describe, expect, test } from 'vitest';
import { contextAddress, type OpenSsl, openSsl } from '../../src/tls/openssl.ts';
import { verifyProblem } from '../../src/tls/tls-internals.ts';
import { tuneContext } from '../../src/tls/tuned-context.ts';
import { VerifiedChains } from '../../src/tls/verified-chains.ts';
import { type Issued, TestCa } from '../support/pki.ts';
import { TestPki, tlsClient } from '../support/tls.ts';

const pki = new TestPki();
const ssl = openSsl() as OpenSsl;

test('OpenSSL can be reached in the Node of this repository', () => {
  expect(openSsl()).toBeDefined();
});

/** A server on a context, which asks for certificates and takes whatever comes. */
async function listen(
  secureContext: SecureContext,
  onSecure: (socket: TLSSocket) => void,
): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createServer((below) => {
    const socket = new TLSSocket(below, {
      isServer: true,
      secureContext,
      requestCert: true,
      rejectUnauthorized: false,
    });
    socket.on('error', () => {});
    socket.once('secure', () => {
      onSecure(socket);
      socket.end('done');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { port, [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())) };
}

interface Seen {
  /** What OpenSSL holds against the client's chain. */
  readonly problem: string | undefined;
  /** The name in the certificate that was kept for the connection; undefined when none was. */
  readonly kept: string | undefined;
  /** The name that OpenSSL tells. */
  readonly told: string | undefined;
}

/** A server that counts how often OpenSSL verifies a chain, by a clock of its own. */
class Story {
  verifications = 0;
  nowMs = Date.now();
  readonly seen: Seen[] = [];
  readonly chains = new VerifiedChains(
    {
      ...ssl,
      X509_verify_cert: ((store: bigint) => {
        this.verifications++;
        return ssl.X509_verify_cert(store);
      }) as OpenSsl['X509_verify_cert'],
    },
    () => this.nowMs,
  );

  /** A context that believes `ca`. */
  context(ca: string | string[], more: SecureContextOptions = {}) {
    const context = createSecureContext({ ...pki.server, ca, allowPartialTrustChain: true, ...more });
    this.chains.install(contextAddress(ssl, context) as bigint, context);
    return context;
  }

  async serve(ca: string | string[], more: SecureContextOptions = {}) {
    return listen(this.context(ca, more), (socket) => {
      const kept = this.chains.take(socket);
      const told = socket.getPeerX509Certificate();
      if (kept !== undefined) kept.certificate ??= told;
      this.seen.push({
        problem: verifyProblem(socket),
        kept: nameOf(kept?.certificate),
        told: nameOf(told),
      });
    });
  }
}

function nameOf(certificate: X509Certificate | undefined): string | undefined {
  return /CN=(.*)/.exec(certificate?.subject ?? '')?.[1];
}

async function visit(port: number, identity: Issued, more: object = {}): Promise<void> {
  const client = await tlsClient(port, { ...identity, ...more });
  await new Promise((resolve) => client.socket.once('close', resolve).resume());
}

const GOOD = { problem: undefined, kept: 'client', told: 'client' };

describe('a chain that was good', () => {
  test('is not verified again when the client comes again', async () => {
    const story = new Story();
    await using server = await story.serve(pki.ca.cert);
    for (let i = 0; i < 3; i++) await visit(server.port, pki.client);
    expect(story.seen).toEqual([GOOD, GOOD, GOOD]);
    expect(story.verifications).toBe(1);
  });

  test('is verified again a minute later, and when the clock went back', async () => {
    const story = new Story();
    await using server = await story.serve(pki.ca.cert);
    await visit(server.port, pki.client);
    story.nowMs += 59_000;
    await visit(server.port, pki.client);
    expect(story.verifications).toBe(1);
    story.nowMs += 2000;
    await visit(server.port, pki.client);
    expect(story.verifications).toBe(2);
    story.nowMs -= 1000;
    await visit(server.port, pki.client);
    expect(story.verifications).toBe(3);
  });

  test('is verified again once one of its certificates has expired, the authority’s too', async () => {
    const soon = new Date(Date.now() + 30_000);
    const brief = new TestCa('Brief CA', undefined, { notAfter: soon });
    for (const [ca, identity] of [
      [pki.ca, pki.ca.issue({ commonName: 'client', notAfter: soon })],
      [brief, brief.issue({ commonName: 'client' })],
    ] as const) {
      const story = new Story();
      await using server = await story.serve(ca.cert);
      await visit(server.port, identity);
      story.nowMs += 31_000;
      await visit(server.port, identity);
      expect(story.verifications).toBe(2);
    }
  });

  test('is none for a context that believes another authority', async () => {
    const story = new Story();
    await using server = await story.serve(pki.ca.cert);
    await using other = await story.serve(pki.otherCa.cert);
    await visit(server.port, pki.client);
    await visit(other.port, pki.client);
    await visit(other.port, pki.client);
    expect(story.verifications).toBe(3);
    expect(story.seen.map(({ problem }) => problem === undefined)).toEqual([true, false, false]);
    expect(story.seen[1]).toMatchObject({ kept: undefined, told: 'client' });
  });
});

test('a chain that is not good is verified each time, and never kept', async () => {
  const story = new Story();
  await using server = await story.serve(pki.ca.cert);
  for (const identity of [pki.rogue, pki.rogue, pki.expired, pki.expired]) await visit(server.port, identity);
  expect(story.verifications).toBe(4);
  expect(story.seen.map(({ problem }) => problem)).toEqual([
    'unable to get local issuer certificate',
    'unable to get local issuer certificate',
    'certificate has expired',
    'certificate has expired',
  ]);
  expect(story.seen.every(({ kept }) => kept === undefined)).toBe(true);
});

test('the same certificate with other authorities sent along is another chain', async () => {
  const between = new TestCa('Between', pki.ca);
  const leaf = between.issue({ commonName: 'client' });
  const story = new Story();
  await using server = await story.serve(pki.ca.cert);
  await visit(server.port, { ...leaf, cert: leaf.cert + between.cert });
  await visit(server.port, leaf);
  expect(story.verifications).toBe(2);
  expect(story.seen.map(({ problem }) => problem)).toEqual([undefined, 'unable to get local issuer certificate']);
});

test('a chain of many certificates is verified each time', async () => {
  const extra = Array.from({ length: 9 }, (_, i) => new TestCa(`Extra ${i}`).cert).join('');
  const story = new Story();
  await using server = await story.serve(pki.ca.cert);
  for (let i = 0; i < 2; i++) await visit(server.port, { ...pki.client, cert: pki.client.cert + extra });
  expect(story.verifications).toBe(2);
  expect(story.seen[1]).toEqual({ ...GOOD, kept: undefined });
});

test('each of many clients at once gets its own certificate', async () => {
  const identities = Array.from({ length: 12 }, (_, i) => pki.ca.issue({ commonName: `client-${i}` }));
  const story = new Story();
  await using server = await story.serve(pki.ca.cert);
  for (let round = 0; round < 2; round++) {
    await Promise.all(identities.map((identity) => visit(server.port, identity)));
  }
  expect(story.verifications).toBe(identities.length);
  expect(story.seen).toHaveLength(24);
  for (const { kept, told } of story.seen) expect(kept).toBe(told);
});

test('a client without a certificate gets nobody’s', async () => {
  const story = new Story();
  await using server = await story.serve(pki.ca.cert);
  await visit(server.port, pki.client);
  const client = await tlsClient(server.port);
  await new Promise((resolve) => client.socket.once('close', resolve).resume());
  expect(story.seen[1]).toMatchObject({ kept: undefined, told: undefined });
});

test('in TLS 1.2 chains are remembered too; certificates come from OpenSSL', async () => {
  const story = new Story();
  await using server = await story.serve(pki.ca.cert, { maxVersion: 'TLSv1.2' });
  for (let i = 0; i < 2; i++) await visit(server.port, pki.client);
  expect(story.verifications).toBe(1);
  expect(story.seen[1]).toEqual({ ...GOOD, kept: undefined });
});

test('an error of ours refuses the peer', async () => {
  const story = new Story();
  const broken = new VerifiedChains({
    ...ssl,
    X509_STORE_CTX_get0_cert: (() => {
      throw new Error('broken');
    }) as unknown as OpenSsl['X509_STORE_CTX_get0_cert'],
  });
  const secureContext = createSecureContext({ ...pki.server, ca: pki.ca.cert });
  broken.install(contextAddress(ssl, secureContext) as bigint, secureContext);
  await using server = await listen(secureContext, () => void story.seen.push(GOOD));
  const client = await tlsClient(server.port, pki.client).catch(() => undefined);
  if (client !== undefined) await new Promise((resolve) => client.socket.once('close', resolve).on('error', resolve));
  expect(story.seen).toEqual([]);
});

test('a context sends the certificates that are configured, and no authorities besides', async () => {
  const between = new TestCa('Between', pki.ca);
  const leaf = between.issue({ commonName: 'server' });
  const shown = async (cert: string): Promise<string[]> => {
    const secureContext = createSecureContext({ cert, key: leaf.key, ca: [pki.ca.cert, between.cert] });
    tuneContext(secureContext, false);
    await using server = await listen(secureContext, () => {});
    const { socket } = await tlsClient(server.port);
    const names = chainOf(socket);
    socket.destroy();
    return names;
  };
  expect(await shown(leaf.cert)).toEqual(['server']);
  expect(await shown(leaf.cert + between.cert)).toEqual(['server', 'Between']);
});

function chainOf(socket: TLSSocket): string[] {
  const names: string[] = [];
  for (let at = socket.getPeerX509Certificate(); at !== undefined; at = at.issuerCertificate) {
    names.push(nameOf(at) ?? '');
  }
  return names;
}

test('certificates of one chain are one object, read once', async () => {
  const story = new Story();
  const objects = new Set<X509Certificate | undefined>();
  const secureContext = story.context(pki.ca.cert);
  await using server = await listen(secureContext, (socket) => {
    const chain = story.chains.take(socket);
    if (chain !== undefined) chain.certificate ??= socket.getPeerX509Certificate();
    objects.add(chain?.certificate);
  });
  for (let i = 0; i < 3; i++) await visit(server.port, pki.client);
  expect([...objects].map((one) => one?.fingerprint256)).toEqual([new X509Certificate(pki.client.cert).fingerprint256]);
});
