import { expect, test } from 'vitest';
import { runProcess } from './supervised-process.ts';
import { tempFolder } from './temp-folder.ts';

async function run(create: string, then = '') {
  const folder = tempFolder({
    'x.ts': `import { createReadStream } from 'node:fs';
export default { name: 'faulty', semantics: { side: 'either', state: 'none', body: 'none' }, create() {
${create}
  void createReadStream; return {}; } };`,
  });
  const result = await runProcess(`
    import { loadFilterModule } from 'SRC/filter/loader.ts';
    import { installTimerGuard } from 'SRC/filter/timer-guard.ts';
    let faults = 0;
    const log = { debug() {}, info() {}, warn() {}, error: (line) => console.log(line) };
    installTimerGuard({ log, onFault: (filter) => { faults++; } });
    const { definition } = await loadFilterModule('./x.ts', { baseDir: ${JSON.stringify(folder)}, anywhere: true, kind: 'http' });
    definition.create();
    await new Promise((done) => setTimeout(done, 100));
    ${then}
    console.log('alive', faults);`);
  return { ...result, stdout: result.stdout.replaceAll(`${folder}/`, '') };
}

test('an exception in a timer of a filter is logged with its line, and the process lives', async () => {
  const { stdout, code } = await run(`  setTimeout(() => { throw new Error('tick'); }, 10);`);
  expect(stdout).toContain('filter faulty threw in a callback outside of its hooks at x.ts:3:28: Error: tick');
  expect(stdout).toContain('alive 1');
  expect(code).toBe(0);
});

test('a rejection that nobody awaits, and one with a reason that is no error', async () => {
  const { stdout } = await run(
    `  void (async () => { throw new Error('lost'); })(); setTimeout(() => Promise.reject('bare'), 10);`,
  );
  expect(stdout).toContain('filter faulty threw in a promise that nobody awaits at x.ts:3:29: Error: lost');
  expect(stdout).toContain('filter faulty threw in a promise that nobody awaits at x.ts: bare');
  expect(stdout).toContain('alive 2');
});

test('an error event without a listener, whose stack has no line of the filter', async () => {
  const { stdout } = await run(`  createReadStream('/nowhere/at/all');`);
  expect(stdout).toMatch(/filter faulty threw in a callback outside of its hooks at x\.ts: Error: ENOENT/);
  expect(stdout).toContain('alive 1');
});

test('an exception of anybody else ends the process with code 1', async () => {
  const { stdout, code } = await run(
    '',
    `setTimeout(() => { throw new Error('ours'); }, 0); await new Promise((done) => setTimeout(done, 50));`,
  );
  expect(stdout).toContain('uncaught exception: Error: ours');
  expect(stdout).not.toContain('alive');
  expect(code).toBe(1);
});
