import type * as v from 'valibot';
import {
  bool,
  enumOf,
  headerName,
  list,
  message,
  nonEmptyString,
  oneof,
  optional,
  uint32,
} from '../src/config/schema/building-blocks.ts';
import { oneOrMany } from '../src/config/sidecar/units.ts';
import { serviceAddress, time } from './fields.ts';
import { type Canonical, type PolicyKind, typed } from './policy.ts';
import { JWT_METADATA, JWT_PAYLOAD } from './request-authentication.ts';
import { serviceCluster } from './service-cluster.ts';

/** What requests are counted by: each has a counter for every value. */
const Dimension = message(
  {
    header: optional(headerName()),
    /** Of the verified token. */
    claim: optional(nonEmptyString()),
    client_address: optional(bool()),
    method: optional(bool()),
    path: optional(bool()),
    destination: optional(bool()),
    source: optional(bool()),
    /** One counter under this name. */
    value: optional(nonEmptyString()),
  },
  oneof(['header', 'claim', 'client_address', 'method', 'path', 'destination', 'source', 'value'], { required: true }),
);
type Dimension = v.InferOutput<typeof Dimension>;

const Limit = message({
  /** All of them together make the counter. */
  by: oneOrMany(Dimension, list(Dimension, { min: 1 })),
  requests: uint32({ min: 1 }),
  per: enumOf(['SECOND', 'MINUTE', 'HOUR', 'DAY']),
});
type Limit = v.InferOutput<typeof Limit>;

const Spec = message({
  domain: nonEmptyString(),
  /** A service that speaks envoy.service.ratelimit.v3, such as `outrigger ratelimit`. */
  service: message({ address: serviceAddress(), timeout: optional(time(), '0.02s') }),
  /** What becomes of requests while the service does not answer. */
  on_failure: optional(enumOf(['ALLOW', 'DENY']), 'ALLOW'),
  /** Tells clients with x-ratelimit-* headers. */
  headers: optional(bool(), false),
  limits: list(Limit, { min: 1 }),
});
type Spec = v.InferOutput<typeof Spec>;

/** ④ Rate limiting across the mesh. Table 2: in L7 headers, out allow or deny, with state. */
export const rateLimit: PolicyKind<Spec> = {
  kind: 'RateLimit',
  summary: 'so many requests in all, counted by one service for the whole mesh',
  spec: Spec,
  semantics: {
    paper: 4,
    input: 'L7 headers',
    output: 'allow or deny',
    pure: false,
    state: { kept: 'mesh', what: 'counters in the rate-limit service, one per value of what is counted' },
    payload: 'none',
    placement: 'either',
    usualSide: 'receiver',
    granularity: 'function',
  },
  refusal: () => undefined,
  compile({ spec, metadata }) {
    const cluster = `ratelimit.${metadata.namespace}.${metadata.name}`;
    return {
      httpFilters: [
        {
          phase: 'limit',
          filter: {
            name: 'envoy.filters.http.ratelimit',
            typed_config: typed('envoy.extensions.filters.http.ratelimit.v3.RateLimit', {
              domain: spec.domain,
              timeout: spec.service.timeout,
              failure_mode_deny: spec.on_failure === 'DENY',
              ...(spec.headers ? { enable_x_ratelimit_headers: 'DRAFT_VERSION_03' } : {}),
              rate_limit_service: {
                grpc_service: { envoy_grpc: { cluster_name: cluster } },
                transport_api_version: 'V3',
              },
            }),
          },
        },
      ],
      virtualHost: { rate_limits: spec.limits.map(({ by }) => ({ actions: by.map((part) => action(part)) })) },
      clusters: [serviceCluster(cluster, { address: spec.service.address, isHttp2: true })],
      limits: { domain: spec.domain, descriptors: mergeDescriptors(spec.limits.map(descriptor)) },
    };
  },
};

function action(by: Dimension): Canonical {
  if (by.header !== undefined) return requestHeader(by.header, by.header.toLowerCase());
  if (by.method !== undefined) return requestHeader(':method', 'method');
  if (by.path !== undefined) return requestHeader(':path', 'path');
  if (by.client_address !== undefined) return { remote_address: {} };
  if (by.destination !== undefined) return { destination_cluster: {} };
  if (by.source !== undefined) return { source_cluster: {} };
  if (by.value !== undefined) return { generic_key: { descriptor_value: by.value } };
  const path = [JWT_PAYLOAD, by.claim!].map((key) => ({ key }));
  return { metadata: { descriptor_key: by.claim!, metadata_key: { key: JWT_METADATA, path } } };
}

function requestHeader(header_name: string, descriptor_key: string): Canonical {
  return { request_headers: { header_name, descriptor_key } };
}

/** A descriptor of the service's own configuration; without a value it holds for every value by itself. */
interface Descriptor {
  readonly key: string;
  readonly value?: string;
  readonly rate_limit?: { readonly unit: string; readonly requests_per_unit: number };
  readonly descriptors?: readonly Descriptor[];
}

function descriptor(limit: Limit): Descriptor {
  const rate_limit = { unit: limit.per.toLowerCase(), requests_per_unit: limit.requests };
  const keys = limit.by.map(descriptorKey);
  return keys.reduceRight<Descriptor | undefined>(
    (inner, key) => (inner === undefined ? { ...key, rate_limit } : { ...key, descriptors: [inner] }),
    undefined,
  )!;
}

function descriptorKey(by: Dimension): { key: string; value?: string } {
  if (by.value !== undefined) return { key: 'generic_key', value: by.value };
  if (by.client_address !== undefined) return { key: 'remote_address' };
  if (by.destination !== undefined) return { key: 'destination_cluster' };
  if (by.source !== undefined) return { key: 'source_cluster' };
  if (by.method !== undefined) return { key: 'method' };
  if (by.path !== undefined) return { key: 'path' };
  return { key: by.header?.toLowerCase() ?? by.claim! };
}

/** Limits that begin with the same key share its descriptor: the service takes each key once per level. */
function mergeDescriptors(descriptors: readonly Descriptor[]): Descriptor[] {
  const groups = Map.groupBy(descriptors, ({ key, value }) => JSON.stringify([key, value]));
  return [...groups.values()].map((group) => {
    const inner = mergeDescriptors(group.flatMap((one) => one.descriptors ?? []));
    const rate = group.find((one) => one.rate_limit !== undefined)?.rate_limit;
    const { key, value } = group[0]!;
    return {
      key,
      ...(value === undefined ? {} : { value }),
      ...(rate === undefined ? {} : { rate_limit: rate }),
      ...(inner.length === 0 ? {} : { descriptors: inner }),
    };
  });
}
