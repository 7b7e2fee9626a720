import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findEnvoy, NO_ENVOY } from '../../support/envoy.ts';
import { JwksServer, jwksOf, makeKey, type TestKey } from '../../support/jwt.ts';
import { type ProxyName, ProxyProcess, unusedPort } from '../../support/proxy-process.ts';
import { ask, echo, eventually, startApp } from '../../support/story.ts';
import { type JwtCase, makeCases } from './cases.ts';
import { configuration } from './configuration.ts';

/** What became of a request: the answer, what the app saw, and the log line. */
interface Observation {
  readonly status: number;
  readonly body: string;
  readonly challenge: string | undefined;
  readonly contentType: string | undefined;
  readonly grpc: unknown;
  readonly path: string | undefined;
  readonly headers: unknown;
  readonly log: unknown;
}

interface Observed {
  readonly cases: ReadonlyMap<string, Observation>;
  readonly stats: Readonly<Record<string, number>>;
}

const NOISE = /^(host|connection|x-request-id|x-forwarded-proto|x-envoy-expected-rq-timeout-ms|x-case|content-length)$/;

const envoyProgram = process.env.OUTRIGGER_INTEROP === '1' ? findEnvoy() : undefined;
let cases: JwtCase[] = [];
let envoy: Observed;
let outrigger: Observed;
const stack = new AsyncDisposableStack();

beforeAll(async () => {
  if (envoyProgram === undefined) return;
  const [rsa, ec, ed, hmac, pss, ec384, ec512] = await Promise.all(
    ['RS256', 'ES256', 'EdDSA', 'HS256', 'PS256', 'ES384', 'ES512'].map((alg) => makeKey(alg)),
  );
  const keys = { rsa, ec, ed, hmac, pss, ec384, ec512 } as Record<string, TestKey>;
  cases = await makeCases(keys as unknown as Parameters<typeof makeCases>[0]);
  const free = (key: TestKey, kid: string): TestKey => ({ ...key, jwk: { ...key.jwk, kid, alg: undefined } });
  const jwks = jwksOf(...Object.values(keys), free(ec as TestKey, 'free'), free(ed as TestKey, 'ed-free'));
  const app = stack.use(await startApp(echo()));
  const keyServer = stack.use(await JwksServer.start(jwks));
  const badServer = stack.use(await JwksServer.start());
  badServer.answer = (response) => void response.writeHead(503).end();
  const ports = { app: app.port, keys: keyServer.port, badKeys: badServer.port, nobody: await unusedPort() };
  const text = configuration(jwks, ports);
  [envoy, outrigger] = await Promise.all([observe('envoy', text), observe('outrigger', text)]);
}, 120_000);
afterAll(() => stack.disposeAsync());

async function observe(name: ProxyName, text: string): Promise<Observed> {
  await using proxy = await ProxyProcess.start(name, text);
  const observations = new Map<string, Omit<Observation, 'log'>>();
  for (const [index, { name: title, path, headers = {}, method = 'GET' }] of cases.entries()) {
    const { port } = proxy;
    const all = { ...headers, host: 'jwt.test', 'x-case': String(index) };
    const answer = await ask(port, { path, method, headers: all });
    observations.set(title, { ...withoutEcho(answer.status, answer.body), ...challengeOf(answer.headers) });
  }
  const stats = await statsOf(proxy);
  await eventually('every log line is written', () => readLog(proxy).size === cases.length, 30_000);
  const lines = readLog(proxy);
  const entries = [...observations].map(([title, observation], index): [string, Observation] => [
    title,
    { ...observation, log: lines.get(String(index)) },
  ]);
  return { cases: new Map(entries), stats };
}

function challengeOf(headers: Record<string, unknown>) {
  return {
    challenge: headers['www-authenticate'] as string | undefined,
    contentType: headers['content-type'] as string | undefined,
    grpc: [headers['grpc-status'], headers['grpc-message']],
  };
}

function withoutEcho(status: number, body: string) {
  if (!body.startsWith('{')) return { status, body, path: undefined, headers: undefined };
  const seen = JSON.parse(body) as { path: string; headers: Record<string, string> };
  const headers = Object.entries(seen.headers).filter(([name]) => !NOISE.test(name));
  return { status, body: '', path: seen.path, headers: Object.fromEntries(headers) };
}

async function statsOf(proxy: ProxyProcess): Promise<Record<string, number>> {
  return Object.fromEntries([...(await proxy.stats())].filter(([name]) => name.includes('jwt_authn')));
}

function readLog(proxy: ProxyProcess): Map<string, unknown> {
  let text = '';
  try {
    text = readFileSync(join(proxy.folder, 'access.log'), 'utf8');
  } catch {
    // Not written yet.
  }
  const lines = text.split('\n').filter((line) => line.endsWith('}'));
  return new Map(
    lines.map((line) => {
      const { id, ...rest } = JSON.parse(line) as { id: string };
      return [id, rest];
    }),
  );
}

describe('tokens in Envoy and in Outrigger', () => {
  test('the same verdict, answer, forwarded request and log line', (context) => {
    if (envoyProgram === undefined) context.skip(NO_ENVOY);
    const same = cases.filter(({ differs }) => differs === undefined).map(({ name }) => name);
    expect(same.length).toBeGreaterThan(120);
    const pick = (observed: Observed) => Object.fromEntries(same.map((name) => [name, observed.cases.get(name)]));
    expect(pick(outrigger)).toEqual(pick(envoy));
  });

  test('what the list of differences says is different, and the rest of it is not', (context) => {
    if (envoyProgram === undefined) context.skip(NO_ENVOY);
    const docs = readFileSync(join(import.meta.dirname, '../../../docs/differences-from-envoy.md'), 'utf8');
    for (const { name, differs } of cases) {
      if (differs === undefined) continue;
      expect(docs, `${name}: documented`).toContain(`\`${differs}\``);
      expect(outrigger.cases.get(name), `${name}: still different`).not.toEqual(envoy.cases.get(name));
    }
  });

  test('the same statistics by name', (context) => {
    if (envoyProgram === undefined) context.skip(NO_ENVOY);
    expect(Object.keys(outrigger.stats).sort()).toEqual(Object.keys(envoy.stats).sort());
    expect(outrigger.stats['http.test.jwt_authn.own.cors_preflight_bypassed']).toBe(1);
  });
});
