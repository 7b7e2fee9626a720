import type { Plugin } from 'esbuild';

/** Packages that few configurations need, with what is taken from them: large to evaluate, at every start. */
export const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  re2js: ['RE2JS'],
  yaml: ['isAlias', 'isMap', 'isPair', 'isScalar', 'isSeq', 'LineCounter', 'parseDocument', 'stringify', 'visit'],
};

/**
 * Makes static imports of these packages load them when what they name is first called, constructed or read.
 *
 * @param files - where a package lies that is not found by its name
 * @param load - the code that gives a package; without it, the package becomes part of the bundle
 */
export function onDemandPackages(
  files: Readonly<Record<string, string>>,
  load = (name: string): string => `require(${JSON.stringify(name)})`,
): Plugin {
  return {
    name: 'on-demand-packages',
    setup(builder) {
      builder.onResolve({ filter: /./ }, ({ path, kind, namespace }) => {
        const name = Object.keys(PACKAGES).find((each) => each === path || files[each] === path);
        if (name === undefined || namespace === 'package-names') return undefined;
        return { path: name, namespace: kind === 'require-call' ? 'package-names' : 'on-demand', sideEffects: false };
      });
      builder.onLoad({ filter: /./, namespace: 'on-demand' }, ({ path }) => ({ contents: stubs(path, load(path)) }));
      // Of the package what is named, so that the rest can be shaken off.
      builder.onLoad({ filter: /./, namespace: 'package-names' }, ({ path }) => ({
        contents: packageEntry(path, files),
        resolveDir: import.meta.dirname,
      }));
    },
  };
}

/** The source of a module that has what is taken from a package. */
export function packageEntry(name: string, files: Readonly<Record<string, string>>): string {
  return `export { ${PACKAGES[name]?.join(', ')} } from ${JSON.stringify(files[name] ?? name)};`;
}

function stubs(name: string, load: string): string {
  const names = PACKAGES[name] ?? [];
  return `
    let module;
    const load = () => (module ??= ${load});
    const stub = (name) => new Proxy(function () {}, {
      apply: (_, self, args) => load()[name].apply(self, args),
      construct: (_, args) => new (load()[name])(...args),
      get: (_, key) => load()[name][key],
    });
    ${names.map((each) => `export const ${each} = /* @__PURE__ */ stub("${each}");`).join('\n')}`;
}
