import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  CODE,
  codeOf,
  data,
  endsStream,
  type Frame,
  headers,
  nameOf,
  SETTING,
  settingsOf,
  TYPE,
} from '../../../support/http2/frames.ts';
import { requestBlock } from '../../../support/http2/hpack.ts';
import { Http2Peer, type Http2TestServer, serveHttp2 } from '../../../support/http2/peer.ts';
import { httpConfig } from '../../../support/proxy.ts';
import { LOG_FILE, type ProxyName, ProxyProcess } from '../../../support/proxy-process.ts';
import { answerWell, type HostileCase } from './case.ts';

const MANAGER = `codec_type: HTTP2
stream_idle_timeout: 3s
access_log:
- name: file
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
    path: ${LOG_FILE}
    log_format: { text_format_source: { inline_string: "%REQ(:PATH)% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%\\n" } }`;

const HTTP2 = `typed_extension_protocol_options:
    envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
      "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
      explicit_http_config: { http2_protocol_options: {} }`;

function configuration(ports: readonly number[]): string {
  const routes = ports.map((_, i) => `- match: { prefix: /${i}/ }\n  route: { cluster: case-${i}, timeout: 1s }`);
  const clusters = ports.map((port, i) => {
    const endpoint = `endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${port} } } }`;
    return `- name: case-${i}
  connect_timeout: 1s
  load_assignment: { cluster_name: case-${i}, endpoints: [{ lb_endpoints: [{ ${endpoint} }] }] }
  ${HTTP2}`;
  });
  return httpConfig(ports[0] ?? 0, { manager: MANAGER, routes: routes.join('\n'), clusters: clusters.join('\n') });
}

/** Takes a proxy through the cases, each with an upstream of its own. */
export function hostileUpstreams(proxyName: ProxyName, cases: readonly HostileCase[]): void {
  describe('an upstream that sends', { timeout: 60_000 }, () => {
    const stack = new AsyncDisposableStack();
    const servers: Http2TestServer[] = [];
    let proxy: ProxyProcess;

    beforeAll(async () => {
      for (const hostile of cases) servers.push(stack.use(await serve(hostile)));
      proxy = stack.use(await ProxyProcess.start(proxyName, configuration(servers.map(({ port }) => port))));
    });
    afterAll(() => stack.disposeAsync());

    for (const [i, hostile] of cases.entries()) {
      test(hostile.name, async () => {
        const expected = (proxyName === 'envoy' ? hostile.envoy : undefined) ?? hostile.expects;
        using client = await Http2Peer.connect(proxy.port);
        const path = `/${i}/`;
        const id = client.streamId();
        const block = requestBlock({ path, method: hostile.method ?? 'GET' });
        client.write(headers(id, block, { endStream: hostile.upload === undefined }));
        if (hostile.upload !== undefined) await upload(client, id, hostile.upload);
        const { status, body, reset } = await client.message(id, 10_000);
        const line = await proxy.logged((text) => text.startsWith(`${path} `));
        const [, flags = '', details = ''] = line.split(' ');
        expect({ status: status !== 0 && reset === undefined ? status : endOf(status, reset), flags }, line).toEqual({
          status: expected.status,
          flags: expected.flags,
        });
        if (expected.details !== undefined) expect(details).toMatch(expected.details);
        if (expected.body !== undefined) expect(body.toString()).toBe(expected.body);
        await told(servers[i] as Http2TestServer, hostile, proxyName);
        // The client's connection goes on, and so does the upstream, once it behaves.
        const again = hostile.stays === true ? '/0/well' : `/${i}/well`;
        const well = await client.ask({ path: again }, 10_000);
        expect([well.status, well.body.toString()]).toEqual([200, 'fine']);
      });
    }
  });
}

/** A response whose stream was reset counts as cut, but for a polite reset behind its end. */
function endOf(status: number, reset: number | undefined): number | 'reset' {
  return status !== 0 && reset === CODE.NO_ERROR ? status : 'reset';
}

function serve(hostile: HostileCase): Promise<Http2TestServer> {
  return serveHttp2((upstream, streamId, request) => {
    const path = request.fields?.find(([name]) => name === ':path')?.[1] ?? '';
    if (path.endsWith('well')) answerWell(upstream, streamId);
    else hostile.answer(upstream, streamId, request);
  }, hostile.options);
}

/** Sends a body as the windows allow, until it is out or the stream is over. */
async function upload(client: Http2Peer, id: number, body: Buffer): Promise<void> {
  const isOver = (): boolean =>
    client.frames.some((frame) => frame.streamId === id && (frame.type === TYPE.RST_STREAM || endsStream(frame)));
  for (let at = 0; at < body.length; at += 16_000) {
    const end = Math.min(at + 16_000, body.length);
    const open = (): boolean => windowOf(client, 0) >= end && windowOf(client, id) >= end;
    await client.until('the window for the upload', () => client.closed || isOver() || open());
    if (isOver()) return;
    client.write(data(id, body.subarray(at, end), end === body.length));
  }
}

/** Bytes that a stream, or the connection, may take in all. */
function windowOf(client: Http2Peer, id: number): number {
  let bytes = 65_535;
  for (const frame of client.frames) {
    if (frame.type === TYPE.WINDOW_UPDATE && frame.streamId === id) bytes += frame.payload.readUInt32BE();
    if (frame.type === TYPE.SETTINGS && id !== 0) bytes += initialChange(frame);
  }
  return bytes;
}

/** By how much the first settings change the size that streams begin with. */
const initialChange = (frame: Frame): number => (settingsOf(frame).get(SETTING.INITIAL_WINDOW_SIZE) ?? 65_535) - 65_535;

async function told(server: Http2TestServer, hostile: HostileCase, proxyName: ProxyName): Promise<void> {
  const { told: code } = hostile;
  const upstream = server.peers[0];
  if (code === undefined || upstream === undefined || proxyName === 'envoy') return;
  const isIt = (): boolean =>
    upstream.frames.some(
      (frame) => (frame.type === TYPE.GOAWAY || frame.type === TYPE.RST_STREAM) && codeOf(frame) === code,
    );
  await upstream.until(`the upstream is told ${nameOf(CODE, code)}`, isIt);
}
