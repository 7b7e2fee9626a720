import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { FilterHarness, type ForwardedRequest, type TestResponse } from '../filter/harness.ts';
import { TestEnv, validated } from '../filter/harness-env.ts';
import { NetworkFilterHarness } from '../filter/harness-network.ts';
import { listFilters, loadFilterModule } from '../filter/loader.ts';
import { type AnyFilter, kindOfHooks } from '../filter/loader-check.ts';
import { moduleHooksUrl } from '../filter/module-hooks.ts';
import type { NetworkFilterHooks } from '../filter/network.ts';
import type { AnyHttpFilter } from '../filter/registry.ts';
import { EXIT } from './exit-code.ts';
import { type CallReport, connectionReport, type FilterReport, reportText, requestReport } from './filter-report.ts';
import { CANNED_CONNECTIONS, CANNED_REQUESTS } from './filter-traffic.ts';
import { checkTypes, type TypeCheck } from './filter-types.ts';
import { UsageError } from './usage-error.ts';

export interface FilterTestOptions {
  readonly config: unknown;
  readonly json: boolean;
  readonly types: boolean;
  readonly write: (text: string) => void;
}

/** How often the first request is repeated to time the hooks. */
const TIMED_CALLS = 500;

/**
 * Tries a filter: its types, canned traffic, its own test. Returns the exit code.
 *
 * @throws UsageError when the filter needs a configuration that was not given, or refuses the one that was.
 */
export async function testFilterFile(spec: string, options: FilterTestOptions): Promise<number> {
  const where = { baseDir: process.cwd(), anywhere: true, kind: 'any' } as const;
  const file = resolve(spec.replace(/#[^#]*$/, ''));
  const companion = file.replace(/(\.m?[jt]s)$/, '.test$1');
  const own = existsSync(companion) ? companion : undefined;
  let failed = false;

  const names = spec.includes('#') ? [undefined] : (await listFilters(spec, where)).map(({ name }) => name);
  const types = options.types ? await checkTypes(own === undefined ? [file] : [file, own]) : undefined;
  failed ||= types?.kind === 'errors';
  if (!options.json) options.write(typesText(types));

  const reports: FilterReport[] = [];
  for (const name of names) {
    const { definition } = await loadFilterModule(name === undefined ? spec : `${spec}#${name}`, where);
    const report = await tryFilter(definition, options.config);
    reports.push(report);
    failed ||= report.calls.some(({ errors }) => errors.length > 0);
    if (!options.json) options.write(reportText(report));
  }

  const test = own === undefined ? undefined : await runOwnTest(own);
  failed ||= test !== undefined && test.code !== 0;
  if (options.json)
    options.write(`${JSON.stringify({ types, filters: reports, test: test && { file: own, ...test } })}\n`);
  else options.write(ownTestText(own, test));
  return failed ? EXIT.failure : EXIT.ok;
}

/** Configures the filter, sees by its hooks what it is for, and sends it what such filters meet. */
async function tryFilter(definition: AnyFilter, given: unknown): Promise<FilterReport> {
  const env = new TestEnv(definition.name, []);
  const config = await validated(definition.config, given ?? {}).catch((error: Error) => {
    const hint = given === undefined ? `it needs one: --config '{"…": …}'` : undefined;
    throw new UsageError(`${definition.name}: ${error.message}`, hint);
  });
  await (definition as AnyHttpFilter).prepare?.();
  const hooks = definition.create(config, env);
  const kind = kindOfHooks(hooks);
  const { calls, once } =
    kind === 'http'
      ? await tryHttp(new FilterHarness(definition as AnyHttpFilter, hooks, env, cannedApp))
      : await tryNetwork(new NetworkFilterHarness(hooks as NetworkFilterHooks, env, definition.onError ?? 'closed'));
  const logged = env.logged.length;
  const counters = [...env.store.counters.values()].filter(({ value }) => value > 0).map(({ name }) => name);
  const times: number[] = [];
  for (let i = 0; i < TIMED_CALLS; i++) times.push(sum((await once()).hookMs));
  hooks.dispose?.();
  return { name: definition.name, kind, calls, medianUs: median(times) * 1000, logged, counters };
}

interface Trial {
  readonly calls: readonly CallReport[];
  /** An everyday request or connection, to be timed. */
  readonly once: () => Promise<{ readonly hookMs: Readonly<Record<string, number>> }>;
}

async function tryHttp(harness: FilterHarness): Promise<Trial> {
  const calls: CallReport[] = [];
  for (const { title, request } of CANNED_REQUESTS) {
    const outcome = await harness.request(request);
    const answer = outcome.forwarded === undefined ? {} : cannedApp(outcome.forwarded);
    calls.push(requestReport(title, request, answer, outcome));
  }
  return { calls, once: () => harness.request(CANNED_REQUESTS[0]?.request) };
}

async function tryNetwork(harness: NetworkFilterHarness): Promise<Trial> {
  const calls: CallReport[] = [];
  for (const { title, connection } of CANNED_CONNECTIONS) {
    calls.push(connectionReport(title, connection, await harness.connection(connection)));
  }
  return { calls, once: () => harness.connection(CANNED_CONNECTIONS[0]?.connection) };
}

/** An app that answers with what it got, and has a few answers of its own. */
function cannedApp(request: ForwardedRequest): TestResponse {
  switch (request.path) {
    case '/fail':
      return { status: 500, headers: { 'content-type': 'text/plain' }, body: 'it broke\n' };
    case '/empty':
      return { status: 204 };
    case '/redirect':
      return { status: 302, headers: { location: 'https://elsewhere.test/' } };
  }
  if (request.headers['content-type']?.startsWith('application/grpc')) {
    const headers = { 'content-type': 'application/grpc' };
    return { headers, body: request.body, trailers: { 'grpc-status': '0' } };
  }
  if (request.method === 'HEAD') return { headers: { 'content-type': 'text/plain', etag: '"1"' } };
  const type = request.headers['content-type'] ?? 'text/plain';
  const body = request.body === '' ? `${request.method}\n` : request.body;
  return { headers: { 'content-type': type, etag: '"1"', server: 'app' }, body };
}

async function runOwnTest(file: string): Promise<{ code: number; output: string }> {
  const args = [
    '--disable-warning=ExperimentalWarning',
    '--import',
    moduleHooksUrl(),
    '--test-reporter=spec',
    '--test',
    file,
  ];
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], env });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
  return new Promise((done, fail) => {
    child.on('error', fail);
    child.on('close', (code) => done({ code: code ?? EXIT.failure, output }));
  });
}

function typesText(types: TypeCheck | undefined): string {
  if (types === undefined) return 'types      not checked\n';
  if (types.kind === 'ok') return `types      ok (${types.by})\n`;
  if (types.kind === 'missing') return `types      ${types.hint}\n`;
  return `types      wrong\n${types.errors.map((line) => `  ${line}\n`).join('')}`;
}

function ownTestText(file: string | undefined, test: { code: number; output: string } | undefined): string {
  if (file === undefined || test === undefined) return '\ntest       none beside it (NAME.test.ts)\n';
  const outcome = test.code === 0 ? 'ok' : 'failed';
  return `\ntest       ${outcome} (${relative(process.cwd(), file)})\n${test.output.replace(/^(?=.)/gm, '  ')}`;
}

function sum(times: Readonly<Record<string, number>>): number {
  return Object.values(times).reduce((total, time) => total + time, 0);
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1] ?? 0;
}
