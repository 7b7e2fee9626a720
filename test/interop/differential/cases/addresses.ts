import { get, type Scenario } from '../harness/case.ts';

const ENVOY_HEADERS = [
  'X-Envoy-Internal: true',
  'X-Envoy-External-Address: 9.9.9.9',
  'X-Envoy-Retry-On: 5xx',
  'X-Envoy-Max-Retries: 2',
  'X-Envoy-Upstream-Rq-Timeout-Ms: 500',
  'X-Envoy-Decorator-Operation: op',
  'X-Envoy-Downstream-Service-Cluster: c',
  'X-Envoy-Downstream-Service-Node: n',
  'X-Envoy-Ip-Tags: t',
  'X-Envoy-Original-Url: u',
  'X-Envoy-Expected-Rq-Timeout-Ms: 7',
  'X-Envoy-Force-Trace: 1',
  'X-Envoy-Other: o',
];

/** Whether x-forwarded-for is written anew, which makes one line of several. */
function appends(manager: string): boolean {
  return manager.includes('use_remote_address') && !manager.includes('skip_xff_append');
}

/** What is believed of the addresses that a request names. */
export const addresses: readonly Scenario[] = [
  ['address-plain', ''],
  ['address-remote', 'use_remote_address: true'],
  ['address-remote-skip', 'use_remote_address: true\nskip_xff_append: true'],
  ['address-remote-1', 'use_remote_address: true\nxff_num_trusted_hops: 1'],
  ['address-1', 'xff_num_trusted_hops: 1'],
  [
    'address-internal',
    'use_remote_address: true\ninternal_address_config: { cidr_ranges: [{ address_prefix: 127.0.0.0, prefix_len: 8 }] }',
  ],
  ['address-internal-plain', 'internal_address_config: { cidr_ranges: [{ address_prefix: 10.0.0.0, prefix_len: 8 }] }'],
  ['address-ids', 'use_remote_address: true\npreserve_external_request_id: true\nappend_x_forwarded_port: true'],
  ['address-no-ids', 'generate_request_id: false'],
].map(
  ([name, manager]): Scenario => ({
    name: name as string,
    manager: manager as string,
    routes:
      '- match: { prefix: / }\n  route: { cluster: $app }\n  request_headers_to_add: [{ header: { key: x-remote, value: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%" } }]',
    cases: [
      { name: 'nothing', send: get('/') },
      { name: 'one address', send: get('/', 'X-Forwarded-For: 1.2.3.4') },
      { name: 'two addresses', send: get('/', 'X-Forwarded-For: 1.2.3.4, 5.6.7.8') },
      {
        name: 'two lines',
        ...(appends(manager as string) ? {} : { differs: { 'lines-not-joined': ['upstream'] as const } }),
        send: get('/', 'X-Forwarded-For: 1.2.3.4', 'X-Forwarded-For: 5.6.7.8'),
      },
      { name: 'an inner address', send: get('/', 'X-Forwarded-For: 10.0.0.1') },
      { name: 'two inner addresses', send: get('/', 'X-Forwarded-For: 10.0.0.1, 10.0.0.2') },
      { name: 'garbage', send: get('/', 'X-Forwarded-For: garbage') },
      { name: 'garbage behind an address', send: get('/', 'X-Forwarded-For: 1.2.3.4, garbage') },
      { name: 'an address with a port', send: get('/', 'X-Forwarded-For: 1.2.3.4:80') },
      { name: 'an IPv6 address', send: get('/', 'X-Forwarded-For: 2001:db8::1') },
      { name: 'an IPv6 address in brackets', send: get('/', 'X-Forwarded-For: [2001:db8::1]') },
      { name: 'an empty value', send: get('/', 'X-Forwarded-For: ') },
      { name: 'a trailing comma', send: get('/', 'X-Forwarded-For: 1.2.3.4,') },
      {
        name: 'x-forwarded-proto',
        send: get('/', 'X-Forwarded-Proto: https', 'X-Forwarded-Port: 443', 'X-Forwarded-Host: h'),
      },
      { name: 'a request id', send: get('/', 'X-Request-Id: mine') },
      { name: 'x-envoy headers', send: get('/', ...ENVOY_HEADERS) },
      {
        name: 'x-envoy headers behind an inner address',
        send: get('/', 'X-Forwarded-For: 10.0.0.1', ...ENVOY_HEADERS),
      },
    ],
  }),
);
