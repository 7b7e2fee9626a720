import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AccessLog, FileAccessLog } from '../../../src/config/schema/access-log.ts';
import { FLAG } from '../../../src/http/response-flags.ts';
import { HEALTH_CHECK_STATE } from '../../../src/observe/access-log/access-log-filter.ts';
import { compileAccessLogs, flushAll } from '../../../src/observe/access-log/index.ts';
import { FormatError } from '../../../src/observe/format/index.ts';
import type { StreamInfo } from '../../../src/observe/stream-info.ts';
import type { FakeStream } from '../fake-stream.ts';
import { fakeSession, fakeStream } from '../fake-stream.ts';

let folder: string;
const env = { log: { warn: () => {} } };

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'logs-'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function fileLog(fields: object, filter?: object): AccessLog {
  const path = join(folder, 'access.log');
  const config = v.parse(AccessLog, {
    name: 'envoy.access_loggers.file',
    ...(filter === undefined ? {} : { filter }),
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog',
      path,
      ...fields,
    },
  });
  return { ...config, typed_config: { ...config.typed_config, value: v.parse(FileAccessLog, { path, ...fields }) } };
}

async function logged(config: AccessLog, ...streams: StreamInfo[]): Promise<string> {
  const logger = compileAccessLogs([config], env);
  for (const stream of streams) logger.log(stream);
  await flushAll();
  logger.dispose();
  return readFileSync(join(folder, 'access.log'), 'latin1');
}

describe('compileAccessLogs', () => {
  it.each([
    [{ log_format: { text_format_source: { inline_string: '%RESPONSE_CODE%\n' } } }, '200\n'],
    [{ log_format: { text_format: '%PROTOCOL%\n' } }, 'HTTP/1.1\n'],
    [{ log_format: { json_format: { code: '%RESPONSE_CODE%' } } }, '{"code":200}\n'],
    [{ log_format: { json_format: { a: '%REQ(NO)%', b: 'x' }, omit_empty_values: true } }, '{"b":"x"}\n'],
    [{ json_format: { code: '%RESPONSE_CODE%' } }, '{"code":200}\n'],
    [{ format: '%REQ(:METHOD)%\n' }, 'GET\n'],
  ])('writes the format %j', async (fields, expected) => {
    expect(await logged(fileLog(fields), fakeStream())).toBe(expected);
  });

  it("writes Envoy's default format where there is none", async () => {
    expect(await logged(fileLog({}), fakeStream())).toMatch(
      /^\[2026-11-21T21:14:54\.340Z\] "GET .*"127\.0\.0\.1:8080"\n$/,
    );
  });

  it('writes each stream to every log that takes it', async () => {
    const errorsOnly = {
      status_code_filter: { comparison: { op: 'GE', value: { default_value: 500, runtime_key: 'k' } } },
    };
    const logger = compileAccessLogs([fileLog({ format: 'all\n' }), fileLog({ format: 'error\n' }, errorsOnly)], env);
    logger.log(fakeStream());
    logger.log(fakeStream({ fields: { responseCode: 503 } }));
    await flushAll();
    logger.dispose();
    expect(readFileSync(join(folder, 'access.log'), 'utf8')).toBe('all\nall\nerror\n');
  });

  it('opens no file when one of the formats is wrong', () => {
    const { typed_config } = fileLog({});
    const value = { ...(typed_config.value as FileAccessLog), format: '%NOPE%' };
    const wrong = { ...fileLog({}), typed_config: { ...typed_config, value } };
    expect(() => compileAccessLogs([fileLog({}), wrong], env)).toThrow(FormatError);
    expect(() => readFileSync(join(folder, 'access.log'))).toThrow('ENOENT');
  });

  it('refuses a logger that does not exist', () => {
    const config = { name: 'tap', typed_config: { type: 'envoy.other.Log', value: {} } };
    expect(() => compileAccessLogs([config], env)).toThrow(/envoy\.other\.Log is not available/);
  });
});

const compare = (op: string, bound: number) => ({
  comparison: { op, value: { default_value: bound, runtime_key: 'k' } },
});
const status = (op: string, bound: number) => ({ status_code_filter: compare(op, bound) });
const code = (responseCode: number): FakeStream => ({ fields: { responseCode } });
const metadataMatcher = { filter: 'ns', path: [{ key: 'k' }], value: { string_match: { exact: 'v' } } };

describe('access log filters', () => {
  it.each<[filter: object, passes: FakeStream, fails: FakeStream]>([
    [status('GE', 400), code(400), code(399)],
    [status('EQ', 404), code(404), code(403)],
    [status('LE', 299), code(299), code(300)],
    [status('NE', 200), code(201), code(200)],
    [{ duration_filter: compare('GE', 12) }, {}, { fields: { endMs: 1011.9 } }],
    [{ not_health_check_filter: {} }, {}, { filterState: { [HEALTH_CHECK_STATE]: true } }],
    [{ and_filter: { filters: [status('GE', 400), status('LE', 499)] } }, code(404), code(500)],
    [{ or_filter: { filters: [status('EQ', 404), status('EQ', 500)] } }, code(500), code(503)],
    [
      { header_filter: { header: { name: 'X-Log', string_match: { exact: 'yes' } } } },
      { requestHeaders: { 'x-log': 'yes' } },
      {},
    ],
    [
      { response_flag_filter: { flags: ['UF', 'UH'] } },
      { fields: { responseFlags: FLAG.UH } },
      { fields: { responseFlags: FLAG.NR } },
    ],
    [{ response_flag_filter: {} }, { fields: { responseFlags: FLAG.NR } }, {}],
    [
      { grpc_status_filter: { statuses: ['NOT_FOUND'] } },
      { responseTrailers: { 'grpc-status': '5' } },
      { responseTrailers: { 'grpc-status': '0' } },
    ],
    [
      { grpc_status_filter: { statuses: ['OK'], exclude: true } },
      { responseHeaders: { 'grpc-status': '13' } },
      { responseHeaders: { 'grpc-status': '0' } },
    ],
    [
      { metadata_filter: { matcher: metadataMatcher } },
      { metadata: { ns: { k: 'v' } } },
      { metadata: { ns: { k: 'w' } } },
    ],
    [{ metadata_filter: { matcher: metadataMatcher } }, {}, { metadata: { ns: { k: 'w' } } }],
    [
      { metadata_filter: { matcher: metadataMatcher, match_if_key_not_found: false } },
      { metadata: { ns: { k: 'v' } } },
      {},
    ],
    [{ runtime_filter: { runtime_key: 'k', percent_sampled: { numerator: 100 } } }, {}, undefined as never],
    [{ traceable_filter: {} }, { fields: { isTraceable: true } }, { fields: { isTraceable: false } }],
    [{ log_type_filter: { types: ['DownstreamEnd'] } }, {}, { fields: { request: undefined } }],
    [{ log_type_filter: { types: ['DownstreamEnd'], exclude: true } }, { fields: { request: undefined } }, {}],
  ])('%j', async (filter, passes, fails) => {
    const streams = [fakeStream({ ...passes }), ...(fails === undefined ? [] : [fakeStream({ ...fails })])];
    expect(await logged(fileLog({ format: 'logged\n' }, filter), ...streams)).toBe('logged\n');
  });

  it('logs nothing that would have to be traced or sampled without a share', async () => {
    expect(await logged(fileLog({}, { traceable_filter: {} }), fakeStream())).toBe('');
    expect(await logged(fileLog({}, { runtime_filter: { runtime_key: 'k' } }), fakeStream())).toBe('');
  });

  it('takes a TCP session for one without headers', async () => {
    const filter = { header_filter: { header: { name: 'x', present_match: true } } };
    expect(await logged(fileLog({}, filter), fakeSession())).toBe('');
  });
});
