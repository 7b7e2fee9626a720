import type { Http2Peer, PeerOptions } from '../../support/http2/peer.ts';
import { serveHttp2 } from '../../support/http2/peer.ts';
import { eventually, type StoryOptions, story } from '../../support/story.ts';

/** A request that a test has to answer. */
export interface Held {
  readonly upstream: Http2Peer;
  readonly id: number;
  readonly path: string;
}

/** An HTTP/2 app that answers nothing by itself. */
export async function holdingUpstream(options: PeerOptions | ((connection: number) => PeerOptions) = {}) {
  const held: Held[] = [];
  const server = await serveHttp2((upstream, id, request) => {
    held.push({ upstream, id, path: request.fields?.find(([name]) => name === ':path')?.[1] ?? '' });
  }, options);
  return {
    ...server,
    held,
    /** Waits for the request with this path. */
    async got(path: string): Promise<Held> {
      await eventually(`${path} is with the app`, () => held.some((one) => one.path === path));
      return held.findLast((one) => one.path === path) as Held;
    },
  };
}

/** The field of a cluster that speaks HTTP/2; `more` are fields of its HttpProtocolOptions, `http2` of its HTTP/2 options. */
export const http2Cluster = (more = '', http2 = ''): string => `typed_extension_protocol_options:
  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
    "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
    explicit_http_config: { http2_protocol_options: { ${http2} } }
    ${more}`;

/** One connection to the app, however many requests there are. */
export const ONE_CONNECTION = `circuit_breakers: { thresholds: [{ max_connections: 1 }] }
${http2Cluster()}`;

/** `client → proxy → an app that speaks HTTP/2`. */
export const http2Story = (port: number, more: Partial<StoryOptions> = {}) =>
  story({ app: port, cluster: http2Cluster(), ...more });
