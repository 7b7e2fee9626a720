// Preloaded by fill-cache.ts: keeps the code that V8 has for a script when the process ends.
const { writeFileSync } = require('node:fs');
const vm = require('node:vm');

const { KEEP_CODE_OF: file, KEEP_CODE_IN: cache } = process.env;
const { Script } = vm;

vm.Script = class extends Script {
  constructor(source, { cachedData, ...options }) {
    const isWanted = options.filename === file;
    super(source, isWanted ? options : { ...options, cachedData });
    if (isWanted) process.once('exit', () => writeFileSync(cache, this.createCachedData()));
  }
};
