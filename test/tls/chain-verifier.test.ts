import { X509Certificate } from 'node:crypto';
import { expect, test } from 'vitest';
import { revocationListsIn } from '../../src/tls/chain-authority.ts';
import { type ChainRules, ChainVerifier } from '../../src/tls/chain-verifier.ts';
import { handshakeChain } from '../support/handshake.ts';
import { type CertificateOptions, type Issued, TestCa } from '../support/pki.ts';

const root = new TestCa('Root');
const other = new TestCa('Other');
const middle = new TestCa('Middle', root);
const low = new TestCa('Low', middle);

const DAY_MS = 86_400_000;

/** The certificate with the chain that it was shown with. */
async function shown(leaf: Issued, ...above: readonly TestCa[]): Promise<X509Certificate> {
  return handshakeChain({ cert: [leaf.cert, ...above.map((ca) => ca.cert)].join(''), key: leaf.key });
}

function verifier(rules: Partial<ChainRules> = {}, anchors: readonly TestCa[] = [root]): ChainVerifier {
  return new ChainVerifier({ anchors: anchors.map((ca) => new X509Certificate(ca.cert)), purpose: 'client', ...rules });
}

const lists = (...pem: readonly string[]) => revocationListsIn(Buffer.from(pem.join('')), 'crl');

test('a certificate is good when its authority is believed, directly or over others', async () => {
  expect(verifier().problem(await shown(root.issue()), false)).toBeUndefined();
  expect(verifier().problem(await shown(middle.issue(), middle), false)).toBeUndefined();
  expect(verifier().problem(await shown(low.issue(), middle, low), false)).toBeUndefined();
  expect(verifier({}, [other, middle]).problem(await shown(low.issue(), low), false)).toBeUndefined();
});

test('a certificate that is believed itself needs nobody', async () => {
  const leaf = root.issue();
  const rules = { anchors: [new X509Certificate(leaf.cert)], purpose: 'client' as const };
  expect(new ChainVerifier(rules).problem(await shown(leaf), false)).toBeUndefined();
});

test('nobody else can vouch, whatever is called the same', async () => {
  const twin = new TestCa('Root');
  expect(verifier().problem(await shown(other.issue()), false)).toBe('unable to get local issuer certificate');
  expect(verifier().problem(await shown(twin.issue()), false)).toBe('certificate signature failure');
  expect(verifier().problem(await shown(new TestCa('Low', other).issue(), other), false)).toMatch(
    /unable to get|signature/,
  );
});

test('who is no authority vouches for nobody', async () => {
  const notCa = new TestCa('Not a CA', root, { isCa: false });
  const noSigner = new TestCa('Signs nothing', root, { keyUsage: 0x80 });
  expect(verifier().problem(await shown(notCa.issue(), notCa), false)).toMatch(/invalid CA|unable to get/);
  expect(verifier().problem(await shown(noSigner.issue(), noSigner), false)).toMatch(
    /key usage|invalid CA|unable to get/,
  );
});

test('an authority says how many may follow', async () => {
  const last = new TestCa('Last', root, { pathLength: 0 });
  const below = new TestCa('Below', last);
  expect(verifier().problem(await shown(last.issue(), last), false)).toBeUndefined();
  expect(verifier().problem(await shown(below.issue(), below, last), false)).toBe('path length constraint exceeded');
});

test('what was good is looked at again when the clock went back', async () => {
  const nowMs = Date.now();
  const leaf = await shown(root.issue({ notBefore: new Date(nowMs + 3_600_000) }));
  const one = verifier();
  expect(one.problem(leaf, false, nowMs + 2 * 3_600_000)).toBeUndefined();
  expect(one.problem(leaf, false, nowMs)).toBe('certificate is not yet valid');
});

test.each<[string, CertificateOptions, string]>([
  ['expired', { notAfter: new Date(Date.now() - 1000) }, 'certificate has expired'],
  ['not valid yet', { notBefore: new Date(Date.now() + DAY_MS) }, 'certificate is not yet valid'],
  ['made for servers', { purposes: ['1.3.6.1.5.5.7.3.1'] }, 'unsuitable certificate purpose'],
  ['signed over SHA-1', { digest: 'sha1' }, 'CA signature digest algorithm too weak'],
  ['with an unknown rule', { strangeExtension: '1.2.3.4' }, 'unhandled critical extension 1.2.3.4'],
  ['with name constraints', { strangeExtension: '2.5.29.30' }, 'name constraints are not supported'],
])('a certificate that is %s is refused, and so is its authority', async (_, options, problem) => {
  expect(verifier().problem(await shown(root.issue(options)), false)).toBe(problem);
  const authority = new TestCa('Authority', root, options);
  expect(verifier().problem(await shown(authority.issue(), authority), false)).toContain(problem);
});

test('time is left out of account where that is asked for, and nothing else', async () => {
  const expired = { notAfter: new Date(Date.now() - 1000) };
  expect(verifier({ ignoresTime: true }).problem(await shown(root.issue(expired)), false)).toBeUndefined();
  expect(verifier({ ignoresTime: true }).problem(await shown(other.issue(expired)), false)).toMatch(/unable to get/);
});

test('the depth counts the authorities in between', async () => {
  const chain = await shown(low.issue(), low, middle);
  expect(verifier({ maxDepth: 2 }).problem(chain, false)).toBeUndefined();
  expect(verifier({ maxDepth: 1 }).problem(chain, false)).toBe('certificate chain too long');
  expect(verifier({ maxDepth: 0 }).problem(await shown(root.issue()), false)).toBeUndefined();
});

test('a revoked certificate is refused, and one of whose authority there is no list', async () => {
  const [good, bad] = [root.issue(), root.issue()];
  const own = verifier({ revocationLists: lists(root.revoke(new X509Certificate(bad.cert))) });
  expect(own.problem(await shown(good), false)).toBeUndefined();
  expect(own.problem(await shown(bad), false)).toBe('certificate revoked');
  expect(own.problem(await shown(middle.issue(), middle), false)).toBe('unable to get certificate CRL');
});

test('a revoked authority counts, unless only the certificate is looked up', async () => {
  const leaf = await shown(middle.issue(), middle);
  const revocationLists = lists(root.revoke(new X509Certificate(middle.cert)), middle.revoke());
  expect(verifier({ revocationLists }).problem(leaf, false)).toBe('certificate revoked');
  expect(verifier({ revocationLists, revokesLeafOnly: true }).problem(leaf, false)).toBeUndefined();
});

test('a list that has run out, or that somebody else signed, proves nothing', async () => {
  const leaf = await shown(root.issue());
  const old = root.revocationList([], new Date(Date.now() - 1000));
  expect(verifier({ revocationLists: lists(old) }).problem(leaf, false)).toBe('CRL has expired');
  const forged = new TestCa('Root').revoke();
  expect(verifier({ revocationLists: lists(forged) }).problem(leaf, false)).toBe('CRL signature failure');
});

test('a certificate that was good is not good for longer than its chain', async () => {
  const leaf = await shown(root.issue({ notAfter: new Date(Date.now() + 1000 * 60) }));
  const one = verifier();
  expect(one.problem(leaf, false)).toBeUndefined();
  expect(one.problem(leaf, false, Date.now() + 1000 * 61)).toBe('certificate has expired');
});

test('a chain that was seen once need not come along with a resumed session', async () => {
  const authority = new TestCa('Seen once', root);
  const leaf = authority.issue();
  const alone = new X509Certificate(leaf.cert);
  expect(verifier().problem(alone, true)).toBe('unable to get local issuer certificate');
  expect(verifier().problem(await shown(leaf, authority), false)).toBeUndefined();
  expect(verifier().problem(alone, true)).toBeUndefined();
  expect(verifier().problem(alone, false)).toBe('unable to get local issuer certificate');
  expect(verifier({}, [other]).problem(alone, true)).toMatch(/unable to get/);
});

test('a peer that sends many authorities of one name does not get much work done', async () => {
  const twins = Array.from({ length: 7 }, () => new TestCa('Root'));
  const leaf = await shown(root.issue(), ...twins);
  expect(verifier({}, [...twins, ...twins, ...twins, ...twins]).problem(leaf, false)).toMatch(/too long|signature/);
});
