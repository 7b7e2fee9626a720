import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { codeCachePath, loadCompiled, loadPart } from '../../src/cli/compiled-script.ts';

/** `module.paths` is made by Node's loader: it tells which way a file was loaded. */
const SOURCE = `exports.byNode = 'paths' in module; exports.folder = __dirname; exports.sep = require('node:path').sep;
exports.later = () => import('node:path');`;

const ROOT = join(import.meta.dirname, '../..');

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'outrigger-compiled-'));
  file = join(folder, 'script.cjs');
  writeFileSync(file, SOURCE);
});

afterEach(() => rmSync(folder, { recursive: true }));

function load(): { byNode: boolean; folder: string; sep: string; later: () => Promise<{ sep: string }> } {
  return loadCompiled(file) as ReturnType<typeof load>;
}

/** As the build does it; in another process, since V8 remembers in its own what it has compiled, whatever the code. */
function writeCode(): void {
  const code = codeCachePath(file);
  writeFileSync(code, '');
  const script = `import { loadCompiled } from ${JSON.stringify(join(ROOT, 'src/cli/compiled-script.ts'))}; loadCompiled(${JSON.stringify(file)});`;
  execFileSync(
    process.execPath,
    ['--require', join(ROOT, 'scripts/keep-code.cjs'), '--input-type=module', '--eval', script],
    { env: { ...process.env, KEEP_CODE: JSON.stringify({ [file]: code }) } },
  );
}

test('runs a file on the code that lies beside it, with all that a CommonJS file may use', async () => {
  writeCode();
  const loaded = load();
  expect([loaded.byNode, loaded.folder, loaded.sep]).toEqual([false, folder, '/']);
  expect((await loaded.later()).sep).toBe('/');
});

test.each([
  ['is missing', () => undefined],
  ['is empty', () => writeFileSync(codeCachePath(file), '')],
  [
    'belongs to another version of the file',
    () => {
      writeCode();
      writeFileSync(file, `${SOURCE}\n`);
    },
  ],
  [
    'is of another V8',
    () => {
      writeCode();
      const code = readFileSync(codeCachePath(file));
      code.fill(0xff, 4, 8);
      writeFileSync(codeCachePath(file), code);
    },
  ],
])('leaves a file to Node when the code %s', (_, prepare) => {
  prepare();
  expect([load().byNode, load().folder]).toEqual([true, folder]);
});

test('a part is evaluated here, whether or not its code fits', () => {
  writeFileSync(file, `exports.byNode = 'paths' in module; exports.folder = __dirname;`);
  writeFileSync(codeCachePath(file), 'no code of V8’s');
  expect(loadPart(file)).toMatchObject({ byNode: false, folder });
  rmSync(codeCachePath(file));
  expect(loadPart(file)).toMatchObject({ byNode: false, folder });
});
