import type * as v from 'valibot';
import { check, list, message, nonEmptyString, optional, Problem, unsupported } from './building-blocks.ts';
import { DataSource } from './core.ts';

/** envoy.extensions.transport_sockets.tls.v3, what is in tls_spiffe_validator_config.proto. */

/** SPIFFECertValidatorConfig.TrustDomain: whom the certificates of one trust domain must come from. */
export const SpiffeTrustDomain = message(
  { name: nonEmptyString(), trust_bundle: DataSource },
  unsupported('the trust domain is the one in the certificate', 'workload_trust_domain'),
  check(({ name }) =>
    /^[a-z0-9._-]{1,255}$/.test(name)
      ? undefined
      : new Problem(`"${name}" is not the name of a trust domain`, {
          path: ['name'],
          allowed: 'lower-case letters, digits, dots, dashes and underscores, such as example.org',
        }),
  ),
);
export type SpiffeTrustDomain = v.InferOutput<typeof SpiffeTrustDomain>;

/** SPIFFECertValidatorConfig: trust domains with their bundles, in PEM or as a map of SPIFFE bundles. */
export const SpiffeValidatorConfig = message(
  {
    trust_domains: optional(list(SpiffeTrustDomain), []),
    /** JSON: `{"trust_domains": {"example.org": {"keys": […]}}}`. Goes before `trust_domains`. */
    trust_bundles: optional(DataSource),
  },
  check(({ trust_domains: domains, trust_bundles: map }) => {
    if (domains.length === 0 && map === undefined) {
      return new Problem('needs trust_domains or trust_bundles: nobody could be believed');
    }
    const names = domains.map(({ name }) => name);
    const twice = names.findIndex((name, index) => names.indexOf(name) !== index);
    return twice < 0
      ? undefined
      : new Problem(`the trust domain "${names[twice]}" is listed twice`, { path: ['trust_domains', twice, 'name'] });
  }),
);
export type SpiffeValidatorConfig = v.InferOutput<typeof SpiffeValidatorConfig>;
