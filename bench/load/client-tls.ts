import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createSecureContext, type SecureContext } from 'node:tls';
import type { Fixtures } from '../policies/fixtures.ts';
import type { TlsSide } from '../scenario.ts';

/** How a client of the benchmark speaks TLS; it can be handed to another process. */
export interface ClientTls {
  /** Folder of the fixtures. */
  readonly folder: string;
  /** The client shows its certificate. */
  readonly isMutual: boolean;
}

/** The name that the benchmark's servers go by. */
export const SERVER_NAME = 'server.bench';

export function clientTls(side: TlsSide | undefined, fixtures: Fixtures | undefined): ClientTls | undefined {
  if (side === undefined || fixtures === undefined) return undefined;
  return { folder: fixtures.folder, isMutual: side === 'mtls' };
}

/** What `tls.connect` takes, for all connections of a client. */
export function clientContext({ folder, isMutual }: ClientTls): SecureContext {
  const read = (file: string): Buffer => readFileSync(join(folder, file));
  return createSecureContext({
    ca: read('ca.pem'),
    minVersion: 'TLSv1.3',
    ...(isMutual && { cert: read('client/svid.pem'), key: read('client/svid-key.pem') }),
  });
}
