import { existsSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { outriggerEntry } from './loader.ts';

/** `outrigger/testing`: the harness for a filter's own tests. */
export function testingEntry(): string {
  const source = fileURLToPath(new URL('./harness.ts', import.meta.url));
  return existsSync(source) ? source : fileURLToPath(new URL('./testing.js', import.meta.url));
}

/**
 * Makes `import … from 'outrigger'` (and `outrigger/testing`) mean this installation for modules that Node itself
 * loads: packaged filters and the tests of filters. Returns the function that takes it back.
 */
export function installModuleHooks(): () => void {
  const urls = new Map([
    ['outrigger', pathToFileURL(outriggerEntry()).href],
    ['outrigger/testing', pathToFileURL(testingEntry()).href],
  ]);
  const hooks = registerHooks({
    resolve(specifier, context, nextResolve) {
      const url = urls.get(specifier);
      return url === undefined ? nextResolve(specifier, context) : { url, shortCircuit: true };
    },
  });
  return () => hooks.deregister();
}
