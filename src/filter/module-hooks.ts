import { existsSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** Packages that filters get from the proxy's own installation where their folder has none of its own. */
const LENT_PACKAGES = ['valibot'];

/** The module that `import … from 'outrigger'` means: the sources in a checkout, the compiled one in a package or image. */
export function outriggerEntry(): string {
  const source = fileURLToPath(new URL('./index.ts', import.meta.url));
  return existsSync(source) ? source : fileURLToPath(new URL('./filter.js', import.meta.url));
}

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
  return [urls, LENT_PACKAGES, import.meta.url];
}

let installed = false;

/**
 * Makes `import … from 'outrigger'` (and `outrigger/testing`) mean this installation for modules that Node itself
 * loads: packaged filters and packages that filters import. Once per thread; it stays.
 */
export function installModuleHooks(): void {
  if (installed) return;
  installed = true;
  register(registerHooks, ...parameters());
}

/** The same as a URL for `node --import`. */
export function moduleHooksUrl(): string {
  const values = parameters().map((value) => JSON.stringify(value));
  const text = `import { registerHooks } from 'node:module'; (${register.toString()})(registerHooks, ${values.join(', ')});`;
  return `data:text/javascript,${encodeURIComponent(text)}`;
}
