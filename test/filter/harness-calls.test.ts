import { expect, test } from 'vitest';
import { testFilter } from '../../src/filter/harness.ts';
import { CallError, defineHttpFilter, type GrpcError, reply } from '../../src/filter/index.ts';

const asking = defineHttpFilter({
  name: 'asking',
  semantics: { side: 'either', state: 'none', body: 'none' },
  create: (_config, env) => ({
    async onRequest(request) {
      try {
        const answer = await env.calls.request('auth', { method: 'GET', path: request.path, timeoutMs: 100 });
        const message = await env.calls.unary('auth', '/a.B/C', answer.body, { timeoutMs: 100 });
        return reply(answer.status, { body: `${answer.header('x-who')} ${answer.trailer('x-sum')} ${message}` });
      } catch (error) {
        return reply(503, {
          body: `${(error as Error).name} ${(error as CallError).reason ?? (error as GrpcError).status}`,
        });
      }
    },
  }),
});

test('a filter under test gets what the script of its calls says', async () => {
  const filter = await testFilter(asking, {
    calls: {
      request: (cluster, { path }) => ({
        status: 201,
        headers: { 'x-who': `${cluster} ${path}` },
        body: 'hi',
        trailers: { 'x-sum': '1' },
      }),
      unary: async (_cluster, _path, message) => Buffer.from(`${Buffer.from(message)}!`),
    },
  });
  expect(await filter.request({ path: '/a' })).toMatchObject({ status: 201, body: 'auth /a 1 hi!' });
});

test('without a script there is no cluster, and what a script throws is what the call rejects with', async () => {
  const nowhere = await testFilter(asking);
  expect((await nowhere.request()).body).toBe('CallError unknown_cluster');
  const halfWay = await testFilter(asking, { calls: { request: () => ({}) } });
  expect((await halfWay.request()).body).toBe('GrpcError 14');
  const script = {
    request: () => {
      throw new CallError('auth', 'timeout', '');
    },
  };
  expect((await (await testFilter(asking, { calls: script })).request()).body).toBe('CallError timeout');
});
