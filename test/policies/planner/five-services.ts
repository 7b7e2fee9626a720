import { unusedPort } from '../../support/proxy-process.ts';

/** A graph of five services with real addresses; the policies are what its tests ask about. */
export interface FiveServices {
  readonly text: string;
  readonly apps: Readonly<Record<string, string>>;
  readonly limits: string;
}

const CALLS = [
  ['browser', 'web'],
  ['web', 'orders'],
  ['web', 'stock'],
  ['orders', 'stock'],
  ['orders', 'mail'],
  ['web', 'search'],
] as const;

/** So many requests pass `stock-limit`. */
export const STOCK_LIMIT = 5;

/** @param replicas of orders and stock */
export async function fiveServices(
  policies = POLICIES,
  extra: Readonly<Record<string, string>> = {},
): Promise<FiveServices> {
  const limits = `127.0.0.1:${await unusedPort()}`;
  const apps: Record<string, string> = {};
  const lines = ['cluster: { network_policies: enforced }', 'services:', '  browser: { external: true }'];
  for (const name of ['web', 'orders', 'stock', 'mail', 'search']) {
    apps[name] = `127.0.0.1:${await unusedPort()}`;
    lines.push(`  ${name}: { app: "${apps[name]}", listen: "127.0.0.1:${await unusedPort()}"${extra[name] ?? ''} }`);
  }
  lines.push('calls:');
  for (const [from, to] of CALLS)
    lines.push(`  - { from: ${from}, to: ${to}, rate: 50, via: "127.0.0.1:${await unusedPort()}" }`);
  return { text: `${lines.join('\n')}\n${policies.replaceAll('$LIMITS', limits)}`, apps, limits };
}

export const POLICIES = `policies:
  - name: no-internal
    kind: AuthorizationPolicy
    to: web
    spec: { action: DENY, rules: [{ to: [{ operation: { paths: [/internal/*] } }] }] }
  - name: readers
    kind: AuthorizationPolicy
    to: [orders, stock]
    spec: { action: ALLOW, rules: [{ to: [{ operation: { methods: [GET] } }] }] }
  - name: no-spam
    kind: AuthorizationPolicy
    to: mail
    spec: { action: DENY, rules: [{ to: [{ operation: { paths: [/bulk] } }] }] }
  - name: stock-limit
    kind: RateLimit
    to: stock
    spec: { domain: shop, service: { address: "$LIMITS", timeout: 5s }, onFailure: DENY, limits: [{ by: { value: all }, requests: ${STOCK_LIMIT}, per: HOUR }] }
  - name: tries
    kind: RetryPolicy
    from: orders
    spec: { attempts: 1 }
`;
