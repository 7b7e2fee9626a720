import {
  createServer as createHttp1Server,
  request as http1Request,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http';
import {
  connect as connectHttp2,
  constants,
  createServer as createHttp2Server,
  type IncomingHttpHeaders as Http2Headers,
  type Http2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { Duplex, Readable } from 'node:stream';
import { type Answer, type Question, readAll, type Story, type StoryOptions, story } from './story.ts';

/** Node's own clients and servers of both versions behind one face, so that one story serves all combinations. */

export type Version = 'HTTP/1.1' | 'HTTP/2';

export const COMBINATIONS: readonly (readonly [downstream: Version, upstream: Version])[] = [
  ['HTTP/1.1', 'HTTP/1.1'],
  ['HTTP/1.1', 'HTTP/2'],
  ['HTTP/2', 'HTTP/1.1'],
  ['HTTP/2', 'HTTP/2'],
];

const UPSTREAM: Record<Version, string> = {
  'HTTP/1.1': 'http_protocol_options: { enable_trailers: true }',
  'HTTP/2': 'http2_protocol_options: { allow_connect: true }',
};

/** Starts `client → proxy({filters}) → app`; trailers, WebSockets and CONNECT are allowed in both versions. */
export function storyOf(upstream: Version, options: StoryOptions): Promise<Story> {
  const manager = `codec_type: AUTO
http_protocol_options: { enable_trailers: true }
http2_protocol_options: { allow_connect: true }
${options.manager ?? ''}`;
  const cluster = `typed_extension_protocol_options:
  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
    "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
    explicit_http_config: { ${UPSTREAM[upstream]} }
${options.cluster ?? ''}`;
  return story({ ...options, manager, cluster });
}

export interface VersionedApp extends AsyncDisposable {
  readonly port: number;
  readonly connections: number;
}

/** @param tunnel takes the bytes of a WebSocket, which the app then accepts */
export async function startAppOf(
  version: Version,
  listener: RequestListener,
  tunnel?: (bytes: Duplex, headers: IncomingHttpHeaders) => void,
): Promise<VersionedApp> {
  const sessions = new Set<Http2Session>();
  let connections = 0;
  const server = version === 'HTTP/2' ? http2Server(listener, sessions, tunnel) : http1Server(listener, tunnel);
  server.on('connection', () => connections++);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', () => done()));
  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return connections;
    },
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy();
      if ('closeAllConnections' in server) server.closeAllConnections();
      await new Promise<void>((done) => server.close(() => done()));
    },
  };
}

type Tunnel = ((bytes: Duplex, headers: IncomingHttpHeaders) => void) | undefined;

function http1Server(listener: RequestListener, tunnel: Tunnel) {
  const server = createHttp1Server({ keepAliveTimeout: 60_000 }, listener);
  if (tunnel === undefined) return server;
  return server.on('upgrade', (request, socket) => {
    socket.on('error', () => {});
    socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
    tunnel(socket, request.headers);
  });
}

function http2Server(listener: RequestListener, sessions: Set<Http2Session>, tunnel: Tunnel) {
  // The compatible API has what these tests use of a request and a response.
  const server = createHttp2Server({ settings: { enableConnectProtocol: true } }, listener as never);
  server.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => {});
    session.once('close', () => sessions.delete(session));
  });
  // Without a listener Node would refuse CONNECT.
  server.on('connect', () => {});
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {});
    if (headers[':protocol'] === undefined || tunnel === undefined) return;
    (stream as ServerHttp2Stream).respond({ ':status': 200 });
    tunnel(stream, headers as IncomingHttpHeaders);
  });
  return server;
}

export interface VersionedQuestion extends Omit<Question, 'socketPath'> {
  readonly trailers?: Record<string, string>;
  /** Wait for 100 before the body. */
  readonly expectContinue?: boolean;
}

export interface VersionedAnswer extends Answer {
  readonly interim: readonly number[];
}

/** One request on a connection of its own. Rejects when the response is cut. */
export function askOf(version: Version, port: number, question: VersionedQuestion = {}): Promise<VersionedAnswer> {
  return version === 'HTTP/2' ? askHttp2(port, question) : askHttp1(port, question);
}

function askHttp1(port: number, question: VersionedQuestion): Promise<VersionedAnswer> {
  const { method = 'GET', path = '/', headers = {}, body, trailers, expectContinue = false } = question;
  const all = { ...headers };
  if (trailers !== undefined) all['transfer-encoding'] = 'chunked';
  if (expectContinue) all.expect = '100-continue';
  return new Promise((resolve, reject) => {
    const interim: number[] = [];
    const request = http1Request({ host: '127.0.0.1', port, method, path, headers: all, agent: false });
    const send = (): void => {
      if (trailers !== undefined) request.addTrailers(trailers);
      request.end(body);
    };
    request.on('information', ({ statusCode }) => interim.push(statusCode));
    request.on('continue', () => expectContinue && send());
    request.on('response', (response: IncomingMessage) => {
      readAll(response).then(
        (bytes) =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: bytes.toString('latin1'),
            trailers: response.trailers,
            interim,
          }),
        reject,
      );
    });
    request.on('error', reject);
    if (expectContinue) request.flushHeaders();
    else send();
  });
}

function askHttp2(port: number, question: VersionedQuestion): Promise<VersionedAnswer> {
  const { method = 'GET', path = '/', headers = {}, body, trailers: toSend, expectContinue = false } = question;
  const client = connectHttp2(`http://127.0.0.1:${port}`);
  return new Promise<VersionedAnswer>((resolve, reject) => {
    const { host, ...others } = headers;
    const all: Record<string, string | string[]> = {
      ':method': method,
      ':path': path,
      ':authority': String(host ?? 'a'),
      ...others,
    };
    if (expectContinue) all.expect = '100-continue';
    client.on('error', reject);
    const endsHere = body === undefined && toSend === undefined;
    const stream = client.request(all, { endStream: endsHere, waitForTrailers: toSend !== undefined });
    const send = (): void => void stream.end(body);
    const interim: number[] = [];
    const chunks: Buffer[] = [];
    let got: Http2Headers | undefined;
    let trailers: NodeJS.Dict<string> = {};
    stream.on('wantTrailers', () => stream.sendTrailers(toSend ?? {}));
    stream.on('headers', (information) => interim.push(Number(information[':status'])));
    stream.on('continue', () => expectContinue && send());
    stream.on('response', (response) => {
      got = response;
    });
    stream.on('trailers', (fields) => {
      trailers = fields as NodeJS.Dict<string>;
    });
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', reject);
    stream.on('close', () => {
      if (got === undefined || stream.rstCode !== constants.NGHTTP2_NO_ERROR) {
        reject(new Error(`the stream was reset with ${stream.rstCode}`));
        return;
      }
      const status = Number(got[':status']);
      resolve({
        status,
        headers: got as IncomingHttpHeaders,
        body: Buffer.concat(chunks).toString('latin1'),
        trailers,
        interim,
      });
    });
    if (!expectContinue && !endsHere) send();
  }).finally(() => client.destroy());
}

/** A response that has begun; nothing of its body is read until somebody does. */
export interface OpenResponse {
  readonly body: Readable;
  /** Gives up the request: its connection, or its stream. */
  cancel(): void;
  /** Closes the connection. */
  close(): void;
}

export function openOf(version: Version, port: number, path = '/'): Promise<OpenResponse> {
  return new Promise((resolve, reject) => {
    if (version === 'HTTP/1.1') {
      const request = http1Request({ host: '127.0.0.1', port, path, agent: false }, (body) => {
        body.on('error', () => {});
        const cancel = (): void => void request.destroy();
        resolve({ body, cancel, close: cancel });
      });
      request.on('error', reject);
      request.end();
      return;
    }
    const client = connectHttp2(`http://127.0.0.1:${port}`);
    client.on('error', reject);
    const body = client.request({ ':path': path, ':authority': 'a' });
    body.on('error', reject);
    const cancel = (): void => body.close(constants.NGHTTP2_CANCEL);
    body.once('response', () => resolve({ body, cancel, close: () => client.destroy() }));
  });
}

/** Ends a response in the middle: its stream, or its connection. */
export function cut(response: ServerResponse): void {
  const { stream } = response as { stream?: ServerHttp2Stream };
  if (stream === undefined) response.destroy();
  else stream.close(constants.NGHTTP2_INTERNAL_ERROR);
}

/** A WebSocket as its client has it: what came of the handshake, and the bytes behind. */
export interface OpenTunnel extends Disposable {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Undefined when the handshake was refused. */
  readonly bytes: Duplex | undefined;
}

export function openTunnelOf(version: Version, port: number, path = '/chat'): Promise<OpenTunnel> {
  return version === 'HTTP/2' ? openHttp2(port, path) : openHttp1(port, path);
}

function openHttp1(port: number, path: string): Promise<OpenTunnel> {
  return new Promise((resolve, reject) => {
    const headers = { connection: 'upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' };
    const request = http1Request({ host: '127.0.0.1', port, path, headers, agent: false });
    request.on('error', reject);
    const result = (response: IncomingMessage, bytes: Duplex | undefined): void =>
      resolve({
        status: response.statusCode ?? 0,
        headers: response.headers,
        bytes,
        [Symbol.dispose]: () => void response.socket.destroy(),
      });
    request.on('upgrade', (response, socket, first) => {
      socket.on('error', () => {});
      if (first.length > 0) socket.unshift(first);
      result(response, socket);
    });
    request.on('response', (response) => result(response, undefined));
    request.end();
  });
}

function openHttp2(port: number, path: string): Promise<OpenTunnel> {
  const client = connectHttp2(`http://127.0.0.1:${port}`);
  return new Promise((resolve, reject) => {
    client.on('error', reject);
    // Extended CONNECT needs the server's word that it knows it (RFC 8441).
    client.once('remoteSettings', () => {
      const stream = client.request({
        ':method': 'CONNECT',
        ':protocol': 'websocket',
        ':scheme': 'http',
        ':path': path,
        ':authority': 'a',
        'sec-websocket-version': '13',
      });
      stream.on('error', () => {});
      stream.once('close', () => reject(new Error(`the stream was reset with ${stream.rstCode}`)));
      stream.once('response', (headers) => {
        const status = Number(headers[':status']);
        resolve({
          status,
          headers: headers as IncomingHttpHeaders,
          bytes: status === 200 ? stream : undefined,
          [Symbol.dispose]: () => client.destroy(),
        });
      });
    });
  });
}
