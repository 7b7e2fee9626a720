import { expect, test } from 'vitest';
import { CERTIFICATE_OPERATORS } from '../../../src/observe/format/certificate-operators.ts';
import { NO_CONTEXT } from '../../../src/observe/format/field.ts';
import { compileFormat } from '../../../src/observe/format/index.ts';
import type { CertificateView, StreamInfo, TlsInfo } from '../../../src/observe/stream-info.ts';

const certificate = (name: string): CertificateView => ({
  subject: `CN=${name}`,
  issuer: 'CN=authority',
  serial: '0a',
  fingerprint256: 'ff',
  fingerprint1: 'ee',
  uriSans: [`spiffe://a/${name}`, 'b'],
  dnsSans: [`${name}.test`],
  ipSans: [],
  emailSans: [],
  otherNameSans: ['other'],
  validFromMs: Date.UTC(2020, 0, 1),
  validToMs: Date.UTC(2030, 0, 2, 3, 4, 5),
  encodedPem: 'PEM%0A',
});

function tlsOf(peer: string | undefined): TlsInfo {
  const shown = peer === undefined ? undefined : certificate(peer);
  return {
    version: 'TLSv1.3',
    cipher: 'TLS_AES_128_GCM_SHA256',
    alpn: '',
    peerVerified: true,
    peerUriSans: [],
    peerDnsSans: [],
    peerSubject: '',
    certificates: {
      peer: shown,
      peerChain: shown === undefined ? [] : [shown, certificate('authority')],
      local: certificate('own'),
      sessionId: 'abcd',
      forwarded: undefined,
    },
  };
}

const read = (name: string, info: object, argument?: string): unknown =>
  CERTIFICATE_OPERATORS[name]?.(argument)(info as StreamInfo, NO_CONTEXT);

const down = (tls: TlsInfo | undefined) => ({ connection: { tls } });

test.each([
  ['DOWNSTREAM_PEER_SUBJECT', 'CN=client'],
  ['DOWNSTREAM_PEER_ISSUER', 'CN=authority'],
  ['DOWNSTREAM_PEER_URI_SAN', 'spiffe://a/client,b'],
  ['DOWNSTREAM_PEER_IP_SAN', undefined],
  ['DOWNSTREAM_PEER_CHAIN_SERIALS', '0a,0a'],
  ['DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_256', 'ff,ff'],
  ['DOWNSTREAM_PEER_CERT', 'PEM%0A'],
  ['DOWNSTREAM_PEER_CERT_V_START', '2020-01-01T00:00:00.000Z'],
  ['DOWNSTREAM_PEER_CERT_V_END', '2030-01-02T03:04:05.000Z'],
  ['DOWNSTREAM_LOCAL_SUBJECT', 'CN=own'],
  ['DOWNSTREAM_LOCAL_URI_SAN', 'spiffe://a/own,b'],
  ['DOWNSTREAM_LOCAL_OTHERNAME_SAN', 'other'],
  ['DOWNSTREAM_TLS_SESSION_ID', 'abcd'],
  ['DOWNSTREAM_TLS_VERSION', 'TLSv1.3'],
  ['UPSTREAM_PEER_SUBJECT', undefined],
])('%s is %s', (name, value) => {
  expect(read(name, down(tlsOf('client')))).toBe(value);
});

test('the upstream is told of by operators of its own', () => {
  const info = { ...down(undefined), upstreamTls: tlsOf('server') };
  expect(read('UPSTREAM_PEER_SUBJECT', info)).toBe('CN=server');
  expect(read('UPSTREAM_TLS_CIPHER', info)).toBe('TLS_AES_128_GCM_SHA256');
  expect(read('DOWNSTREAM_PEER_SUBJECT', info)).toBeUndefined();
});

test('nobody, and nobody with a certificate, is unset', () => {
  for (const name of Object.keys(CERTIFICATE_OPERATORS)) {
    expect(read(name, down(undefined))).toBeUndefined();
    if (name.includes('_PEER_')) expect(read(name, down(tlsOf(undefined)))).toBeUndefined();
  }
});

test('times take the format of START_TIME, others no argument', () => {
  expect(read('DOWNSTREAM_PEER_CERT_V_END', down(tlsOf('a')), '%Y/%m/%d')).toBe('2030/01/02');
  expect(() => compileFormat('%DOWNSTREAM_PEER_SERIAL(x)%')).toThrow('takes no argument');
});
