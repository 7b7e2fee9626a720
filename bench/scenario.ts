import type { Fixtures } from './policies/fixtures.ts';
import type { PolicyName } from './policies/policy-name.ts';

export type HttpVersion = 'http1' | 'http2';

/** `tls`: the server shows a certificate. `mtls`: the client does too. */
export type TlsSide = 'tls' | 'mtls';

export interface TlsSides {
  readonly downstream?: TlsSide;
  readonly upstream?: TlsSide;
}

/** One piece of work that the peers are measured with. */
export interface Scenario {
  readonly name: string;
  readonly summary: string;
  /** What `--scenario` may select besides the name. */
  readonly groups: readonly string[];
  /** How the proxy treats the connection; with `tcp` HTTP/1.1 passes through as bytes. */
  readonly protocol: 'tcp' | 'http';
  /** What the load speaks to the proxy. */
  readonly downstream: HttpVersion;
  /** What the proxy speaks to the backend. */
  readonly upstream: HttpVersion;
  /** `unary`: each request is a call. `stream`: each message of a bidirectional stream, with its echo, is a request. */
  readonly grpc?: 'unary' | 'stream';
  /** File in bench/scenarios, without `.yaml`; `policies` where the configuration is made of `policies`. */
  readonly config: string;
  /** The policies of the paper that the configuration consists of. */
  readonly policies?: readonly PolicyName[];
  /** Tokens are verified for each request, by both peers. */
  readonly uncachedTokens?: boolean;
  /** Which hops are encrypted; none when it is not there. */
  readonly tls?: TlsSides;
  /** Each request has a connection of its own, with a full handshake. */
  readonly newConnections?: boolean;
  /** Listener filters that look at the first bytes find out that they are HTTP. */
  readonly inspectsHttp?: true;
  /** Which hops are Unix sockets; none when it is not there. */
  readonly pipes?: { readonly downstream?: true; readonly upstream?: true };
  /** The load comes from our own closed loop, to be compared with what no other generator can do. */
  readonly ownLoad?: true;
  /** TCP: whether Outrigger leaves the forwarding to the kernel. */
  readonly splice?: boolean;
  /** For files that are a pattern: how many policies or tags to make of the one that they hold. */
  readonly repeat?: number;
  /** Of each response (download) or request (upload); with gRPC of each message, both ways. */
  readonly bodyBytes: number;
  readonly direction: 'download' | 'upload';
  readonly connections: number;
  /** Requests under way at once on each connection; 1 with HTTP/1.1. */
  readonly streams: number;
  readonly expectStatus: number;
  /** Sent with every request, besides the usual ones. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** HTTP/1.1 both ways, small responses, the paper's: what most scenarios vary. */
export const USUAL_WORK = {
  protocol: 'http',
  downstream: 'http1',
  upstream: 'http1',
  bodyBytes: 100,
  direction: 'download',
  connections: 32,
  streams: 1,
  expectStatus: 200,
} as const;

/** The request headers of every load generator besides Host: the same bytes, whichever sends them. */
const USUAL_HEADERS: Readonly<Record<string, string>> = {
  'user-agent': 'outrigger-bench',
  accept: '*/*',
  'x-tenant': 'blue',
};

const GRPC_HEADERS: Readonly<Record<string, string>> = {
  'user-agent': 'outrigger-bench',
  'content-type': 'application/grpc',
  te: 'trailers',
};

/** The one method of the gRPC backend: it sends every message back. */
export const GRPC_PATH = '/bench.Echo/Echo';

export function requestHeaders(scenario: Scenario, fixtures?: Fixtures): Readonly<Record<string, string>> {
  const asksForToken = scenario.policies?.includes('request_authentication') === true && fixtures !== undefined;
  return {
    ...(scenario.grpc === undefined ? USUAL_HEADERS : GRPC_HEADERS),
    ...scenario.headers,
    ...(asksForToken && { authorization: `Bearer ${fixtures.token}` }),
    ...(scenario.newConnections === true && { connection: 'close' }),
  };
}

/** Target of the requests: the backends answer `/<bytes>`. */
export function requestPath(scenario: Scenario): string {
  if (scenario.grpc !== undefined) return GRPC_PATH;
  return scenario.direction === 'upload' ? '/100' : `/${scenario.bodyBytes}`;
}

/** Bytes of each request's body; of each message's payload with gRPC. */
export function sentBytes(scenario: Scenario): number {
  return scenario.grpc !== undefined || scenario.direction === 'upload' ? scenario.bodyBytes : 0;
}

/** True when nginx and HAProxy can be given the same work: no filters, ports on both sides, at most TLS before HTTP. */
export function isPlain(scenario: Scenario): boolean {
  const { config, inspectsHttp, pipes, policies, tls } = scenario;
  if (pipes !== undefined || inspectsHttp === true) return false;
  if (tls === undefined) return config === 'tcp' || config === 'http';
  return policies?.length === 0 && tls.downstream === 'tls' && tls.upstream === undefined;
}
