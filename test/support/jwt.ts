import { createHmac } from 'node:crypto';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose';

/** Keys and tokens of tests, made by jose: an implementation that is not the one under test. */

export interface TestKey {
  readonly alg: string;
  readonly kid: string;
  readonly privateKey: CryptoKey | Uint8Array;
  /** The public part as a JWKS has it; for HMAC the secret. */
  readonly jwk: Readonly<Record<string, unknown>>;
}

export async function makeKey(alg: string, kid: string = alg): Promise<TestKey> {
  if (alg.startsWith('HS')) {
    const secret = crypto.getRandomValues(new Uint8Array(Number(alg.slice(2)) / 8));
    const k = Buffer.from(secret).toString('base64url');
    return { alg, kid, privateKey: secret, jwk: { kty: 'oct', kid, alg, k } };
  }
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { alg, kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg } };
}

export function jwksOf(...keys: readonly TestKey[]): string {
  return JSON.stringify({ keys: keys.map(({ jwk }) => jwk) });
}

export function nowSeconds(): number {
  return Math.floor(Date.now() / 1000);
}

/** A token with these claims; it lives for an hour unless they say otherwise. */
export function sign(key: TestKey, claims: JWTPayload = {}, header: Record<string, unknown> = {}): Promise<string> {
  return new SignJWT({ exp: nowSeconds() + 3600, ...claims })
    .setProtectedHeader({ alg: key.alg, kid: key.kid, ...header })
    .sign(key.privateKey);
}

/** A part of a token: JSON of a value, or a text as it is. */
export function part(value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
}

/** A token of any header and payload, well formed or not, with a right signature. */
export function signHmac(key: TestKey, header: unknown, payload: unknown): string {
  const signed = `${part(header)}.${part(payload)}`;
  const hash = `sha${key.alg.slice(2)}`;
  return `${signed}.${createHmac(hash, key.privateKey as Uint8Array)
    .update(signed)
    .digest('base64url')}`;
}

/** A server of key sets, which answers as it is told. */
export class JwksServer implements AsyncDisposable {
  readonly #server: Server;
  /** Paths of the requests so far. */
  readonly requests: string[] = [];
  /** How it answers; at first with a set of no keys. */
  answer: (response: ServerResponse) => void = (response) => response.end('{"keys":[]}');
  #held: (() => void)[] | undefined;

  private constructor() {
    this.#server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
      this.requests.push(`${request.headers.host}${request.url}`);
      const answer = (): void => this.answer(response);
      if (this.#held === undefined) answer();
      else this.#held.push(answer);
    });
  }

  static async start(jwks?: string): Promise<JwksServer> {
    const server = new JwksServer();
    if (jwks !== undefined) server.serve(jwks);
    await new Promise<void>((done) => server.#server.listen(0, '127.0.0.1', done));
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Answers with this set from now on. */
  serve(jwks: string): void {
    this.answer = (response) => void response.setHeader('content-type', 'application/json').end(jwks);
  }

  /** Answers nothing until it is released. */
  hold(): void {
    this.#held = [];
  }

  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const answer of held) answer();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((done) => this.#server.close(() => done()));
  }
}
