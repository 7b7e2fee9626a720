import { fileURLToPath } from 'node:url';
import { configDefaults, defineConfig } from 'vitest/config';
import { SkipReporter } from './scripts/skip-reporter.ts';

/** Tests that need root, Debian packages or the real Envoy: `npm run test:interop`. */
const NEEDS_MACHINE = ['test/conformance/**', 'test/interop/**', 'test/root/**'];
const isInterop = process.env.OUTRIGGER_INTEROP === '1';
/** Where `.ci/run` wants the figures. */
const report = process.env.OUTRIGGER_TEST_REPORT;
const skips = new SkipReporter();

export default defineConfig({
  resolve: { alias: { outrigger: fileURLToPath(new URL('./src/filter/index.ts', import.meta.url)) } },
  test: {
    include: isInterop ? NEEDS_MACHINE.map((folder) => `${folder}/*.test.ts`) : ['test/**/*.test.ts'],
    exclude: isInterop ? configDefaults.exclude : [...configDefaults.exclude, ...NEEDS_MACHINE],
    passWithNoTests: isInterop,
    // Whatever machine they run on: tests of threads say how many.
    env: { OUTRIGGER_CONCURRENCY: '1' },
    pool: 'forks',
    testTimeout: 20_000,
    hookTimeout: 20_000,
    reporters: report === undefined ? ['default', skips] : ['default', skips, ['json', { outputFile: report }]],
  },
});
