import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { testFilterFile } from '../../src/cli/filter-test.ts';
import { checkTypes } from '../../src/cli/filter-types.ts';
import { tempFolder } from './temp-folder.ts';

const http = (hooks: string, rest = '') => `import * as v from 'valibot';
import { bufferBody, CONTINUE, defineHttpFilter, reply, stop } from 'outrigger';
export default defineHttpFilter({
  name: 'x', semantics: { side: 'either', state: 'none', body: 'none' }, config: v.object({ n: v.number() }), ${rest}
  create: (config, env) => (${hooks}),
});
void [bufferBody, CONTINUE, reply, stop];
`;
const network = (hooks: string) => `import { bufferBody, defineNetworkFilter, stop } from 'outrigger';
export default defineNetworkFilter({
  name: 'x', semantics: { side: 'ingress', state: 'none', body: 'none' },
  create: (_config, env) => (${hooks}),
});
void [bufferBody, stop];
`;

/** Sources by name; those called `ok…` compile, every other one has an error that says why. */
const cases: Record<string, { source: string; error?: RegExp }> = {
  'ok: every verdict, sync and async': {
    source: http(`{
      onRequest: async (request) => request.has('a') ? reply(403, { flag: 'UAEX' }) : request.has('b') ? stop('b') : undefined,
      onRequestBody: (chunk, end) => end ? Buffer.concat([chunk]) : undefined,
      onRequestTrailers(trailers) { trailers.set('a', 'b'); },
      onResponse: (response) => response.status > 499 ? bufferBody(config.n) : CONTINUE,
      onResponseBody: async () => new Uint8Array(),
      onDone(stream) { env.log.info('done', { ms: stream.endMs }); },
      dispose() {},
    }`),
  },
  'ok: state in slots': {
    source: http(`(() => { const seen = env.slot<number>(); return {
      onRequest(_request, stream) { seen.set(stream, 1); },
      onDone(stream) { env.stats.counter('n').add(seen.get(stream) ?? 0); } }; })()`),
  },
  'ok: a network filter': {
    source: network(
      `{ async onConnection(stream) { if (stream.remoteAddress === '') return stop('x'); }, onData: (chunk) => chunk.subarray(1) }`,
    ),
  },
  'a boolean is no verdict': { source: http('{ onRequest: () => true }'), error: /TS2322: .*boolean/ },
  'a string is no verdict': { source: http(`{ onRequest: async () => 'continue' }`), error: /TS2322: .*string/ },
  'a hook that does not exist': { source: http('{ onRequestHeaders() {} }'), error: /TS\d+: .*onRequestHeaders/ },
  'a hook of network filters': { source: http('{ onData() {} }'), error: /TS\d+: .*onData/ },
  'a body hook that returns a number': {
    source: http('{ onRequestBody: (chunk) => chunk.length }'),
    error: /TS2322: .*number/,
  },
  'a body hook that returns a string': { source: http(`{ onResponseBody: () => 'text' }`), error: /TS2322: .*string/ },
  'semantics that do not exist': {
    source: http('{}').replace(`'either'`, `'both'`),
    error: /TS2322: Type '"both"' is not assignable to type '"either" \\| "ingress" \\| "egress"'|TS2322: .*"both"/,
  },
  'no semantics': { source: http('{}').replace(/semantics: \{[^}]*\},/, ''), error: /TS\d+: .*semantics/ },
  'a field that the configuration does not have': {
    source: http('{ onRequest() { config.m; } }'),
    error: /TS\d+: .*'m'/,
  },
  'a field of the configuration as another type': {
    source: http(`{ onRequest(request) { request.set('a', config.n); } }`),
    error: /TS2345: .*number.*string/,
  },
  'a response flag that does not exist': {
    source: http(`{ onRequest: () => reply(403, { flag: 'XX' }) }`),
    error: /TS2322: .*"XX"/,
  },
  'a status as text': { source: http(`{ onRequest: () => reply('403') }`), error: /TS2345: .*string/ },
  'setting what is read-only': {
    source: http('{ onResponse(_response, stream) { stream.responseCode = 200; } }'),
    error: /TS2540: .*responseCode/,
  },
  'create that returns a promise': { source: http('Promise.resolve({ onRequest() {} })'), error: /TS\d+: .*Promise/ },
  'onError that does not exist': { source: http('{}', `onError: 'ignore',`), error: /TS2322: .*"ignore"/ },
  'a slot of another type': {
    source: http(
      `(() => { const s = env.slot<number>(); return { onRequest(_r, stream) { s.set(stream, 'a'); } }; })()`,
    ),
    error: /TS2345: .*string.*number/,
  },
  'a network filter that buffers': {
    source: network('{ onConnection: () => bufferBody(1) }'),
    error: /TS2322: .*BufferBody/,
  },
  'a network body hook with a promise': {
    source: network('{ onData: async () => undefined }'),
    error: /TS2322: .*Promise/,
  },
};

test('types alone guide the author: right use compiles, each wrong one says what is wrong', async () => {
  const names = Object.keys(cases);
  const folder = tempFolder(
    Object.fromEntries(Object.values(cases).map(({ source }, index) => [`case-${index}.ts`, source])),
  );
  const result = await checkTypes(names.map((_, index) => join(folder, `case-${index}.ts`)));
  const errors = result.kind === 'errors' ? result.errors.join('\n').split(/\n(?=\S)/) : [];
  const found = names.map((name, index) => {
    const own = errors.filter((error) => error.includes(`case-${index}.ts:`)).join('\n');
    const wanted = cases[name]?.error;
    const isAsWanted = wanted === undefined ? own === '' : wanted.test(own);
    return isAsWanted ? `${name}: as wanted` : `${name}: ${own === '' ? 'it compiles' : own}`;
  });
  expect(found).toEqual(names.map((name) => `${name}: as wanted`));
});

test('the examples compile with the strictest settings of a filter', async () => {
  const folder = fileURLToPath(new URL('../../examples/filters', import.meta.url));
  const files = readdirSync(folder).filter((name) => name.endsWith('.ts'));
  expect(files.length).toBeGreaterThanOrEqual(5);
  expect(await checkTypes(files.map((name) => join(folder, name)))).toMatchObject({ kind: 'ok' });
});

test('the filter and the test of the guide compile, and pass', async () => {
  const guide = readFileSync(fileURLToPath(new URL('../../docs/custom-filters.md', import.meta.url)), 'utf8');
  const blocks = [...guide.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, text]) => text as string);
  const [filter, ownTest] = blocks.filter((text) => text.startsWith('import'));
  const folder = tempFolder({ 'greeting.ts': filter as string, 'greeting.test.ts': ownTest as string });
  let text = '';
  const write = (part: string): void => {
    text += part;
  };
  const code = await testFilterFile(join(folder, 'greeting.ts'), {
    config: undefined,
    json: false,
    types: true,
    write,
  });
  expect(text).toMatch(/types {6}ok[\s\S]*test {7}ok/);
  expect(code).toBe(0);
});
