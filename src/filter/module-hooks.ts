import { existsSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { outriggerEntry } from './loader.ts';
import { LENT_PACKAGES } from './loader-graph.ts';

/** `outrigger/testing`: the harness for a filter's own tests. */
export function testingEntry(): string {
  const source = fileURLToPath(new URL('./harness.ts', import.meta.url));
  return existsSync(source) ? source : fileURLToPath(new URL('./testing.js', import.meta.url));
}

/** Refers to nothing outside itself: its text also runs in other processes, before anything of ours is loaded. */
function register(register: typeof registerHooks, urls: Record<string, string>, lent: string[], lender: string) {
  return register({
    resolve(specifier, context, nextResolve) {
      const url = urls[specifier];
      if (url !== undefined) return { url, shortCircuit: true };
      try {
        return nextResolve(specifier, context);
      } catch (error) {
        if (!lent.includes(specifier)) throw error;
        return nextResolve(specifier, { ...context, parentURL: lender });
      }
    },
  });
}

function parameters(): [urls: Record<string, string>, lent: string[], lender: string] {
  const urls = {
    outrigger: pathToFileURL(outriggerEntry()).href,
    'outrigger/testing': pathToFileURL(testingEntry()).href,
  };
  return [urls, [...LENT_PACKAGES], import.meta.url];
}

/**
 * Makes `import … from 'outrigger'` (and `outrigger/testing`) mean this installation for modules that Node itself
 * loads: packaged filters and the tests of filters. Returns the function that takes it back.
 */
export function installModuleHooks(): () => void {
  const hooks = register(registerHooks, ...parameters());
  return () => hooks.deregister();
}

/** The same as a URL for `node --import`. */
export function moduleHooksUrl(): string {
  const values = parameters().map((value) => JSON.stringify(value));
  const text = `import { registerHooks } from 'node:module'; (${register.toString()})(registerHooks, ${values.join(', ')});`;
  return `data:text/javascript,${encodeURIComponent(text)}`;
}
