import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import vm from 'node:vm';

/** Where V8's code for a script lies: for this build of Node alone, since no other reads it. */
export function codeCachePath(file: string): string {
  return file.replace(/\.cjs$/, `-${process.version}-${process.arch}.cache`);
}

/** Where the snapshot lies that Node can start from: for exactly this version of Node, which refuses any other. */
export function snapshotPath(file: string): string {
  return codeCachePath(file).replace(/\.cache$/, '.snapshot');
}

/**
 * Loads a CommonJS file with the code that V8 had for it after it had run and served (`scripts/fill-cache.ts`). Node's
 * own compile cache takes the code when a file is loaded, without the functions that run only later, which is most of
 * the start. Where the code does not fit, it is Node's loader and cache after all.
 *
 * @returns what the file exports
 */
export function loadCompiled(file: string): unknown {
  const require = createRequire(file);
  const cachedData = readCode(file);
  if (cachedData === undefined) return require(file);
  const script = compile(file, cachedData);
  if (script.cachedDataRejected === true) return require(file);
  return evaluate(script, file, require);
}

/**
 * Loads a part of the bundle of `run`, which asks for no other file by itself. Where V8's code for it does not fit, as in
 * a process that was started from the snapshot, V8 compiles what is called: that is faster than Node's loader and cache.
 */
export function loadPart(file: string): unknown {
  return evaluate(compile(file, readCode(file)), file, undefined);
}

function readCode(file: string): Buffer | undefined {
  try {
    return readFileSync(codeCachePath(file));
  } catch {
    return undefined;
  }
}

function compile(file: string, cachedData: Buffer | undefined): vm.Script {
  // Latin-1, not UTF-8: the bundle is ASCII, and V8 keeps what it knows to be so in half the memory.
  const source = `(function (exports, require, module, __filename, __dirname) {${readFileSync(file, 'latin1')}\n})`;
  return new vm.Script(source, {
    filename: file,
    cachedData,
    importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
}

function evaluate(script: vm.Script, file: string, require: NodeJS.Require | undefined): unknown {
  const module = { exports: {}, filename: file };
  script.runInThisContext()(module.exports, require, module, file, dirname(file));
  return module.exports;
}
