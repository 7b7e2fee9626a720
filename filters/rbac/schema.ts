import * as v from 'valibot';
import {
  bool,
  check,
  duration,
  enumOf,
  list,
  mapOf,
  message,
  nonEmptyString,
  oneof,
  optional,
  Problem,
  type Schema,
  string,
  uint32,
  unsupported,
} from '../../src/config/schema/building-blocks.ts';
import { CidrRange } from '../../src/config/schema/core-address.ts';
import { FilterStateMatcher, MetadataMatcher, PathMatcher, StringMatcher } from '../../src/config/schema/matcher.ts';
import { Int32Range } from '../../src/config/schema/percent.ts';
import { HeaderMatcher } from '../../src/config/schema/route-matchers.ts';
import { SubjectAltNameMatcher } from '../../src/config/schema/tls.ts';
import { uriTemplateRegex } from './uri-template.ts';

/** envoy.config.rbac.v3 and the filters' own messages around it. */

/** `any: true`; false would be a rule that says nothing. */
const always = optional(v.pipe(bool(), v.literal(true, 'must be true')));

/** envoy.config.rbac.v3.SourcedMetadata. */
const SourcedMetadata = message({
  metadata_matcher: MetadataMatcher,
  metadata_source: optional(enumOf(['DYNAMIC', 'ROUTE']), 'DYNAMIC'),
});
type SourcedMetadata = v.InferOutput<typeof SourcedMetadata>;

/** envoy.config.rbac.v3.Permission: exactly one of its fields. */
export interface Permission {
  and_rules?: { rules: Permission[] } | undefined;
  or_rules?: { rules: Permission[] } | undefined;
  any?: true | undefined;
  header?: HeaderMatcher | undefined;
  url_path?: PathMatcher | undefined;
  destination_ip?: CidrRange | undefined;
  destination_port?: number | undefined;
  destination_port_range?: Int32Range | undefined;
  metadata?: MetadataMatcher | undefined;
  sourced_metadata?: SourcedMetadata | undefined;
  not_rule?: Permission | undefined;
  requested_server_name?: StringMatcher | undefined;
  uri_template?: { typed_config: UriTemplate } | undefined;
}

/** envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig. */
const UriTemplate = message(
  {
    '@type': enumOf(['type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig']),
    path_template: string({ minLength: 1, maxLength: 256 }),
  },
  check(({ path_template: template }) => {
    try {
      uriTemplateRegex(template);
      return undefined;
    } catch (error) {
      return new Problem((error as Error).message, { path: ['path_template'] });
    }
  }),
);
export type UriTemplate = v.InferOutput<typeof UriTemplate>;

const permission: Schema<Permission> = v.lazy(() => Permission);
const permissionSet = message({ rules: list(permission, { min: 1 }) });

export const Permission: Schema<Permission> = message(
  {
    and_rules: optional(permissionSet),
    or_rules: optional(permissionSet),
    any: always,
    header: optional(HeaderMatcher),
    url_path: optional(PathMatcher),
    destination_ip: optional(CidrRange),
    destination_port: optional(uint32({ max: 65535 })),
    destination_port_range: optional(Int32Range),
    metadata: optional(MetadataMatcher),
    sourced_metadata: optional(SourcedMetadata),
    not_rule: optional(permission),
    requested_server_name: optional(StringMatcher),
    uri_template: optional(message({ name: nonEmptyString(), typed_config: UriTemplate })),
  },
  oneof(
    [
      'and_rules',
      'or_rules',
      'any',
      'header',
      'url_path',
      'destination_ip',
      'destination_port',
      'destination_port_range',
      'metadata',
      'sourced_metadata',
      'not_rule',
      'requested_server_name',
      'matcher',
      'uri_template',
    ],
    { required: true },
  ),
  unsupported('matcher extensions are not available', 'matcher'),
  check((rule) => portRangeProblem(rule.destination_port_range)),
);

/** envoy.config.rbac.v3.Principal: exactly one of its fields. */
export interface Principal {
  and_ids?: { ids: Principal[] } | undefined;
  or_ids?: { ids: Principal[] } | undefined;
  any?: true | undefined;
  authenticated?: { principal_name?: StringMatcher | undefined } | undefined;
  source_ip?: CidrRange | undefined;
  direct_remote_ip?: CidrRange | undefined;
  remote_ip?: CidrRange | undefined;
  header?: HeaderMatcher | undefined;
  url_path?: PathMatcher | undefined;
  metadata?: MetadataMatcher | undefined;
  sourced_metadata?: SourcedMetadata | undefined;
  filter_state?: FilterStateMatcher | undefined;
  not_id?: Principal | undefined;
  custom?: { typed_config: MtlsAuthenticated } | undefined;
}

/** envoy.extensions.rbac.principals.mtls_authenticated.v3.Config: a client certificate that was validated. */
const MtlsAuthenticated = message(
  {
    '@type': enumOf(['type.googleapis.com/envoy.extensions.rbac.principals.mtls_authenticated.v3.Config']),
    san_matcher: optional(SubjectAltNameMatcher),
    any_validated_client_certificate: always,
  },
  oneof(['san_matcher', 'any_validated_client_certificate'], { required: true }),
  check(({ san_matcher: name }) =>
    name === undefined || name.san_type === 'URI' || name.san_type === 'DNS'
      ? undefined
      : new Problem(`${name.san_type} is not available`, { path: ['san_matcher', 'san_type'], allowed: 'URI, DNS' }),
  ),
);
export type MtlsAuthenticated = v.InferOutput<typeof MtlsAuthenticated>;

const principal: Schema<Principal> = v.lazy(() => Principal);
const principalSet = message({ ids: list(principal, { min: 1 }) });

export const Principal: Schema<Principal> = message(
  {
    and_ids: optional(principalSet),
    or_ids: optional(principalSet),
    any: always,
    authenticated: optional(message({ principal_name: optional(StringMatcher) })),
    source_ip: optional(CidrRange),
    direct_remote_ip: optional(CidrRange),
    remote_ip: optional(CidrRange),
    header: optional(HeaderMatcher),
    url_path: optional(PathMatcher),
    metadata: optional(MetadataMatcher),
    sourced_metadata: optional(SourcedMetadata),
    filter_state: optional(FilterStateMatcher),
    not_id: optional(principal),
    custom: optional(message({ name: nonEmptyString(), typed_config: MtlsAuthenticated })),
  },
  oneof(
    [
      'and_ids',
      'or_ids',
      'any',
      'authenticated',
      'source_ip',
      'direct_remote_ip',
      'remote_ip',
      'header',
      'url_path',
      'metadata',
      'sourced_metadata',
      'filter_state',
      'not_id',
      'custom',
    ],
    { required: true },
  ),
);

/** envoy.config.rbac.v3.Policy. */
export const Policy = message(
  { permissions: list(Permission, { min: 1 }), principals: list(Principal, { min: 1 }) },
  unsupported('expressions (CEL) are not available', 'condition', 'checked_condition', 'cel_config'),
);
export type Policy = v.InferOutput<typeof Policy>;

/** envoy.config.rbac.v3.RBAC. Policies are evaluated in the byte order of their names. */
export const Rules = message(
  { action: optional(enumOf(['ALLOW', 'DENY', 'LOG']), 'ALLOW'), policies: optional(mapOf(Policy), {}) },
  unsupported('audit logging is not available', 'audit_logging_options'),
);
export type Rules = v.InferOutput<typeof Rules>;

const NO_MATCHER = 'match trees are not available, use rules and shadow_rules';

/** envoy.extensions.filters.http.rbac.v3.RBAC. */
export const HttpRbac = message(
  {
    rules: optional(Rules),
    rules_stat_prefix: optional(string(), ''),
    shadow_rules: optional(Rules),
    shadow_rules_stat_prefix: optional(string(), ''),
    track_per_rule_stats: optional(bool(), false),
  },
  unsupported(NO_MATCHER, 'matcher', 'shadow_matcher'),
);
export type HttpRbac = v.InferOutput<typeof HttpRbac>;

/** envoy.extensions.filters.http.rbac.v3.RBACPerRoute; without `rbac` the filter is off. */
export const HttpRbacPerRoute = message({ rbac: optional(HttpRbac) });
export type HttpRbacPerRoute = v.InferOutput<typeof HttpRbacPerRoute>;

/** envoy.extensions.filters.network.rbac.v3.RBAC; delay_deny in milliseconds. */
export const NetworkRbac = message(
  {
    rules: optional(Rules),
    shadow_rules: optional(Rules),
    shadow_rules_stat_prefix: optional(string(), ''),
    stat_prefix: nonEmptyString(),
    enforcement_type: optional(enumOf(['ONE_TIME_ON_FIRST_BYTE', 'CONTINUOUS']), 'ONE_TIME_ON_FIRST_BYTE'),
    delay_deny: optional(duration()),
    enforce_on_transport_ready: optional(bool(), false),
  },
  unsupported(NO_MATCHER, 'matcher', 'shadow_matcher'),
  check((config) => headerRuleProblem(config.rules, 'rules') ?? headerRuleProblem(config.shadow_rules, 'shadow_rules')),
);
export type NetworkRbac = v.InferOutput<typeof NetworkRbac>;

function portRangeProblem(range: Int32Range | undefined): Problem | undefined {
  if (range === undefined) return undefined;
  const path = ['destination_port_range'];
  if (range.start < 0 || range.start > 65536) return new Problem(`start ${range.start} is out of bounds`, { path });
  if (range.end < 0 || range.end > 65536) return new Problem(`end ${range.end} is out of bounds`, { path });
  if (range.start >= range.end) return new Problem(`start ${range.start} must be below end ${range.end}`, { path });
  return undefined;
}

/** Envoy refuses rules on headers in the network filter: it would evaluate them without any. */
function headerRuleProblem(rules: Rules | undefined, field: string): Problem | undefined {
  for (const [name, policy] of Object.entries(rules?.policies ?? {})) {
    if (policy.permissions.some(permissionReadsHeaders) || policy.principals.some(principalReadsHeaders)) {
      return new Problem('a header or url_path cannot be known by a network filter', {
        path: [field, 'policies', name],
      });
    }
  }
  return undefined;
}

function permissionReadsHeaders(rule: Permission): boolean {
  if (rule.header !== undefined || rule.url_path !== undefined || rule.uri_template !== undefined) return true;
  const parts = rule.and_rules?.rules ?? rule.or_rules?.rules ?? (rule.not_rule === undefined ? [] : [rule.not_rule]);
  return parts.some(permissionReadsHeaders);
}

function principalReadsHeaders(id: Principal): boolean {
  if (id.header !== undefined || id.url_path !== undefined) return true;
  const parts = id.and_ids?.ids ?? id.or_ids?.ids ?? (id.not_id === undefined ? [] : [id.not_id]);
  return parts.some(principalReadsHeaders);
}
