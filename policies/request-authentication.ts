import type * as v from 'valibot';
import {
  bool,
  check,
  headerName,
  list,
  message,
  nonEmptyString,
  oneof,
  optional,
  Problem,
  type Schema,
  string,
} from '../src/config/schema/building-blocks.ts';
import { scalar } from '../src/config/schema/schema.ts';
import { writtenHeader } from '../src/config/schema/written-header.ts';
import { isRecord, oneOrMany } from '../src/config/sidecar/units.ts';
import { time } from './fields.ts';
import { type Canonical, given, type PolicyKind, typed } from './policy.ts';
import { serviceCluster } from './service-cluster.ts';

/** Where the claims of a verified token lie for authorisation, limits and logs, in the filter's metadata. */
export const JWT_METADATA = 'envoy.filters.http.jwt_authn';
export const JWT_PAYLOAD = 'payload';

interface KeysUri {
  readonly uri: string;
  readonly url: URL;
}

function keysUri(): Schema<KeysUri> {
  return scalar('uri', 'an http or https URI', (value) => {
    const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined;
    return url !== undefined && /^https?:$/.test(url.protocol)
      ? { uri: value as string, url }
      : new Problem(`${JSON.stringify(value)} is not a URI`, { allowed: 'http://host:port/path or https://…' });
  });
}

const JwtRule = message(
  {
    issuer: nonEmptyString(),
    audiences: optional(list(nonEmptyString()), []),
    /** The key set itself (RFC 7517), as JSON text. */
    jwks: optional(string({ minLength: 1 })),
    jwks_file: optional(nonEmptyString()),
    jwks_uri: optional(keysUri()),
    /** How long fetched keys are used. */
    cache: optional(time(), '5m'),
    /** Authorities that vouch for an https key server, PEM file; those of the system unless given. */
    trusted_ca: optional(nonEmptyString()),
    /** `authorization: Bearer` and the parameter `access_token` unless given. */
    from_headers: optional(list(message({ name: headerName(), prefix: optional(string(), '') })), []),
    from_params: optional(list(nonEmptyString()), []),
    from_cookies: optional(list(nonEmptyString()), []),
    /** Leaves the token in the request. */
    forward_original_token: optional(bool(), false),
    /** Passes the claims on, base64url of their JSON. */
    output_payload_to_header: optional(writtenHeader()),
    output_claim_to_headers: optional(list(message({ header: writtenHeader(), claim: nonEmptyString() })), []),
  },
  oneof(['jwks', 'jwks_file', 'jwks_uri'], { required: true }),
  check((rule) =>
    rule.jwks === undefined || isKeySet(rule.jwks)
      ? undefined
      : new Problem('is not a key set', { path: ['jwks'], allowed: 'JSON text {"keys": [ … ]} (RFC 7517 §5)' }),
  ),
);
type JwtRule = v.InferOutput<typeof JwtRule>;

const Spec = message({
  jwt_rules: list(JwtRule, { min: 1 }),
  /** Requests without a token are denied too; otherwise only those with a bad one. */
  required: optional(bool(), true),
  /** Paths, or prefixes that end in `*`, that need no token. */
  except: optional(oneOrMany(nonEmptyString(), list(nonEmptyString())), []),
});
type Spec = v.InferOutput<typeof Spec>;

/** ① Request authentication. Table 2: in L7 headers, out allow or deny, no state. */
export const requestAuthentication: PolicyKind<Spec> = {
  kind: 'RequestAuthentication',
  summary: 'requests carry a JSON Web Token that one of the issuers has signed',
  spec: Spec,
  semantics: {
    paper: 1,
    input: 'L7 headers',
    output: 'allow or deny',
    pure: true,
    state: { kept: 'none', what: 'fetched keys and verified tokens are caches: a verdict does not depend on them' },
    payload: 'none',
    placement: 'either',
    usualSide: 'receiver',
    granularity: 'function',
  },
  refusal: () => undefined,
  compile({ spec, metadata }) {
    const names = spec.jwt_rules.map((_, index) => `${metadata.namespace}/${metadata.name}/${index}`);
    const open = spec.except.map((path) => ({
      match: path.endsWith('*') ? { prefix: path.slice(0, -1) } : { path },
    }));
    const config = typed('envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication', {
      providers: Object.fromEntries(spec.jwt_rules.map((rule, index) => [names[index]!, provider(rule)])),
      rules: [...open, { match: { prefix: '/' }, requires: requirement(names, spec.required) }],
    });
    const clusters = spec.jwt_rules.flatMap((rule) => (rule.jwks_uri === undefined ? [] : [keyServer(rule)]));
    return {
      // The app must not see another path than that which needed no token.
      ...(spec.except.length === 0 ? {} : { manager: { normalize_path: true } }),
      httpFilters: [
        { phase: 'authentication', filter: { name: 'envoy.filters.http.jwt_authn', typed_config: config } },
      ],
      clusters: [...new Map(clusters.map((cluster) => [cluster.name, cluster])).values()],
    };
  },
};

function requirement(names: readonly string[], isRequired: boolean): Canonical {
  const requirements: Canonical[] = names.map((provider_name) => ({ provider_name }));
  if (!isRequired) requirements.push({ allow_missing: {} });
  return requirements.length === 1 ? requirements[0]! : { requires_any: { requirements } };
}

function provider(rule: JwtRule): Canonical {
  return given({
    issuer: rule.issuer,
    audiences: some(rule.audiences),
    ...keys(rule),
    from_headers: some(rule.from_headers.map(({ name, prefix }) => ({ name, value_prefix: prefix }))),
    from_params: some(rule.from_params),
    from_cookies: some(rule.from_cookies),
    forward: rule.forward_original_token || undefined,
    forward_payload_header: rule.output_payload_to_header,
    claim_to_headers: some(
      rule.output_claim_to_headers.map(({ header, claim }) => ({ header_name: header, claim_name: claim })),
    ),
    payload_in_metadata: JWT_PAYLOAD,
  });
}

function keys(rule: JwtRule): Canonical {
  if (rule.jwks !== undefined) return { local_jwks: { inline_string: rule.jwks } };
  if (rule.jwks_file !== undefined) return { local_jwks: { filename: rule.jwks_file } };
  return {
    remote_jwks: {
      http_uri: { uri: rule.jwks_uri!.uri, cluster: keyServerName(rule.jwks_uri!.url), timeout: '5s' },
      cache_duration: rule.cache,
    },
  };
}

function keyServerName(url: URL): string {
  return `jwks.${url.host}`;
}

function keyServer(rule: JwtRule): Canonical & { name: string } {
  const { url } = rule.jwks_uri!;
  const isTls = url.protocol === 'https:';
  const port_value = url.port === '' ? (isTls ? 443 : 80) : Number(url.port);
  const address = { socket_address: { address: url.hostname.replace(/^\[|\]$/g, ''), port_value } };
  const name = keyServerName(url);
  const tls = isTls ? { tlsName: url.hostname } : {};
  const trust = rule.trusted_ca === undefined ? {} : { trustedCa: rule.trusted_ca };
  return { ...serviceCluster(name, { address, ...tls, ...trust }), name };
}

function isKeySet(text: string): boolean {
  try {
    const set: unknown = JSON.parse(text);
    return isRecord(set) && Array.isArray((set as { keys?: unknown }).keys);
  } catch {
    return false;
  }
}

function some<T>(items: readonly T[]): readonly T[] | undefined {
  return items.length === 0 ? undefined : items;
}
