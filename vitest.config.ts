import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  resolve: { alias: { outrigger: fileURLToPath(new URL('./src/filter/index.ts', import.meta.url)) } },
  test: { include: ['test/**/*.test.ts'], pool: 'forks', testTimeout: 20_000, hookTimeout: 20_000 },
});
