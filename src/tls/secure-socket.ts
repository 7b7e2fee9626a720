import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';

/** What handshakes and connections need of a TLS socket: Node's, or `ServerSocket`, which is that and nothing more. */
export interface SecureSocket
  extends Pick<
    TLSSocket,
    'alpnProtocol' | 'destroyed' | 'getCipher' | 'getEphemeralKeyInfo' | 'getFinished' | 'getProtocol' | 'getSession'
  > {
  isSessionReused(): boolean;
  getX509Certificate(): X509Certificate | undefined;
  getPeerX509Certificate(): X509Certificate | undefined;
  /** What came before somebody reads from the handle. */
  read(): Buffer | null;
  destroy(error?: Error): unknown;
  on(event: SecureSocketEvent, listener: (error: Error) => void): unknown;
  once(event: SecureSocketEvent, listener: (error: Error) => void): unknown;
  off(event: SecureSocketEvent, listener: (error: Error) => void): unknown;
}

type SecureSocketEvent = 'secure' | 'secureConnect' | 'error' | 'end' | 'close' | '_tlsError';
