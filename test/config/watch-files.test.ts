import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { watchFiles } from '../../src/config/watch-files.ts';

let folder: string;
let stop: () => void = () => undefined;
let changes = 0;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'outrigger-watch-'));
  changes = 0;
});

afterEach(() => {
  stop();
  rmSync(folder, { recursive: true, force: true });
});

function watch(file: string): void {
  stop = watchFiles([file], () => {
    changes++;
  });
}

async function nextChange(): Promise<void> {
  const before = changes;
  for (let waitedMs = 0; changes === before; waitedMs += 10) {
    if (waitedMs > 5000) throw new Error('no change was reported');
    await new Promise((done) => setTimeout(done, 10));
  }
}

test('a file written in place is reported', async () => {
  const file = join(folder, 'envoy.yaml');
  writeFileSync(file, 'a');
  watch(file);
  writeFileSync(file, 'b');
  await nextChange();
});

test('a file that an editor replaces is reported every time', async () => {
  const file = join(folder, 'envoy.yaml');
  writeFileSync(file, 'a');
  watch(file);
  for (const content of ['b', 'c']) {
    writeFileSync(join(folder, '.new'), content);
    renameSync(join(folder, '.new'), file);
    await nextChange();
    await new Promise((done) => setTimeout(done, 120));
  }
});

test('a ConfigMap’s swapped link is reported, also the second time, when the folder behind it is another one', async () => {
  const version = (name: string): string => {
    mkdirSync(join(folder, name));
    writeFileSync(join(folder, name, 'envoy.yaml'), name);
    return name;
  };
  symlinkSync(version('..v1'), join(folder, '..data'));
  symlinkSync(join('..data', 'envoy.yaml'), join(folder, 'envoy.yaml'));
  watch(join(folder, 'envoy.yaml'));
  for (const name of ['..v2', '..v3']) {
    symlinkSync(version(name), join(folder, '..data_tmp'));
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
    await nextChange();
    await new Promise((done) => setTimeout(done, 120));
  }
  writeFileSync(join(folder, '..v3', 'envoy.yaml'), 'edited behind the link');
  await nextChange();
});

test('a folder stands for its entries, also behind a link that is swapped', async () => {
  mkdirSync(join(folder, 'v1'));
  mkdirSync(join(folder, 'v2'));
  symlinkSync('v1', join(folder, 'current'));
  watch(join(folder, 'current'));
  writeFileSync(join(folder, 'v1', 'tls.crt'), 'one');
  await nextChange();
  await new Promise((done) => setTimeout(done, 120));
  symlinkSync('v2', join(folder, 'next'));
  renameSync(join(folder, 'next'), join(folder, 'current'));
  await nextChange();
});

test('nothing is reported after the end', async () => {
  const file = join(folder, 'envoy.yaml');
  writeFileSync(file, 'a');
  watch(file);
  stop();
  writeFileSync(file, 'b');
  await new Promise((done) => setTimeout(done, 150));
  expect(changes).toBe(0);
});
