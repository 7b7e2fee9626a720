import { afterEach, describe, expect, test } from 'vitest';
import { httpConfig, startTestProxy, type TestProxy } from '../../support/proxy.ts';
import { type App, ask, echo, eventually, startApp } from '../../support/story.ts';

const TAP = `- name: envoy.filters.http.tap
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.tap.v3.Tap
    common_config: { admin_config: { config_id: sidecar } }`;

const ALL = `config_id: sidecar
tap_config:
  match: { any_match: true }
  output_config: { sinks: [{ format: JSON_BODY_AS_STRING, streaming_admin: {} }] }`;

const disposals: AsyncDisposable[] = [];
afterEach(async () => {
  for (const one of disposals.splice(0).reverse()) await one[Symbol.asyncDispose]();
});

async function start(concurrency = 1): Promise<{ proxy: TestProxy; app: App }> {
  const app = await startApp(echo());
  disposals.push(app);
  const proxy = await startTestProxy(httpConfig(app.port, { filters: TAP }), {
    concurrency,
    adminAddress: { host: '127.0.0.1', port: 0 },
  });
  disposals.push(proxy);
  return { proxy, app };
}

/** What `POST /tap` answers, as it comes. */
class Reader implements AsyncDisposable {
  text = '';
  ended = false;
  readonly status: number;
  readonly #abort: AbortController;
  readonly #done: Promise<void>;

  private constructor(response: Response, abort: AbortController) {
    this.status = response.status;
    this.#abort = abort;
    this.#done = this.#read(response).catch(() => undefined);
  }

  static async open(proxy: TestProxy, body: string): Promise<Reader> {
    const abort = new AbortController();
    const url = `http://127.0.0.1:${proxy.proxy.adminAddress?.port}/tap`;
    const reader = new Reader(await fetch(url, { method: 'POST', body, signal: abort.signal }), abort);
    disposals.push(reader);
    return reader;
  }

  /** The traces so far: objects behind each other, each ending with a line `}`. */
  get traces(): unknown[] {
    const parts = this.text.split(/(?<=^}\n)/m);
    return parts.filter((part) => part.endsWith('\n')).map((part) => JSON.parse(part));
  }

  async #read(response: Response): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) this.text += decoder.decode(chunk, { stream: true });
    this.ended = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await this.#done;
  }
}

/** The first visit attaches a reader, soon after its response's head. */
async function attached(proxy: TestProxy, reader: Reader): Promise<void> {
  await expect
    .poll(
      async () => {
        await ask(proxy.port, { path: '/hello' });
        return reader.traces.length;
      },
      { timeout: 5000 },
    )
    .toBeGreaterThan(0);
}

describe('POST /tap', () => {
  test('streams what is recorded, without secrets, until the client goes away', async () => {
    const { proxy } = await start();
    // The app answers with what it got.
    const reader = await Reader.open(proxy, ALL.replace('sinks:', 'max_buffered_tx_bytes: 0, sinks:'));
    expect(reader.status).toBe(200);
    await attached(proxy, reader);
    await ask(proxy.port, { path: '/x?token=hush', method: 'POST', headers: { authorization: 'hush' }, body: 'é' });
    await eventually('the trace', () => reader.text.includes('/x?token='));
    expect(reader.text).toContain('/x?token=[redacted]');
    expect(reader.text).not.toContain('hush');
    expect(reader.text).toContain('"as_string": "é"');

    await reader[Symbol.asyncDispose]();
    const before = proxy.stat('http.test.tap.rq_tapped');
    await expect
      .poll(async () => {
        const count = proxy.stat('http.test.tap.rq_tapped');
        await ask(proxy.port);
        return proxy.stat('http.test.tap.rq_tapped') - count;
      })
      .toBe(0);
    expect(before).toBeGreaterThan(1);
  });

  test('gathers the traces of all threads', { timeout: 20_000 }, async () => {
    const { proxy } = await start(2);
    const reader = await Reader.open(proxy, ALL);
    await attached(proxy, reader);
    const seen = () => new Set(reader.text.match(/\/n\/\d+/g));
    // Each connection is served by one of the threads.
    for (let i = 0; i < 20; i++) await ask(proxy.port, { path: `/n/${i}`, headers: { connection: 'close' } });
    await eventually('traces of all', () => seen().size === 20);
  });

  test('answers several readers, each with its own match', async () => {
    const { proxy } = await start();
    const all = await Reader.open(proxy, ALL);
    const some = await Reader.open(
      proxy,
      ALL.replace(
        '{ any_match: true }',
        '{ http_request_headers_match: { headers: [{ name: ":path", string_match: { exact: /some } }] } }',
      ),
    );
    await attached(proxy, all);
    await expect
      .poll(async () => {
        await ask(proxy.port, { path: '/some' });
        return some.traces.length;
      })
      .toBeGreaterThan(0);
    expect(some.text).not.toContain('/hello');
  });

  test('with buffered_admin answers when there are enough', async () => {
    const { proxy } = await start();
    const buffered = ALL.replace('streaming_admin: {}', 'buffered_admin: { max_traces: 3, timeout: 60s }');
    const reader = await Reader.open(proxy, buffered);
    await expect
      .poll(async () => {
        await ask(proxy.port);
        return reader.ended;
      })
      .toBe(true);
    expect(reader.traces.length).toBe(3);
  });

  test('with buffered_admin answers when the time is over', async () => {
    const { proxy } = await start();
    const reader = await Reader.open(
      proxy,
      ALL.replace('streaming_admin: {}', 'buffered_admin: { max_traces: 3, timeout: 0.1s }'),
    );
    await eventually('the end', () => reader.ended);
    expect(reader.text).toBe('');
  });

  test('follows a new configuration', async () => {
    const { proxy, app } = await start();
    const reader = await Reader.open(proxy, ALL);
    await attached(proxy, reader);
    expect(await proxy.reload(httpConfig(app.port, { filters: TAP, manager: 'server_name: other' }))).toBe('updated');
    await expect
      .poll(async () => {
        await ask(proxy.port, { path: '/again' });
        return reader.text;
      })
      .toContain('/again');
  });

  const CASES: [name: string, body: string, problem: RegExp][] = [
    ['an unknown id', ALL.replace('sidecar', 'other'), /Unknown config id 'other'.*Registered: sidecar/],
    ['no body', '', /requires a JSON\/YAML body/],
    ['broken YAML', '{', /./],
    ['an unknown field', `${ALL}\n  surprise: 1`, /surprise/],
    ['a file', ALL.replace('streaming_admin: {}', 'file_per_tap: { path_prefix: /tmp/x }'), /only where the config/],
  ];
  test.each(CASES)('refuses %s', async (_name, body, problem) => {
    const { proxy } = await start();
    const reader = await Reader.open(proxy, body);
    expect(reader.status).toBe(400);
    await eventually('the answer', () => problem.test(reader.text));
  });

  test('refuses a fifth reader', async () => {
    const { proxy } = await start();
    for (let i = 0; i < 4; i++) expect((await Reader.open(proxy, ALL)).status).toBe(200);
    expect((await Reader.open(proxy, ALL)).status).toBe(400);
  });
});
