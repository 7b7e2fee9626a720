/** Why a handshake failed: Envoy's words, and what is counted for it. */
export interface TlsFailure {
  readonly reason: string;
  /** `closed` is the peer's or the network's doing, which counts for no statistic of TLS; `timeout` and `not_ready` are ours. */
  readonly kind:
    | 'connection_error'
    | 'fail_verify_no_cert'
    | 'fail_verify_error'
    | 'fail_verify_san'
    | 'fail_verify_cert_hash'
    | 'not_ready'
    | 'closed'
    | 'timeout';
}

/** Reasons of BoringSSL that have another number or name in OpenSSL, by OpenSSL's name. */
const REASONS: Readonly<Record<string, readonly [code: number, name: string]>> = {
  BAD_RECORD_TYPE: [247, 'WRONG_VERSION_NUMBER'],
  CERTIFICATE_VERIFY_FAILED: [125, 'CERTIFICATE_VERIFY_FAILED'],
  DECRYPTION_FAILED_OR_BAD_RECORD_MAC: [137, 'DECRYPTION_FAILED_OR_BAD_RECORD_MAC'],
  HTTP_REQUEST: [156, 'HTTP_REQUEST'],
  HTTPS_PROXY_REQUEST: [155, 'HTTPS_PROXY_REQUEST'],
  NO_SHARED_CIPHER: [178, 'NO_SHARED_CIPHER'],
  PEER_DID_NOT_RETURN_A_CERTIFICATE: [192, 'PEER_DID_NOT_RETURN_A_CERTIFICATE'],
  UNSUPPORTED_PROTOCOL: [240, 'UNSUPPORTED_PROTOCOL'],
  WRONG_VERSION_NUMBER: [247, 'WRONG_VERSION_NUMBER'],
  PACKET_LENGTH_TOO_LONG: [247, 'WRONG_VERSION_NUMBER'],
};

/** Alerts of the peer. OpenSSL and BoringSSL put different versions before their names, and number them from 1000. */
const ALERT = /(?:^|_)ALERT_(.+)$/;
const ALERT_CODES: Readonly<Record<string, readonly [code: number, name: string]>> = {
  UNEXPECTED_MESSAGE: [1010, 'SSLV3_ALERT_UNEXPECTED_MESSAGE'],
  BAD_RECORD_MAC: [1020, 'SSLV3_ALERT_BAD_RECORD_MAC'],
  HANDSHAKE_FAILURE: [1040, 'SSLV3_ALERT_HANDSHAKE_FAILURE'],
  BAD_CERTIFICATE: [1042, 'SSLV3_ALERT_BAD_CERTIFICATE'],
  UNSUPPORTED_CERTIFICATE: [1043, 'SSLV3_ALERT_UNSUPPORTED_CERTIFICATE'],
  CERTIFICATE_REVOKED: [1044, 'SSLV3_ALERT_CERTIFICATE_REVOKED'],
  CERTIFICATE_EXPIRED: [1045, 'SSLV3_ALERT_CERTIFICATE_EXPIRED'],
  CERTIFICATE_UNKNOWN: [1046, 'SSLV3_ALERT_CERTIFICATE_UNKNOWN'],
  ILLEGAL_PARAMETER: [1047, 'SSLV3_ALERT_ILLEGAL_PARAMETER'],
  UNKNOWN_CA: [1048, 'TLSV1_ALERT_UNKNOWN_CA'],
  ACCESS_DENIED: [1049, 'TLSV1_ALERT_ACCESS_DENIED'],
  DECODE_ERROR: [1050, 'TLSV1_ALERT_DECODE_ERROR'],
  DECRYPT_ERROR: [1051, 'TLSV1_ALERT_DECRYPT_ERROR'],
  PROTOCOL_VERSION: [1070, 'TLSV1_ALERT_PROTOCOL_VERSION'],
  INSUFFICIENT_SECURITY: [1071, 'TLSV1_ALERT_INSUFFICIENT_SECURITY'],
  INTERNAL_ERROR: [1080, 'TLSV1_ALERT_INTERNAL_ERROR'],
  USER_CANCELLED: [1090, 'TLSV1_ALERT_USER_CANCELLED'],
  UNRECOGNIZED_NAME: [1112, 'TLSV1_ALERT_UNRECOGNIZED_NAME'],
  CERTIFICATE_REQUIRED: [1116, 'TLSV1_ALERT_CERTIFICATE_REQUIRED'],
  NO_APPLICATION_PROTOCOL: [1120, 'TLSV1_ALERT_NO_APPLICATION_PROTOCOL'],
};

/** `ERR_LIB_SSL` of BoringSSL, in the upper byte of its codes. */
const SSL_LIBRARY = 16 << 24;

function tlsError(code: number, name: string, data = ''): string {
  return `TLS_error:|${SSL_LIBRARY + code}:SSL routines:OPENSSL_internal:${name}:${data === '' ? '' : `${data}:`}TLS_error_end`;
}

/** What an error of a handshake means. */
export function handshakeFailure(error: NodeJS.ErrnoException & { readonly reason?: string }): TlsFailure {
  if (error.code === 'ECONNRESET' && error.syscall === undefined) return { reason: '', kind: 'closed' };
  if (error.code === 'ECONNRESET' || error.code === 'EPIPE') {
    const text = error.code === 'EPIPE' ? 'Broken pipe' : 'Connection reset by peer';
    return { reason: `TLS_error:|33554536:system library:OPENSSL_internal:${text}:TLS_error_end`, kind: 'closed' };
  }
  const name = (error.code ?? '').replace(/^ERR_SSL_/, '');
  if (name === 'PEER_DID_NOT_RETURN_A_CERTIFICATE') return NO_CERTIFICATE;
  const alert = ALERT.exec(name);
  const [code, text] = (alert === null ? REASONS[name] : ALERT_CODES[alert[1] ?? '']) ?? [0, ''];
  if (code !== 0) return { reason: tlsError(code, text), kind: 'connection_error' };
  // A reason that has no number here is told in OpenSSL's words.
  const reason = name === '' ? error.message : name;
  return { reason: `TLS_error:|0:SSL routines:OPENSSL_internal:${reason}:TLS_error_end`, kind: 'connection_error' };
}

/** A secret of the context is missing: there is nothing to show, or nobody to believe. */
export const NOT_READY: TlsFailure = { reason: 'TLS error: Secret is not supplied by SDS', kind: 'not_ready' };

export const NO_CERTIFICATE: TlsFailure = {
  reason: tlsError(192, 'PEER_DID_NOT_RETURN_A_CERTIFICATE', 'peer did not provide required client certificate'),
  kind: 'fail_verify_no_cert',
};

/** What Envoy says more of: it names the lists. */
const ABOUT_LISTS = new Set(['certificate revoked', 'unable to get certificate CRL', 'CRL has expired']);

/** The chain of the peer's certificate does not hold. `why` is OpenSSL's text, such as `certificate has expired`. */
export function untrusted(why: string): TlsFailure {
  const what = ABOUT_LISTS.has(why) ? `certificate revocation check against provided CRLs failed: ${why}` : why;
  const data = `verify cert failed: X509_verify_cert: certificate verification error at depth 0: ${what}`;
  return { reason: tlsError(125, 'CERTIFICATE_VERIFY_FAILED', data), kind: 'fail_verify_error' };
}

/** The peer is somebody, but nobody who was meant. */
export function wrongName(names: readonly string[]): TlsFailure {
  const data = `verify cert failed: SAN matcher, certificate SANs are [${names.join(', ')}]`;
  return { reason: tlsError(125, 'CERTIFICATE_VERIFY_FAILED', data), kind: 'fail_verify_san' };
}

/** The peer's certificate is none of those that are pinned. */
export const WRONG_PIN: TlsFailure = {
  reason: tlsError(125, 'CERTIFICATE_VERIFY_FAILED', 'verify cert failed: cert hash and spki'),
  kind: 'fail_verify_cert_hash',
};

/** What the SPIFFE validator refuses, in Envoy's words. */
export function notSpiffe(
  why: string,
  kind: 'fail_verify_error' | 'fail_verify_san' = 'fail_verify_error',
): TlsFailure {
  return { reason: tlsError(125, 'CERTIFICATE_VERIFY_FAILED', `verify cert failed: ${why}`), kind };
}
