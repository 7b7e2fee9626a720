import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, type TestContext, test } from 'vitest';

/** The image's files in a bare root folder, as the final stage has them: no shell, uid 1337. */
const ROOT = join(import.meta.dirname, '../..');
const ENTRYPOINT: readonly string[] = JSON.parse(
  /^ENTRYPOINT (\[.*\])$/m.exec(readFileSync(join(ROOT, 'Dockerfile'), 'utf8'))?.[1] ?? '[]',
);
let image: string | undefined;

beforeAll(() => {
  if (process.getuid?.() !== 0) return;
  execFileSync(join(ROOT, 'bin/node'), ['scripts/build.ts'], { cwd: ROOT, stdio: 'pipe' });
  image = mkdtempSync(join(tmpdir(), 'outrigger-image-'));
  chmodSync(image, 0o755);
  execFileSync(join(ROOT, 'scripts/assemble-image.sh'), [image]);
  // What distroless/cc has: the C and C++ libraries, by which alone Node must start.
  const libraries = execFileSync('ldd', [join(image, 'outrigger/bin/node')], { encoding: 'utf8' }).matchAll(
    /(\/\S+\.so\S*)/g,
  );
  for (const [, library = ''] of libraries) {
    if (library.includes('libatomic')) continue;
    mkdirSync(dirname(join(image, library)), { recursive: true });
    copyFileSync(library, join(image, library));
  }
}, 120_000);

afterAll(() => {
  if (image !== undefined) rmSync(image, { recursive: true, force: true });
});

function inImage(context: TestContext, ...args: string[]): { status: number | null; stdout: string; stderr: string } {
  if (image === undefined) context.skip('needs root, for chroot');
  return spawnSync('chroot', ['--userspec=1337:1337', image as string, ...ENTRYPOINT, ...args], { encoding: 'utf8' });
}

test('starts as uid 1337 without a shell', (context) => {
  const { status, stdout, stderr } = inImage(context, 'version', '--json');
  expect([status, stderr]).toEqual([0, '']);
  expect(JSON.parse(stdout)).toHaveProperty('version');
  expect(existsSync(join(image as string, 'bin/sh'))).toBe(false);
});

test('checks the demo’s configuration', (context) => {
  const { status, stderr } = inImage(context, 'check', '/outrigger/examples/demo/sidecar.yaml');
  expect([status, stderr]).toEqual([0, '/outrigger/examples/demo/sidecar.yaml: OK\n']);
});

test('says that no configuration is there', (context) => {
  const { status, stderr } = inImage(context, 'run', '-c', '/etc/outrigger/sidecar.yaml');
  expect(status).toBe(2);
  expect(stderr).toContain('/etc/outrigger/sidecar.yaml');
});

test('its health check fails while nothing runs', (context) => {
  const { status, stderr } = inImage(context, 'healthcheck');
  expect(status).toBe(1);
  expect(stderr).toContain('not ready');
});
