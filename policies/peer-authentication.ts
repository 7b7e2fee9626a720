import type * as v from 'valibot';
import {
  enumOf,
  list,
  message,
  nonEmptyString,
  optional,
  type Schema,
  string,
} from '../src/config/schema/building-blocks.ts';
import { type Canonical, given, type PolicyKind, typed } from './policy.ts';

const identity: Schema<string> = string({ pattern: /^spiffe:\/\/[^/]+\/.+/, allowed: 'spiffe://trust-domain/path' });

const Spec = message({
  /** PERMISSIVE takes plain text beside TLS on the same port. */
  mode: optional(enumOf(['STRICT', 'PERMISSIVE']), 'STRICT'),
  /** The workload's own, PEM files. */
  certificate: message({ chain: nonEmptyString(), key: nonEmptyString() }),
  /** Authorities that vouch for the other side, PEM file. */
  trusted_ca: nonEmptyString(),
  /** Identities of the other side; every one that the authority vouches for unless given. */
  peers: optional(list(identity, { min: 1 })),
  /** The sender's side: clusters that are called so; all unless given. */
  destinations: optional(list(nonEmptyString(), { min: 1 })),
});
type Spec = v.InferOutput<typeof Spec>;

const TLS = 'envoy.extensions.transport_sockets.tls.v3';

/** ⑦ Mutual TLS. Table 2: in L4/L7 headers, out allow or deny, no state. */
export const peerAuthentication: PolicyKind<Spec> = {
  kind: 'PeerAuthentication',
  summary: 'both ends of a connection show a certificate, and nobody else can read it',
  spec: Spec,
  semantics: {
    paper: 7,
    input: 'L4 and L7 headers',
    output: 'allow or deny',
    pure: true,
    state: { kept: 'none', what: 'session tickets are a cache: a resumed session has been verified before' },
    payload: 'none',
    placement: 'both',
    usualSide: 'receiver',
    granularity: 'mesh',
  },
  refusal: () => undefined,
  compile({ spec }, side) {
    if (side === 'sender') {
      const socket = {
        name: 'envoy.transport_sockets.tls',
        typed_config: typed(`${TLS}.UpstreamTlsContext`, common(spec)),
      };
      return { destination: { transport_socket: socket }, destinations: spec.destinations };
    }
    const context = typed(`${TLS}.DownstreamTlsContext`, { ...common(spec), require_client_certificate: true });
    return {
      downstreamTls: {
        isOptional: spec.mode === 'PERMISSIVE',
        socket: { name: 'envoy.transport_sockets.tls', typed_config: context },
      },
      manager: { forward_client_cert_details: 'SANITIZE_SET', set_current_client_cert_details: { uri: true } },
    };
  },
};

function common({ certificate, trusted_ca, peers }: Spec): Canonical {
  const names = peers?.map((exact) => ({ san_type: 'URI', matcher: { exact } }));
  return {
    common_tls_context: {
      tls_certificates: [
        { certificate_chain: { filename: certificate.chain }, private_key: { filename: certificate.key } },
      ],
      validation_context: given({ trusted_ca: { filename: trusted_ca }, match_typed_subject_alt_names: names }),
    },
  };
}
