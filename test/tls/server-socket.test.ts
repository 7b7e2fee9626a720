import { once } from 'node:events';
import { type AddressInfo, connect as connectTcp, createServer, type Socket } from 'node:net';
import { type ConnectionOptions, connect, createSecureContext, type TLSSocket } from 'node:tls';
import { expect, test } from 'vitest';
import { alpnBytes, type ServerSettings, ServerSocket } from '../../src/tls/server-socket.ts';
import { verifyProblem } from '../../src/tls/tls-internals.ts';
import { TestPki } from '../support/tls.ts';

const pki = new TestPki();

function settings(more: Partial<ServerSettings> = {}): ServerSettings {
  const secureContext = createSecureContext({ ...pki.server, ca: pki.ca.cert });
  return { secureContext, requestCert: false, rejectUnauthorized: false, alpn: undefined, tickets: undefined, ...more };
}

interface Story extends AsyncDisposable {
  readonly port: number;
  /** Of the first connection, in order. */
  readonly events: string[];
  readonly socket: Promise<ServerSocket>;
}

async function serve(
  given: ServerSettings,
  prepare: (below: Socket) => Promise<void> = async () => {},
): Promise<Story> {
  const events: string[] = [];
  const accepted = Promise.withResolvers<ServerSocket>();
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (below) => {
    below.on('close', () => events.push('closed below'));
    void prepare(below).then(() => {
      const socket = ServerSocket.over(below, given) as ServerSocket;
      for (const event of ['secure', 'end', 'close']) socket.on(event, () => events.push(event));
      socket.on('error', (error: NodeJS.ErrnoException) => events.push(`error ${error.code}`));
      accepted.resolve(socket);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    events,
    socket: accepted.promise,
    async [Symbol.asyncDispose]() {
      (await accepted.promise).destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function client(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
  socket.on('error', () => {});
  await Promise.race([once(socket, 'secureConnect'), once(socket, 'close')]).catch(() => {});
  return socket;
}

test('a handshake tells protocol, name, cipher and certificates, as tls.TLSSocket does', async () => {
  await using story = await serve(settings({ requestCert: true, alpn: alpnBytes(['h2', 'http/1.1']) }));
  const peer = await client(story.port, { ...pki.client, servername: 'a.test', ALPNProtocols: ['http/1.1'] });
  const socket = await story.socket;
  await expect.poll(() => story.events).toEqual(['secure']);
  expect(socket.alpnProtocol).toBe('http/1.1');
  expect(socket.servername).toBe('a.test');
  expect(socket.getProtocol()).toBe('TLSv1.3');
  expect(socket.getCipher().name).toBe(peer.getCipher().name);
  expect(socket.isSessionReused()).toBe(false);
  expect(socket.getPeerX509Certificate()?.subject).toContain('CN=client');
  expect(socket.getX509Certificate()?.subject).toContain('CN=server');
  expect(socket.getSession()?.length).toBeGreaterThan(0);
  expect(verifyProblem(socket)).toBeUndefined();
  peer.destroy();
  await expect.poll(() => story.events).toContain('end');
  socket.destroy();
  await expect.poll(() => story.events.slice(-2)).toEqual(['closed below', 'close']);
  expect(socket.getPeerX509Certificate()).toBeUndefined();
  expect(socket.getSession()).toBeUndefined();
});

test('a chain that does not hold is told, and the handshake ends for whom it concerns to decide', async () => {
  await using story = await serve(settings({ requestCert: true, rejectUnauthorized: true }));
  const peer = await client(story.port, pki.rogue);
  await expect.poll(() => story.events).toEqual(['secure']);
  expect(verifyProblem(await story.socket)).toMatch(/^unable to verify the first certificate/);
  peer.destroy();
});

test('the reason comes before the end of the connection, and the peer gets an alert', async () => {
  await using story = await serve(settings({ requestCert: true, rejectUnauthorized: true }));
  const peer = connect({ port: story.port, host: '127.0.0.1', rejectUnauthorized: false });
  const [error] = (await once(peer, 'error').catch((reason) => [reason])) as [NodeJS.ErrnoException];
  expect(error.code).toMatch(/ALERT_CERTIFICATE_REQUIRED/);
  await expect.poll(() => story.events.at(-1)).toBe('close');
  expect(story.events).toEqual(['error ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE', 'closed below', 'close']);
});

test('what a listener filter has read goes into the handshake', async () => {
  await using story = await serve(settings(), async (below) => {
    below.resume();
    const [bytes] = (await once(below, 'data')) as [Buffer];
    below.pause();
    below.unshift(bytes);
  });
  const peer = await client(story.port);
  await expect.poll(() => story.events).toEqual(['secure']);
  peer.destroy();
});

test('a peer that goes away in the middle of the handshake has ended, or is an error of the system', async () => {
  await using story = await serve(settings());
  const peer = connectTcp(story.port, '127.0.0.1');
  await story.socket;
  peer.end();
  await expect.poll(() => story.events).toEqual(['end']);

  await using other = await serve(settings());
  const rude = connectTcp(other.port, '127.0.0.1').on('error', () => {});
  await other.socket;
  rude.resetAndDestroy();
  await expect.poll(() => other.events).toEqual(['error ECONNRESET', 'closed below', 'close']);
});

test('destroyed twice, or below, it closes once', async () => {
  await using story = await serve(settings());
  const peer = await client(story.port);
  const socket = await story.socket;
  await expect.poll(() => story.events).toEqual(['secure']);
  socket.destroy();
  socket.destroy(new Error('late'));
  await expect.poll(() => story.events).toEqual(['secure', 'closed below', 'close']);
  peer.destroy();
});

test('there is none on a socket that has closed', async () => {
  await using story = await serve(settings());
  const peer = connectTcp(story.port, '127.0.0.1');
  await story.socket;
  peer.destroy();
  await once(peer, 'close');
  expect(ServerSocket.over(peer, settings())).toBeUndefined();
});

test('names of protocols stand behind their lengths', () => {
  expect(alpnBytes([])).toBeUndefined();
  expect(alpnBytes(['h2', 'http/1.1'])).toEqual(Buffer.from('\x02h2\x08http/1.1', 'latin1'));
});
