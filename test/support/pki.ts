import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto';

/** What a certificate of the tests says. */
export interface CertificateOptions {
  readonly commonName?: string;
  readonly organization?: string;
  /** `DNS:a.test`, `URI:spiffe://a/b`, `IP:127.0.0.1` (IPv4), `email:a@b.test`, `1.2.3.4:text` of another kind. */
  readonly names?: readonly string[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  readonly isCa?: boolean;
  readonly keyType?: 'ec' | 'rsa';
  /** Bits of RFC 5280 §4.2.1.3, the first one highest: 0x80 is digitalSignature. */
  readonly keyUsage?: number;
  /** Object identifiers of extendedKeyUsage. */
  readonly purposes?: readonly string[];
  readonly pathLength?: number;
  /** Of the signature; sha256 unless given. */
  readonly digest?: 'sha1' | 'sha256';
  /** A critical extension that nobody knows. */
  readonly strangeExtension?: string;
}

/** A certificate and its key, as PEM. */
export interface Issued {
  readonly cert: string;
  readonly key: string;
}

const DAY_MS = 86_400_000;

/** A certificate authority that lives for one test run. */
export class TestCa {
  readonly cert: string;
  private readonly key: KeyObject;
  private readonly name: Buffer;

  /** @param above the authority that vouches for this one; by default itself. */
  constructor(commonName = 'Test CA', above?: TestCa, options: CertificateOptions = {}) {
    const { privateKey } = keyPair('ec');
    this.key = privateKey;
    this.name = distinguishedName({ commonName });
    this.cert = (above ?? this).build(privateKey, { commonName, isCa: true, ...options });
  }

  issue(options: CertificateOptions = {}): Issued {
    const { privateKey } = keyPair(options.keyType ?? 'ec');
    return {
      cert: this.build(privateKey, options),
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    };
  }

  /** A certificate revocation list that names these certificates' serial numbers. */
  revoke(...certs: readonly { readonly serialNumber: string }[]): string {
    return this.revocationList(certs, new Date(Date.now() + DAY_MS));
  }

  /** The same, with the time at which the next list is due. */
  revocationList(certs: readonly { readonly serialNumber: string }[], nextUpdate: Date): string {
    const entries = certs.map(({ serialNumber }) =>
      sequence(integer(Buffer.from(serialNumber, 'hex')), time(new Date(Date.now() - DAY_MS))),
    );
    const body = sequence(
      integer(Buffer.from([1])),
      ECDSA_SHA256,
      this.name,
      time(new Date(Date.now() - DAY_MS)),
      time(nextUpdate),
      ...(entries.length === 0 ? [] : [sequence(...entries)]),
    );
    return pem('X509 CRL', this.signed(body));
  }

  private build(subjectKey: KeyObject, options: CertificateOptions): string {
    const publicKey = createPublicKey(subjectKey).export({ type: 'spki', format: 'der' });
    const body = sequence(
      context(0, integer(Buffer.from([2]))),
      integer(Buffer.concat([Buffer.from([0x40]), randomBytes(7)])),
      options.digest === 'sha1' ? ECDSA_SHA1 : ECDSA_SHA256,
      this.name,
      sequence(
        time(options.notBefore ?? new Date(Date.now() - DAY_MS)),
        time(options.notAfter ?? new Date(Date.now() + 30 * DAY_MS)),
      ),
      distinguishedName(options),
      publicKey,
      context(3, sequence(...extensions(options, publicKey))),
    );
    return pem('CERTIFICATE', this.signed(body, options.digest));
  }

  private signed(body: Buffer, digest: 'sha1' | 'sha256' = 'sha256'): Buffer {
    const algorithm = digest === 'sha1' ? ECDSA_SHA1 : ECDSA_SHA256;
    return sequence(body, algorithm, bitString(sign(digest, body, this.key)));
  }
}

/** A private key under a password. */
export function encryptKey(key: string, password: string): string {
  return createPrivateKey(key).export({
    type: 'pkcs8',
    format: 'pem',
    cipher: 'aes-256-cbc',
    passphrase: password,
  }) as string;
}

function keyPair(type: 'ec' | 'rsa'): { privateKey: KeyObject } {
  return type === 'ec'
    ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
    : generateKeyPairSync('rsa', { modulusLength: 2048 });
}

// DER (X.690), as far as a certificate needs it.

function tlv(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const length = [];
  for (let rest = content.length; rest > 0; rest >>= 8) length.unshift(rest & 0xff);
  const head = content.length < 0x80 ? [tag, content.length] : [tag, 0x80 | length.length, ...length];
  return Buffer.concat([Buffer.from(head), content]);
}

const sequence = (...parts: Buffer[]): Buffer => tlv(0x30, ...parts);
const context = (number: number, ...parts: Buffer[]): Buffer => tlv(0xa0 | number, ...parts);
const integer = (value: Buffer): Buffer => tlv(0x02, value);
const bitString = (value: Buffer): Buffer => tlv(0x03, Buffer.from([0]), value);
const octets = (value: Buffer): Buffer => tlv(0x04, value);
const utf8 = (value: string): Buffer => tlv(0x0c, Buffer.from(value));

function time(date: Date): Buffer {
  const text = date.toISOString().replace(/[-:T]|\.\d+/g, '');
  return tlv(0x18, Buffer.from(text));
}

function oid(text: string): Buffer {
  const [first = 0n, second = 0n, ...rest] = text.split('.').map(BigInt);
  const bytes: number[] = [];
  for (const part of [first * 40n + second, ...rest]) {
    const groups = [Number(part & 0x7fn)];
    for (let left = part >> 7n; left > 0n; left >>= 7n) groups.unshift(0x80 | Number(left & 0x7fn));
    bytes.push(...groups);
  }
  return tlv(0x06, Buffer.from(bytes));
}

const ECDSA_SHA1 = sequence(oid('1.2.840.10045.4.1'));
const ECDSA_SHA256 = sequence(oid('1.2.840.10045.4.3.2'));

function distinguishedName({ commonName, organization }: CertificateOptions): Buffer {
  const part = (type: string, value: string): Buffer => tlv(0x31, sequence(oid(type), utf8(value)));
  return sequence(
    ...(organization === undefined ? [] : [part('2.5.4.10', organization)]),
    ...(commonName === undefined ? [] : [part('2.5.4.3', commonName)]),
  );
}

function extensions(options: CertificateOptions, publicKey: Buffer): Buffer[] {
  const { isCa = false, names = [], pathLength, purposes, strangeExtension } = options;
  // A CA signs certificates and revocation lists (keyCertSign, cRLSign).
  const keyUsage = options.keyUsage ?? (isCa ? 0x06 : undefined);
  const critical = tlv(0x01, Buffer.from([0xff]));
  const keyId = octets(createHash('sha1').update(publicKey).digest());
  const limit = pathLength === undefined ? [] : [integer(Buffer.from([pathLength]))];
  const list = [
    sequence(oid('2.5.29.19'), critical, octets(sequence(...(isCa ? [critical, ...limit] : [])))),
    sequence(oid('2.5.29.14'), octets(keyId)),
  ];
  if (keyUsage !== undefined) {
    list.push(sequence(oid('2.5.29.15'), critical, octets(tlv(0x03, Buffer.from([1, keyUsage])))));
  }
  if (purposes !== undefined) list.push(sequence(oid('2.5.29.37'), octets(sequence(...purposes.map(oid)))));
  if (strangeExtension !== undefined) list.push(sequence(oid(strangeExtension), critical, octets(sequence())));
  if (names.length > 0) list.push(sequence(oid('2.5.29.17'), octets(sequence(...names.map(generalName)))));
  return list;
}

const NAME_TAGS: Readonly<Record<string, number>> = { email: 0x81, DNS: 0x82, URI: 0x86, IP: 0x87 };

function generalName(name: string): Buffer {
  const colon = name.indexOf(':');
  const kind = name.substring(0, colon);
  const value = name.substring(colon + 1);
  if (/^[\d.]+$/.test(kind)) return context(0, oid(kind), context(0, utf8(value)));
  const tag = NAME_TAGS[kind];
  if (tag === undefined) throw new Error(`no kind of name: ${name}`);
  return tlv(tag, kind === 'IP' ? Buffer.from(value.split('.').map(Number)) : Buffer.from(value, 'latin1'));
}

function pem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
