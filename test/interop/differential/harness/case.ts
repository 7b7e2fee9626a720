/** One thing that the recording upstream does about a request, in order. */
export type UpstreamStep =
  /** Bytes, as they are. */
  | string
  /** A pause in ms. */
  | number
  | 'FIN'
  | 'RST';

/** How the upstream answers one request. Steps run once the request is complete, or at its head with `at: 'head'`. */
export type Answer =
  | UpstreamStep
  | readonly UpstreamStep[]
  | { at: 'head' | 'connect'; steps: readonly UpstreamStep[] };

/** One thing that the client does, in order. */
export type ClientStep =
  /** Bytes in one write. */
  | string
  /** A pause in ms. */
  | number
  | 'FIN'
  | 'RST'
  /** Waits until so many responses (interim ones counted) have come in whole, or the connection has ended. */
  | { responses: number }
  /** Waits until the text came. */
  | { text: string };

/** What is compared. */
export const FACETS = [
  'status',
  'headers',
  'body',
  'fate',
  'upstream',
  'upstreamFate',
  'flags',
  'details',
  'log',
] as const;
export type Facet = (typeof FACETS)[number];

/** The facets that differ where Outrigger refuses what Envoy forwards. */
export const REFUSED: readonly Facet[] = FACETS;

/** The facets that differ where Outrigger takes no such response from an upstream. */
export const REFUSED_RESPONSE: readonly Facet[] = FACETS.filter((facet) => facet !== 'fate' && facet !== 'upstream');

/** One exchange of raw bytes that both proxies go through. */
export interface Case {
  readonly name: string;
  readonly send: string | readonly ClientStep[];
  /** Answers by request, in the order in which requests reach the upstream; the last one repeats. Default: 200 with `ok`. */
  readonly upstream?: readonly Answer[];
  /** Responses to wait for after sending; interim ones counted. Default 1. */
  readonly responses?: number;
  /** Methods of the requests, for reading their responses; default GET, the last one repeats. */
  readonly methods?: readonly string[];
  /** Whether to find out with a further request if the connection still serves; otherwise by waiting. Default true. */
  readonly probe?: boolean;
  /** Compares the order of header lines too. */
  readonly order?: boolean;
  /** Differences from Envoy that are meant, by the id in docs/differences-from-envoy.md: the facets that differ. */
  readonly differs?: Readonly<Record<string, readonly Facet[]>>;
}

/** A configuration and the exchanges that it is tried with. Fragments of YAML; `$app`, `$port`, `$dead` and `$log` are filled in. */
export interface Scenario {
  readonly name: string;
  /** Fields of the connection manager. */
  readonly manager?: string;
  /** HTTP filters before the router. */
  readonly filters?: string;
  /** Routes of the virtual host for all domains. */
  readonly routes?: string;
  /** Fields of that virtual host. */
  readonly virtualHost?: string;
  /** Virtual hosts besides. */
  readonly virtualHosts?: string;
  /** Fields of the route configuration. */
  readonly routeConfiguration?: string;
  readonly routerFields?: string;
  /** Fields of the cluster `$app`. */
  readonly cluster?: string;
  /** Clusters besides. */
  readonly clusters?: string;
  /** Fields of the listener. */
  readonly listener?: string;
  /** The network filters as a whole, instead of a connection manager. */
  readonly networkFilters?: string;
  readonly cases: readonly Case[];
  /** Statistics that must be equal at the end; `http.` and `cluster.` names without their prefix. */
  readonly stats?: readonly string[];
  /** Beginnings of names: all statistics of either proxy that begin so must be equal at the end. */
  readonly statsBelow?: readonly string[];
}

export const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

/** Text of a request: request line, Host, the given lines, an empty line, a body. */
export function request(line: string, headers: readonly string[] = [], body = ''): string {
  return `${line} HTTP/1.1\r\n${['Host: test.example', ...headers].map((header) => `${header}\r\n`).join('')}\r\n${body}`;
}

export function get(path: string, ...headers: string[]): string {
  return request(`GET ${path}`, headers);
}

export function post(path: string, body: string, ...headers: string[]): string {
  return request(`POST ${path}`, [...headers, `Content-Length: ${body.length}`], body);
}

/** Text of a response with a length. */
export function response(status: string, headers: readonly string[] = [], body = ''): string {
  return `HTTP/1.1 ${status}\r\n${headers.map((header) => `${header}\r\n`).join('')}content-length: ${body.length}\r\n\r\n${body}`;
}
