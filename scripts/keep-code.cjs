// Preloaded by fill-cache.ts: keeps the code that V8 has for the files of `run` when the process ends, beside each.
const { readFileSync, writeFileSync } = require('node:fs');
const vm = require('node:vm');

/** Where the code goes, by file. */
const caches = new Map(Object.entries(JSON.parse(process.env.KEEP_CODE)));
const { Script } = vm;

vm.Script = class extends Script {
  constructor(source, { cachedData, ...options }) {
    const cache = caches.get(options.filename);
    super(source, cache === undefined ? { ...options, cachedData } : options);
    if (cache === undefined) return;
    caches.delete(options.filename);
    process.once('exit', () => writeFileSync(cache, this.createCachedData()));
  }
};

// What this run had no use for: the code of its outermost functions.
process.once('exit', () => {
  for (const [file, cache] of caches) {
    const source = `(function (exports, require, module, __filename, __dirname) {${readFileSync(file, 'latin1')}\n})`;
    writeFileSync(cache, new Script(source, { filename: file }).createCachedData());
  }
});
