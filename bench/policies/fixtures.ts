import { generateKeyPairSync, sign } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { runToEnd } from '../run/children.ts';
import type { Scenario } from '../scenario.ts';

export const TRUST_DOMAIN = 'bench.local';
/** As long as a benchmark may take. */
const LIFETIME_S = 24 * 3600;

/** What policies are measured with: identities and a token, made anew for each benchmark. */
export interface Fixtures {
  /** What `outrigger certs` makes: `ca.pem`, and `svid.pem` with `svid-key.pem` (ECDSA P-256) in `client` and `server`. */
  readonly folder: string;
  /** A key set (RFC 7517) with one RSA key of 2048 bits. */
  readonly jwks: string;
  /** A token of RS256 that the key set verifies. */
  readonly token: string;
}

/** Makes what the scenarios need; undefined when they need nothing. */
export async function makeFixtures(
  root: string,
  folder: string,
  scenarios: readonly Scenario[],
): Promise<Fixtures | undefined> {
  if (!scenarios.some(({ tls, policies }) => tls !== undefined || policies !== undefined)) return undefined;
  if (scenarios.some(({ tls }) => tls !== undefined)) await makeCertificates(root, folder);
  return { folder, ...makeToken() };
}

async function makeCertificates(root: string, folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const certs = (...args: string[]): Promise<string> =>
    runToEnd({ command: join(root, 'bin', 'outrigger'), args: ['certs', ...args] }, []);
  await certs('ca', '--trust-domain', TRUST_DOMAIN, '--out', folder);
  for (const name of ['server', 'client']) {
    const id = `spiffe://${TRUST_DOMAIN}/${name}`;
    const out = join(folder, name);
    await certs('svid', '--ca', folder, '--spiffe-id', id, '--dns', `${name}.bench`, '--out', out);
  }
}

function makeToken(): { jwks: string; token: string } {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: 'https://issuer.bench',
    aud: 'bench',
    sub: 'bench',
    iat: now,
    exp: now + LIFETIME_S,
    roles: ['reader'],
  };
  const text = `${encode({ alg: 'RS256', kid: 'bench', typ: 'JWT' })}.${encode(claims)}`;
  const signature = sign('sha256', Buffer.from(text), privateKey).toString('base64url');
  const key = { ...publicKey.export({ format: 'jwk' }), kid: 'bench', alg: 'RS256', use: 'sig' };
  return { jwks: JSON.stringify({ keys: [key] }), token: `${text}.${signature}` };
}

function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}
