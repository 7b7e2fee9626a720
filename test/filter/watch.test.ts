import { mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { type LoadedFilterModule, loadFilterModule } from '../../src/filter/loader.ts';
import { FilterLoadError } from '../../src/filter/loader-error.ts';
import { type WatchFilterOptions, watchFilterModule } from '../../src/filter/watch.ts';
import { RequestHead } from '../../src/http/message.ts';
import { stampFilter, tempFolder, writeIn } from './temp-folder.ts';

/** The versions and problems that a watcher reports, in order. */
class Reports {
  readonly lines: string[] = [];
  readonly #results: string[] = [];
  #wake: (() => void) | undefined;

  add(result: LoadedFilterModule<'http'> | FilterLoadError): void {
    if (result instanceof FilterLoadError) {
      this.#results.push(result.problem);
    } else {
      const request = new RequestHead();
      result.definition.create(undefined, {} as never).onRequest?.(request, {} as never);
      this.#results.push(request.get('x-version') ?? 'none');
    }
    this.#wake?.();
  }

  get count(): number {
    return this.#results.length;
  }

  /** The next report, which must come within a second. */
  async next(): Promise<string> {
    if (this.#results.length === 0) {
      await new Promise<void>((done, fail) => {
        const timer = setTimeout(() => fail(new Error('no report within a second')), 1000);
        this.#wake = () => {
          clearTimeout(timer);
          done();
        };
      });
    }
    return this.#results.shift() as string;
  }
}

async function watched(folder: string, options: WatchFilterOptions = {}): Promise<Reports> {
  const reports = new Reports();
  const log = {
    debug: () => {},
    info: (line: string) => reports.lines.push(line),
    warn: (line: string) => reports.lines.push(line),
    error: () => {},
  };
  const loaded = await loadFilterModule('./x.ts', { baseDir: folder, anywhere: true, kind: 'http' });
  onTestFinished(watchFilterModule(loaded, (result) => reports.add(result), { log, ...options }));
  return reports;
}

const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

for (const poll of [false, true]) {
  const how = poll ? 'looking at the files' : 'reports of the system';

  test(`a saved change of the file or of a helper acts within a second (${how})`, async () => {
    const folder = tempFolder({
      'x.ts': stampFilter('text', `import { text } from './lib/h.ts';`),
      'lib/h.ts': `export const text = 'one';`,
    });
    const reports = await watched(folder, { poll });
    writeIn(folder, 'lib/h.ts', `export const text = 'two';`);
    expect(await reports.next()).toBe('two');
    writeIn(folder, 'x.ts', stampFilter(`'three'`));
    expect(await reports.next()).toBe('three');
    writeIn(folder, 'x.ts', stampFilter('text', `import { text } from './more/h.ts';`));
    writeIn(folder, 'more/h.ts', `export const text = 'four';`);
    expect(await reports.next()).toBe('four');
    writeIn(folder, 'more/h.ts', `export const text = 'five';`);
    expect(await reports.next()).toBe('five');
  });

  test(`a ConfigMap's swapped link is seen, also when the old folder goes at once (${how})`, async () => {
    const folder = tempFolder({ '..1/x.ts': stampFilter(`'one'`) });
    symlinkSync('..1', join(folder, '..data'));
    symlinkSync('..data/x.ts', join(folder, 'x.ts'));
    const reports = await watched(folder, { poll });
    for (const [old, next, text] of [
      ['..1', '..2', 'two'],
      ['..2', '..3', 'three'],
    ] as const) {
      writeIn(folder, `${next}/x.ts`, stampFilter(`'${text}'`));
      symlinkSync(next, join(folder, '..data_tmp'));
      renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
      rmSync(join(folder, old), { recursive: true });
      expect(await reports.next()).toBe(text);
    }
  });
}

test('an editor that writes beside and renames is seen every time', async () => {
  const folder = tempFolder({ 'x.ts': stampFilter(`'one'`) });
  const reports = await watched(folder);
  for (const text of ['two', 'three', 'four']) {
    writeIn(folder, 'x.ts~', stampFilter(`'${text}'`));
    renameSync(join(folder, 'x.ts~'), join(folder, 'x.ts'));
    expect(await reports.next()).toBe(text);
  }
});

test('a folder that is deleted and made anew is watched again', async () => {
  const folder = tempFolder({
    'x.ts': stampFilter('text', `import { text } from './lib/h.ts';`),
    'lib/h.ts': `export const text = 'one';`,
  });
  const reports = await watched(folder);
  rmSync(join(folder, 'lib'), { recursive: true });
  expect(await reports.next()).toContain(`cannot find './lib/h.ts'`);
  mkdirSync(join(folder, 'lib'));
  writeIn(folder, 'lib/h.ts', `export const text = 'two';`);
  expect(await reports.next()).toBe('two');
  writeIn(folder, 'lib/h.ts', `export const text = 'three';`);
  expect(await reports.next()).toBe('three');
});

test('a version that does not load is reported once with its line, and the next good one acts', async () => {
  const folder = tempFolder({ 'x.ts': stampFilter(`'one'`) });
  const reports = await watched(folder);
  writeIn(folder, 'x.ts', 'export default {\n  name: 1 2\n};');
  expect(await reports.next()).toContain('Expected');
  expect(reports.lines).toEqual([expect.stringMatching(/^filter stamp goes on in its old version: .*x\.ts:2:11: /)]);
  writeIn(folder, 'x.ts', stampFilter(`'two'`));
  expect(await reports.next()).toBe('two');
});

test('saving the same text, touching and other files cause no report', async () => {
  const folder = tempFolder({ 'x.ts': stampFilter(`'one'`) });
  const reports = await watched(folder);
  writeIn(folder, 'x.ts', stampFilter(`'one'`));
  writeIn(folder, 'other.ts', 'export {}');
  await pause(400);
  expect(reports.count).toBe(0);
});

test('a change between loading and watching is not missed', async () => {
  const folder = tempFolder({ 'x.ts': stampFilter(`'one'`) });
  const loaded = await loadFilterModule('./x.ts', { baseDir: folder, anywhere: true, kind: 'http' });
  writeIn(folder, 'x.ts', stampFilter(`'two'`));
  const reports = new Reports();
  onTestFinished(watchFilterModule(loaded, (result) => reports.add(result)));
  expect(await reports.next()).toBe('two');
});

test('nothing is reported behind close', async () => {
  const folder = tempFolder({ 'x.ts': stampFilter(`'one'`) });
  const loaded = await loadFilterModule('./x.ts', { baseDir: folder, anywhere: true, kind: 'http' });
  const reports = new Reports();
  const close = watchFilterModule(loaded, (result) => reports.add(result));
  writeIn(folder, 'x.ts', stampFilter(`'two'`));
  close();
  await pause(300);
  expect(reports.count).toBe(0);
});

test('a folder in which something always changes does not keep a save waiting', async () => {
  const folder = tempFolder({ 'x.ts': stampFilter(`'one'`) });
  const reports = await watched(folder);
  const noise = setInterval(() => writeIn(folder, 'noise.log', String(Math.random())), 10);
  onTestFinished(() => clearInterval(noise));
  await pause(100);
  writeIn(folder, 'x.ts', stampFilter(`'two'`));
  expect(await reports.next()).toBe('two');
});
