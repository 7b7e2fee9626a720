import { X509Certificate } from 'node:crypto';
import { expect, test } from 'vitest';
import { compileNameMatchers, coversHost, peerNames, rfc2253 } from '../../src/tls/peer-names.ts';
import { TestCa } from '../support/pki.ts';

const ca = new TestCa();

/** For matchers that look at names alone. */
const NOBODY = { raw: Buffer.alloc(0) };

function namesOf(...names: string[]) {
  return peerNames(new X509Certificate(ca.issue({ names }).cert));
}

test('names are told by kind, and in the order of the certificate', () => {
  expect(namesOf('DNS:a.test', 'URI:spiffe://t/a', 'IP:10.0.0.1', 'email:a@b.test', 'DNS:b.test')).toEqual({
    dns: ['a.test', 'b.test'],
    uri: ['spiffe://t/a'],
    ip: ['10.0.0.1'],
    email: ['a@b.test'],
    all: ['a.test', 'spiffe://t/a', '10.0.0.1', 'a@b.test', 'b.test'],
  });
});

test('a certificate without names has none', () => {
  expect(namesOf().all).toEqual([]);
});

test.each([
  'evil.test, DNS:server.test',
  'evil.test", DNS:"server.test',
  'evil\\", DNS:server.test',
  'evil.test,DNS:server.test',
  'evil.test\nDNS:server.test',
])('a name cannot smuggle another one in: %j', (name) => {
  const { dns } = namesOf(`DNS:${name}`);
  expect(dns).toEqual([name]);
  expect(namesOf(`URI:${name}`)).toMatchObject({ dns: [], uri: [name] });
});

test('a text that is not of the known form has no names', () => {
  expect(peerNames({ subjectAltName: 'DNS:a.test, "broken' }).all).toEqual([]);
  expect(peerNames({ subjectAltName: 'a.test' }).all).toEqual([]);
  expect(peerNames({ subjectAltName: undefined }).all).toEqual([]);
});

test('the subject reads as in RFC 2253, the last part first', () => {
  const { cert } = ca.issue({ commonName: 'client', organization: 'Acme, Inc' });
  expect(rfc2253(new X509Certificate(cert).subject)).toBe('CN=client,O=Acme\\, Inc');
  expect(rfc2253(undefined)).toBe('');
});

test.each([
  ['server.test', 'server.test', true],
  ['Server.Test', 'server.test', true],
  ['*.test.example', 'a.test.example', true],
  ['*.test.example', 'b.a.test.example', false],
  ['*.test.example', 'test.example', false],
  ['*.test.example', '.test.example', false],
  ['*.example', 'a.example', false],
  ['a*.test.example', 'ab.test.example', false],
  ['server.test', 'server.test.evil', false],
  ['', '', false],
])('the name %j stands for the host %j: %s', (name, host, covers) => {
  expect(coversHost(name, host)).toBe(covers);
});

test('one matcher of the kind must match', () => {
  const matcher = (type: 'DNS' | 'URI' | 'IP_ADDRESS' | 'EMAIL', match: object) =>
    compileNameMatchers([{ san_type: type, matcher: { ignore_case: false, ...match } as never, oid: '' }]);
  const names = namesOf('DNS:*.svc.test', 'URI:spiffe://t/ns/a', 'IP:10.0.0.1', 'email:a@b.test');
  expect(matcher('DNS', { exact: 'a.svc.test' })?.(names, NOBODY)).toBe(true);
  expect(matcher('DNS', { exact: 'spiffe://t/ns/a' })?.(names, NOBODY)).toBe(false);
  expect(matcher('DNS', { suffix: '.svc.test' })?.(names, NOBODY)).toBe(true);
  expect(matcher('URI', { prefix: 'spiffe://t/' })?.(names, NOBODY)).toBe(true);
  expect(matcher('URI', { prefix: 'spiffe://u/' })?.(names, NOBODY)).toBe(false);
  expect(matcher('IP_ADDRESS', { exact: '10.0.0.1' })?.(names, NOBODY)).toBe(true);
  expect(matcher('EMAIL', { exact: 'a@b.test' })?.(names, NOBODY)).toBe(true);
  expect(compileNameMatchers([])).toBeUndefined();
});

test('a name of another kind is found by its object identifier', () => {
  const certificate = new X509Certificate(ca.issue({ names: ['1.3.6.1.4.1.311.20.2.3:user@corp', 'DNS:a.test'] }).cert);
  const matches = (oid: string, exact: string) =>
    compileNameMatchers([{ san_type: 'OTHER_NAME', oid, matcher: { ignore_case: false, exact } }])?.(
      peerNames(certificate),
      certificate,
    );
  expect(matches('1.3.6.1.4.1.311.20.2.3', 'user@corp')).toBe(true);
  expect(matches('1.3.6.1.4.1.311.20.2.3', 'user@other')).toBe(false);
  expect(matches('1.3.6.1.4.1.311.20.2.4', 'user@corp')).toBe(false);
  expect(matches('1.3.6.1.4.1.311.20.2.3', 'a.test')).toBe(false);
});

test('IPv6 addresses read as configurations write them', () => {
  const text = { subjectAltName: 'IP Address:2001:DB8:0:0:0:0:0:1' };
  expect(peerNames(text).ip).toEqual(['2001:db8::1']);
});
