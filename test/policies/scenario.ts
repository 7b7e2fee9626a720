import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ConnectionOptions } from 'node:tls';
import { applyPolicies } from '../../policies/apply.ts';
import { parsePolicies } from '../../policies/file.ts';
import type { Canonical, Side } from '../../policies/policy.ts';
import { expandSidecar } from '../../src/config/sidecar/index.ts';
import { ask } from '../support/story.ts';
import { TestPki, tlsClient } from '../support/tls.ts';

/** A proxy that runs a configuration: ours in this process, or the real Envoy. */
export interface Running extends AsyncDisposable {
  readonly port: number;
  /** Writes down what waits for log files. */
  flush(): Promise<void>;
}

export type Start = (bootstrap: Canonical) => Promise<Running>;

/** A policy at work: the same for every proxy. */
export interface PolicyScenario {
  readonly kind: string;
  readonly name: string;
  readonly act: (start: Start) => Promise<void>;
}

const HEAD = 'apiVersion: outrigger.dev/v1\n';

/** A policy as YAML: `spec` is indented from column 0. */
export function policy(kind: string, spec: object, name = 'test'): string {
  return `${HEAD}kind: ${kind}\nmetadata: { name: ${name} }\nspec: ${JSON.stringify(spec)}\n---\n`;
}

/** The configuration of a proxy before one or more apps, with policies. */
export function withPolicies(text: string, apps: readonly number[], side?: Side, more: object = {}): Canonical {
  const app = apps.map((port) => `127.0.0.1:${port}`);
  const base = expandSidecar({ listen: '127.0.0.1:0', app, ...more });
  return applyPolicies(base, parsePolicies('test.yaml', text), { side }).bootstrap;
}

export async function status(
  port: number,
  path = '/',
  headers: Record<string, string> = {},
  method = 'GET',
): Promise<number> {
  return (await ask(port, { path, headers, method })).status;
}

export class Issuer {
  readonly jwks: string;
  private readonly key: KeyObject;

  constructor() {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    this.key = privateKey;
    this.jwks = JSON.stringify({
      keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k1', alg: 'ES256', use: 'sig' }],
    });
  }

  token(claims: object): string {
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const now = Math.floor(Date.now() / 1000);
    const text = `${part({ alg: 'ES256', kid: 'k1', typ: 'JWT' })}.${part({ iss: 'https://issuer.test', exp: now + 600, ...claims })}`;
    const signature = sign('sha256', Buffer.from(text), { key: this.key, dsaEncoding: 'ieee-p1363' });
    return `${text}.${signature.toString('base64url')}`;
  }
}

export const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });

/** Certificates of the mesh's workloads as files, as a secret volume has them. */
export class Identities implements Disposable {
  readonly pki = new TestPki();
  private readonly dir = mkdtempSync(join(tmpdir(), 'outrigger-identities-'));

  /** What a PeerAuthentication says of a workload. */
  spec(who: 'server' | 'client'): { certificate: { chain: string; key: string }; trustedCa: string } {
    const write = (name: string, text: string): string => {
      const file = join(this.dir, name);
      writeFileSync(file, text);
      return file;
    };
    const { cert, key } = this.pki[who];
    return {
      certificate: { chain: write(`${who}.pem`, cert), key: write(`${who}.key`, key) },
      trustedCa: write('ca.pem', this.pki.ca.cert),
    };
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** One request over TLS; the status line, or why there is none. */
export async function overTls(port: number, options: ConnectionOptions): Promise<string> {
  try {
    const client = await tlsClient(port, options);
    client.socket.write('GET / HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n');
    await client.untilClosed();
    return client.text.split('\r\n')[0] || 'refused';
  } catch {
    return 'refused';
  }
}
