import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import type { FilterKind } from '../filter/loader-check.ts';
import { editorPaths } from './filter-types.ts';
import { attempt, makeOutputFolder } from './output.ts';
import { UsageError } from './usage-error.ts';

/** Writes a filter and its test; returns what to tell the user. @throws UsageError for a bad name or files that exist. */
export function writeNewFilter(name: string, kind: FilterKind, dir: string): string {
  if (!/^[a-z][a-z0-9-]*$/.test(name)) {
    throw new UsageError(
      `'${name}' is not a name for a filter`,
      'use lower-case letters, digits and dashes, a letter first',
    );
  }
  const folder = resolve(dir);
  const files = new Map([
    [join(folder, `${name}.ts`), kind === 'http' ? httpFilter(name) : networkFilter(name)],
    [join(folder, `${name}.test.ts`), kind === 'http' ? httpTest(name) : networkTest(name)],
  ]);
  for (const file of files.keys()) {
    if (existsSync(file)) throw new UsageError(`${file} exists already`, 'choose another name or --dir');
  }
  makeOutputFolder(folder);
  if (!hasTsconfig(folder)) files.set(join(folder, 'tsconfig.json'), tsconfig(folder));
  for (const [file, text] of files) attempt(file, () => writeFileSync(file, text, { flag: 'wx' }));
  const shown = (file: string): string => {
    const path = relative(process.cwd(), file);
    return path.startsWith('..') ? file : `./${path}`;
  };
  const filter = shown(join(folder, `${name}.ts`));
  const run =
    kind === 'http'
      ? `outrigger run --app 127.0.0.1:3000 --listen 127.0.0.1:8080 --filter ${filter}`
      : `outrigger run --app 127.0.0.1:3000 --listen 127.0.0.1:8080 --protocol tcp --filter ${filter}`;
  return `wrote ${[...files.keys()].map(shown).join(', ')}

Try it     outrigger filter test ${filter}
Run it     ${run}
Then edit and save it: it acts on the next request.
`;
}

/** True when an editor will find a tsconfig.json here or in a folder above, up to the project's root. */
function hasTsconfig(folder: string): boolean {
  for (let at = folder; ; at = dirname(at)) {
    const names = existsSync(at) ? readdirSync(at) : [];
    if (names.includes('tsconfig.json')) return true;
    if (names.includes('.git') || dirname(at) === at) return false;
  }
}

function tsconfig(folder: string): string {
  const options = {
    target: 'ES2024',
    module: 'Preserve',
    strict: true,
    noEmit: true,
    erasableSyntaxOnly: true,
    allowImportingTsExtensions: true,
    resolveJsonModule: true,
    skipLibCheck: true,
    ...editorPaths(folder),
  };
  return `${JSON.stringify({ compilerOptions: options, include: ['*.ts'] }, undefined, 2)}\n`;
}

function httpFilter(name: string): string {
  return `import { defineHttpFilter, reply } from 'outrigger';
import * as v from 'valibot';

/** Greets the app behind it, and answers a path of its own. */
export default defineHttpFilter({
  name: '${name}',
  // What a configuration may say; a mistake in it is refused before any request is served.
  config: v.object({
    header: v.optional(v.pipe(v.string(), v.toLowerCase()), 'x-${name}'),
    value: v.optional(v.string(), 'hello'),
  }),
  // Where it may run, what state it keeps, whether it reads or changes bodies.
  semantics: { side: 'either', state: 'none', body: 'none' },
  // Runs once per configuration; what can be computed ahead is computed here.
  create(config, env) {
    const greeted = env.stats.counter('${name}.greeted');
    const pong = reply(200, { body: 'pong\\n', details: 'ping_answered' });
    return {
      onRequest(request) {
        if (request.path === '/ping') return pong;
        request.set(config.header, config.value);
        greeted.inc();
      },
      onResponse(response) {
        response.set(config.header, config.value);
      },
    };
  },
});
`;
}

function httpTest(name: string): string {
  return `import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testFilter } from 'outrigger/testing';
import filter from './${name}.ts';

test('greets the app and the client', async () => {
  const greeting = await testFilter(filter, { config: { value: 'good morning' } });
  const { forwarded, headers } = await greeting.request({ path: '/orders' });
  assert.equal(forwarded?.headers['x-${name}'], 'good morning');
  assert.equal(headers['x-${name}'], 'good morning');
  assert.equal(greeting.env.counter('${name}.greeted'), 1);
});

test('answers /ping itself', async () => {
  const greeting = await testFilter(filter);
  const { verdict, status, body } = await greeting.request({ path: '/ping' });
  assert.deepEqual([verdict, status, body], ['replied', 200, 'pong\\n']);
});
`;
}

function networkFilter(name: string): string {
  return `import { defineNetworkFilter, stop } from 'outrigger';
import * as v from 'valibot';

/** Lets only these addresses connect, and counts what they send. */
export default defineNetworkFilter({
  name: '${name}',
  // What a configuration may say; a mistake in it is refused before any connection is accepted.
  config: v.object({
    allow: v.optional(v.array(v.string()), ['127.0.0.1', '::1']),
  }),
  // Where it may run, what state it keeps, whether it reads or changes the bytes.
  semantics: { side: 'ingress', state: 'none', body: 'read' },
  // Runs once per configuration; what can be computed ahead is computed here.
  create(config, env) {
    const allowed = new Set(config.allow);
    const bytes = env.stats.counter('${name}.bytes');
    const refused = stop('${name}_refused');
    return {
      onConnection(stream) {
        if (!allowed.has(stream.remoteAddress)) return refused;
      },
      onData(chunk) {
        bytes.add(chunk.length);
      },
    };
  },
});
`;
}

function networkTest(name: string): string {
  return `import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testNetworkFilter } from 'outrigger/testing';
import filter from './${name}.ts';

test('passes and counts the bytes of an address that is allowed', async () => {
  const gate = await testNetworkFilter(filter);
  const { verdict, toApp } = await gate.connection({ client: ['hel', 'lo'] });
  assert.deepEqual([verdict, toApp], ['passed', 'hello']);
  assert.equal(gate.env.counter('${name}.bytes'), 5);
});

test('refuses any other before it says a byte', async () => {
  const gate = await testNetworkFilter(filter);
  const { verdict, details, toApp } = await gate.connection({ client: ['hello'], remoteAddress: '192.0.2.1' });
  assert.deepEqual([verdict, details, toApp], ['stopped', '${name}_refused', '']);
});
`;
}
