import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { converseOverHandles } from '../../src/network/handle-conversation.ts';
import { problemWithHandles, wrongShape } from '../../src/network/handle-self-test.ts';
import { streamBinding, unopenedHandle } from '../../src/network/stream-handle.ts';

type Binding = NonNullable<typeof streamBinding>;
const ROOT = join(import.meta.dirname, '..', '..');

test('the Node of these tests has the expected shape and holds the conversation', async () => {
  expect(wrongShape()).toBeUndefined();
  expect(await converseOverHandles()).toBeUndefined();
});

test('looking at the shape takes well under 2 ms', () => {
  wrongShape();
  const times = Array.from({ length: 20 }, () => {
    const start = performance.now();
    wrongShape();
    return performance.now() - start;
  });
  expect(Math.min(...times)).toBeLessThan(1);
});

test('a Node release that was not tried must hold the conversation', async () => {
  expect(await problemWithHandles('99.0.0')).toBeUndefined();
});

const binding = streamBinding as Binding;
const withBinding = (change: Partial<Binding>) => ({ binding: { ...binding, ...change }, handle: unopenedHandle() });
const changes: [string, NonNullable<Parameters<typeof wrongShape>[0]>][] = [
  ['the binding is gone', { binding: undefined, handle: unopenedHandle() }],
  ['there is no handle to look at', { binding, handle: undefined }],
  ['the state is another type', withBinding({ streamBaseState: new Float64Array(8) as unknown as Int32Array })],
  ['an index is out of the state', withBinding({ kReadBytesOrError: 99 })],
  ['two indices are one', withBinding({ kReadBytesOrError: binding.kLastWriteWasAsync })],
  ['a request cannot be made', withBinding({ WriteWrap: (() => {}) as unknown as Binding['WriteWrap'] })],
  ['a method is gone', { binding, handle: { close() {} } }],
];

test.each(changes)('it is noticed when %s', (_, internals) => {
  expect(wrongShape(internals)).toEqual(expect.any(String));
});

test('a method that answers otherwise is noticed', () => {
  const handle = Object.assign(Object.create(unopenedHandle() as object), {
    useUserBuffer() {},
    readStart: () => 0,
    readStop: () => 0,
    writeLatin1String: () => -9,
    writeBuffer: () => -9,
    shutdown: () => 0,
    close() {},
  });
  expect(wrongShape({ binding, handle })).toContain('reading');
});

/** Starts a proxy in a process of its own, after `before` has run, and asks it once; what it logged and answered. */
function runProxy(before: string, env: Record<string, string>): string {
  const script = `
    ${before}
    const { startTestProxy, httpConfig } = await import('./test/support/proxy.ts');
    const routes = '- match: { prefix: / }\\n  direct_response: { status: 200, body: { inline_string: answered } }';
    const test = await startTestProxy(httpConfig(1, { routes }));
    console.log(await (await fetch('http://127.0.0.1:' + test.port + '/')).text());
    console.log(test.logLines.join('\\n'));
    process.exit(0);`;
  const result = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: ROOT,
    encoding: 'utf8',
    env: { ...process.env, ...env },
    timeout: 15_000,
  });
  return result.stdout + result.stderr;
}

test('where handles are not as expected the proxy serves without them, and says so in one line', () => {
  const output = runProxy(`delete process.binding('stream_wrap').WriteWrap;`, {});
  expect(output).toContain('answered');
  expect(output.match(/slower stream API/g)).toHaveLength(1);
});

test('OUTRIGGER_PORTABLE_IO=1 is obeyed and mentioned', () => {
  const output = runProxy('', { OUTRIGGER_PORTABLE_IO: '1' });
  expect(output).toContain('answered');
  expect(output.match(/OUTRIGGER_PORTABLE_IO/g)).toHaveLength(1);
});

test('otherwise nothing is said', () => {
  const output = runProxy('', {});
  expect(output).toContain('answered');
  expect(output).not.toMatch(/stream API/);
});
