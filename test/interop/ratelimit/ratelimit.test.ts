import { expect, test } from 'vitest';
import { findEnvoy, NO_ENVOY } from '../../support/envoy.ts';
import { type ProxyName, ProxyProcess } from '../../support/proxy-process.ts';
import { type Answer, ask, startApp } from '../../support/story.ts';
import { configuration, LISTENERS, ROUTES } from './configuration.ts';
import { RecordingService } from './recording-service.ts';

interface Sent {
  readonly listener: string;
  readonly path: string;
  readonly headers?: Record<string, string | string[]>;
}

const everyRoute = (listener: string, headers: Sent['headers'] = {}): Sent[] =>
  [...ROUTES.map(({ path }) => path), '/direct', '/nowhere'].map((path) => ({ listener, path, headers }));

const GRPC = { 'content-type': 'application/grpc' };
const SENT: readonly Sent[] = [
  ...everyRoute('plain'),
  ...everyRoute('plain', { 'x-a': 'one', 'x-b': 'two', 'x-plan': 'gold', 'x-tokens': '7', 'x-hits': '3' }),
  { listener: 'plain', path: '/own-format', headers: { 'x-tokens': '2.5', 'x-hits': 'many' } },
  { listener: 'plain', path: '/own-format', headers: { 'x-tokens': '-2', 'x-hits': '99999999999' } },
  { listener: 'plain', path: '/own-format', headers: { 'x-tokens': '0', 'x-hits': '1000000001' } },
  { listener: 'plain', path: '/own-format', headers: { 'x-tokens': 'x', 'x-hits': '007' } },
  { listener: 'plain', path: '/headers', headers: { 'x-a': '', 'x-b': '' } },
  { listener: 'plain', path: '/headers', headers: { 'x-a': 'caf\u00c3\u00a9' } },
  { listener: 'plain', path: '/query?q=1&r=a%20b' },
  { listener: 'plain', path: '/query?r=2' },
  { listener: 'plain', path: '/query?q=&q=2' },
  { listener: 'plain', path: '/querymatch?q=1' },
  { listener: 'plain', path: '/remote', headers: { 'x-forwarded-for': '10.200.3.4' } },
  { listener: 'plain', path: '/masked', headers: { 'x-forwarded-for': '10.200.3.4' } },
  { listener: 'plain', path: '/masked', headers: { 'x-forwarded-for': '2001:db8:1234:5678::1' } },
  { listener: 'plain', path: '/format', headers: { 'x-tokens': '2.5', 'x-hits': 'many' } },
  ...everyRoute('closed'),
  ...everyRoute('shown'),
  ...everyRoute('stage1'),
  ...everyRoute('odd'),
  ...everyRoute('lenient'),
  ...everyRoute('own', { 'x-a': 'over' }),
  ...['/over', '/over-more', '/broken'].map((path) => ({ listener: 'closed', path, headers: GRPC })),
  ...['/over', '/over-more', '/broken'].map((path) => ({ listener: 'plain', path, headers: GRPC })),
  { listener: 'internal', path: '/generic' },
  { listener: 'internal', path: '/generic', headers: { 'x-envoy-internal': 'true' } },
  { listener: 'internal', path: '/generic', headers: { 'x-forwarded-for': '10.0.0.1' } },
];

/** What a client saw, and what the service was asked about its request. */
interface Outcome {
  readonly asked: unknown;
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly body: string;
  readonly quota: unknown;
  readonly log: string;
}

const COMPARED = /^(x-ratelimit|x-envoy-ratelimited|x-told|x-limited|content-type|grpc-)/;

async function run(name: ProxyName): Promise<{ outcomes: Outcome[]; stats: Record<string, number> }> {
  await using service = await new RecordingService().start();
  let quota: unknown;
  await using app = await startApp((request, response) => {
    quota = request.headers['x-quota'];
    response.setHeader('content-type', 'text/app');
    response.end('hello');
  });
  await using proxy = await ProxyProcess.start(name, configuration(app.port, service.port));
  const outcomes: Outcome[] = [];
  for (const [index, { listener, path, headers = {} }] of SENT.entries()) {
    service.asked.length = 0;
    quota = undefined;
    const port = proxy.ports.get(listener) as number;
    const answer: Answer = await ask(port, { path, headers: { ...headers, 'x-id': `#${index}` } });
    const line = await proxy.logged((text) => text.startsWith(`#${index} `));
    if (path.endsWith('done'))
      await expect
        .poll(() => service.asked.length)
        .toBe(path === '/done' && ['own', 'stage1'].includes(listener) ? service.asked.length : 2);
    // Of two lines of content-type, which an unenforced refusal leaves, Envoy makes one.
    const isCompared = (key: string) => COMPARED.test(key) && (key !== 'content-type' || listener !== 'lenient');
    const shown = Object.entries(answer.headers).filter(([key]) => isCompared(key));
    outcomes.push({
      asked: structuredClone(service.asked),
      status: answer.status,
      headers: Object.fromEntries(shown),
      body: answer.body,
      quota,
      log: line,
    });
  }
  const stats = [...(await proxy.stats())].filter(
    ([key, value]) => /^cluster\.app\.(ratelimit|upstream_rq_[45])/.test(key) && value > 0,
  );
  return { outcomes, stats: Object.fromEntries(stats.sort()) };
}

test('the service is asked the same, and its answers mean the same, as with the real Envoy', {
  timeout: 120_000,
}, async (context) => {
  if (findEnvoy() === undefined) return context.skip(NO_ENVOY);
  const [envoy, outrigger] = await Promise.all([run('envoy'), run('outrigger')]);
  for (const [index, sent] of SENT.entries()) {
    expect.soft(outrigger.outcomes[index], JSON.stringify(sent)).toEqual(envoy.outcomes[index]);
  }
  expect(outrigger.stats).toEqual(envoy.stats);
  expect(Object.keys(LISTENERS).length).toBe(8);
});
