import { type Scenario, USUAL_WORK } from './scenario.ts';

const base = { ...USUAL_WORK, groups: ['characterization'] } as const;

const ENCRYPTED = { downstream: 'tls' } as const;

/**
 * What the characterisation paper's public benchmark has and no other scenario does. There RBAC stands before bytes and
 * lets all of them pass, which is why these are called `net_rbac`: `rbac_reject_N` is HTTP that is answered with 403.
 */
export const CHARACTERIZATION_SCENARIOS: readonly Scenario[] = [
  {
    ...base,
    name: 'net_rbac_accept_all',
    summary: 'network RBAC before a TCP proxy: one policy that lets everything pass, asked for each read',
    protocol: 'tcp',
    config: 'net_rbac_accept_all',
  },
  ...[1, 100, 1000, 10_000].map((repeat) => ({
    ...base,
    name: `net_rbac_reject_${repeat}`,
    summary: `network RBAC before a TCP proxy, addresses denied that nobody has: ${repeat}`,
    protocol: 'tcp' as const,
    config: 'net_rbac_reject',
    repeat,
  })),
  { ...base, name: 'tls_tcp', summary: 'TLS clients, TCP proxy', protocol: 'tcp', config: 'tcp', tls: ENCRYPTED },
  { ...base, name: 'tls_http', summary: 'HTTPS clients, HTTP/1.1 router', config: 'http', tls: ENCRYPTED },
  {
    ...base,
    name: 'http_inspect',
    summary: 'the listener filter that finds out whether bytes are HTTP, HTTP/1.1 router',
    config: 'http',
    inspectsHttp: true,
  },
  { ...base, name: 'routing_2', summary: 'two routes, the second one matches', config: 'routing_2' },
  {
    ...base,
    name: 'header_router',
    summary: 'two routes, the first brings a header filter along, the second one matches',
    config: 'header_router',
  },
  {
    ...base,
    name: 'http_mix',
    summary: 'mix of the public benchmark: inspector, ten IP tags, rate limit, header read, RBAC, logging',
    config: 'http_mix',
    repeat: 10,
    inspectsHttp: true,
  },
];
