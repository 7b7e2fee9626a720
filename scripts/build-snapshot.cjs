// Run by Node's snapshot builder (`node --build-snapshot-config`): leaves `outrigger run` in memory, evaluated and with
// the functions compiled that a start and a request need.
//
// The bundle is evaluated several times. All copies but the last serve a request, each with another configuration, and are
// dropped with all that they have remembered; what V8 has compiled belongs to the text, and so to the last copy too, which
// has run nothing.
const { readFileSync } = require('node:fs');
const net = require('node:net');
const { dirname, join, resolve } = require('node:path');
const { setFlagsFromString, startupSnapshot } = require('node:v8');

// Not by `require`, which warns that it has not been tried in a snapshot.
const { constants, Script } = process.getBuiltinModule('vm');

const { BUNDLE: bundle, WARM_UP: configurations } = process.env;

let evaluate = new Script(
  `(function (exports, require, module, __filename, __dirname) {${readFileSync(bundle, 'latin1')}\n})`,
  {
    // For stack traces only: where the file lies is known when a process starts.
    filename: '/outrigger/dist/run.cjs',
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  },
).runInThisContext();

/** A copy of the bundle, with state of its own. */
function copyOfBundle() {
  const module = { exports: {}, filename: bundle };
  const load = (name) => process.getBuiltinModule('module').createRequire(module.filename)(name);
  evaluate(module.exports, load, module, module.filename, dirname(module.filename));
  return module;
}

/** Starts a copy, has it answer, ends it, and takes away what it has left in the process. */
async function warmUp(configuration) {
  const { getBuiltinModule } = process;
  const { setInterval, setTimeout } = globalThis;
  const { listen } = net.Server.prototype;
  const listeners = listenersOfProcess();
  const timers = [];
  const servers = [];
  // V8 builds snapshots without it; nobody else in this process shares memory.
  globalThis.SharedArrayBuffer = class {};
  // Libraries do not fit into a snapshot.
  process.getBuiltinModule = (name) => (/^(?:node:)?ffi$/.test(name) ? undefined : getBuiltinModule(name));
  const noted = (start) => (...args) => {
    const timer = start(...args);
    timers.push(timer);
    return timer;
  };
  Object.assign(globalThis, { setInterval: noted(setInterval), setTimeout: noted(setTimeout) });
  net.Server.prototype.listen = function (...args) {
    servers.push(this);
    return listen.apply(this, args);
  };
  const end = copyOfBundle().exports.start('', ['run', '-c', configuration, '--concurrency', '1', '--drain-time', '0', '--log-level', 'error']);
  while (!servers[0]?.listening) await new Promise(setImmediate);
  net.Server.prototype.listen = listen;
  await request(servers[0].address().port);
  process.emit('SIGTERM', 'SIGTERM');
  const code = await end;
  if (code !== 0) throw new Error(`the run that warms up ended with ${code}`);
  timers.forEach(clearTimeout);
  Object.assign(globalThis, { setInterval, setTimeout });
  Object.assign(process, { getBuiltinModule });
  delete globalThis.SharedArrayBuffer;
  for (const [event, listener] of listenersOfProcess()) {
    if (!listeners.some(([, known]) => known === listener)) process.off(event, listener);
  }
}

function listenersOfProcess() {
  return process.eventNames().flatMap((event) => process.rawListeners(event).map((listener) => [event, listener]));
}

function request(port) {
  return new Promise((done, reject) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n'));
    socket.on('error', reject);
    socket.on('data', (data) => {
      socket.destroy();
      if (data.toString('latin1').startsWith('HTTP/1.1 200')) done();
      else reject(new Error(`the run that warms up answered ${data}`));
    });
  });
}

/** What must not be decided when the snapshot is made, since every process that starts from it would share it. */
function guarded(task) {
  const { env } = process;
  const { random } = Math;
  const { now } = Date;
  const refuse = (what) => () => {
    throw new Error(`a module of the bundle reads ${what} while it is evaluated`);
  };
  Math.random = refuse('a random number');
  Date.now = refuse('the clock');
  // `start` looks at OUTRIGGER_PORTABLE_IO itself.
  const get = (_, name) => (name === 'OUTRIGGER_PORTABLE_IO' ? undefined : refuse('the environment')());
  process.env = new Proxy(env, { get, has: refuse('the environment') });
  return task().finally(() => {
    Object.assign(process, { env });
    Object.assign(Math, { random });
    Object.assign(Date, { now });
  });
}

/** How long a process runs before V8 compiles to machine code what has been called a few times, as it does by itself. */
const START_MS = 1000;

/** A start calls some 270 functions that often, and few of them ever again: compiling them was 5 % of its CPU time. */
function compileLater() {
  setFlagsFromString('--baseline-batch-compilation-threshold=1000000');
  setTimeout(() => setFlagsFromString('--baseline-batch-compilation-threshold=4096'), START_MS).unref();
}

async function build() {
  for (const configuration of JSON.parse(configurations)) await warmUp(configuration);
  const module = copyOfBundle();
  // With it goes what runs once, when a module is evaluated: its code is a good part of the whole.
  evaluate = undefined;
  await guarded(() => module.exports.preload());
  startupSnapshot.setDeserializeMainFunction(async () => {
    compileLater();
    const [, entry, ...args] = process.argv;
    module.filename = join(dirname(resolve(entry)), 'run.cjs');
    process.exitCode = await module.exports.start(resolve(entry), args);
  });
}

build().catch((error) => {
  process.stderr.write(`${error.stack.slice(-2000)}\n`);
  process.exit(1);
});
