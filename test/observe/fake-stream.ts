import { HeaderMap } from '../../src/http/headers.ts';
import { RequestHead, ResponseHead } from '../../src/http/message.ts';
import type { ConnectionInfo, StreamInfo } from '../../src/observe/stream-info.ts';

const CONNECTION: ConnectionInfo = {
  id: 7,
  remoteAddress: '10.0.0.9',
  remotePort: 40123,
  localAddress: '10.0.0.1',
  localPort: 15006,
  serverName: '',
  tls: undefined,
};

export interface FakeStream {
  requestHeaders?: Record<string, string>;
  responseHeaders?: Record<string, string>;
  responseTrailers?: Record<string, string>;
  metadata?: Record<string, Record<string, unknown>>;
  filterState?: Record<string, unknown>;
  connection?: Partial<ConnectionInfo>;
  /** Any other field of StreamInfo. */
  fields?: Partial<StreamInfo>;
}

/** A GET that an endpoint answered with 200 after 12 ms; every part can be replaced. */
export function fakeStream(fake: FakeStream = {}): StreamInfo {
  const request = new RequestHead();
  request.method = 'GET';
  request.path = '/items?page=2';
  request.authority = 'shop.test';
  fill(request, fake.requestHeaders ?? { 'user-agent': 'curl/8.0', 'x-request-id': 'c7b17295-f882' });
  const response = new ResponseHead();
  fill(response, fake.responseHeaders ?? { 'x-envoy-upstream-service-time': '9' });
  return {
    connection: { ...CONNECTION, ...fake.connection },
    remoteAddress: fake.connection?.remoteAddress ?? CONNECTION.remoteAddress,
    startTimeEpochMs: Date.UTC(2026, 10, 21, 21, 14, 54, 340),
    startMs: 1000,
    requestEndMs: 1001,
    upstreamTxBeginMs: 1002,
    upstreamTxEndMs: 1003,
    upstreamRxBeginMs: 1009,
    upstreamRxEndMs: 1010,
    downstreamTxBeginMs: 1010,
    downstreamTxEndMs: 1011.5,
    endMs: 1012.7,
    bytesReceived: 5,
    bytesSent: 300,
    request,
    requestTrailers: undefined,
    response,
    responseTrailers: fake.responseTrailers === undefined ? undefined : fill(new HeaderMap(), fake.responseTrailers),
    responseCode: 200,
    responseFlags: 0,
    responseCodeDetails: 'via_upstream',
    connectionTerminationDetails: '',
    upstreamCluster: 'app',
    upstreamHost: '127.0.0.1:8080',
    upstreamLocalAddress: '127.0.0.1:51000',
    upstreamTransportFailureReason: '',
    downstreamTransportFailureReason: '',
    upstreamAttemptCount: 1,
    routeName: 'items',
    virtualHostName: 'shop',
    getMetadata: (namespace, key) => {
      const values = fake.metadata?.[namespace];
      return key === undefined ? values : values?.[key];
    },
    getFilterState: (key) => fake.filterState?.[key],
    ...fake.fields,
  };
}

/** The stream of a plain TCP session: no request, no response. */
export function fakeSession(fields: Partial<StreamInfo> = {}): StreamInfo {
  return fakeStream({
    fields: {
      request: undefined,
      response: undefined,
      responseCode: 0,
      responseCodeDetails: '',
      requestEndMs: 0,
      upstreamRxBeginMs: 0,
      ...fields,
    },
  });
}

/** As the codec leaves them, values as spans of the raw head; control bytes get in here, as from a lenient codec. */
function fill<T extends HeaderMap>(headers: T, values: Record<string, string>): T {
  headers.reset(Object.values(values).join(''));
  let at = 0;
  for (const [name, value] of Object.entries(values)) {
    headers.pushSpan(name, at, at, at + value.length, at + value.length);
    at += value.length;
  }
  return headers;
}
