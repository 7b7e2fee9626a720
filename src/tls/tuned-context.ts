import type { SecureContext } from 'node:tls';
import { contextAddress, type OpenSsl, openSsl } from './openssl.ts';
import { SessionTickets } from './session-tickets.ts';
import { VerifiedChains } from './verified-chains.ts';

const SSL_CTRL_MODE = 33;
const SSL_MODE_NO_AUTO_CHAIN = 8n;

let chains: VerifiedChains | undefined;

/** Which peers' chains this thread has verified; undefined where OpenSSL cannot be reached. */
export function verifiedChains(): VerifiedChains | undefined {
  return chains;
}

/**
 * Sets what Node has no API for, where OpenSSL can be reached:
 *
 * - One session ticket per handshake, or none (`SessionTickets`). A client that resumes gets another.
 * - The certificates that are sent are those that are configured, as Envoy has it. Else OpenSSL completes them from the
 *   authorities: it builds and verifies the own chain in each handshake, which is 8 % of it.
 * - The chain of a peer that comes again is not verified again (`VerifiedChains`), where no lists of revoked certificates
 *   are asked.
 *
 * @returns who decides about a server's tickets; undefined where OpenSSL cannot be reached.
 */
export function tuneContext(context: SecureContext, hasRevocationLists: boolean): SessionTickets | undefined {
  const ssl = openSsl();
  const address = ssl === undefined ? undefined : contextAddress(ssl, context);
  if (ssl === undefined || address === undefined) return undefined;
  const tickets = new SessionTickets(ssl, context, address);
  ssl.SSL_CTX_ctrl(address, SSL_CTRL_MODE, SSL_MODE_NO_AUTO_CHAIN, 0n);
  if (!hasRevocationLists) {
    chains ??= createChains(ssl);
    chains?.install(address, context);
  }
  return tickets;
}

function createChains(ssl: OpenSsl): VerifiedChains | undefined {
  try {
    return new VerifiedChains(ssl);
  } catch {
    // No callbacks in this Node: OpenSSL verifies each time.
    return undefined;
  }
}
