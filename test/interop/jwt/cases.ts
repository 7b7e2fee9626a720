import { nowSeconds, part, sign, signHmac, type TestKey } from '../../support/jwt.ts';

export interface JwtCase {
  readonly name: string;
  readonly path: string;
  readonly headers?: Record<string, string | string[]>;
  readonly method?: string;
  /** The difference from Envoy that docs/differences-from-envoy.md names; without one, all must be the same. */
  readonly differs?: string;
}

export interface Keys {
  readonly rsa: TestKey;
  readonly ec: TestKey;
  readonly ed: TestKey;
  readonly hmac: TestKey;
  readonly pss: TestKey;
  readonly ec384: TestKey;
  readonly ec512: TestKey;
}

const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });

/** Flips a bit that base64url does not count. */
function uncanonical(token: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  return token.slice(0, -1) + alphabet[alphabet.indexOf(token.at(-1) as string) ^ 1];
}

function cutSignature(token: string): string {
  const dot = token.lastIndexOf('.') + 1;
  return token.slice(0, dot) + Buffer.from(token.slice(dot), 'base64url').subarray(0, -3).toString('base64url');
}

/** The requests that both proxies get. */
export async function makeCases(keys: Keys): Promise<JwtCase[]> {
  const now = nowSeconds();
  const good = {
    iss: 'iss',
    aud: 'a1',
    exp: now + 1000,
    sub: 's1',
    c: 'cc',
    n: { m: 4 },
    scope: 'a b',
    list: [1, 'x'],
  };
  const { rsa, ec, ed, hmac, pss, ec384, ec512 } = keys;
  const token = await sign(rsa, good);
  const [head = '', body = '', signature = ''] = token.split('.');
  const byHmac = (claims: object, header: object = {}): string =>
    signHmac(hmac, { alg: 'HS256', kid: hmac.kid, ...header }, { ...good, ...claims });
  const rawPayload = (payload: string): string => signHmac(hmac, { alg: 'HS256', kid: hmac.kid }, payload);
  const expired = await sign(rsa, { ...good, exp: now - 100 });
  const otherIssuer = await sign(rsa, { ...good, iss: 'other' });
  const cached = await sign(rsa, { ...good, iss: 'iss-r' });
  const far = await sign(rsa, { ...good, iss: 'far' });
  const otherAudience = await sign(rsa, { ...good, aud: 'x' });

  /** Tokens for provider p, which looks at the default places. */
  const tokens: Record<string, string | [token: string, differs: string]> = {
    RS256: token,
    PS256: await sign(pss, good),
    ES256: await sign(ec, good),
    ES384: await sign(ec384, good),
    ES512: await sign(ec512, good),
    EdDSA: await sign(ed, good),
    HS256: byHmac({}),
    'an empty token': '',
    'two parts': 'a.b',
    'four parts': 'a.b.c.d',
    'an encrypted token (JWE)': `${part({ alg: 'RSA-OAEP', enc: 'A128GCM' })}.a.b.c.d`,
    'no signature': `${head}.${body}.`,
    'alg none': `${part({ alg: 'none' })}.${body}.`,
    'alg none with a signature': `${part({ alg: 'none' })}.${body}.${signature}`,
    'alg NONE': `${part({ alg: 'NONE', kid: rsa.kid })}.${body}.${signature}`,
    'alg missing': `${part({ kid: rsa.kid })}.${body}.${signature}`,
    'alg a number': `${part({ alg: 1 })}.${body}.${signature}`,
    'alg unknown': `${part({ alg: 'RS1' })}.${body}.${signature}`,
    'kid a number': `${part({ alg: 'RS256', kid: 1 })}.${body}.${signature}`,
    'header no JSON': `${part('{x')}.${body}.${signature}`,
    'header a list': `${part([1])}.${body}.${signature}`,
    'payload no base64': `${head}.%%.${signature}`,
    'payload no JSON': `${head}.${part('[1')}.${signature}`,
    'payload a list': `${head}.${part([1])}.${signature}`,
    'signature no base64': `${head}.${body}.%%`,
    'signature of another token': `${head}.${body}.${expired.split('.')[2]}`,
    'signature padded': `${token}=`,
    'signature cut': cutSignature(token),
    'payload of another token': `${head}.${part({ ...good, sub: 'admin' })}.${signature}`,
    'iss a number': byHmac({ iss: 1 }),
    'iss null': byHmac({ iss: null }),
    'sub a number': byHmac({ sub: 1 }),
    'iat a text': byHmac({ iat: '1' }),
    'iat negative': byHmac({ iat: -1 }),
    'iat with a fraction': byHmac({ iat: 1.5 }),
    'nbf a text': byHmac({ nbf: '1' }),
    'nbf negative': byHmac({ nbf: -1 }),
    'exp a text': byHmac({ exp: '1' }),
    'exp negative': byHmac({ exp: -1 }),
    'exp huge': byHmac({ exp: 1e30 }),
    'exp null': byHmac({ exp: null }),
    'exp 0': byHmac({ exp: 0 }),
    'exp with a fraction': byHmac({ exp: now + 100.5 }),
    'jti a number': byHmac({ jti: 1 }),
    'aud a number': byHmac({ aud: 1 }),
    'aud a list with a number': byHmac({ aud: ['a1', 1] }),
    'one aud of several': byHmac({ aud: ['z', 'a2'] }),
    'aud an empty list': byHmac({ aud: [] }),
    'aud with a slash': byHmac({ aud: 'a1/' }),
    'aud with a scheme': byHmac({ aud: 'https://a1' }),
    'aud of somebody else': otherAudience,
    'aud missing': byHmac({ aud: undefined }),
    'another issuer': otherIssuer,
    'no issuer': byHmac({ iss: undefined }),
    expired: expired,
    'expired within the skew': await sign(rsa, { ...good, exp: now - 30 }),
    'not yet valid': await sign(rsa, { ...good, nbf: now + 200 }),
    'not yet valid within the skew': await sign(rsa, { ...good, nbf: now + 30 }),
    'never expires': byHmac({ exp: undefined }),
    'expired and for somebody else': byHmac({ exp: 1, aud: 'x' }),
    'expired and of another issuer': byHmac({ exp: 1, iss: 'x' }),
    'expired and not yet valid': byHmac({ exp: 1, nbf: now + 1000 }),
    'for somebody else by an unknown key': await sign(rsa, { ...good, aud: 'x' }, { kid: 'zz' }),
    'kid unknown': await sign(rsa, good, { kid: 'zz' }),
    'kid empty': await sign(rsa, good, { kid: '' }),
    'no kid': await sign(ec, good, { kid: undefined }),
    'algorithm of another key': byHmac({}, { kid: rsa.kid }),
    'HMAC with a key of an elliptic curve': byHmac({}, { kid: 'free' }),
    'HMAC keyed by the public key': signHmac(
      { ...hmac, privateKey: Buffer.from(JSON.stringify(rsa.jwk)) },
      { alg: 'HS256', kid: rsa.kid },
      good,
    ),
    'Ed25519 signature cut': cutSignature(await sign(ed, good)),
    'a member of the header twice': signHmac(hmac, `{"alg":"HS256","alg":"HS256","kid":"${hmac.kid}"}`, good),
    'a member of the payload twice': rawPayload(JSON.stringify(good).replace('{', '{"iss":"q",')),
    'a nested member twice': rawPayload(JSON.stringify(good).replace('"m":4', '"m":4,"m":5')),
    'a member twice, once escaped': rawPayload(JSON.stringify(good).replace('{', '{"is\\u0073":"q",')),
    'a text that looks like members': byHmac({ c: '{"iss":"x","iss":"y"}' }),
    'a large payload': byHmac({ x: 'y'.repeat(9000) }),
    'a claim of several bytes per letter': byHmac({ c: 'é€' }),
    'a fraction as claim': byHmac({ c: 1.5 }),
    'a negative claim': byHmac({ c: -3 }),
    'a boolean claim': byHmac({ c: false }),
    'a list as claim': byHmac({ c: ['a', 'b'] }),
    'an object as claim': byHmac({ n: { m: { a: [true, null, 1.5, 'é'] } } }),
    'a large number as claim': byHmac({ c: 1e20 }),
    'a very large number as claim': byHmac({ c: 1e22 }),
    'an id of 64 bits as claim': [
      rawPayload(JSON.stringify(good).replace('"cc"', '1234567890123456789')),
      'jwt-rounded',
    ],
    'a number beyond all numbers as claim': rawPayload(JSON.stringify(good).replace('"cc"', '1e309')),
    'half a character as claim': rawPayload(JSON.stringify(good).replace('"cc"', '"\\ud800"')),
    'half a character as name': rawPayload(JSON.stringify(good).replace('"c"', '"\\udc00"')),
    'half a character in the header': signHmac(hmac, `{"alg":"HS256","kid":"${hmac.kid}","x":"\\ud800x"}`, good),
    'a character in two halves as claim': rawPayload(JSON.stringify(good).replace('"cc"', '"\\ud83d\\ude00"')),
    'NUL in a name': rawPayload(JSON.stringify(good).replace('"c"', '"\\u0000"')),
    'exp with a fraction below 1': byHmac({ exp: 0.5 }),
    'exp out of doubles': rawPayload(JSON.stringify(good).replace(/"exp":\d+/, '"exp":1e400')),
    'exp the largest of 64 bits': rawPayload(JSON.stringify(good).replace(/"exp":\d+/, '"exp":9223372036854775807')),
    'exp with an exponent': rawPayload(JSON.stringify(good).replace(/"exp":\d+/, '"exp":1e18')),
    'a list of 60 levels': byHmac({ x: JSON.parse('['.repeat(60) + ']'.repeat(60)) }),
    'a BOM before the payload': rawPayload(`\ufeff${JSON.stringify(good)}`),
    'a tiny number as claim': byHmac({ c: 1e-9 }),
    'an empty claim': byHmac({ c: '' }),
    'a null claim': byHmac({ c: null }),
    'a claim with spaces around': byHmac({ c: ' x ' }),
    'a claim with a dot in its name': byHmac({ n: undefined, 'n.m': 'flat' }),
    'both spellings of a nested claim': byHmac({ 'n.m': 'flat' }),
    'words with more spaces': byHmac({ scope: ' a  b ' }),
    'words that are a number': byHmac({ scope: 5 }),
    'a payload that is not UTF-8': (() => {
      const text = Buffer.concat([Buffer.from('{"iss":"'), Buffer.from([0xff]), Buffer.from('"}')]);
      return `${head}.${text.toString('base64url')}.${signature}`;
    })(),
    'the header with spaces': signHmac(hmac, ` { "alg" : "HS256", "kid":"${hmac.kid}" } `, good),
    'another signature for the same bits': [uncanonical(token), 'jwt-canonical'],
    'a space in the signature': [`${head}.${body}. ${signature}`, 'jwt-canonical'],
    'something behind the token': [`${token} x`, 'jwt-canonical'],
    crit: [byHmac({}, { crit: ['x'], x: 1 }), 'jwt-crit'],
    'b64 with crit': [byHmac({}, { crit: ['b64'], b64: true }), 'jwt-crit'],
    'b64 alone': [byHmac({}, { b64: false }), 'jwt-crit'],
    'a claim with a line break': [byHmac({ c: 'a\nb: c' }), 'jwt-claim-header'],
    'ECDSA by the key of EdDSA': [`${part({ alg: 'ES256', kid: 'ed-free' })}.${body}.${signature}`, 'jwt-key-type'],
  };
  const forged = { 'x-payload': 'forged', 'x-claim': 'forged', 'x-nested': ['forged', 'twice'] };
  const cases: JwtCase[] = Object.entries(tokens).map(([name, entry]) => {
    const [text, differs] = typeof entry === 'string' ? [entry, undefined] : entry;
    return { name, path: '/p', headers: { ...bearer(text), ...forged }, ...(differs === undefined ? {} : { differs }) };
  });

  const q = (name: string, text: string): JwtCase => ({ name: `q: ${name}`, path: `/q?tok=${text}` });
  cases.push(
    { name: 'no token', path: '/p', headers: forged },
    { name: 'HEAD without token', path: '/p', method: 'HEAD' },
    { name: 'another scheme', path: '/p', headers: { authorization: 'Basic x' } },
    { name: 'the scheme in lower case', path: '/p', headers: { authorization: `bearer ${token}` } },
    { name: 'the scheme in the middle', path: '/p', headers: { authorization: `x Bearer ${token}` } },
    { name: 'several spaces', path: '/p', headers: { authorization: `Bearer   ${token}` } },
    { name: 'two lines', path: '/p', headers: { authorization: [`Bearer ${token}`, 'Bearer x'] } },
    { name: 'a list', path: '/p', headers: { authorization: `Bearer ${token},x` } },
    { name: 'as parameter', path: `/p?access_token=${token}` },
    {
      name: 'as encoded parameter',
      path: `/p?a=1&access%5Ftoken=${token.replace('.', '%2E')}&b`,
      differs: 'jwt-query',
    },
    { name: 'parameter twice', path: `/p?access_token=${token}&access_token=x`, differs: 'jwt-repeated' },
    { name: 'parameter twice, the same', path: `/p?access_token=${token}&access_token=${token}` },
    { name: 'beside other parameters', path: `/p?a=%20+&access_token=${token}&b=c%26`, differs: 'jwt-query' },
    { name: 'in both places', path: `/p?access_token=${token}`, headers: bearer(token) },
    { name: 'good header, bad parameter', path: '/p?access_token=x', headers: bearer(token) },
    { name: 'bad header, good parameter', path: `/p?access_token=${token}`, headers: bearer('x') },
    { name: 'a long path', path: `/p/${'a'.repeat(400)}` },
    { name: 'nothing required', path: '/open', headers: forged },
    {
      name: 'headers of claims with underscores',
      path: '/open',
      headers: { x_claim: 'forged', X_Payload: 'forged' },
      differs: 'jwt-underscores',
    },
    { name: 'no rule', path: '/zz', headers: { ...forged, ...bearer('x') } },
    { name: 'disabled route', path: '/disabled', headers: forged },
    { name: 'requirement of the route', path: '/named', headers: bearer(token) },
    { name: 'requirement of the route, no token', path: '/named' },
    { name: 'requirement that is not there', path: '/misnamed', headers: bearer(token) },
    {
      name: 'preflight',
      path: '/p',
      method: 'OPTIONS',
      headers: { origin: 'a', 'access-control-request-method': 'GET', ...forged },
    },
    {
      name: 'no preflight: no origin',
      path: '/p',
      method: 'OPTIONS',
      headers: { 'access-control-request-method': 'GET' },
    },
    { name: 'a gRPC call', path: '/p', headers: { 'content-type': 'application/grpc', te: 'trailers' } },

    { name: 'q: none', path: '/q' },
    { name: 'q: from a header', path: '/q', headers: { 'x-tok': `a=1,pre=${token}` } },
    { name: 'q: default place', path: '/q', headers: bearer(token) },
    { name: 'q: empty header', path: '/q', headers: { 'x-tok': 'pre=' } },
    { name: 'q: from a parameter', path: `/q?z=1&tok=${token}` },
    { name: 'q: the only parameter', path: `/q?tok=${token}` },
    { name: 'q: empty parameter', path: '/q?tok=' },
    { name: 'q: parameter with a bad header part', path: `/q?tok=%21%21.${body}.${signature}` },
    { name: 'q: from a cookie', path: '/q', headers: { cookie: `a=b; ck=${token}; d=e` } },
    { name: 'q: from a quoted cookie', path: '/q', headers: { cookie: `ck="${token}"` } },
    { name: 'q: cookie twice', path: '/q', headers: { cookie: `ck=${token}; ck=x` }, differs: 'jwt-repeated' },
    { name: 'q: cookie twice, the same', path: '/q', headers: { cookie: `ck=${token}; ck=${token}` } },
    { name: 'q: empty cookie', path: '/q', headers: { cookie: 'ck=' } },
    {
      name: 'q: header lines',
      path: '/q',
      headers: { 'x-tok': [`pre=${token}`, 'pre=x'] },
      differs: 'jwt-header-lines',
    },
    q('another subject', byHmac({ sub: 'zz' })),
    q('a subject of several bytes per letter', byHmac({ sub: 'sé' })),
    q('no subject', byHmac({ sub: undefined })),
    q('never expires', byHmac({ exp: undefined })),
    q('lives too long', byHmac({ exp: now + 10_000 })),
    q('lives too long but for the skew', byHmac({ exp: now + 3640 })),
    q('expired, another subject', byHmac({ exp: 1, sub: 'zz' })),
    q('by an unknown key, another subject', await sign(rsa, { ...good, sub: 'zz' }, { kid: 'zz' })),
    q('by an unknown key, lives too long', await sign(rsa, { ...good, exp: now + 10_000 }, { kid: 'zz' })),
    {
      name: 'r: for somebody else, another subject',
      path: '/r',
      headers: bearer(byHmac({ iss: 'iss-r', aud: 'x', sub: 'zz' })),
    },
    {
      name: 'r: for somebody else, never expires',
      path: '/r',
      headers: bearer(byHmac({ iss: 'iss-r', aud: 'x', exp: undefined })),
    },
    { name: 'r: expired, another subject', path: '/r', headers: bearer(byHmac({ iss: 'iss-r', exp: 1, sub: 'zz' })) },
    { name: 'r: forwarded', path: '/r', headers: bearer(byHmac({ iss: 'iss-r', deep: { 'a.b': 'by path' } })) },
    { name: 'r: cached', path: '/r', headers: bearer(cached) },
    { name: 'r: cached, again', path: '/r', headers: bearer(cached) },

    { name: 'any: none', path: '/any' },
    { name: 'any: expired', path: '/any', headers: bearer(expired) },
    { name: 'any: another issuer', path: '/any', headers: bearer(otherIssuer) },
    { name: 'any: second', path: `/any?tok=${token}` },
    { name: 'any: second is malformed', path: '/any?tok=x' },
    { name: 'any: expired, malformed', path: '/any?tok=x', headers: bearer(expired) },
    { name: 'any: for somebody else', path: '/any', headers: bearer(otherAudience) },
    { name: 'any: for somebody else, expired', path: `/any?tok=${expired}`, headers: bearer(otherAudience) },
    { name: 'yna: for somebody else', path: '/yna', headers: bearer(otherAudience) },
    { name: 'yna: malformed, expired', path: '/yna?tok=x', headers: bearer(expired) },
    { name: 'yna: malformed, another issuer', path: '/yna?tok=x', headers: bearer(otherIssuer) },
    { name: 'two: other', path: '/two', headers: bearer(otherIssuer) },
    { name: 'two: other, expired', path: '/two', headers: bearer(byHmac({ iss: 'other', exp: 1 })) },
    { name: 'two: third', path: '/two', headers: bearer(byHmac({ iss: 'third' })) },
    { name: 'all: both', path: `/all?tok=${token}`, headers: bearer(token) },
    { name: 'all: one', path: '/all', headers: bearer(token) },
    { name: 'all: the other', path: `/all?tok=${token}` },
    { name: 'audiences of the rule', path: '/audience', headers: bearer(token) },
    { name: 'audiences of the rule, right', path: '/audience', headers: bearer(byHmac({ aud: 'zz' })) },

    { name: 'fetched keys', path: '/remote/', headers: bearer(far) },
    {
      name: 'fetched keys, expired',
      path: '/remote/',
      headers: bearer(await sign(rsa, { ...good, iss: 'far', exp: 1 })),
    },
    { name: 'keys fetched ahead', path: '/remote-ahead/', headers: bearer(far) },
    { name: 'keys of a server that fails', path: '/remote-bad/', headers: bearer(far) },
    {
      name: 'keys of a server that fails, expired',
      path: '/remote-bad/',
      headers: bearer(await sign(rsa, { ...good, iss: 'far', exp: 1 })),
    },
    { name: 'keys of a server that fails again and again', path: '/remote-retried/', headers: bearer(far) },
    { name: 'keys of nobody', path: '/remote-nobody/', headers: bearer(far) },

    { name: 'missing: none', path: '/missing', headers: forged },
    { name: 'missing: malformed', path: '/missing', headers: bearer('x') },
    { name: 'missing: another scheme', path: '/missing', headers: { authorization: 'Basic abc' } },
    { name: 'missing: good', path: '/missing', headers: bearer(token) },
    { name: 'missing: another issuer', path: '/missing', headers: bearer(otherIssuer) },
    { name: 'missing: expired', path: '/missing', headers: bearer(expired) },
    { name: 'failed: none', path: '/failed', headers: forged },
    { name: 'failed: malformed', path: '/failed', headers: bearer('x') },
    { name: 'failed: expired', path: '/failed', headers: bearer(expired) },
    { name: 'failed: good', path: '/failed', headers: bearer(token) },
    { name: 'failed: good and malformed', path: '/failed', headers: { ...bearer(token), 'x-tok': 'pre=z' } },
    { name: 'failed: good twice', path: '/failed', headers: { ...bearer(token), 'x-tok': `pre=${token}` } },
    { name: 'allow_missing: none', path: '/lenient' },
    { name: 'allow_missing: malformed', path: '/lenient', headers: bearer('x') },
    { name: 'allow_missing: good', path: '/lenient', headers: bearer(token) },
    { name: 'allow_missing: for somebody else', path: '/lenient', headers: bearer(otherAudience) },
    { name: 'allow_missing: other', path: '/lenient', headers: bearer(otherIssuer) },
    {
      name: 'allow_missing: good and malformed',
      path: '/lenient',
      headers: { ...bearer(token), 'x-tok': 'pre=z' },
      differs: 'jwt-every-token',
    },
  );
  const kept = byHmac({ iss: 'iss-r' });
  cases.push(
    { name: 'nest: none', path: '/tree-nest' },
    { name: 'nest: malformed', path: '/tree-nest', headers: bearer('x') },
    { name: 'nest: another issuer', path: '/tree-nest', headers: bearer(otherIssuer) },
    { name: 'nest: of a provider that forwards', path: '/tree-nest', headers: bearer(kept) },
    { name: 'behind: none', path: '/tree-behind' },
    { name: 'behind: malformed', path: '/tree-behind', headers: bearer('x'), differs: 'jwt-nested' },
  );
  for (const tree of ['deep', 'stack', 'generous', 'first', 'twice', 'empty']) {
    const path = `/tree-${tree}`;
    cases.push(
      { name: `${tree}: none`, path, headers: forged },
      { name: `${tree}: malformed`, path, headers: bearer('x') },
      { name: `${tree}: good`, path, headers: bearer(token) },
      { name: `${tree}: the other place`, path: `${path}?tok=${token}` },
      { name: `${tree}: both places`, path: `${path}?tok=${token}`, headers: bearer(token) },
      { name: `${tree}: good, malformed`, path: `${path}?tok=x`, headers: bearer(token) },
      { name: `${tree}: malformed, good`, path: `${path}?tok=${token}`, headers: bearer('x') },
      { name: `${tree}: another issuer`, path, headers: bearer(otherIssuer) },
      { name: `${tree}: expired`, path, headers: bearer(expired) },
      { name: `${tree}: expired, good`, path: `${path}?tok=${token}`, headers: bearer(expired) },
      { name: `${tree}: for somebody else`, path, headers: bearer(otherAudience) },
      { name: `${tree}: of a provider that forwards`, path, headers: bearer(kept) },
    );
  }
  return cases;
}
