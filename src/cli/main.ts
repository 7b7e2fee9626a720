import { constants, enableCompileCache } from 'node:module';
import { join } from 'node:path';
import { main } from './dispatch.ts';

// What is imported statically is compiled at every start, since the cache is not on yet: it must stay small.
enableCache();
process.exitCode = await main(process.argv.slice(2));

/**
 * Turns V8's compile cache on. It lies beside the bundle, so that packages and images ship it filled; a checkout keeps
 * it in node_modules. Where the package's folder is read-only and has none for this Node, it goes to the user's own.
 */
function enableCache(): void {
  const isCheckout = import.meta.filename.endsWith('.ts');
  const ours = isCheckout
    ? join(import.meta.dirname, '../../node_modules/.cache/outrigger')
    : join(import.meta.dirname, 'cache');
  if (enableCompileCache({ directory: ours, portable: true }).status !== constants.compileCacheStatus.FAILED) return;
  const home = process.env.XDG_CACHE_HOME ?? (process.env.HOME && join(process.env.HOME, '.cache'));
  if (home) enableCompileCache({ directory: join(home, 'outrigger') });
}
