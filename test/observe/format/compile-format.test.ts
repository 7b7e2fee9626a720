import { describe, expect, it } from 'vitest';
import { FLAG } from '../../../src/http/response-flags.ts';
import { compileFormat, DEFAULT_FORMAT, FormatError, OPERATOR_NAMES } from '../../../src/observe/format/index.ts';
import type { FakeStream } from '../fake-stream.ts';
import { fakeSession, fakeStream } from '../fake-stream.ts';

function print(format: string, fake: FakeStream = {}): string {
  return compileFormat(format)(fakeStream(fake));
}

describe('compileFormat', () => {
  it("prints Envoy's default line", () => {
    expect(compileFormat(DEFAULT_FORMAT)(fakeStream())).toBe(
      '[2026-11-21T21:14:54.340Z] "GET /items?page=2 HTTP/1.1" 200 - 5 300 12 9 "-" "curl/8.0" "c7b17295-f882" ' +
        '"shop.test" "127.0.0.1:8080"\n',
    );
  });

  it("prints Envoy's default line for a TCP session", () => {
    expect(compileFormat(DEFAULT_FORMAT)(fakeSession())).toBe(
      '[2026-11-21T21:14:54.340Z] "- - -" 0 - 5 300 12 - "-" "-" "-" "-" "127.0.0.1:8080"\n',
    );
  });

  it.each([
    ['%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%', '/items?page=2'],
    ['%REQ(X-NOPE?:PATH):4%', '/ite'],
    ['%REQ(USER-AGENT):400%', 'curl/8.0'],
    ['%RESP(:STATUS)%', '200'],
    ['%REQ_WITHOUT_QUERY(:PATH)%', '/items'],
    ['%PATH%|%PATH(NQ)%|%PATH(NQ:PATH)%|%PATH(WQ:ORIG)%', '/items?page=2|/items|/items|-'],
    ['%QUERY_PARAM(page)%|%QUERY_PARAM(pag)%|%QUERY_PARAMS%', '2|-|page=2'],
    ['%DURATION% %REQUEST_DURATION% %REQUEST_TX_DURATION% %RESPONSE_DURATION% %RESPONSE_TX_DURATION%', '12 1 3 9 2'],
    ['%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)% %COMMON_DURATION(US_TX_BEG:US_RX_BEG)%', '11500 7'],
    ['%BYTES_RECEIVED%/%BYTES_SENT%/%DOWNSTREAM_WIRE_BYTES_SENT%', '5/300/0'],
    ['%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS%', 'via_upstream -'],
    [
      '%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_REMOTE_PORT%',
      '10.0.0.9:40123 10.0.0.9 40123',
    ],
    ['%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_PORT%', '10.0.0.1:15006 15006'],
    [
      '%UPSTREAM_CLUSTER% %UPSTREAM_HOST% %UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT% %UPSTREAM_REMOTE_PORT%',
      'app 127.0.0.1:8080 127.0.0.1 8080',
    ],
    ['%UPSTREAM_REQUEST_ATTEMPT_COUNT% %ROUTE_NAME% %VIRTUAL_HOST_NAME% %CONNECTION_ID%', '1 items shop 7'],
    ['%STREAM_ID%', 'c7b17295-f882'],
    ['%ENVIRONMENT(OUTRIGGER_NOT_SET)%', '-'],
    ['100%% of %%%PROTOCOL%%%', '100% of %HTTP/1.1%'],
    ['no operator', 'no operator'],
    ['', ''],
  ])('prints %s', (format, expected) => {
    expect(print(format)).toBe(expected);
  });

  it('tells no port for a client that x-forwarded-for names', () => {
    expect(
      print('%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_DIRECT_REMOTE_ADDRESS%', { fields: { remoteAddress: '1.2.3.4' } }),
    ).toBe('1.2.3.4:0 10.0.0.9:40123');
  });

  it('puts IPv6 addresses into brackets, and takes them off without the port', () => {
    const fake = {
      connection: { remoteAddress: '::1', localAddress: '::1' },
      fields: { upstreamLocalAddress: '[::1]:99' },
    };
    expect(print('%DOWNSTREAM_REMOTE_ADDRESS% %UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT% %UPSTREAM_LOCAL_PORT%', fake)).toBe(
      '[::1]:40123 ::1 99',
    );
  });

  it('prints response flags short and long', () => {
    const fields = { responseFlags: FLAG.UF | FLAG.URX };
    expect(print('%RESPONSE_FLAGS% %RESPONSE_FLAGS_LONG%', { fields })).toBe(
      'UF,URX UpstreamConnectionFailure,UpstreamRetryLimitExceeded',
    );
  });

  it('prints metadata and filter state, objects as JSON', () => {
    const fake = { metadata: { 'envoy.lb': { canary: true, n: 42, deep: { x: 'y' } } }, filterState: { key: 'state' } };
    expect(
      print(
        '%DYNAMIC_METADATA(envoy.lb:n)% %DYNAMIC_METADATA(envoy.lb:deep:x)% %DYNAMIC_METADATA(envoy.lb:deep)%',
        fake,
      ),
    ).toBe('42 y {"x":"y"}');
    expect(print('%DYNAMIC_METADATA(envoy.lb:deep:constructor)% %DYNAMIC_METADATA(none)%', fake)).toBe('- -');
    expect(print('%FILTER_STATE(key)% %FILTER_STATE(nope)%', fake)).toBe('state -');
  });

  it('prints the gRPC status of gRPC streams only', () => {
    const format = '%GRPC_STATUS% %GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS_NUMBER%';
    const requestHeaders = { 'content-type': 'application/grpc+proto' };
    expect(print(format, { requestHeaders, responseTrailers: { 'grpc-status': '5' } })).toBe('NotFound NOT_FOUND 5');
    expect(print(format, { requestHeaders, fields: { responseCode: 503 } })).toBe('Unavailable UNAVAILABLE 14');
    expect(print(format, { requestHeaders })).toBe('Unknown UNKNOWN 2');
    expect(print(format, { requestHeaders, responseHeaders: { 'grpc-status': '99' } })).toBe('99 99 99');
    expect(print(format, { requestHeaders, responseHeaders: { 'grpc-status': 'x' } })).toBe('-1 -1 -1');
    expect(print(format, { responseTrailers: { 'grpc-status': '5' } })).toBe('- - -');
  });

  it('lets no header begin a line of its own', () => {
    const requestHeaders = { 'user-agent': 'a\r\n[2026] "GET /forged"\x00\x7f', 'x-b': 'tab\tstays' };
    const line = print('%REQ(USER-AGENT)% %REQ(X-B)%\n', { requestHeaders });
    expect(line).toBe('a\\r\\n[2026] "GET /forged"\\u0000\\u007f tab\tstays\n');
  });

  it('escapes values in formats of several lines too', () => {
    expect(print('a\n%REQ(X)%\nb %REQ(X)%\n\n', { requestHeaders: { x: '1\n2' } })).toBe('a\n1\\n2\nb 1\\n2\n\n');
  });

  it('answers byte strings: header bytes as they are, other text as UTF-8', () => {
    const fake = { requestHeaders: { x: 'h\xc3\xa9' }, metadata: { ns: { k: '→' } } };
    const line = print('é %REQ(X)% %DYNAMIC_METADATA(ns:k)%', fake);
    expect(Buffer.from(line, 'latin1').toString('utf8')).toBe('é hé →');
  });

  it('prints the body of a local reply where there is one', () => {
    const format = compileFormat('<%LOCAL_REPLY_BODY%>');
    expect(format(fakeStream(), { localReplyBody: 'denied' })).toBe('<denied>');
    expect(format(fakeStream())).toBe('<>');
  });

  it('prints nothing for unset operators when asked to omit them', () => {
    expect(compileFormat('[%REQ(NOPE)%]', { unset: '' })(fakeStream())).toBe('[]');
  });

  it.each([
    ['x %RESPONSE_CDE%', 3, /unknown operator; did you mean %RESPONSE_CODE%\?/],
    ['%REQ%', 1, /needs \(HEADER\)/],
    ['%REQ(A?B?C)%', 1, /needs \(HEADER\)/],
    ['ab%', 3, /%% for a percent sign/],
    ['%PROTOCOL', 1, /expected %OPERATOR%/],
    ['%PROTOCOL(x)%', 1, /takes no argument/],
    ['%START_TIME(%Q)%', 1, /unknown time conversion '%Q'/],
    ['%COMMON_DURATION(DS_RX_BEG:X)%', 1, /needs \(BEGIN:END/],
    ['%DYNAMIC_METADATA()%', 1, /NAMESPACE/],
  ])('refuses %s and says where and why', (format, column, reason) => {
    const failure = (() => {
      try {
        return compileFormat(format);
      } catch (error) {
        return error;
      }
    })();
    expect(failure).toBeInstanceOf(FormatError);
    expect((failure as FormatError).column).toBe(column);
    expect((failure as FormatError).message).toMatch(reason);
  });

  it('knows every operator of the contract', () => {
    const needed = ['REQ', 'RESP', 'TRAILER', 'DYNAMIC_METADATA', 'FILTER_STATE', 'GRPC_STATUS', 'CONNECTION_ID', 'START_TIME',
      'UPSTREAM_REQUEST_ATTEMPT_COUNT', 'REQUEST_DURATION', 'RESPONSE_DURATION', 'RESPONSE_TX_DURATION', 'UPSTREAM_WIRE_BYTES_SENT',
      'DOWNSTREAM_HEADER_BYTES_RECEIVED', 'DOWNSTREAM_PEER_URI_SAN', 'REQUESTED_SERVER_NAME', 'UPSTREAM_TRANSPORT_FAILURE_REASON']; // biome-ignore format: a list
    expect(OPERATOR_NAMES).toEqual(expect.arrayContaining(needed));
  });
});
