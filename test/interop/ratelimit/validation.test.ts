import { describe, expect, test } from 'vitest';
import { builtinRegistry } from '../../../filters/index.ts';
import { networkRateLimitPage } from '../../../filters/ratelimit/network.page.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { envoyRejection, findEnvoy, NO_ENVOY } from '../../support/envoy.ts';
import { httpConfig } from '../../support/proxy.ts';
import { ROUTES_BY_CLIENT, rateLimitCluster, rateLimitFilter } from '../../support/ratelimit.ts';

/** Fields of the filter, and whether both proxies take them. */
const FILTERS: readonly [fields: string, isRight: boolean][] = [
  ['', true],
  ['stage: 10', true],
  ['stage: 11', false],
  ['request_type: ""', true],
  ['request_type: bad', false],
  ['status_on_error: { code: 200 }', true],
  ['rate_limited_status: { code: 700 }', false],
  ['enable_x_ratelimit_headers: DRAFT_VERSION_03', true],
  ['failure_mode_deny: true\nfailure_mode_deny_percent: { default_value: { numerator: 50 } }', true],
  ['unknown: 1', false],
  ['rate_limits: [{ actions: [] }]', false],
  ['rate_limits: [{ actions: [{ remote_address: {} }], stage: 1 }]', false],
  ['rate_limits: [{ actions: [{ remote_address: {} }], disable_key: a }]', false],
  ['rate_limits: [{ actions: [{ remote_address: {} }], apply_on_stream_done: true }]', true],
  ['rate_limits: [{ actions: [{ remote_address: {} }], hits_addend: { number: 0 } }]', true],
  ['rate_limits: [{ actions: [{ remote_address: {} }], hits_addend: { format: "%BYTES_SENT%" } }]', true],
  ['rate_limits: [{ actions: [{ remote_address: {} }], hits_addend: { format: "x%BYTES_SENT%" } }]', false],
  ['rate_limits: [{ actions: [{ remote_address: {} }], hits_addend: { format: "%NOPE%" } }]', false],
  ['rate_limits: [{ actions: [{ remote_address: {} }], hits_addend: { number: 3, format: "%BYTES_SENT%" } }]', false],
  ['rate_limits: [{ actions: [{ remote_address: {} }], hits_addend: {} }]', false],
];

/** Limits of a route. */
const LIMITS: readonly [limit: string, isRight: boolean][] = [
  ['{ actions: [{ remote_address: {} }], stage: 11 }', false],
  ['{ actions: [{ masked_remote_address: { v4_prefix_mask_len: 33 } }] }', false],
  ['{ actions: [{ masked_remote_address: {} }] }', true],
  ['{ actions: [{ metadata: { descriptor_key: a, metadata_key: { key: a } } }] }', false],
  ['{ actions: [{ metadata: { descriptor_key: a, metadata_key: { key: a, path: [{ key: b }] } } }] }', true],
  ['{ actions: [{ request_headers: { header_name: "", descriptor_key: a } }] }', false],
  ['{ actions: [{ generic_key: { descriptor_value: "" } }] }', false],
  ['{ actions: [{ query_parameters: { query_parameter_name: a, descriptor_key: b } }] }', true],
  ['{ actions: [{ query_parameter_value_match: { descriptor_value: a, query_parameters: [] } }] }', false],
  ['{ actions: [{}] }', false],
  ['{ actions: [{ remote_address: {} }], limit: {} }', false],
  ['{ actions: [{ remote_address: {} }], hits_addend: { number: 2000000000 } }', false],
];

/** Descriptors of the network filter. */
const DESCRIPTORS: readonly [descriptors: string, isRight: boolean][] = [
  ['[]', false],
  ['[{ entries: [] }]', false],
  ['[{ entries: [{ key: a, value: "" }] }]', true],
  ['[{ entries: [{ key: "", value: a }] }]', false],
  ['[{ entries: [{ key: a, value: b }], limit: { requests_per_unit: 3, unit: MINUTE } }]', true],
  ['[{ entries: [{ key: a, value: b }], limit: { requests_per_unit: 3 } }]', true],
  ['[{ entries: [{ key: a, value: b }], hits_addend: 4 }]', true],
  ['[{ entries: [{ key: a, value: "%NOPE%" }] }]', false],
];

const CASES: readonly [name: string, text: string, isRight: boolean][] = [
  ...FILTERS.map(([fields, isRight]): [string, string, boolean] => [
    `filter with ${fields}`,
    httpConfig(1, { routes: ROUTES_BY_CLIENT, filters: rateLimitFilter(fields), clusters: rateLimitCluster(2) }),
    isRight,
  ]),
  ...LIMITS.map(([limit, isRight]): [string, string, boolean] => [
    `limit ${limit}`,
    httpConfig(1, {
      routes: `- match: { prefix: / }\n  route:\n    cluster: app\n    rate_limits: [${limit}]`,
      filters: rateLimitFilter(),
      clusters: rateLimitCluster(2),
    }),
    isRight,
  ]),
  ...DESCRIPTORS.map(([descriptors, isRight]): [string, string, boolean] => [
    `descriptors ${descriptors}`,
    networkRateLimitPage.example.replace(/descriptors: .*/, `descriptors: ${descriptors}`),
    isRight,
  ]),
];

function isTaken(text: string): boolean {
  try {
    loadConfig('limits.yaml', { registry: builtinRegistry(), text });
    return true;
  } catch {
    return false;
  }
}

describe('what is right and wrong in rate limits', () => {
  test.for(CASES)('%s', ([, text, isRight], context) => {
    expect(isTaken(text)).toBe(isRight);
    const envoy = findEnvoy();
    if (envoy === undefined) return context.skip(NO_ENVOY);
    expect(envoyRejection(envoy, text) === undefined).toBe(isRight);
  });
});
