import { LOG_FILE } from '../../support/proxy-process.ts';

/** One configuration for both proxies. `jwks` is a text, the others are ports; nobody listens on `nobody`. */
export function configuration(
  jwks: string,
  { app, keys, badKeys, nobody }: { app: number; keys: number; badKeys: number; nobody: number },
): string {
  const local = { local_jwks: { inline_string: jwks } };
  const providers = {
    p: {
      ...local,
      issuer: 'iss',
      audiences: ['a1', 'a2'],
      failed_status_in_metadata: 'failed',
      payload_in_metadata: 'payload',
      header_in_metadata: 'header',
      forward_payload_header: 'x-payload',
      normalize_payload_in_metadata: { space_delimited_claims: ['scope'] },
      claim_to_headers: [
        { header_name: 'x-claim', claim_name: 'c' },
        { header_name: 'x-nested', claim_name: 'n.m' },
      ],
      jwt_cache_config: { jwt_cache_size: 10 },
    },
    q: {
      ...local,
      from_headers: [{ name: 'x-tok', value_prefix: 'pre=' }],
      from_params: ['tok'],
      from_cookies: ['ck'],
      failed_status_in_metadata: 'failed-q',
      subjects: { prefix: 's' },
      require_expiration: true,
      max_lifetime: '3600s',
    },
    other: { ...local, issuer: 'other' },
    r: {
      ...local,
      issuer: 'iss-r',
      audiences: ['a1'],
      subjects: { exact: 's1' },
      require_expiration: true,
      forward: true,
      forward_payload_header: 'x-padded',
      pad_forward_payload_header: true,
      payload_in_metadata: 'r',
      claim_to_headers: [{ header_name: 'x-deep', claim_path: [{ key: 'deep' }, { key: 'a.b' }] }],
      jwt_cache_config: {},
    },
  };
  const remote = (cluster: string, more: object = {}): object => ({
    issuer: 'far',
    remote_jwks: { http_uri: { uri: 'http://keys.test/jwks?a=b', cluster, timeout: '2s' }, ...more },
    failed_status_in_metadata: 'why',
  });
  const fetched = {
    remote: remote('keys'),
    'remote-ahead': remote('keys', { async_fetch: {} }),
    'remote-bad': remote('bad-keys'),
    'remote-retried': remote('bad-keys', {
      retry_policy: { num_retries: 2, retry_back_off: { base_interval: '0.01s' } },
    }),
    'remote-nobody': remote('nobody'),
  };
  const p = { provider_name: 'p' };
  const q = { provider_name: 'q' };
  const rule = (prefix: string, requires?: object): object => ({
    match: { prefix },
    ...(requires === undefined ? {} : { requires }),
  });
  const any = (...requirements: object[]): object => ({ requires_any: { requirements } });
  const every = (...requirements: object[]): object => ({ requires_all: { requirements } });
  const missing = { allow_missing: {} };
  const failed = { allow_missing_or_failed: {} };
  const trees = {
    nest: any(every(p, q), missing),
    behind: any(every(q, { provider_name: 'r' }), missing),
    deep: any(any(p, q), { provider_name: 'other' }),
    stack: every(any(p, { provider_name: 'other' }), any(q, missing)),
    generous: any(q, missing, failed),
    first: any(missing, p),
    twice: every(p, p),
    empty: any({}, p),
  };
  const filter = {
    name: 'jwt',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication',
      stat_prefix: 'own',
      bypass_cors_preflight: true,
      requirement_map: { b: p, a: q },
      providers: { ...providers, ...fetched },
      rules: [
        ...Object.keys(fetched).map((name) => rule(`/${name}/`, { provider_name: name })),
        rule('/q', q),
        rule('/r', { provider_name: 'r' }),
        rule('/any', any(p, q)),
        rule('/yna', any(q, p)),
        rule('/two', any(p, { provider_name: 'other' })),
        rule('/all', { requires_all: { requirements: [p, q] } }),
        rule('/audience', { provider_and_audiences: { provider_name: 'p', audiences: ['zz'] } }),
        rule('/open'),
        rule('/missing', any(p, { allow_missing: {} })),
        rule('/failed', { allow_missing_or_failed: {} }),
        rule('/lenient', { allow_missing: {} }),
        ...Object.entries(trees).map(([name, requires]) => rule(`/tree-${name}`, requires)),
        rule('/p', p),
      ],
    },
  };
  const route = (prefix: string, override: object): object => ({
    match: { prefix },
    route: { cluster: 'app' },
    typed_per_filter_config: {
      jwt: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig', ...override },
    },
  });
  const routes = [
    route('/disabled', { disabled: true }),
    route('/named', { requirement_name: 'b' }),
    route('/misnamed', { requirement_name: 'z' }),
    { match: { prefix: '/' }, route: { cluster: 'app' } },
  ];
  const manager = {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    stat_prefix: 'test',
    access_log: [
      {
        name: 'file',
        typed_config: {
          '@type': 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog',
          path: LOG_FILE,
          log_format: {
            json_format: {
              id: '%REQ(X-CASE)%',
              details: '%RESPONSE_CODE_DETAILS%',
              metadata: '%DYNAMIC_METADATA(envoy.filters.http.jwt_authn)%',
            },
          },
        },
      },
    ],
    http_filters: [
      filter,
      {
        name: 'router',
        typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
      },
    ],
    route_config: { virtual_hosts: [{ name: 'all', domains: ['*'], routes }] },
  };
  const address = (port: number): object => ({ socket_address: { address: '127.0.0.1', port_value: port } });
  const cluster = (name: string, port: number): object => ({
    name,
    connect_timeout: '1s',
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: address(port) } }] }],
    },
  });
  const resources = {
    listeners: [
      {
        name: 'jwt',
        address: address(0),
        filter_chains: [{ filters: [{ name: 'http', typed_config: manager }] }],
      },
    ],
    clusters: [cluster('app', app), cluster('keys', keys), cluster('bad-keys', badKeys), cluster('nobody', nobody)],
  };
  return `static_resources: ${JSON.stringify(resources)}\n`;
}
