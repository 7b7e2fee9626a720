import { expect, test } from 'vitest';
import { handshakeFailure } from '../../src/tls/tls-failure.ts';

function failure(code: string, more: object = {}) {
  return handshakeFailure(Object.assign(new Error('message'), { code, ...more }));
}

test.each([
  ['ERR_SSL_WRONG_VERSION_NUMBER', '268435703', 'WRONG_VERSION_NUMBER'],
  ['ERR_SSL_UNSUPPORTED_PROTOCOL', '268435696', 'UNSUPPORTED_PROTOCOL'],
  ['ERR_SSL_HTTP_REQUEST', '268435612', 'HTTP_REQUEST'],
  ['ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE', '268436496', 'SSLV3_ALERT_HANDSHAKE_FAILURE'],
  ['ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE', '268436496', 'SSLV3_ALERT_HANDSHAKE_FAILURE'],
  ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', '268436572', 'TLSV1_ALERT_CERTIFICATE_REQUIRED'],
  ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', '268436504', 'TLSV1_ALERT_UNKNOWN_CA'],
])('%s has the number and name of BoringSSL', (code, number, name) => {
  expect(failure(code)).toEqual({
    reason: `TLS_error:|${number}:SSL routines:OPENSSL_internal:${name}:TLS_error_end`,
    kind: 'connection_error',
  });
});

test('another error of OpenSSL is told under its own name', () => {
  expect(failure('ERR_SSL_SOMETHING_NEW')).toEqual({
    reason: 'TLS_error:|0:SSL routines:OPENSSL_internal:SOMETHING_NEW:TLS_error_end',
    kind: 'connection_error',
  });
});

test('a peer that goes away is no error of TLS', () => {
  expect(failure('ECONNRESET')).toEqual({ reason: '', kind: 'closed' });
  expect(failure('ECONNRESET', { syscall: 'read' })).toEqual({
    reason: 'TLS_error:|33554536:system library:OPENSSL_internal:Connection reset by peer:TLS_error_end',
    kind: 'closed',
  });
});

test('a certificate that was not shown counts as such', () => {
  expect(failure('ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE').kind).toBe('fail_verify_no_cert');
});
