import { createServer, request as httpRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { builtinRegistry } from '../../filters/index.ts';
import { loadConfig } from '../../src/config/load.ts';
import { testFilter } from '../../src/filter/harness.ts';
import { loadFilterModule } from '../../src/filter/loader.ts';
import { createLogger } from '../../src/observe/log.ts';
import { startProxy } from '../../src/proxy.ts';
import { stampFilter, tempFolder, writeIn } from './temp-folder.ts';

/** An app that answers with the headers that it got, and its body in capitals. */
async function startApp(): Promise<number> {
  const app: Server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () =>
      response.end(JSON.stringify({ headers: request.headers, body: body.toUpperCase(), trailers: request.trailers })),
    );
  });
  await new Promise<void>((done) => app.listen(0, '127.0.0.1', done));
  onTestFinished(() => {
    app.closeAllConnections();
    app.close();
  });
  return (app.address() as AddressInfo).port;
}

/** A proxy with one custom filter, `x.ts` of the folder, in front of an app. */
async function startWith(
  folder: string,
  config = '{}',
  // biome-ignore lint/suspicious/noExplicitAny: what the short form has no words for is set in the validated form
  adapt: (bootstrap: any) => void = () => {},
): Promise<{ port: number; log: string[] }> {
  const file = join(folder, 'sidecar.yaml');
  const text = `listen: 127.0.0.1:0\napp: 127.0.0.1:${await startApp()}\nfilters:\n  - module: ./x.ts\n    config: ${config}\n`;
  const log: string[] = [];
  const loaded = loadConfig(file, { registry: builtinRegistry(), text });
  adapt(loaded.bootstrap);
  const proxy = await startProxy({
    config: loaded,
    concurrency: 1,
    log: createLogger({ write: (line) => log.push(line) }),
    drainTimeMs: 100,
    filterDir: folder,
  });
  onTestFinished(() => proxy.close());
  return { port: proxy.listeners()[0]?.port as number, log };
}

function send(port: number, body = ''): Promise<{ status: number; headers: Record<string, unknown>; body: string }> {
  return new Promise((done, fail) => {
    const options = { host: '127.0.0.1', port, method: body === '' ? 'GET' : 'POST', agent: false };
    const request = httpRequest(options, (response) => {
      let text = '';
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => done({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
      response.on('error', fail);
    });
    request.on('error', fail);
    request.end(body);
  });
}

const stamped = async (port: number): Promise<string> =>
  (JSON.parse((await send(port)).body) as { headers: Record<string, string> }).headers['x-version'] ?? 'none';

test('a saved change acts on live traffic within a second, and a broken one changes nothing', async () => {
  const folder = tempFolder({
    'x.ts': stampFilter('text', `import { text } from './h.ts';`),
    'h.ts': `export const text: string = 'one';`,
  });
  const { port, log } = await startWith(folder);
  expect(await stamped(port)).toBe('one');
  writeIn(folder, 'h.ts', `export const text: string = 'two';`);
  await expect.poll(() => stamped(port), { timeout: 1000, interval: 20 }).toBe('two');
  writeIn(folder, 'h.ts', 'export const text: = 3;');
  await expect.poll(() => log.join(''), { timeout: 1000 }).toMatch(/goes on in its old version: .*h\.ts:1:20/);
  expect(await stamped(port)).toBe('two');
  writeIn(folder, 'h.ts', `export const text: string = 'three';`);
  await expect.poll(() => stamped(port), { timeout: 1000, interval: 20 }).toBe('three');
});

test('no request fails while a filter is saved 30 times under traffic', async () => {
  const folder = tempFolder({ 'x.ts': stampFilter(`'0'`) });
  const { port } = await startWith(folder);
  let isOver = false;
  const seen = new Set<string>();
  const traffic = (async () => {
    while (!isOver) seen.add(await stamped(port));
  })();
  for (let n = 1; n <= 30; n++) {
    writeIn(folder, 'x.ts', stampFilter(`'${n}'`));
    await new Promise((done) => setTimeout(done, 70));
  }
  await expect.poll(() => stamped(port), { timeout: 1000, interval: 20 }).toBe('30');
  isOver = true;
  await traffic;
  expect(seen.has('none')).toBe(false);
  expect(seen.size).toBeGreaterThan(5);
}, 15_000);

test('a filter that throws harms its request alone, and is logged with its line', async () => {
  const folder = tempFolder({
    'x.ts': `import { defineHttpFilter } from 'outrigger';
export default defineHttpFilter({
  name: 'x', semantics: { side: 'either', state: 'none', body: 'none' },
  create: () => ({
    onRequest(request) {
      if (request.method === 'POST') throw new Error('no posts');
    },
  }),
});`,
  });
  const { port, log } = await startWith(folder);
  const failed = await send(port, 'body');
  expect(failed.status).toBe(500);
  expect((await send(port)).status).toBe(200);
  expect(log.join('')).toMatch(/x\.ts:6/);
});

test('bodies are replaced whole and in pieces, with the right length', async () => {
  const folder = tempFolder({
    'x.ts': `import { bufferBody, defineHttpFilter } from 'outrigger';
export default defineHttpFilter({
  name: 'x', semantics: { side: 'either', state: 'none', body: 'write' },
  create: () => ({
    onRequestBody: (chunk) => Buffer.from(chunk.toString().replaceAll('a', 'xyz')),
    onResponse: () => bufferBody(1e6),
    onResponseBody: (chunk) => Buffer.from(JSON.stringify({ was: chunk.length, body: JSON.parse(chunk.toString()).body })),
  }),
});`,
  });
  const { port } = await startWith(folder);
  const { status, headers, body } = await send(port, 'abab');
  expect(status).toBe(200);
  expect(JSON.parse(body).body).toBe('XYZBXYZB');
  expect(headers['content-length']).toBe(String(body.length));
});

test('a module outside of the filter folder keeps the proxy from starting', async () => {
  const folder = tempFolder({ 'inner/sidecar.yaml': '', 'x.ts': stampFilter(`'1'`) });
  const text = `listen: 127.0.0.1:0\napp: 127.0.0.1:1\nfilters: [{ module: ../x.ts }]\n`;
  const config = loadConfig(join(folder, 'inner/sidecar.yaml'), { registry: builtinRegistry(), text });
  const log = createLogger({ write: () => {} });
  const starting = startProxy({ config, concurrency: 1, log, drainTimeMs: 0, filterDir: join(folder, 'inner') });
  await expect(starting).rejects.toThrow(/x\.ts: lies outside of --filter-dir/);
});

/** Filters that use every verdict on every side. */
const HOOKS: Record<string, string> = {
  'reply to the request': `onRequest: () => reply(418, { body: 'tea', headers: { 'x-a': '1' }, details: 'd' })`,
  'reply to the response': `onResponse: (r) => r.status === 200 ? reply(451, { body: 'no' }) : undefined`,
  'reply after buffering': `onRequest: () => bufferBody(100), onRequestBody: (c) => c.length > 2 ? reply(422, { body: 'long' }) : undefined`,
  'too large a request': `onRequest: () => bufferBody(3)`,
  'too large a response': `onResponse: () => bufferBody(3)`,
  'throwing in the request': `onRequest() { throw new Error('no'); }`,
  'throwing in the body': `onRequestBody() { throw new Error('no'); }`,
  'throwing in the response': `onResponse() { throw new Error('no'); }`,
  'a promise of a reply': `onRequest: async () => reply(403, { body: 'late' })`,
  'a promise of nothing': `onRequest: async () => { await new Promise((done) => setTimeout(done, 5)); }`,
  'a request body replaced as a whole': `onRequest: () => bufferBody(100), onRequestBody: (c, end) => Buffer.from(c.toString() + end)`,
  'a promise of a request body replaced as a whole': `onRequest: async () => bufferBody(100), onRequestBody: async (c, end) => Buffer.from(c.toString() + end)`,
  'a promise of a body': `onRequestBody: async (c) => Buffer.from(c.toString().replaceAll('a', 'xx'))`,
  'a body swallowed and replaced at its end': `onResponseBody: (_c, end) => end ? Buffer.from('END') : new Uint8Array()`,
  'a head changed on both sides': `onRequest(r) { r.set('x-b', '2'); r.set(':path', '/other'); }, onResponse(r) { r.status = 203; r.remove('x-app'); }`,
  'hooks on a local reply': `onRequest: () => reply(429, { body: 'slow' }), onResponse(r) { r.set('x-c', String(r.status)); }, onResponseBody: (c) => Buffer.from(c.toString().toUpperCase())`,
};

for (const [name, hooks] of Object.entries(HOOKS)) {
  test(`the harness does as the proxy does: ${name}`, async () => {
    const folder = tempFolder({
      'x.ts': `import { bufferBody, defineHttpFilter, reply } from 'outrigger';
export default defineHttpFilter({ name: 'x', semantics: { side: 'either', state: 'none', body: 'write' }, create: () => ({ ${hooks} }) });
void [bufferBody, reply];`,
    });
    const { port } = await startWith(folder);
    const { definition } = await loadFilterModule('./x.ts', { baseDir: folder, anywhere: true, kind: 'http' });
    const harness = await testFilter(definition, {
      app: ({ headers, body }) => ({ body: JSON.stringify({ headers, body: body.toUpperCase() }) }),
    });
    for (const body of ['', 'abab']) {
      const real = await send(port, body);
      const tried = await harness.request({ method: body === '' ? 'GET' : 'POST', ...(body === '' ? {} : { body }) });
      expect(comparable(tried)).toEqual(comparable(real));
    }
  });
}

/** Status, headers that filters set, and the body without what only a real client sends. */
function comparable(outcome: { status: number; headers: Readonly<Record<string, unknown>>; body: string }) {
  const own = Object.entries(outcome.headers).filter(([name]) => /^x-[a-c]$/.test(name));
  const echoed = /^\{"headers":(\{.*?\}),"body":"(.*?)"(?:,"trailers":\{\})?\}$/.exec(outcome.body);
  const seen = echoed === null ? outcome.body : [JSON.parse(echoed[1] as string)['x-b'], echoed[2]];
  return { status: outcome.status, own, seen };
}

test('trailers pass their hook behind a buffered body too, and one that throws on them harms its request alone', async () => {
  const folder = tempFolder({
    'x.ts': `import { bufferBody, defineHttpFilter } from 'outrigger';
export default defineHttpFilter({ name: 'x', semantics: { side: 'either', state: 'none', body: 'none' }, create: () => ({
  onRequest: (request) => request.has('x-buffer') ? bufferBody(100) : undefined,
  onRequestTrailers(trailers) {
    if (trailers.has('x-bad')) throw new Error('bad trailer');
    trailers.set('x-sum', trailers.get('x-sum') + '!');
  },
}) });`,
  });
  const { port } = await startWith(folder, '{}', (bootstrap) => {
    const [manager] = bootstrap.static_resources.listeners[0].filter_chains[0].filters;
    manager.typed_config.value.http_protocol_options.enable_trailers = true;
    const type = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
    const options = bootstrap.static_resources.clusters[0].typed_extension_protocol_options[type];
    options.value.explicit_http_config.http_protocol_options.enable_trailers = true;
  });
  const withTrailers = (trailers: Record<string, string>, headers: Record<string, string>): Promise<string> =>
    new Promise((done, fail) => {
      const options = { host: '127.0.0.1', port, method: 'POST', agent: false };
      const request = httpRequest({ ...options, headers: { trailer: 'x-sum', ...headers } }, (response) => {
        let text = String(response.statusCode);
        response.on('data', (chunk) => {
          text += chunk;
        });
        response.on('end', () => done(text));
      });
      request.on('error', fail);
      request.write('ab');
      request.addTrailers(trailers);
      request.end();
    });
  for (const headers of [{}, { 'x-buffer': '1' }] as Record<string, string>[]) {
    expect(await withTrailers({ 'x-sum': '1' }, headers)).toMatch(/^200.*"body":"AB".*"trailers":\{"x-sum":"1!"\}/);
    expect(await withTrailers({ 'x-bad': '1' }, headers)).toMatch(/^500/);
  }
  expect((await send(port)).status).toBe(200);
});
