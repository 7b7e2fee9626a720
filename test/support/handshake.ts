import type { X509Certificate } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { createServer, connect as tlsConnect } from 'node:tls';
import { TestCa } from './pki.ts';

const server = new TestCa('Handshake server').issue({ names: ['DNS:server.test'] });

/** A client's certificate as a server sees it: linked to the chain that came along. */
export async function handshakeChain(client: {
  readonly cert: string;
  readonly key: string;
}): Promise<X509Certificate> {
  const listener = createServer({ ...server, requestCert: true, rejectUnauthorized: false });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const { port } = listener.address() as AddressInfo;
  try {
    return await new Promise<X509Certificate>((resolve, reject) => {
      listener.once('secureConnection', (socket) => {
        socket.on('error', () => {});
        const certificate = socket.getPeerX509Certificate();
        socket.destroy();
        if (certificate === undefined) reject(new Error('no certificate came'));
        else resolve(certificate);
      });
      const socket = tlsConnect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...client });
      socket.on('error', () => {});
      socket.once('close', () => socket.destroy());
    });
  } finally {
    await new Promise<void>((resolve) => listener.close(() => resolve()));
  }
}
