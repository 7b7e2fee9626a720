import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import {
  createServer,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestListener,
  type Server,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HttpFilterDefinition, HttpFilterHooks } from '../../src/filter/index.ts';
import { flushAll } from '../../src/observe/access-log/index.ts';
import { httpConfig, startTestProxy, type TestProxy, type TestProxyOptions } from './proxy.ts';

/** One line of the story's access log. */
export interface LogLine {
  readonly code: number;
  readonly flags: string;
  readonly details: string;
  readonly method: string;
  readonly path: string;
  readonly sent: number;
  readonly received: number;
  readonly attempts: number | null;
  readonly cluster: string | null;
  readonly host: string | null;
  readonly route: string | null;
}

const LOG_FORMAT = JSON.stringify({
  code: '%RESPONSE_CODE%',
  flags: '%RESPONSE_FLAGS%',
  details: '%RESPONSE_CODE_DETAILS%',
  method: '%REQ(:METHOD)%',
  path: '%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%',
  sent: '%BYTES_SENT%',
  received: '%BYTES_RECEIVED%',
  attempts: '%UPSTREAM_REQUEST_ATTEMPT_COUNT%',
  cluster: '%UPSTREAM_CLUSTER%',
  host: '%UPSTREAM_HOST%',
  route: '%ROUTE_NAME%',
});

/** A filter of a story: its hooks, and what differs from an ordinary filter. */
export type StoryFilter = HttpFilterHooks &
  Partial<Pick<HttpFilterDefinition, 'onError' | 'timeoutMs'>> & {
    readonly changesBody?: boolean;
  };

export interface StoryOptions extends TestProxyOptions {
  /** Port of the app, or 0 where the routes lead nowhere. */
  readonly app: number;
  /** Own ones, and packaged ones as YAML of one list element. */
  readonly filters?: readonly (StoryFilter | HttpFilterDefinition | string)[];
  readonly routes?: string;
  readonly manager?: string;
  readonly cluster?: string;
  readonly clusters?: string;
  readonly listener?: string;
}

export interface Story extends TestProxy {
  /** The access log's lines so far. */
  log(): Promise<LogLine[]>;
  /** Waits until the log has `count` lines. */
  logged(count: number): Promise<LogLine[]>;
  /** Another configuration of the same listener, for a reload. */
  config(options: StoryOptions): string;
  readonly dir: string;
}

/** Filters of stories by module; the modules of the stories look them up. */
const shared = globalThis as unknown as { outriggerStories?: Map<string, HttpFilterDefinition> };
let lastFilter = 0;

/** Starts `client → proxy({filters}) → app`. Filters run in order of the list. */
export async function story(options: StoryOptions): Promise<Story> {
  const dir = options.dir ?? mkdtempSync(join(tmpdir(), 'outrigger-story-'));
  const file = join(dir, 'access.log');
  const config = (of: StoryOptions): string => configText(of, dir, file);
  const proxy = await startTestProxy(config(options), { drainTimeMs: 1000, ...options, dir });
  const log = async (): Promise<LogLine[]> => {
    await flushAll();
    return readLines(file);
  };
  return {
    ...proxy,
    dir,
    config,
    log,
    async logged(count) {
      let lines = await log();
      for (let i = 0; lines.length < count && i < 250; i++) {
        await new Promise((done) => setTimeout(done, 20));
        lines = await log();
      }
      if (lines.length !== count) throw new Error(`${lines.length} lines, expected ${count}: ${JSON.stringify(lines)}`);
      return lines;
    },
    async [Symbol.asyncDispose]() {
      await proxy.proxy.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function readLines(file: string): LogLine[] {
  let text = '';
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as LogLine);
}

function configText(options: StoryOptions, dir: string, logFile: string): string {
  const filters = (options.filters ?? []).map((filter) => filterText(filter, dir)).join('\n');
  const accessLog = `access_log:
- name: file
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
    path: ${logFile}
    log_format: { json_format: ${LOG_FORMAT} }
`;
  return httpConfig(options.app, { ...options, filters, manager: `${options.manager ?? ''}\n${accessLog}` });
}

function filterText(filter: StoryFilter | HttpFilterDefinition | string, dir: string): string {
  if (typeof filter === 'string') return filter;
  const name = `story${++lastFilter}`;
  shared.outriggerStories ??= new Map();
  shared.outriggerStories.set(name, 'create' in filter ? filter : definitionOf(filter, name));
  writeFileSync(join(dir, `${name}.ts`), `export default (globalThis as any).outriggerStories.get('${name}');\n`);
  return `- name: ${name}
  typed_config: { "@type": type.googleapis.com/outrigger.v1.HttpFilterModule, module: ./${name}.ts }`;
}

function definitionOf(filter: StoryFilter, name: string): HttpFilterDefinition {
  const { onError, timeoutMs, changesBody = false, ...hooks } = filter;
  return {
    name,
    semantics: { side: 'either', state: 'none', body: changesBody ? 'write' : 'none' },
    ...(onError === undefined ? {} : { onError }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    create: () => hooks,
  };
}

/** An HTTP app on a free port of the loopback. */
export interface App extends AsyncDisposable {
  readonly port: number;
  readonly server: Server;
}

export async function startApp(listener: RequestListener): Promise<App> {
  const server = createServer({ keepAliveTimeout: 60_000 }, listener);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    server,
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise<void>((done) => server.close(() => done()));
    },
  };
}

/** An app that answers with what it got, as JSON. */
export function echo(): RequestListener {
  return (request, response) => {
    void readAll(request).then((body) => {
      const { method, url: path, headers } = request;
      response.setHeader('content-type', 'application/json');
      response.end(
        JSON.stringify({ method, path, headers, body: body.toString('latin1'), trailers: request.trailers }),
      );
    }, ignore);
  };
}

/** The other side went away in the middle. */
function ignore(): void {}

export async function readAll(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly trailers: NodeJS.Dict<string>;
}

export interface Question {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string | string[]>;
  readonly body?: string | Buffer;
  readonly socketPath?: string;
}

/** One request on a connection of its own. Rejects when the connection ends before the response does. */
export function ask(port: number, question: Question = {}): Promise<Answer> {
  const { method = 'GET', path = '/', headers = {}, body, socketPath } = question;
  return new Promise((resolve, reject) => {
    const target = socketPath === undefined ? { host: '127.0.0.1', port } : { socketPath };
    const request = httpRequest({ ...target, method, path, headers, agent: false }, (response) => {
      readAll(response).then(
        (bytes) =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: bytes.toString('latin1'),
            trailers: response.trailers,
          }),
        reject,
      );
    });
    request.on('error', reject);
    request.end(body);
  });
}

/** What an echoing app got. */
export function echoed(answer: Answer): {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: string;
  trailers: Record<string, string>;
} {
  return JSON.parse(answer.body);
}

export const sleep = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

/** Waits until the condition holds. @throws after `timeoutMs`, naming what was waited for */
export async function eventually(what: string, condition: () => boolean, timeoutMs = 3000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await sleep(5);
  }
}

/** Statistics that must be 0 when nothing is under way. */
export const ACTIVE_GAUGES = [
  'http.test.downstream_cx_active',
  'http.test.downstream_rq_active',
  'http.test.downstream_cx_upgrades_active',
  'cluster.app.upstream_rq_active',
  'cluster.app.upstream_rq_pending_active',
] as const;

/** Waits until no request and no downstream connection is under way. */
export function quiet(proxy: TestProxy): Promise<void> {
  return eventually('all active gauges are 0', () => ACTIVE_GAUGES.every((name) => proxy.stat(name) === 0));
}
