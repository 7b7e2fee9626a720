import { nearest } from '../../src/config/suggest.ts';

/** A configuration of Sahu et al., "Understanding Sidecars in Cloud Orchestration" (SESAME 2025), and what it is here. */
export interface Configuration {
  /** Name in the paper's public benchmark (utspark/sidecar-characterization, envoy_filters/policies). */
  readonly name: string;
  /** As the paper writes it (§4), where it has it. */
  readonly title: string;
  /** Among the eleven of §4, their variants included. */
  readonly inPaper: boolean;
  /** The public benchmark has a file of it. */
  readonly isPublic: boolean;
  readonly protocol: 'tcp' | 'http';
  /** The benchmark's scenario; none where the row is open. */
  readonly scenario?: string;
  /** Why there is none. */
  readonly open?: string;
  /** How the scenario differs from the public benchmark's file, where it does. */
  readonly note?: string;
  /** The configuration without any of its filters; none where it is one itself. */
  readonly base?: string;
  /** Those with one filter each that add up to it, each with the settings that it has in the mix. */
  readonly parts: readonly string[];
  /** Part of `--quick`. */
  readonly isQuick?: true;
  /** Part of the sweep of message sizes. */
  readonly isSized?: true;
}

type Row = Omit<Configuration, 'protocol' | 'parts' | 'inPaper' | 'isPublic'> &
  Partial<Pick<Configuration, 'parts' | 'inPaper' | 'isPublic'>>;

const FOLLOWS = 'follows with the SQL filters';
const IN_MIXES = 'a part of http_mix that the public benchmark has no file of its own for';

function tcp(row: Row): Configuration {
  return { inPaper: false, isPublic: true, parts: [], ...row, protocol: 'tcp' };
}

function http(row: Row): Configuration {
  return { inPaper: false, isPublic: true, parts: [], ...row, protocol: 'http' };
}

const REJECT = 'addresses of 10.0.0.0/8 in place of 192.168.0.0/16; nobody has them there or here';
const TAG = 'the tag is for 127.0.0.0/8 in place of every address; all requests match here and there';
const BUCKET = 'a bucket of 1,000,000 requests a second in place of 15,000, so that nothing is limited at saturation';
const HEADER = 'the load sends the header; no subsets of endpoints, which are the cluster’s work and not the filter’s';
const LOG = 'to a file in place of standard output';

/** In the order of the paper, then those that only its public benchmark has, then what mixes are made of besides. */
export const CONFIGURATIONS: readonly Configuration[] = [
  tcp({ name: 'tcp', title: 'TCP', inPaper: true, scenario: 'tcp', isQuick: true, isSized: true }),
  tcp({
    name: 'rbac_accept_all',
    title: 'RBAC Accept All',
    inPaper: true,
    scenario: 'net_rbac_accept_all',
    base: 'tcp',
  }),
  ...[1, 100, 1000].map((count) =>
    tcp({
      name: `rbac_reject_${count}`,
      title: `RBAC Reject ${count}`,
      inPaper: true,
      scenario: `net_rbac_reject_${count}`,
      base: 'tcp',
      note: REJECT,
    }),
  ),
  tcp({ name: 'sql', title: 'SQL', inPaper: true, open: FOLLOWS, base: 'tcp' }),
  http({ name: 'http', title: 'HTTP', inPaper: true, scenario: 'http', isQuick: true, isSized: true }),
  http({
    name: 'header_metadata',
    title: 'Header Read',
    inPaper: true,
    scenario: 'header_read',
    base: 'http',
    note: HEADER,
  }),
  http({
    name: 'ratelimit',
    title: 'Ratelimit',
    inPaper: true,
    scenario: 'ratelimit',
    base: 'http',
    note: BUCKET,
    isQuick: true,
  }),
  ...([1, 5, 10] as const).map((count) =>
    http({
      name: count === 1 ? 'iptag' : `iptag_${count}`,
      title: `IP Tag ${count}`,
      inPaper: true,
      scenario: `iptag_${count}`,
      base: 'http',
      note: TAG,
      ...(count === 1 && { isQuick: true }),
    }),
  ),
  http({ name: 'logging', title: 'Logging', inPaper: true, scenario: 'logging', base: 'http', note: LOG }),
  tcp({ name: 'tls', title: 'TLS', inPaper: true, scenario: 'tls_tcp', base: 'tcp', isSized: true }),
  http({
    name: 'iprate_iptag',
    title: 'HTTP Mix 1',
    inPaper: true,
    scenario: 'iprate_iptag',
    base: 'http',
    parts: ['ratelimit', 'iptag'],
    note: `${BUCKET}; ${TAG}`,
    isQuick: true,
  }),
  http({
    name: 'mix_2',
    title: 'HTTP Mix 2',
    inPaper: true,
    isPublic: false,
    scenario: 'mix_2',
    base: 'http',
    parts: ['header_metadata', 'ratelimit', 'iptag', 'logging'],
    note: 'the four filters whose cycles Table 3 adds up to its estimate of Mix 2, one IP tag; the public file is http_mix',
  }),
  tcp({
    name: 'rbac_reject_10000',
    title: 'RBAC Reject 10000',
    scenario: 'net_rbac_reject_10000',
    base: 'tcp',
    note: REJECT,
  }),
  http({
    name: 'tls_http',
    title: 'TLS HTTP',
    scenario: 'tls_http',
    base: 'http',
    parts: ['tls'],
    isSized: true,
  }),
  http({ name: 'http_inspect', title: 'HTTP Inspect', scenario: 'http_inspect', base: 'http' }),
  http({
    name: 'header_router',
    title: 'Header Router',
    scenario: 'header_router',
    base: 'http',
    note: 'as there, the route with the header filter is not the one that requests take',
  }),
  http({ name: 'routing_2', title: 'Routing 2', scenario: 'routing_2', base: 'http' }),
  http({
    name: 'http_mix',
    title: 'HTTP Mix',
    scenario: 'http_mix',
    base: 'http',
    parts: ['http_inspect', 'iptag_10', 'ratelimit', 'header_metadata', 'http_rbac', 'logging'],
    note: `${BUCKET}; ${TAG}; ${HEADER}; ${LOG}; RBAC is one policy that lets everything pass, not one by path and port`,
  }),
  tcp({ name: 'sql-rbac', title: 'SQL RBAC', open: FOLLOWS, base: 'tcp' }),
  tcp({ name: 'sql-admin', title: 'SQL Admin', open: FOLLOWS, base: 'tcp' }),
  http({
    name: 'http_rbac',
    title: 'HTTP RBAC',
    isPublic: false,
    scenario: 'rbac_accept_all',
    base: 'http',
    note: IN_MIXES,
  }),
];

/**
 * The configurations that a selection names: names, `paper`, `all`, and patterns with `*`, in the table's order.
 *
 * @throws naming the part that selects nothing
 */
export function selectConfigurations(selection: readonly string[]): Configuration[] {
  const chosen = new Set<Configuration>();
  for (const part of selection) {
    const pattern = new RegExp(`^${part.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*')}$`);
    const matching = CONFIGURATIONS.filter(
      ({ name, inPaper }) => part === 'all' || (part === 'paper' && inPaper) || pattern.test(name),
    );
    if (matching.length === 0) {
      const close = nearest(part, [...CONFIGURATIONS.map(({ name }) => name), 'all', 'paper']);
      const question = close === undefined ? '' : `; did you mean "${close}"?`;
      throw new Error(
        `no configuration is called "${part}"; \`outrigger characterize --list\` shows them all${question}`,
      );
    }
    for (const configuration of matching) chosen.add(configuration);
  }
  return CONFIGURATIONS.filter((configuration) => chosen.has(configuration));
}
