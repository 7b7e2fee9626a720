import { httpRbac } from '../../filters/rbac/http.ts';
import type { Permission, Principal, Rules } from '../../filters/rbac/schema.ts';
import type { FilterEnv, HttpStream } from '../../src/filter/index.ts';
import { RequestHead } from '../../src/http/message.ts';
import { StatsStore } from '../../src/observe/stats.ts';

/**
 * Cost of the RBAC filter's request hook (evaluation, counters, dynamic metadata) by number of policies, for the kinds
 * of rules that people write. Nine of ten requests match no policy, the worst case, and one the last policy. The fastest
 * of many rounds counts: the others were disturbed.
 *
 * Run: bin/node bench/micro/rbac.ts
 */
const COUNTS = [1, 10, 100, 1000, 10_000];
const ROUNDS = 25;
const CALLS = 50_000;

interface Kind {
  readonly name: string;
  policy(i: number): { permissions: Permission[]; principals: Principal[] };
}

const ANY = { any: true } as const;
const KINDS: readonly Kind[] = [
  {
    name: 'header exact',
    policy: (i) => ({ permissions: [header('x-user', { exact: `user-${i}` })], principals: [ANY] }),
  },
  {
    name: 'path exact',
    policy: (i) => ({ permissions: [urlPath({ exact: `/service/item-${i}` })], principals: [ANY] }),
  },
  {
    name: 'path prefix',
    policy: (i) => ({ permissions: [urlPath({ prefix: `/service/item-${i}/` })], principals: [ANY] }),
  },
  {
    name: 'source range',
    policy: (i) => ({ permissions: [ANY], principals: [remoteIp(`10.${(i >> 8) & 255}.${i & 255}.0`, 24)] }),
  },
  {
    name: 'method + path + source',
    policy: (i) => ({
      permissions: [{ and_rules: { rules: [header(':method', { exact: 'GET' }), urlPath({ prefix: `/s/${i}/` })] } }],
      principals: [remoteIp('10.0.0.0', 8)],
    }),
  },
];

function matcher(fields: { exact?: string; prefix?: string }) {
  return { ...fields, ignore_case: false };
}

function header(name: string, fields: { exact?: string; prefix?: string }): Permission {
  const flags = { invert_match: false, treat_missing_header_as_empty: false };
  return { header: { name, string_match: matcher(fields), ...flags } };
}

function urlPath(fields: { exact?: string; prefix?: string }): Permission {
  return { url_path: { path: matcher(fields) } };
}

function remoteIp(address_prefix: string, prefix_len: number): Principal {
  return { direct_remote_ip: { address_prefix, prefix_len } };
}

interface Traffic {
  readonly request: RequestHead;
  readonly stream: HttpStream;
}

/** Requests like those of many connections. */
function traffic(count: number): Traffic[] {
  return Array.from({ length: 64 }, (_, i) => {
    const last = i % 10 === 0;
    const request = new RequestHead();
    request.method = 'GET';
    request.path = last ? `/service/item-${count - 1}` : `/service/other-${i}/thing`;
    request.authority = 'bench.example';
    for (const name of ['user-agent', 'accept', 'accept-encoding', 'x-request-id']) request.add(name, `${name} value`);
    request.add('x-user', last ? `user-${count - 1}` : `nobody-${i}`);
    const address = last ? `10.${((count - 1) >> 8) & 255}.${(count - 1) & 255}.7` : `192.0.2.${i}`;
    const connection = { remoteAddress: address, localAddress: '127.0.0.1', localPort: 80, serverName: '' };
    const metadata: Record<string, unknown> = {};
    const setMetadata = (_namespace: string, key: string, value: unknown) => {
      metadata[key] = value;
    };
    return { request, stream: { connection, remoteAddress: address, setMetadata } as unknown as HttpStream };
  });
}

/** Nanoseconds of one request hook. */
function measure(kind: Kind, count: number): number {
  const policies = Object.fromEntries(Array.from({ length: count }, (_, i) => [`policy-${i}`, kind.policy(i)]));
  const rules: Rules = { action: 'DENY', policies };
  const env = { stats: new StatsStore(), routeConfigs: [] } as unknown as FilterEnv<never>;
  const prefixes = { rules_stat_prefix: '', shadow_rules_stat_prefix: '', track_per_rule_stats: false };
  const onRequest = httpRbac.create({ rules, ...prefixes }, env).onRequest as NonNullable<
    ReturnType<typeof httpRbac.create>['onRequest']
  >;
  const requests = traffic(count);
  const run = () => {
    const begin = performance.now();
    for (let i = 0; i < CALLS; i++) {
      const { request, stream } = requests[i & 63] as Traffic;
      onRequest(request, stream);
    }
    return ((performance.now() - begin) * 1e6) / CALLS;
  };
  return Math.min(...Array.from({ length: ROUNDS }, run));
}

console.log(['ns per request'.padEnd(26), ...COUNTS.map((n) => String(n).padStart(8)), '1000/1'.padStart(8)].join(''));
for (const kind of KINDS) {
  const times = COUNTS.map((count) => measure(kind, count));
  const ratio = (times[3] as number) / (times[0] as number);
  const cells = times.map((time) => time.toFixed(1).padStart(8));
  console.log([kind.name.padEnd(26), ...cells, ratio.toFixed(2).padStart(8)].join(''));
}
