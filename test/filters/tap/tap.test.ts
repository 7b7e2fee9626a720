import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { tap } from '../../../filters/tap/tap.ts';
import type { TapRequest } from '../../../src/config/schema/tap.ts';
import type { HttpStream } from '../../../src/filter/index.ts';
import { TapRegistry } from '../../../src/observe/tap/tap-registry.ts';
import { HttpFilterHarness, responseHead, type StreamFacts, type TestStream } from '../../support/filter-harness.ts';

interface Message {
  readonly headers: { key: string; value: string }[];
  readonly body?: { as_bytes?: string; as_string?: string; truncated: boolean };
  readonly headers_received_time?: string;
}
interface Trace {
  readonly http_buffered_trace?: {
    readonly request: Message;
    readonly response?: Message;
    readonly downstream_connection?: unknown;
  };
  readonly http_streamed_trace_segment?: Record<string, { headers?: Message['headers']; as_string?: string }>;
}

type Match = TapRequest['tap_config']['match'];

let taps: TapRegistry;
let folder: string;

beforeEach(() => {
  taps = new TapRegistry();
  folder = mkdtempSync(join(tmpdir(), 'outrigger-tap-'));
});
afterEach(() => {
  taps.detach('reader');
  rmSync(folder, { recursive: true });
});

function request(match: unknown, output: object = {}): object {
  const sinks = [{ format: 'JSON_BODY_AS_STRING', streaming_admin: {} }];
  return { config_id: 'one', tap_config: { match, output_config: { sinks, ...output } } };
}

/** A filter that `POST /tap` has attached to. */
function attached(match: unknown = { any_match: true }, output: object = {}, fields: object = {}): HttpFilterHarness {
  const config = { common_config: { admin_config: { config_id: 'one' } }, ...fields };
  const harness = new HttpFilterHarness(tap, config, { taps });
  taps.poll({ reader: 'reader', request: request(match, output) });
  return harness;
}

const traces = (): Trace[] => taps.poll({ reader: 'reader', request: {} }).traces.map((text) => JSON.parse(text));

interface Exchange {
  readonly send?: Record<string, string | string[]>;
  readonly body?: readonly string[];
  readonly status?: number;
  readonly answer?: Record<string, string>;
  readonly response?: readonly string[];
  readonly facts?: StreamFacts;
}

/** Takes an exchange through all hooks. */
function exchange(harness: HttpFilterHarness, parts: Exchange = {}): TestStream {
  const { hooks } = harness;
  const { stream } = harness.request(parts.send, parts.facts);
  const run = (hook: 'onRequestBody' | 'onResponseBody', chunks: readonly string[]): void => {
    for (const [i, chunk] of chunks.entries()) hooks[hook]?.(Buffer.from(chunk), i === chunks.length - 1, stream);
  };
  run('onRequestBody', parts.body ?? []);
  harness.response(stream, responseHead(parts.status ?? 200, parts.answer));
  run('onResponseBody', parts.response ?? []);
  hooks.onDone?.(stream as HttpStream);
  return stream;
}

const pairs = (message: Message | undefined): string[] =>
  message?.headers.map(({ key, value }) => `${key}: ${value}`) ?? [];

describe('a buffered trace', () => {
  test('has both heads, both bodies, and says what was cut', () => {
    const harness = attached({ any_match: true }, { max_buffered_rx_bytes: 4 });
    exchange(harness, {
      send: { ':method': 'POST', ':path': '/a', 'x-a': 'é' },
      body: ['bod', 'y123'],
      status: 201,
      answer: { 'x-b': '2' },
      response: ['done'],
    });
    const [trace] = traces();
    const { request: sent, response } = trace?.http_buffered_trace ?? {};
    expect(pairs(sent)).toEqual([
      ':authority: test.example',
      ':path: /a',
      ':method: POST',
      ':scheme: http',
      expect.stringMatching(/^x-a: /),
    ]);
    expect(sent?.body).toEqual({ as_string: 'body', truncated: true });
    expect(pairs(response)).toEqual([':status: 201', 'x-b: 2']);
    expect(response?.body).toEqual({ as_string: 'done', truncated: false });
    expect(sent).not.toHaveProperty('headers_received_time');
    expect(harness.stat('http.test.tap.rq_tapped')).toBe(1);
  });

  test('has bytes in base64, times and addresses where that is asked for', () => {
    const output = { sinks: [{ streaming_admin: {} }] };
    const harness = attached({ any_match: true }, output, {
      record_headers_received_time: true,
      record_downstream_connection: true,
    });
    exchange(harness, { body: ['ÿ'], facts: { peer: '10.0.0.9' } });
    const trace = traces()[0]?.http_buffered_trace;
    expect(trace?.request.body).toEqual({ as_bytes: Buffer.from('ÿ').toString('base64'), truncated: false });
    expect(trace?.request.headers_received_time).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/);
    expect(JSON.stringify(trace?.downstream_connection)).toContain('"address":"10.0.0.9","port_value":50000');
  });

  test('of a request that nobody answered has no response', () => {
    const harness = attached();
    const { stream } = harness.request();
    harness.hooks.onDone?.(stream as HttpStream);
    expect(traces()[0]?.http_buffered_trace).not.toHaveProperty('response');
  });
});

describe('the match', () => {
  const header = (name: string, exact: string): object => ({ headers: [{ name, string_match: { exact } }] });
  const text = (string_match: string, more: object = {}): object => ({ patterns: [{ string_match }], ...more });
  const cases: [name: string, match: object, parts: Exchange, matches: boolean][] = [
    ['a request header', { http_request_headers_match: header('x-a', '1') }, { send: { 'x-a': '1' } }, true],
    ['another request header', { http_request_headers_match: header('x-a', '1') }, { send: { 'x-a': '2' } }, false],
    ['no header asked for', { http_request_headers_match: {} }, {}, true],
    ['the status', { http_response_headers_match: header(':status', '503') }, { status: 503 }, true],
    ['not the status', { not_match: { http_response_headers_match: header(':status', '503') } }, {}, true],
    ['not that status', { not_match: { http_response_headers_match: header(':status', '200') } }, {}, false],
    [
      'both',
      {
        and_match: {
          rules: [{ any_match: true }, { http_response_headers_match: header(':status', '200') }],
        },
      },
      {},
      true,
    ],
    [
      'one of two',
      {
        or_match: {
          rules: [
            { http_request_headers_match: header('x-a', '1') },
            { http_response_headers_match: header('x-b', '1') },
          ],
        },
      },
      { answer: { 'x-b': '1' } },
      true,
    ],
    ['a text over two chunks', { http_request_generic_body_match: text('needle') }, { body: ['..nee', 'dle..'] }, true],
    [
      'two texts, one of which is missing',
      { http_request_generic_body_match: { patterns: [{ string_match: 'a' }, { string_match: 'b' }] } },
      { body: ['a'] },
      false,
    ],
    [
      'a text behind the limit',
      { http_response_generic_body_match: text('end', { bytes_limit: 5 }) },
      { response: ['12', '3end'] },
      false,
    ],
    [
      'bytes',
      { http_response_generic_body_match: { patterns: [{ binary_match: 'AP8=' }] } },
      { response: ['x\u0000'] },
      false,
    ],
    ['trailers that did not come', { http_response_trailers_match: header('x-t', '1') }, {}, false],
    ['not trailers that did not come', { not_match: { http_response_trailers_match: header('x-t', '1') } }, {}, true],
  ];
  test.each(cases)('by %s', (_name, match, parts, matches) => {
    const harness = attached(match as Match);
    exchange(harness, parts);
    expect(traces().length).toBe(matches ? 1 : 0);
    expect(harness.stat('http.test.tap.rq_tapped')).toBe(matches ? 1 : 0);
  });

  test('leaves a share of the requests out, and counts them', () => {
    const harness = attached({ any_match: true });
    taps.detach('reader');
    const sampled = request({ any_match: true }) as { tap_config: object };
    const fraction = { default_value: { numerator: 0 } };
    taps.poll({
      reader: 'reader',
      request: { ...sampled, tap_config: { ...sampled.tap_config, tap_enabled: fraction } },
    });
    exchange(harness);
    expect(traces()).toEqual([]);
    expect(harness.stat('http.test.tap.rq_sampled_out')).toBe(1);
  });
});

describe('a streamed trace', () => {
  const segments = (): string[] =>
    traces().map((trace) => {
      const { trace_id: _id, ...piece } = trace.http_streamed_trace_segment ?? {};
      const [[name = '', content] = []] = Object.entries(piece);
      return content?.as_string === undefined ? name : `${name} ${content.as_string}`;
    });

  test('begins with the request and has a segment for each chunk', () => {
    exchange(attached({ any_match: true }, { streaming: true }), {
      body: ['ab', 'cd'],
      response: ['ef'],
    });
    expect(segments()).toEqual([
      'request_headers',
      'request_body_chunk ab',
      'request_body_chunk cd',
      'response_headers',
      'response_body_chunk ef',
    ]);
  });

  test('keeps what came before the match was known', () => {
    const match = { http_response_headers_match: { headers: [{ name: 'x-b' }] } };
    const harness = attached(match, { streaming: true, max_buffered_rx_bytes: 3 });
    exchange(harness, { body: ['ab', 'cd'], answer: { 'x-b': '1' }, response: ['ef', 'gh'] });
    expect(segments()).toEqual([
      'request_headers',
      'request_body_chunk abc',
      'response_headers',
      'response_body_chunk ef',
      'response_body_chunk gh',
    ]);
    exchange(harness, { body: ['ab'] });
    expect(segments()).toEqual([]);
  });

  test('begins when a text is found in the response', () => {
    const match = { http_response_generic_body_match: { patterns: [{ string_match: 'fg' }] } };
    exchange(attached(match, { streaming: true }), { response: ['ef', 'gh', 'ij'] });
    expect(segments()).toEqual([
      'request_headers',
      'response_headers',
      'response_body_chunk ef',
      'response_body_chunk gh',
      'response_body_chunk ij',
    ]);
  });
});

describe('without a reader', () => {
  test('nothing is recorded, before and after', () => {
    const harness = new HttpFilterHarness(
      tap,
      { common_config: { admin_config: { config_id: 'one' } } },
      {
        taps,
      },
    );
    expect(exchange(harness).slots).toEqual([]);
    taps.poll({ reader: 'reader', request: request({ any_match: true }) });
    exchange(harness);
    expect(traces().length).toBe(1);
    taps.detach('reader');
    expect(exchange(harness).slots).toEqual([]);
    expect(harness.stat('http.test.tap.rq_tapped')).toBe(1);
  });

  test('a request that cannot match is not looked at further', () => {
    const harness = attached({ http_request_headers_match: { headers: [{ name: 'x-tap' }] } });
    expect(exchange(harness, { body: ['abc'] }).slots).toEqual([]);
  });
});

describe('files', () => {
  const config = (fields: object = {}): object => ({
    common_config: {
      static_config: {
        match: { any_match: true },
        output_config: { sinks: [{ file_per_tap: { path_prefix: join(folder, 'tap') } }], streaming: true },
      },
    },
    ...fields,
  });

  test('have one stream each, for this user alone', async () => {
    const harness = new HttpFilterHarness(tap, config());
    exchange(harness, { body: ['one'] });
    exchange(harness);
    const files = () => readdirSync(folder).map((name) => join(folder, name));
    const texts = () => files().map((file) => readFileSync(file, 'utf8'));
    await expect.poll(() => texts().filter((text) => text.includes('response_headers')).length).toBe(2);
    expect(texts().filter((text) => text.includes('"as_bytes": "b25l"')).length).toBe(1);
    for (const file of files()) {
      expect(file).toMatch(/\/tap_\d+\.json$/);
      expect(statSync(file).mode & 0o777).toBe(0o600);
    }
  });

  test('are no more than allowed, those of earlier runs counted', async () => {
    writeFileSync(join(folder, 'tap_1.json'), '');
    const harness = new HttpFilterHarness(tap, config({ outrigger: { max_files: 3 } }));
    for (let i = 0; i < 5; i++) exchange(harness);
    await expect.poll(() => readdirSync(folder).length).toBe(3);
    expect(harness.stat('http.test.tap.rq_tapped')).toBe(5);
    expect(harness.stat('http.test.tap.rq_lost')).toBe(3);
  });

  test('are counted for all threads together', async () => {
    const memory = new Map<string, SharedArrayBuffer>();
    const threads = [1, 2].map(() => new HttpFilterHarness(tap, config({ outrigger: { max_files: 3 } }), { memory }));
    for (let i = 0; i < 3; i++) for (const thread of threads) exchange(thread);
    const lost = threads.map((thread) => thread.stat('http.test.tap.rq_lost') ?? 0);
    expect((lost[0] as number) + (lost[1] as number)).toBe(3);
    await expect.poll(() => readdirSync(folder).length).toBe(3);
  });

  test('need a folder that is there, or the configuration is refused', () => {
    rmSync(folder, { recursive: true });
    expect(() => new HttpFilterHarness(tap, config())).toThrow(/path_prefix .*tap: .* cannot be written to/);
    writeFileSync(folder, '');
    expect(() => new HttpFilterHarness(tap, config())).toThrow(/it is not a folder/);
  });
});

test.each([
  ['an admin sink', { sinks: [{ streaming_admin: {} }] }, /is only for taps that POST \/tap configures/],
  ['two sinks', { sinks: [{ streaming_admin: {} }, { streaming_admin: {} }] }, /has 2 items/],
  ['a binary format', { sinks: [{ format: 'PROTO_TEXT', file_per_tap: { path_prefix: 'a' } }] }, /PROTO_TEXT/],
])('a configured tap with %s is refused', (_name, output_config, problem) => {
  const config = { common_config: { static_config: { match: { any_match: true }, output_config } } };
  expect(() => new HttpFilterHarness(tap, config)).toThrow(problem);
});
