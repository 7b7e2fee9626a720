import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ConnectionOptions } from 'node:tls';
import { expect } from 'vitest';
import { applyPolicies } from '../../policies/apply.ts';
import { parsePolicies } from '../../policies/file.ts';
import type { Canonical, Side } from '../../policies/policy.ts';
import { expandSidecar } from '../../src/config/sidecar/index.ts';
import { type App, ask, echo, echoed, startApp } from '../support/story.ts';
import { TestPki, tlsClient } from '../support/tls.ts';
import { startCollector, startRateLimitService } from './services.ts';

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
function policy(kind: string, spec: object, name = 'test'): string {
  return `${HEAD}kind: ${kind}\nmetadata: { name: ${name} }\nspec: ${JSON.stringify(spec)}\n---\n`;
}

/** The configuration of a proxy before one or more apps, with policies. */
function withPolicies(text: string, apps: readonly number[], side?: Side, more: object = {}): Canonical {
  const app = apps.map((port) => `127.0.0.1:${port}`);
  const base = expandSidecar({ listen: '127.0.0.1:0', app, ...more });
  return applyPolicies(base, parsePolicies('test.yaml', text), { side }).bootstrap;
}

async function status(port: number, path = '/', headers: Record<string, string> = {}, method = 'GET'): Promise<number> {
  return (await ask(port, { path, headers, method })).status;
}

class Issuer {
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

const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });

/** Certificates of the mesh's workloads as files, as a secret volume has them. */
class Identities implements Disposable {
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
async function overTls(port: number, options: ConnectionOptions): Promise<string> {
  try {
    const client = await tlsClient(port, options);
    client.socket.write('GET / HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n');
    await client.untilClosed();
    return client.text.split('\r\n')[0] || 'refused';
  } catch {
    return 'refused';
  }
}

export const SCENARIOS: readonly PolicyScenario[] = [
  {
    kind: 'RequestAuthentication',
    name: 'denies requests without a good token, and passes the claims of one on',
    async act(start) {
      await using app = await startApp(echo());
      const issuer = new Issuer();
      const rule = {
        issuer: 'https://issuer.test',
        audiences: ['shop'],
        jwks: issuer.jwks,
        outputClaimToHeaders: [{ header: 'x-user', claim: 'sub' }],
      };
      const text = policy('RequestAuthentication', { jwtRules: [rule], except: ['/healthz'] });
      await using proxy = await start(withPolicies(text, [app.port]));
      const good = issuer.token({ aud: 'shop', sub: 'ann' });
      expect(await status(proxy.port)).toBe(401);
      expect(await status(proxy.port, '/healthz')).toBe(200);
      expect(await status(proxy.port, '/', bearer(`${good.slice(0, -6)}AAAAAA`))).toBe(401);
      expect(await status(proxy.port, '/', bearer(issuer.token({ aud: 'shop', exp: 1_600_000_000 })))).toBe(401);
      expect(await status(proxy.port, '/', bearer(issuer.token({ aud: 'bank' })))).toBe(403);
      const answer = await ask(proxy.port, { headers: bearer(good) });
      expect(answer.status).toBe(200);
      expect(echoed(answer).headers).toMatchObject({ 'x-user': 'ann' });
      expect(echoed(answer).headers).not.toHaveProperty('authorization');
    },
  },
  {
    kind: 'RequestAuthentication',
    name: 'fetches keys where the policy says, and lets requests without a token pass where it need not be there',
    async act(start) {
      await using app = await startApp(echo());
      const issuer = new Issuer();
      await using keys = await startApp((_, response) => response.end(issuer.jwks));
      const rule = { issuer: 'https://issuer.test', jwksUri: `http://127.0.0.1:${keys.port}/keys` };
      const text = policy('RequestAuthentication', { jwtRules: [rule], required: false });
      await using proxy = await start(withPolicies(text, [app.port]));
      expect(await status(proxy.port)).toBe(200);
      expect(await status(proxy.port, '/', bearer(issuer.token({ sub: 'ann' })))).toBe(200);
      expect(await status(proxy.port, '/', bearer(new Issuer().token({ sub: 'ann' })))).toBe(401);
    },
  },
  {
    kind: 'Sidecar',
    name: 'lets the workload call what it sees, on any port, and nothing else',
    async act(start) {
      await using app = await startApp(echo());
      const text = policy('Sidecar', { egress: [{ hosts: ['reviews.shop.svc', '*.ratings.svc'] }] });
      await using proxy = await start(withPolicies(text, [app.port], 'sender'));
      const call = (host: string): Promise<number> => status(proxy.port, '/', { host });
      expect(await call('reviews.shop.svc')).toBe(200);
      expect(await call('Reviews.shop.svc:9080')).toBe(200);
      expect(await call('v1.ratings.svc')).toBe(200);
      expect(await call('v1.ratings.svc:9080')).toBe(200);
      expect(await call('bank.test')).toBe(403);
      expect(await call('reviews.shop.svc.evil.test')).toBe(403);
      expect(await call('ratings.svc')).toBe(403);
    },
  },
  {
    kind: 'AuthorizationPolicy',
    name: 'several policies are one: what one of them denies is denied, what one of them allows is allowed',
    async act(start) {
      await using app = await startApp(echo());
      const operation = (one: object): object => ({ rules: [{ to: [{ operation: one }] }] });
      const text =
        policy('AuthorizationPolicy', operation({ methods: ['GET'], paths: ['/items/*'] }), 'readers') +
        policy(
          'AuthorizationPolicy',
          { rules: [{ when: [{ key: 'request.headers[x-role]', values: ['staff'] }] }] },
          'staff',
        ) +
        policy(
          'AuthorizationPolicy',
          { action: 'DENY', ...operation({ paths: ['*/secret'], notMethods: ['HEAD'] }) },
          'secret',
        );
      await using proxy = await start(withPolicies(text, [app.port]));
      expect(await status(proxy.port, '/items/1')).toBe(200);
      expect(await status(proxy.port, '/items/1', {}, 'POST')).toBe(403);
      expect(await status(proxy.port, '/admin')).toBe(403);
      expect(await status(proxy.port, '/admin', { 'x-role': 'staff' })).toBe(200);
      expect(await status(proxy.port, '/items/secret')).toBe(403);
      expect(await status(proxy.port, '/items/secret', { 'x-role': 'staff' })).toBe(403);
      expect(await status(proxy.port, '/items/secret', { 'x-role': 'staff' }, 'HEAD')).toBe(200);
    },
  },
  {
    kind: 'AuthorizationPolicy',
    name: 'knows callers by the identity in their certificate',
    async act(start) {
      await using app = await startApp(echo());
      using identities = new Identities();
      const { pki } = identities;
      const allow = (principal: string): string =>
        policy('AuthorizationPolicy', { rules: [{ from: [{ source: { principals: [principal] } }] }] });
      const peers = policy('PeerAuthentication', identities.spec('server'));
      await using right = await start(withPolicies(peers + allow('test/cl*'), [app.port], 'receiver'));
      await using wrong = await start(withPolicies(peers + allow('test/other'), [app.port], 'receiver'));
      const client = { cert: pki.client.cert, key: pki.client.key };
      expect(await overTls(right.port, client)).toContain('200');
      expect(await overTls(wrong.port, client)).toContain('403');
    },
  },
  {
    kind: 'AuthorizationPolicy',
    name: 'reads the claims of the token that RequestAuthentication has verified',
    async act(start) {
      await using app = await startApp(echo());
      const issuer = new Issuer();
      const rules = [
        { when: [{ key: 'request.auth.claims[groups]', values: ['staff'] }] },
        { from: [{ source: { requestPrincipals: ['https://issuer.test/ann'] } }] },
      ];
      const text =
        policy('AuthorizationPolicy', { rules }) +
        policy('RequestAuthentication', { jwtRules: [{ issuer: 'https://issuer.test', jwks: issuer.jwks }] });
      await using proxy = await start(withPolicies(text, [app.port]));
      const as = (claims: object): Promise<number> => status(proxy.port, '/', bearer(issuer.token(claims)));
      expect(await as({ sub: 'bob', groups: ['guests', 'staff'] })).toBe(200);
      expect(await as({ sub: 'bob', groups: 'staff' })).toBe(200);
      expect(await as({ sub: 'ann' })).toBe(200);
      expect(await as({ sub: 'bob', groups: ['guests'] })).toBe(403);
    },
  },
  {
    kind: 'RateLimit',
    name: 'asks the service, which counts for the whole mesh',
    async act(start) {
      await using app = await startApp(echo());
      await using service = await startRateLimitService(3);
      const spec = {
        domain: 'shop',
        service: { address: `127.0.0.1:${service.port}`, timeout: '5s' },
        onFailure: 'DENY',
        limits: [{ by: { header: 'x-user' }, requests: 3, per: 'minute' }],
      };
      const bootstrap = withPolicies(policy('RateLimit', spec), [app.port]);
      await using one = await start(bootstrap);
      await using other = await start(bootstrap);
      const call = (port: number, user: string): Promise<number> => status(port, '/', { 'x-user': user });
      expect([await call(one.port, 'ann'), await call(other.port, 'ann'), await call(one.port, 'ann')]).toEqual([
        200, 200, 200,
      ]);
      expect(await call(other.port, 'ann')).toBe(429);
      expect(await call(one.port, 'bob')).toBe(200);
      expect(service.asked).toContain('shop x-user=ann');
    },
  },
  {
    kind: 'Tracing',
    name: 'gives the request to the app a trace, and the collector its span',
    async act(start) {
      await using app = await startApp(echo());
      await using collector = await startCollector();
      const otlp = { address: `127.0.0.1:${collector.port}`, protocol: 'HTTP' };
      const spec = { sampling: 100, service: 'shop-of-the-test', otlp, tags: { team: 'checkout' } };
      await using proxy = await start(withPolicies(policy('Tracing', spec), [app.port]));
      const answer = await ask(proxy.port);
      const [, trace] = /^00-([0-9a-f]{32})-[0-9a-f]{16}-01$/.exec(echoed(answer).headers.traceparent ?? '') ?? [];
      expect(trace).toBeDefined();
      await expect.poll(() => collector.received(), { timeout: 15_000 }).toContain('shop-of-the-test');
      expect(collector.received()).toContain('checkout');
      expect(collector.received()).toContain(Buffer.from(trace!, 'hex').toString('latin1'));
    },
  },
  {
    kind: 'AccessLog',
    name: 'writes a line for the requests that it is about, and none for others',
    async act(start) {
      await using app = await startApp((request, response) => {
        response.statusCode = request.url === '/broken' ? 500 : 200;
        response.end();
      });
      const dir = mkdtempSync(join(tmpdir(), 'outrigger-log-'));
      const file = join(dir, 'access.log');
      const to = { to: file, json: { path: '%REQ(:PATH)%', code: '%RESPONSE_CODE%' } };
      const text = policy('AccessLog', { to, when: { minStatus: 500 } });
      await using proxy = await start(withPolicies(text, [app.port]));
      await status(proxy.port, '/fine');
      await status(proxy.port, '/broken');
      const lines = async (): Promise<string> => {
        await proxy.flush();
        return existsSync(file) ? readFileSync(file, 'utf8') : '';
      };
      await expect.poll(lines, { timeout: 10_000 }).not.toBe('');
      expect(JSON.parse(await lines())).toEqual({ path: '/broken', code: 500 });
      rmSync(dir, { recursive: true });
    },
  },
  {
    kind: 'PeerAuthentication',
    name: 'STRICT takes certificates of the mesh, and neither plain text nor strangers',
    async act(start) {
      await using app = await startApp(echo());
      using identities = new Identities();
      const { client, rogue } = identities.pki;
      const text = policy('PeerAuthentication', { ...identities.spec('server'), peers: ['spiffe://test/client'] });
      await using proxy = await start(withPolicies(text, [app.port], 'receiver'));
      expect(await overTls(proxy.port, { cert: client.cert, key: client.key })).toContain('200');
      expect(await overTls(proxy.port, {})).toBe('refused');
      expect(await overTls(proxy.port, { cert: rogue.cert, key: rogue.key })).toBe('refused');
      expect(await overTls(proxy.port, { cert: identities.pki.server.cert, key: identities.pki.server.key })).toBe(
        'refused',
      );
      await expect(ask(proxy.port)).rejects.toThrow();
    },
  },
  {
    kind: 'PeerAuthentication',
    name: 'PERMISSIVE takes plain text beside TLS on the same port',
    async act(start) {
      await using app = await startApp(echo());
      using identities = new Identities();
      const { client, rogue } = identities.pki;
      const text = policy('PeerAuthentication', { mode: 'PERMISSIVE', ...identities.spec('server') });
      await using proxy = await start(withPolicies(text, [app.port], 'receiver'));
      expect(await status(proxy.port)).toBe(200);
      expect(await overTls(proxy.port, { cert: client.cert, key: client.key })).toContain('200');
      expect(await overTls(proxy.port, { cert: rogue.cert, key: rogue.key })).toBe('refused');
    },
  },
  {
    kind: 'PeerAuthentication',
    name: 'one policy makes both ends of a hop: the sender shows its certificate, and asks for that of the receiver',
    async act(start) {
      await using app = await startApp(echo());
      using identities = new Identities();
      const spec = (who: 'server' | 'client', peer: string): object => ({ ...identities.spec(who), peers: [peer] });
      const receive = policy('PeerAuthentication', spec('server', 'spiffe://test/client'));
      await using receiver = await start(withPolicies(receive, [app.port], 'receiver'));
      const send = (peer: string): Canonical =>
        withPolicies(policy('PeerAuthentication', spec('client', peer)), [receiver.port], 'sender');
      await using sender = await start(send('spiffe://test/server'));
      await using mistaken = await start(send('spiffe://test/somebody-else'));
      const answer = await ask(sender.port);
      expect(answer.status).toBe(200);
      expect(echoed(answer).headers['x-forwarded-client-cert']).toContain('URI=spiffe://test/client');
      expect(await status(mistaken.port)).toBe(503);
    },
  },
  {
    kind: 'RetryPolicy',
    name: 'tries a request again, so often and not oftener',
    async act(start) {
      let calls = 0;
      await using app = await startApp((request, response) => {
        calls++;
        response.statusCode = request.url === '/flaky' && calls === 3 ? 200 : 503;
        request.resume().on('end', () => response.end());
      });
      const text = policy('RetryPolicy', {
        attempts: 2,
        on: ['gateway-error'],
        backOff: { base: '1ms' },
        budget: { percent: 100 },
      });
      await using proxy = await start(withPolicies(text, [app.port], 'sender'));
      expect((await ask(proxy.port, { path: '/flaky', method: 'POST', body: 'kept' })).status).toBe(200);
      calls = 0;
      expect(await status(proxy.port, '/down')).toBe(503);
      expect(calls).toBe(3);
    },
  },
  {
    kind: 'CircuitBreaker',
    name: 'lets so many requests at a time to a cluster, and answers the others itself',
    async act(start) {
      const waiting: (() => void)[] = [];
      await using app = await startApp((_, response) => void waiting.push(() => response.end()));
      const text = policy('CircuitBreaker', { limits: { maxConnections: 1, maxPendingRequests: 1 } });
      await using proxy = await start(withPolicies(text, [app.port], 'receiver'));
      const served = (count: number): Promise<void> =>
        expect.poll(() => waiting.length, { timeout: 10_000 }).toBe(count);
      // One is served, one waits for its connection, and one is too many.
      const first = ask(proxy.port);
      await served(1);
      const others = [ask(proxy.port), ask(proxy.port)];
      const refused = await Promise.race(others);
      expect(refused.status).toBe(503);
      expect(refused.headers['x-envoy-overloaded']).toBe('true');
      waiting[0]!();
      await served(2);
      waiting[1]!();
      const answers = [first, ...others];
      const codes = (await Promise.all(answers)).map((answer) => answer.status);
      expect(codes.toSorted()).toEqual([200, 200, 503]);
    },
  },
  {
    kind: 'CircuitBreaker',
    name: 'leaves out an endpoint that keeps failing',
    async act(start) {
      const hits = { good: 0, bad: 0 };
      const count = (name: 'good' | 'bad', code: number): Promise<App> =>
        startApp((_, response) => {
          hits[name]++;
          response.statusCode = code;
          response.end();
        });
      await using good = await count('good', 200);
      await using bad = await count('bad', 500);
      const outlierDetection = { consecutive5xx: 3, baseEjectionTime: '60s', maxEjectionPercent: 50 };
      const text = policy('CircuitBreaker', { outlierDetection });
      await using proxy = await start(withPolicies(text, [good.port, bad.port], 'sender'));
      for (let tries = 0; hits.bad < 3 && tries < 100; tries++) await status(proxy.port);
      expect(hits.bad).toBe(3);
      const after = hits.good;
      for (let i = 0; i < 10; i++) expect(await status(proxy.port)).toBe(200);
      expect(hits).toEqual({ good: after + 10, bad: 3 });
    },
  },
];
