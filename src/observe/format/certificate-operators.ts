import type { CertificateView, StreamInfo, TlsInfo } from '../stream-info.ts';
import { toByteString } from './escape.ts';
import type { FieldFactory, FieldValue } from './field.ts';
import { textOrUnset } from './field.ts';
import { compileTime } from './start-time.ts';

type Side = (info: StreamInfo) => TlsInfo | undefined;
type Whose = (tls: TlsInfo) => CertificateView | undefined;

const downstream: Side = (info) => info.connection.tls;
const upstream: Side = (info) => info.upstreamTls;
const peer: Whose = (tls) => tls.certificates?.peer;
const local: Whose = (tls) => tls.certificates?.local;

function ofTls(side: Side, read: (tls: TlsInfo) => string): FieldFactory {
  return (argument) => {
    if (argument !== undefined) throw new Error('takes no argument');
    return (info): FieldValue => {
      const tls = side(info);
      return tls === undefined ? undefined : textOrUnset(read(tls));
    };
  };
}

function of(side: Side, whose: Whose, read: (certificate: CertificateView) => string): FieldFactory {
  return ofTls(side, (tls) => {
    const certificate = whose(tls);
    return certificate === undefined ? '' : toByteString(read(certificate));
  });
}

function list(side: Side, whose: Whose, key: 'uriSans' | 'dnsSans' | 'ipSans' | 'emailSans' | 'otherNameSans') {
  return of(side, whose, (certificate) => certificate[key].join(','));
}

function chain(side: Side, key: 'fingerprint256' | 'fingerprint1' | 'serial'): FieldFactory {
  return ofTls(side, (tls) => (tls.certificates?.peerChain ?? []).map((certificate) => certificate[key]).join(','));
}

/** The argument is that of START_TIME. */
function time(side: Side, key: 'validFromMs' | 'validToMs'): FieldFactory {
  return (argument) => {
    const format = compileTime(argument ?? '');
    return (info): FieldValue => {
      const certificate = side(info)?.certificates?.peer;
      return certificate === undefined ? undefined : format(certificate[key]);
    };
  };
}

/** What both sides have. */
function common(side: Side): Readonly<Record<string, FieldFactory>> {
  return {
    TLS_VERSION: ofTls(side, ({ version }) => version),
    TLS_CIPHER: ofTls(side, ({ cipher }) => cipher),
    TLS_SESSION_ID: ofTls(side, ({ certificates }) => certificates?.sessionId ?? ''),
    PEER_SUBJECT: of(side, peer, ({ subject }) => subject),
    PEER_ISSUER: of(side, peer, ({ issuer }) => issuer),
    PEER_URI_SAN: list(side, peer, 'uriSans'),
    PEER_DNS_SAN: list(side, peer, 'dnsSans'),
    PEER_IP_SAN: list(side, peer, 'ipSans'),
    PEER_CERT: of(side, peer, ({ encodedPem }) => encodedPem),
    PEER_CERT_V_START: time(side, 'validFromMs'),
    PEER_CERT_V_END: time(side, 'validToMs'),
    LOCAL_URI_SAN: list(side, local, 'uriSans'),
    LOCAL_DNS_SAN: list(side, local, 'dnsSans'),
    LOCAL_IP_SAN: list(side, local, 'ipSans'),
  };
}

/** What Envoy tells of clients alone. */
const OF_CLIENTS: Readonly<Record<string, FieldFactory>> = {
  PEER_EMAIL_SAN: list(downstream, peer, 'emailSans'),
  PEER_OTHERNAME_SAN: list(downstream, peer, 'otherNameSans'),
  PEER_SERIAL: of(downstream, peer, ({ serial }) => serial),
  PEER_FINGERPRINT_256: of(downstream, peer, ({ fingerprint256 }) => fingerprint256),
  PEER_FINGERPRINT_1: of(downstream, peer, ({ fingerprint1 }) => fingerprint1),
  // Of the certificate that came along behind the client's own.
  PEER_ISSUER_SERIAL: ofTls(downstream, (tls) => tls.certificates?.peerChain[1]?.serial ?? ''),
  PEER_ISSUER_FINGERPRINT_256: ofTls(downstream, (tls) => tls.certificates?.peerChain[1]?.fingerprint256 ?? ''),
  PEER_CHAIN_FINGERPRINTS_256: chain(downstream, 'fingerprint256'),
  PEER_CHAIN_FINGERPRINTS_1: chain(downstream, 'fingerprint1'),
  PEER_CHAIN_SERIALS: chain(downstream, 'serial'),
  LOCAL_SUBJECT: of(downstream, local, ({ subject }) => subject),
  LOCAL_EMAIL_SAN: list(downstream, local, 'emailSans'),
  LOCAL_OTHERNAME_SAN: list(downstream, local, 'otherNameSans'),
};

const prefixed = (prefix: string, operators: Readonly<Record<string, FieldFactory>>) =>
  Object.entries(operators).map(([name, factory]): [string, FieldFactory] => [`${prefix}_${name}`, factory]);

/** Operators on TLS and certificates, of both sides. */
export const CERTIFICATE_OPERATORS: Readonly<Record<string, FieldFactory>> = Object.fromEntries([
  ...prefixed('DOWNSTREAM', { ...common(downstream), ...OF_CLIENTS }),
  ...prefixed('UPSTREAM', common(upstream)),
]);
