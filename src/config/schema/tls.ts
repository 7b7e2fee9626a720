import type * as v from 'valibot';
import {
  anyConfig,
  bool,
  boolValue,
  check,
  duration,
  enumOf,
  fixedBool,
  list,
  message,
  nonEmptyString,
  oneof,
  optional,
  Problem,
  string,
  uint32Value,
  unsupported,
} from './building-blocks.ts';
import { SdsSecretConfig, WatchedDirectory } from './config-source.ts';
import { DataSource } from './core.ts';
import { StringMatcher } from './matcher.ts';

/** envoy.extensions.transport_sockets.tls.v3; times in milliseconds. */

const TOO_OLD = 'TLS 1.2 is the oldest version that is spoken (RFC 8996)';

const TlsVersion = enumOf(['TLS_AUTO', 'TLSv1_0', 'TLSv1_1', 'TLSv1_2', 'TLSv1_3'], {
  TLSv1_0: TOO_OLD,
  TLSv1_1: TOO_OLD,
});

/** TlsParameters: cipher suites of TLS 1.2 and curves in OpenSSL's names; those of TLS 1.3 are not chosen. */
export const TlsParameters = message(
  {
    tls_minimum_protocol_version: optional(TlsVersion, 'TLS_AUTO'),
    tls_maximum_protocol_version: optional(TlsVersion, 'TLS_AUTO'),
    cipher_suites: optional(list(nonEmptyString()), []),
    ecdh_curves: optional(list(nonEmptyString()), []),
    signature_algorithms: optional(list(nonEmptyString()), []),
  },
  unsupported('name versions, ciphers and curves themselves', 'compliance_policies'),
  check((params) =>
    params.tls_minimum_protocol_version === 'TLSv1_3' && params.tls_maximum_protocol_version === 'TLSv1_2'
      ? new Problem('lies above tls_maximum_protocol_version', { path: ['tls_minimum_protocol_version'] })
      : undefined,
  ),
);
export type TlsParameters = v.InferOutput<typeof TlsParameters>;

/** TlsCertificate: a chain and its key in PEM. */
export const TlsCertificate = message(
  {
    certificate_chain: DataSource,
    private_key: DataSource,
    password: optional(DataSource),
    watched_directory: optional(WatchedDirectory),
  },
  unsupported('write certificate_chain and private_key in PEM', 'pkcs12'),
  unsupported('keys lie in memory', 'private_key_provider'),
  unsupported('certificate status is not stapled', 'ocsp_staple', 'signed_certificate_timestamp'),
);
export type TlsCertificate = v.InferOutput<typeof TlsCertificate>;

/** SubjectAltNameMatcher: one kind of name and how it must read; `oid` says which of the other kinds. */
export const SubjectAltNameMatcher = message(
  {
    san_type: enumOf(['SAN_TYPE_UNSPECIFIED', 'EMAIL', 'DNS', 'URI', 'IP_ADDRESS', 'OTHER_NAME'], {
      SAN_TYPE_UNSPECIFIED: 'say which kind of name is meant',
    }),
    matcher: StringMatcher,
    oid: optional(string(), ''),
  },
  check(({ san_type: type, oid }) =>
    type !== 'OTHER_NAME' || /^[0-2](\.\d+)+$/.test(oid)
      ? undefined
      : new Problem('OTHER_NAME needs the object identifier of its kind', {
          path: ['oid'],
          allowed: 'numbers as in 1.3.6.1.4.1.311.20.2.3',
        }),
  ),
);
export type SubjectAltNameMatcher = v.InferOutput<typeof SubjectAltNameMatcher>;

const CertificateHash = string({
  pattern: /^[0-9a-fA-F]{64}$|^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){31}$/,
  allowed: 'SHA-256 in 64 hexadecimal digits, with or without colons',
});

const KeyHash = string({ pattern: /^[A-Za-z0-9+/]{43}=$/, allowed: 'SHA-256 in base64, 44 characters' });

const VALIDATION_FIELDS = {
  trusted_ca: optional(DataSource),
  /** One of these, or one of `verify_certificate_spki`, must be the peer's certificate. */
  verify_certificate_hash: optional(list(CertificateHash), []),
  /** Hashes of public keys. */
  verify_certificate_spki: optional(list(KeyHash), []),
  /** The SPIFFE validator: the trust domain chooses the authority. It takes the place of `trusted_ca`. */
  custom_validator_config: optional(
    message({ name: nonEmptyString(), typed_config: anyConfig('certificate_validator') }),
  ),
  /** The most authorities above the peer's certificate, the trusted one included. */
  max_verify_depth: optional(uint32Value({ min: 1, max: 100 })),
  match_typed_subject_alt_names: optional(list(SubjectAltNameMatcher), []),
  crl: optional(DataSource),
  trust_chain_verification: optional(enumOf(['VERIFY_TRUST_CHAIN', 'ACCEPT_UNTRUSTED']), 'VERIFY_TRUST_CHAIN'),
  /** Time alone is left out of account. */
  allow_expired_certificate: optional(bool(), false),
  watched_directory: optional(WatchedDirectory),
  only_verify_leaf_cert_crl: optional(bool(), false),
};

const VALIDATION_RULES = [
  unsupported('name the authorities with trusted_ca', 'ca_certificate_provider_instance', 'system_root_certs'),
  unsupported('use match_typed_subject_alt_names', 'match_subject_alt_names'),
  unsupported('it is not available', 'require_signed_certificate_timestamp'),
  check(spiffeProblem),
] as const;

/** The fields of a CertificateValidationContext whose other half, such as the authority, lies elsewhere. */
export const CertificateValidation = message(VALIDATION_FIELDS, ...VALIDATION_RULES);

/** What the SPIFFE validator has no use for. */
function spiffeProblem(validation: {
  custom_validator_config?: unknown;
  trusted_ca?: unknown;
  crl?: unknown;
  match_typed_subject_alt_names: readonly SubjectAltNameMatcher[];
}): Problem | undefined {
  if (validation.custom_validator_config === undefined) return undefined;
  const { trusted_ca: ca, crl, match_typed_subject_alt_names: names } = validation;
  if (ca !== undefined) return new Problem('has no effect beside custom_validator_config', { path: ['trusted_ca'] });
  if (crl !== undefined) return new Problem('belongs into the trust bundle', { path: ['crl'] });
  const other = names.findIndex((matcher) => matcher.san_type !== 'URI');
  if (other < 0) return undefined;
  return new Problem('a SPIFFE ID is a URI', {
    path: ['match_typed_subject_alt_names', other, 'san_type'],
    allowed: 'URI',
  });
}

/** CertificateValidationContext: whom to believe. Without anything in it nobody is asked and everybody believed. */
export const CertificateValidationContext = message(
  VALIDATION_FIELDS,
  ...VALIDATION_RULES,
  check((validation) => {
    if (validation.trusted_ca !== undefined || validation.custom_validator_config !== undefined) return undefined;
    if (validation.max_verify_depth !== undefined) {
      return new Problem('means nothing without trusted_ca', { path: ['max_verify_depth'] });
    }
    const needy = validation.match_typed_subject_alt_names.length > 0 ? 'match_typed_subject_alt_names' : 'crl';
    return needy === 'crl' && validation.crl === undefined
      ? undefined
      : new Problem('means nothing without trusted_ca: anybody can write any name into a certificate', {
          path: [needy],
        });
  }),
);
export type CertificateValidationContext = v.InferOutput<typeof CertificateValidationContext>;

/** CombinedCertificateValidationContext: what is written here, and over it what the secret says; lists add up. */
export const CombinedValidationContext = message(
  {
    default_validation_context: optional(CertificateValidation, {}),
    validation_context_sds_secret_config: SdsSecretConfig,
  },
  unsupported(
    'certificates come from the configuration or from files',
    'validation_context_certificate_provider',
    'validation_context_certificate_provider_instance',
  ),
);
export type CombinedValidationContext = v.InferOutput<typeof CombinedValidationContext>;

/** TlsSessionTicketKeys: keys of 80 bytes. The first one makes tickets, all of them are accepted. */
export const TlsSessionTicketKeys = message({ keys: list(DataSource, { min: 1 }) });
export type TlsSessionTicketKeys = v.InferOutput<typeof TlsSessionTicketKeys>;

/** CommonTlsContext: what both sides of a handshake may say. */
export const CommonTlsContext = message(
  {
    tls_params: optional(TlsParameters, {}),
    tls_certificates: optional(list(TlsCertificate), []),
    tls_certificate_sds_secret_configs: optional(list(SdsSecretConfig), []),
    validation_context: optional(CertificateValidationContext),
    validation_context_sds_secret_config: optional(SdsSecretConfig),
    combined_validation_context: optional(CombinedValidationContext),
    alpn_protocols: optional(list(nonEmptyString()), []),
  },
  oneof(['validation_context', 'validation_context_sds_secret_config', 'combined_validation_context']),
  unsupported(
    'certificates come from the configuration',
    'tls_certificate_provider_instance',
    'tls_certificate_certificate_provider',
    'tls_certificate_certificate_provider_instance',
    'validation_context_certificate_provider',
    'validation_context_certificate_provider_instance',
    'custom_tls_certificate_selector',
  ),
  unsupported('handshakes are TLS handshakes', 'custom_handshaker'),
  unsupported('keys of connections are not written out', 'key_log'),
  check((common) => {
    const wrong = common.alpn_protocols.findIndex((name) => Buffer.byteLength(name) > 255);
    return wrong < 0 ? undefined : new Problem('has more than 255 bytes', { path: ['alpn_protocols', wrong] });
  }),
  check((common) =>
    common.tls_certificates.length > 0 && common.tls_certificate_sds_secret_configs.length > 0
      ? new Problem('cannot be given together with "tls_certificates"', {
          path: ['tls_certificate_sds_secret_configs'],
        })
      : undefined,
  ),
);
export type CommonTlsContext = v.InferOutput<typeof CommonTlsContext>;

function certificateCount(common: CommonTlsContext): number {
  return common.tls_certificates.length + common.tls_certificate_sds_secret_configs.length;
}

/** Whether somebody vouches for a peer: an authority that is written here, or one that comes as a secret. */
function namesAuthority(common: CommonTlsContext): boolean {
  return (
    common.validation_context?.trusted_ca !== undefined ||
    common.validation_context?.custom_validator_config !== undefined ||
    common.validation_context_sds_secret_config !== undefined ||
    common.combined_validation_context !== undefined
  );
}

function pinsCertificates(validation: CertificateValidationContext | undefined): boolean {
  if (validation === undefined) return false;
  return validation.verify_certificate_hash.length + validation.verify_certificate_spki.length > 0;
}

/** DownstreamTlsContext: TLS of a filter chain. */
export const DownstreamTlsContext = message(
  {
    common_tls_context: CommonTlsContext,
    require_client_certificate: optional(boolValue(), false),
    disable_stateless_session_resumption: optional(bool(), false),
    /** Sessions are never kept on this side. */
    disable_stateful_session_resumption: optional(bool(), false),
    session_timeout: optional(duration({ minMs: 1000 })),
    prefer_client_ciphers: optional(bool(), false),
    /** Where no name fits, the first certificate of each kind serves, whichever the client can use. */
    full_scan_certs_on_sni_mismatch: optional(boolValue(), false),
    session_ticket_keys: optional(TlsSessionTicketKeys),
    session_ticket_keys_sds_secret_config: optional(SdsSecretConfig),
    ocsp_staple_policy: optional(
      enumOf(['LENIENT_STAPLING', 'STRICT_STAPLING', 'MUST_STAPLE'], {
        STRICT_STAPLING: 'certificate status is not stapled',
        MUST_STAPLE: 'certificate status is not stapled',
      }),
      'LENIENT_STAPLING',
    ),
  },
  oneof(['session_ticket_keys', 'session_ticket_keys_sds_secret_config', 'disable_stateless_session_resumption']),
  unsupported('match names with server_names', 'require_sni'),
  check((context) =>
    certificateCount(context.common_tls_context) === 0
      ? new Problem('needs a certificate', { path: ['common_tls_context', 'tls_certificates'] })
      : undefined,
  ),
  check((context) =>
    context.require_client_certificate &&
    !namesAuthority(context.common_tls_context) &&
    !pinsCertificates(context.common_tls_context.validation_context)
      ? new Problem('needs validation_context.trusted_ca: any certificate would do', {
          path: ['require_client_certificate'],
        })
      : undefined,
  ),
);
export type DownstreamTlsContext = v.InferOutput<typeof DownstreamTlsContext>;

/** UpstreamTlsContext: TLS towards a cluster's endpoints. */
export const UpstreamTlsContext = message(
  {
    common_tls_context: optional(CommonTlsContext, {}),
    sni: optional(string(), ''),
    auto_host_sni: optional(bool(), false),
    auto_sni_san_validation: optional(bool(), false),
    allow_renegotiation: optional(fixedBool(false, 'TLS 1.3 has no renegotiation, and it is an old hole'), false),
    enforce_rsa_key_usage: optional(boolValue()),
    /** Sessions that are kept for resumption, per server name. */
    max_session_keys: optional(uint32Value(), 1),
  },
  check((context) =>
    certificateCount(context.common_tls_context) > 1
      ? new Problem('a client has one certificate', { path: ['common_tls_context', 'tls_certificates'] })
      : undefined,
  ),
  check((context) =>
    context.auto_sni_san_validation && !namesAuthority(context.common_tls_context)
      ? new Problem('means nothing without validation_context.trusted_ca', { path: ['auto_sni_san_validation'] })
      : undefined,
  ),
);
export type UpstreamTlsContext = v.InferOutput<typeof UpstreamTlsContext>;

/** envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector: reads the ClientHello before a chain is chosen. */
export const TlsInspector = message(
  {},
  unsupported('fingerprints are not taken', 'enable_ja3_fingerprinting', 'enable_ja4_fingerprinting'),
  unsupported(
    'a ClientHello is read as it comes, up to 16 KiB',
    'initial_read_buffer_size',
    'max_client_hello_size',
    'close_connection_on_client_hello_parsing_errors',
  ),
);
export type TlsInspector = v.InferOutput<typeof TlsInspector>;
