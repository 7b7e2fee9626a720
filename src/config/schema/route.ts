import type * as v from 'valibot';
import {
  bool,
  boolValue,
  check,
  enumOf,
  fixedBool,
  headerName,
  list,
  message,
  nonEmptyString,
  optional,
  Problem,
  string,
  uint32Value,
  unsupported,
} from './building-blocks.ts';
import { Metadata } from './core.ts';
import { RateLimit } from './rate-limit.ts';
import { RetryPolicy } from './retry-policy.ts';
import { headerMutationFields, perFilterConfigField, RequestMirrorPolicy, Route } from './route-components.ts';

/** envoy.config.route.v3.RouteConfiguration and its virtual hosts. */

/** envoy.config.route.v3.VirtualHost; `*` in a domain stands for the rest before or behind. */
export const VirtualHost = message(
  {
    name: nonEmptyString(),
    domains: list(nonEmptyString(), { min: 1 }),
    routes: optional(list(Route), []),
    require_tls: optional(
      enumOf(['NONE', 'EXTERNAL_ONLY', 'ALL'], {
        EXTERNAL_ONLY: 'use https_redirect',
        ALL: 'use https_redirect',
      }),
      'NONE',
    ),
    ...headerMutationFields,
    ...perFilterConfigField,
    include_request_attempt_count: optional(bool(), false),
    include_attempt_count_in_response: optional(bool(), false),
    include_is_timeout_retry_header: optional(fixedBool(false, 'the header is not sent'), false),
    retry_policy: optional(RetryPolicy),
    request_mirror_policies: optional(list(RequestMirrorPolicy), []),
    rate_limits: optional(list(RateLimit), []),
    metadata: optional(Metadata),
  },
  unsupported('generic matchers are not available, use routes', 'matcher'),
  unsupported('virtual clusters are not available', 'virtual_clusters'),
  unsupported('configure envoy.filters.http.cors with typed_per_filter_config', 'cors'),
  unsupported('request hedging is not available', 'hedge_policy'),
  unsupported(
    'use per_connection_buffer_limit_bytes of the listener',
    'per_request_buffer_limit_bytes',
    'request_body_buffer_limit',
  ),
  unsupported('it is not available', 'retry_policy_typed_config'),
);
export type VirtualHost = v.InferOutput<typeof VirtualHost>;

/** envoy.config.route.v3.RouteConfiguration. */
export const RouteConfiguration = message(
  {
    name: optional(string(), ''),
    virtual_hosts: optional(list(VirtualHost), []),
    internal_only_headers: optional(list(headerName()), []),
    ...headerMutationFields,
    most_specific_header_mutations_wins: optional(bool(), false),
    /** Whether an unknown cluster is an error at load; without it such a route answers 503. */
    validate_clusters: optional(boolValue(), true),
    max_direct_response_body_size_bytes: optional(uint32Value(), 4096),
    request_mirror_policies: optional(list(RequestMirrorPolicy), []),
    ignore_port_in_host_matching: optional(bool(), false),
    ignore_path_parameters_in_path_matching: optional(bool(), false),
    vhost_header: optional(string(), ''),
    ...perFilterConfigField,
    metadata: optional(Metadata),
  },
  unsupported('virtual hosts are not discovered, write virtual_hosts', 'vhds'),
  unsupported('cluster specifier extensions are not available', 'cluster_specifier_plugins'),
  check(uniqueVirtualHosts),
);
export type RouteConfiguration = v.InferOutput<typeof RouteConfiguration>;

/** Virtual hosts have unique names, and every domain belongs to one of them (Envoy compares in lower case). */
function uniqueVirtualHosts(configuration: { virtual_hosts: VirtualHost[] }): Problem | undefined {
  const names = new Set<string>();
  const ownerByDomain = new Map<string, string>();
  for (const [index, host] of configuration.virtual_hosts.entries()) {
    if (names.has(host.name)) {
      return new Problem(`a virtual host "${host.name}" exists already`, { path: ['virtual_hosts', index, 'name'] });
    }
    names.add(host.name);
    for (const [position, domain] of host.domains.entries()) {
      const key = domain.toLowerCase();
      const path = ['virtual_hosts', index, 'domains', position];
      const owner = ownerByDomain.get(key);
      if (owner !== undefined)
        return new Problem(`the domain "${domain}" belongs already to virtual host "${owner}"`, { path });
      if (key.length > 1 && key.startsWith('*') && key.endsWith('*')) {
        return new Problem(`"${domain}" is not a domain`, { path, allowed: 'one * at the start or at the end' });
      }
      ownerByDomain.set(key, host.name);
    }
  }
  return undefined;
}
