import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { filterCommand } from '../../src/cli/filter.ts';
import { writeNewFilter } from '../../src/cli/filter-new.ts';
import { type FilterTestOptions, testFilterFile } from '../../src/cli/filter-test.ts';
import { tempFolder, writeIn } from '../filter/temp-folder.ts';

/** Runs `filter test` in a folder; what it wrote and its exit code. */
async function tryFile(folder: string, file: string, options: Partial<FilterTestOptions> = {}) {
  let text = '';
  const code = await testFilterFile(join(folder, file), {
    config: undefined,
    json: false,
    types: false,
    write: (part) => (text += part),
    ...options,
  });
  return { code, text };
}

const filter = (hooks: string, rest = '') => `import { bufferBody, defineHttpFilter, reply, stop } from 'outrigger';
export default defineHttpFilter({ name: 'tried', semantics: { side: 'either', state: 'none', body: 'write' }, ${rest}
  create: () => (${hooks}),
});
void [bufferBody, reply, stop];
`;

describe('filter new', () => {
  for (const kind of ['http', 'network'] as const) {
    test(`writes a ${kind} filter that passes its types, canned traffic and its own test`, async () => {
      const folder = tempFolder();
      const told = writeNewFilter('first-try', kind, folder);
      expect(told).toContain('outrigger filter test');
      const { code, text } = await tryFile(folder, 'first-try.ts', { types: true });
      expect(text).toContain('types      ok (TypeScript');
      expect(text).toContain(`filter     first-try (${kind})`);
      expect(text).toContain('test       ok');
      expect(code).toBe(0);
    });
  }

  test('writes a tsconfig.json only where there is none above', () => {
    const folder = tempFolder({ 'project/tsconfig.json': '{}', 'project/.git/HEAD': '', 'bare/.git/HEAD': '' });
    writeNewFilter('a', 'http', join(folder, 'project/filters'));
    expect(existsSync(join(folder, 'project/filters/tsconfig.json'))).toBe(false);
    writeNewFilter('a', 'http', join(folder, 'bare/filters'));
    const options = JSON.parse(readFileSync(join(folder, 'bare/filters/tsconfig.json'), 'utf8')).compilerOptions;
    for (const [path] of Object.values(options.paths as Record<string, string[]>))
      expect(existsSync(path as string)).toBe(true);
    expect(Object.keys(options.paths)).toEqual(['outrigger', 'outrigger/testing', 'valibot']);
  });

  test('refuses a bad name, and never overwrites', () => {
    const folder = tempFolder({ 'here.test.ts': 'mine' });
    expect(() => writeNewFilter('../Evil', 'http', folder)).toThrow(`'../Evil' is not a name for a filter`);
    expect(() => writeNewFilter('here', 'http', folder)).toThrow('here.test.ts exists already');
    expect(existsSync(join(folder, 'here.ts'))).toBe(false);
  });
});

describe('filter test', () => {
  test('shows what the filter changed, whole or by piece, and who answered', async () => {
    const folder = tempFolder({
      'x.ts': filter(`{
        onRequest(request) {
          if (request.method === 'HEAD') return reply(403, { details: 'no_heads', flag: 'UAEX' });
          if (request.method === 'DELETE') return stop('gone', 'DC');
          request.set('x-a', '1');
          request.remove('cookie');
          request.set(':path', request.path.replace('/orders', '/v2/orders'));
          return bufferBody(1000);
        },
        onRequestBody: (chunk) => Buffer.from(chunk.toString().toUpperCase()),
        onResponse(response) { response.status = response.status === 500 ? 502 : response.status; },
      }`),
    });
    const { code, text } = await tryFile(folder, 'x.ts');
    expect(code).toBe(0);
    expect(text).toMatch(/HEAD +replied 403 no_heads UAEX/);
    expect(text).toMatch(/204 without a body +stopped gone DC/);
    expect(text).toMatch(/1 MiB in pieces of 64 KiB +replied 413 request_payload_too_large/);
    expect(text).toMatch(
      /GET, a browser +forwarded 200.*\n {6}request ~ path: \/orders\/17\?full=1 → \/v2\/orders\/17\?full=1\n {6}request - cookie\n {6}request \+ x-a: 1/,
    );
    expect(text).toMatch(
      /three pieces.*\n(?: {6}.*\n)*? {6}request ~ body: 21 B → 21 B "\{\\"NAME\\":\\"ZOË\\",\\"N\\":1\}"/,
    );
    expect(text).toMatch(/fails with 500 +forwarded 502.*\n(?: {6}.*\n)*? {6}response ~ status: 500 → 502/);
  });

  test('a filter that throws, or outlives its time, is shown with its line and fails the command', async () => {
    const folder = tempFolder({
      'x.ts': filter(
        `{ onRequest(request) {
  if (request.path.includes('%zz')) decodeURIComponent(request.path);
  if (request.method === 'HEAD') return new Promise<void>(() => {});
} }`,
        'timeoutMs: 30,',
      ),
    });
    const { code, text } = await tryFile(folder, 'x.ts');
    expect(code).toBe(1);
    expect(text).toMatch(/does not decode +replied 500 filter_error\{tried\}.*\n.*\n {6}! .*x\.ts:4:\d+: URIError/);
    expect(text).toMatch(/HEAD +replied 500 .*\n.*\n {6}! Error: did not answer within 30 ms/);
    expect(text).toContain('threw in 2 of 18');
  });

  test('onError open lets the request go on', async () => {
    const folder = tempFolder({ 'x.ts': filter(`{ onRequest() { throw new Error('no'); } }`, `onError: 'open',`) });
    const { code, text } = await tryFile(folder, 'x.ts');
    expect(code).toBe(1);
    expect(text).toMatch(/GET, a browser +forwarded 200/);
  });

  test('type errors are shown with their line and fail the command', async () => {
    const folder = tempFolder({ 'x.ts': filter('{ onRequest: () => true }') });
    const { code, text } = await tryFile(folder, 'x.ts', { types: true });
    expect(code).toBe(1);
    expect(text).toMatch(/types {6}wrong\n {2}.*x\.ts:3:\d+: TS2322: .*boolean/);
  });

  test('a failing test beside it fails the command', async () => {
    const folder = tempFolder({
      'x.ts': filter('{}'),
      'x.test.ts': `import { test } from 'node:test'; import './x.ts'; test('fails', () => { throw new Error('as it should'); });`,
    });
    const { code, text } = await tryFile(folder, 'x.ts');
    expect(code).toBe(1);
    expect(text).toMatch(/test {7}failed \(.*x\.test\.ts\)/);
    expect(text).toContain('as it should');
  });

  test('a configuration that is missing or wrong is told, and each of several filters is tried', async () => {
    const schema = `config: { '~standard': { version: 1, vendor: 'own', validate: (value: unknown) =>
      (value as { n?: number }).n === 1 ? { value } : { issues: [{ message: 'must be 1', path: ['n'] }] } } },`;
    const folder = tempFolder({ 'x.ts': filter('{}', schema) });
    await expect(tryFile(folder, 'x.ts')).rejects.toMatchObject({
      message: 'tried: the configuration is wrong: n: must be 1',
      hint: expect.stringContaining('--config'),
    });
    expect((await tryFile(folder, 'x.ts', { config: { n: 1 } })).code).toBe(0);
    const one = (name: string) =>
      `{ name: '${name}', semantics: { side: 'either', state: 'none', body: 'none' }, create: () => ({}) }`;
    writeIn(folder, 'y.ts', `export default [${one('a')}, ${one('b')}];`);
    expect((await tryFile(folder, 'y.ts')).text.match(/^filter .*/gm)).toEqual([
      'filter     a (http)',
      'filter     b (http)',
    ]);
    expect((await tryFile(folder, 'y.ts#b')).text.match(/^filter .*/gm)).toEqual(['filter     b (http)']);
  });

  test('--json writes one object', async () => {
    const folder = tempFolder({ 'x.ts': filter('{}') });
    const { text } = await tryFile(folder, 'x.ts', { json: true });
    const { filters } = JSON.parse(text);
    expect(filters[0]).toMatchObject({ name: 'tried', kind: 'http' });
    expect(filters[0].calls[0]).toMatchObject({
      title: 'GET, a browser',
      verdict: 'forwarded 200',
      changes: [],
      errors: [],
    });
  });
});

describe('the command line', () => {
  test('names both commands in its help and refuses --config that is no JSON', async () => {
    const command = filterCommand().exitOverride();
    for (const one of command.commands) one.exitOverride().configureOutput({ writeErr: () => {} });
    expect(command.helpInformation()).toMatch(/new \[options\] <name>[\s\S]*test \[options\] <file>/);
    await expect(command.parseAsync(['test', './x.ts', '--config', '{'], { from: 'user' })).rejects.toThrow(
      'It is not JSON',
    );
  });

  test('new writes into --dir', async () => {
    const folder = tempFolder();
    const write = process.stdout.write;
    onTestFinished(() => {
      process.stdout.write = write;
    });
    process.stdout.write = () => true;
    await filterCommand().parseAsync(['new', 'gate', '--network', '--dir', folder], { from: 'user' });
    expect(readFileSync(join(folder, 'gate.ts'), 'utf8')).toContain('defineNetworkFilter');
  });
});
