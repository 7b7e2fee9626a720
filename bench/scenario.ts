/** One piece of work that the peers are measured with. */
export interface Scenario {
  readonly name: string;
  readonly summary: string;
  /** What `--scenario` may select besides the name. */
  readonly groups: readonly string[];
  /** How the proxy treats the connection; the load is HTTP/1.1 in either case. */
  readonly protocol: 'tcp' | 'http';
  /** File in bench/scenarios, without `.yaml`. */
  readonly config: string;
  /** For files that are a pattern: how many policies or tags to make of the one that they hold. */
  readonly repeat?: number;
  /** Of each response (download) or request (upload). */
  readonly bodyBytes: number;
  readonly direction: 'download' | 'upload';
  readonly connections: number;
  readonly expectStatus: number;
  /** Sent with every request, besides the usual ones. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** The request headers of every load generator besides Host: the same bytes, whichever sends them. */
const USUAL_HEADERS: Readonly<Record<string, string>> = {
  'user-agent': 'outrigger-bench',
  accept: '*/*',
  'x-tenant': 'blue',
};

export function requestHeaders(scenario: Scenario): Readonly<Record<string, string>> {
  return { ...USUAL_HEADERS, ...scenario.headers };
}

/** Target of the requests: the backends answer `/<bytes>`. */
export function requestPath(scenario: Scenario): string {
  return scenario.direction === 'upload' ? '/100' : `/${scenario.bodyBytes}`;
}

export function uploadBytes(scenario: Scenario): number {
  return scenario.direction === 'upload' ? scenario.bodyBytes : 0;
}

/** True when nginx and HAProxy can be given the same work: no filters. */
export function isPlain(scenario: Scenario): boolean {
  return scenario.config === 'tcp' || scenario.config === 'http';
}
