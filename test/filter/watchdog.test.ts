import { expect, test } from 'vitest';
import { runProcess } from './supervised-process.ts';
import { tempFolder } from './temp-folder.ts';

const filter = (name: string, create: string) =>
  `export default { name: '${name}', semantics: { side: 'either', state: 'none', body: 'none' },\n${create} };`;

const start = (folder: string) => `
  import { loadFilterModule } from 'SRC/filter/loader.ts';
  import { startWatchdog } from 'SRC/filter/watchdog.ts';
  const log = { debug() {}, info() {}, warn: (line) => console.log(line), error: (line) => console.log(line) };
  const stop = startWatchdog({ log, limitMs: 300, onBlocked: (b) => console.log(b.filter?.name, b.blockedMs > 300, b.at) });
  const load = async (file) => (await loadFilterModule(file, { baseDir: ${JSON.stringify(folder)}, anywhere: true, kind: 'http' })).definition.create();
  const pause = (ms) => new Promise((done) => setTimeout(done, ms));
`;

test('a filter whose hook blocks its thread is named with its line while it blocks', async () => {
  const folder = tempFolder({
    'ok.ts': filter('ok', 'create: () => ({ onRequest() {} })'),
    'slow.ts': filter(
      'slow',
      'create: () => ({ onRequest() {\n  const end = Date.now() + 1000;\n  while (Date.now() < end);\n} })',
    ),
  });
  const { stdout, stderr } = await runProcess(`${start(folder)}
    const ok = await load('./ok.ts');
    const slow = await load('./slow.ts');
    await pause(300);
    ok.onRequest();
    slow.onRequest();
    await pause(300);
    await stop();`);
  const name = `filter slow (${folder}/slow.ts) has blocked its thread for 0`;
  expect(stderr).toContain(name);
  expect(stderr).toContain(`at ${folder}/slow.ts:4`);
  expect(stdout).toContain(`filter slow (${folder}/slow.ts) has blocked its thread for 1`);
  expect(stdout).toContain(`slow true ${folder}/slow.ts:4`);
  expect(stderr).not.toContain('filter ok');
});

test('a timer of a filter that blocks is named too, by the line where it is', async () => {
  const folder = tempFolder({
    'slow.ts': filter(
      'slow',
      'create() {\n  setTimeout(() => {\n    const end = Date.now() + 900;\n    while (Date.now() < end);\n  }, 200);\n  return {}; }',
    ),
  });
  const { stderr } = await runProcess(`${start(folder)}
    await load('./slow.ts');
    await pause(1600);
    await stop();`);
  expect(stderr).toContain(`filter slow (${folder}/slow.ts) has blocked`);
  expect(stderr).toContain(`at ${folder}/slow.ts:5`);
});

test('an idle or busy but turning event loop is not reported', async () => {
  const { stdout, stderr } = await runProcess(`${start('/')}
    for (let i = 0; i < 8; i++) { const end = Date.now() + 100; while (Date.now() < end); await pause(1); }
    await pause(600);
    await stop();`);
  expect(stdout).toBe('');
  expect(stderr).toBe('');
});

test('a worker thread is watched from outside by the cells that it shares', async () => {
  const folder = tempFolder({
    'slow.ts': filter(
      'slow',
      'create: () => ({ onRequest() { const end = Date.now() + 900; while (Date.now() < end); } })',
    ),
  });
  const { stdout, stderr } = await runProcess(`
    import { Worker } from 'node:worker_threads';
    import { watchThread } from 'SRC/filter/watchdog.ts';
    const worker = new Worker(\`
      (async () => {
        const { parentPort } = require('node:worker_threads');
        const { loadFilterModule } = await import('SRC/filter/loader.ts');
        const { watchdogCells, watchedFilters, startHeartbeat } = await import('SRC/filter/watchdog.ts');
        const { definition } = await loadFilterModule('./slow.ts', { baseDir: ${JSON.stringify(folder)}, anywhere: true, kind: 'http' });
        const hooks = definition.create();
        startHeartbeat();
        parentPort.postMessage([watchdogCells(), watchedFilters()]);
        setTimeout(() => hooks.onRequest(), 300);
        setTimeout(() => {}, 1500);
      })();\`, { eval: true, execArgv: ['--no-warnings'] });
    const log = { debug() {}, info() {}, warn: (line) => console.log(line), error() {} };
    worker.once('message', ([cells, filters]) => {
      const stop = watchThread('worker 1', cells, () => filters, { log, limitMs: 400 });
      worker.once('exit', stop);
    });`);
  expect(stderr).toBe('');
  expect(stdout).toMatch(/^filter slow \(.*slow\.ts\) has blocked its thread for 0\.[4-9] s \(worker 1\)$/m);
});
