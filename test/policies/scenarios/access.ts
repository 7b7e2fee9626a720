import { expect } from 'vitest';
import { ask, echo, echoed, startApp } from '../../support/story.ts';
import { bearer, Identities, Issuer, overTls, type PolicyScenario, policy, status, withPolicies } from '../scenario.ts';

/** Who may call, and what may be called. */
export const ACCESS: readonly PolicyScenario[] = [
  {
    kind: 'RequestAuthentication',
    name: 'denies requests without a good token, and passes the claims of one on',
    async act(start) {
      await using app = await startApp(echo());
      const issuer = new Issuer();
      const rule = {
        issuer: 'https://issuer.test',
        audiences: ['shop'],
        jwks: issuer.jwks,
        outputClaimToHeaders: [{ header: 'x-user', claim: 'sub' }],
      };
      const text = policy('RequestAuthentication', { jwtRules: [rule], except: ['/healthz'] });
      await using proxy = await start(withPolicies(text, [app.port]));
      const good = issuer.token({ aud: 'shop', sub: 'ann' });
      expect(await status(proxy.port)).toBe(401);
      expect(await status(proxy.port, '/healthz')).toBe(200);
      expect(await status(proxy.port, '/', bearer(`${good.slice(0, -6)}AAAAAA`))).toBe(401);
      expect(await status(proxy.port, '/', bearer(issuer.token({ aud: 'shop', exp: 1_600_000_000 })))).toBe(401);
      expect(await status(proxy.port, '/', bearer(issuer.token({ aud: 'bank' })))).toBe(403);
      const answer = await ask(proxy.port, { headers: bearer(good) });
      expect(answer.status).toBe(200);
      expect(echoed(answer).headers).toMatchObject({ 'x-user': 'ann' });
      expect(echoed(answer).headers).not.toHaveProperty('authorization');
    },
  },
  {
    kind: 'RequestAuthentication',
    name: 'fetches keys where the policy says, and lets requests without a token pass where it need not be there',
    async act(start) {
      await using app = await startApp(echo());
      const issuer = new Issuer();
      await using keys = await startApp((_, response) => response.end(issuer.jwks));
      const rule = { issuer: 'https://issuer.test', jwksUri: `http://127.0.0.1:${keys.port}/keys` };
      const text = policy('RequestAuthentication', { jwtRules: [rule], required: false });
      await using proxy = await start(withPolicies(text, [app.port]));
      expect(await status(proxy.port)).toBe(200);
      expect(await status(proxy.port, '/', bearer(issuer.token({ sub: 'ann' })))).toBe(200);
      expect(await status(proxy.port, '/', bearer(new Issuer().token({ sub: 'ann' })))).toBe(401);
    },
  },
  {
    kind: 'Sidecar',
    name: 'lets the workload call what it sees, on any port, and nothing else',
    async act(start) {
      await using app = await startApp(echo());
      const text = policy('Sidecar', { egress: [{ hosts: ['reviews.shop.svc', '*.ratings.svc'] }] });
      await using proxy = await start(withPolicies(text, [app.port], 'sender'));
      const call = (host: string): Promise<number> => status(proxy.port, '/', { host });
      expect(await call('reviews.shop.svc')).toBe(200);
      expect(await call('Reviews.shop.svc:9080')).toBe(200);
      expect(await call('v1.ratings.svc')).toBe(200);
      expect(await call('v1.ratings.svc:9080')).toBe(200);
      expect(await call('bank.test')).toBe(403);
      expect(await call('reviews.shop.svc.evil.test')).toBe(403);
      expect(await call('ratings.svc')).toBe(403);
    },
  },
  {
    kind: 'AuthorizationPolicy',
    name: 'several policies are one: what one of them denies is denied, what one of them allows is allowed',
    async act(start) {
      await using app = await startApp(echo());
      const operation = (one: object): object => ({ rules: [{ to: [{ operation: one }] }] });
      const text =
        policy('AuthorizationPolicy', operation({ methods: ['GET'], paths: ['/items/*'] }), 'readers') +
        policy(
          'AuthorizationPolicy',
          { rules: [{ when: [{ key: 'request.headers[x-role]', values: ['staff'] }] }] },
          'staff',
        ) +
        policy(
          'AuthorizationPolicy',
          { action: 'DENY', ...operation({ paths: ['*/secret'], notMethods: ['HEAD'] }) },
          'secret',
        );
      await using proxy = await start(withPolicies(text, [app.port]));
      expect(await status(proxy.port, '/items/1')).toBe(200);
      expect(await status(proxy.port, '/items/1', {}, 'POST')).toBe(403);
      expect(await status(proxy.port, '/admin')).toBe(403);
      expect(await status(proxy.port, '/admin', { 'x-role': 'staff' })).toBe(200);
      expect(await status(proxy.port, '/items/secret')).toBe(403);
      expect(await status(proxy.port, '/items/secret', { 'x-role': 'staff' })).toBe(403);
      expect(await status(proxy.port, '/items/secret', { 'x-role': 'staff' }, 'HEAD')).toBe(200);
    },
  },
  {
    kind: 'AuthorizationPolicy',
    name: 'is not gone around by the case or the port of a host, or by dots in a path',
    async act(start) {
      await using app = await startApp(echo());
      const deny = (operation: object, name: string): string =>
        policy('AuthorizationPolicy', { action: 'DENY', rules: [{ to: [{ operation }] }] }, name);
      const text =
        deny({ hosts: ['admin.test', '*.secret.test'] }, 'hosts') + deny({ paths: ['/internal/*'] }, 'paths');
      await using proxy = await start(withPolicies(text, [app.port]));
      for (const host of ['admin.test', 'ADMIN.test', 'admin.test:8080', 'a.Secret.test:1']) {
        expect(await status(proxy.port, '/', { host })).toBe(403);
      }
      expect(await status(proxy.port, '/', { host: 'administrator.test' })).toBe(200);
      expect(await status(proxy.port, '/items/../internal/a')).toBe(403);
      expect(await status(proxy.port, '/items/a')).toBe(200);
    },
  },
  {
    kind: 'AuthorizationPolicy',
    name: 'ALLOW without rules lets nothing pass, and a rule without conditions everything',
    async act(start) {
      await using app = await startApp(echo());
      await using closed = await start(withPolicies(policy('AuthorizationPolicy', {}), [app.port]));
      await using open = await start(withPolicies(policy('AuthorizationPolicy', { rules: [{}] }), [app.port]));
      expect([await status(closed.port), await status(open.port)]).toEqual([403, 200]);
    },
  },
  {
    kind: 'AuthorizationPolicy',
    name: 'judges connections where no HTTP is spoken',
    async act(start) {
      await using app = await startApp(echo());
      const from = (ipBlocks: string): string =>
        policy('AuthorizationPolicy', { rules: [{ from: [{ source: { ipBlocks } }] }] });
      const tcp = { protocol: 'tcp' };
      await using inside = await start(withPolicies(from('127.0.0.0/8'), [app.port], 'receiver', tcp));
      await using outside = await start(withPolicies(from('192.0.2.0/24'), [app.port], 'receiver', tcp));
      expect(await status(inside.port)).toBe(200);
      await expect(status(outside.port)).rejects.toThrow();
    },
  },
  {
    kind: 'AuthorizationPolicy',
    name: 'knows callers by the identity in their certificate',
    async act(start) {
      await using app = await startApp(echo());
      using identities = new Identities();
      const { pki } = identities;
      const allow = (principal: string): string =>
        policy('AuthorizationPolicy', { rules: [{ from: [{ source: { principals: [principal] } }] }] });
      const peers = policy('PeerAuthentication', identities.spec('server'));
      await using right = await start(withPolicies(peers + allow('test/cl*'), [app.port], 'receiver'));
      await using wrong = await start(withPolicies(peers + allow('test/other'), [app.port], 'receiver'));
      const client = { cert: pki.client.cert, key: pki.client.key };
      expect(await overTls(right.port, client)).toContain('200');
      expect(await overTls(wrong.port, client)).toContain('403');
    },
  },
  {
    kind: 'AuthorizationPolicy',
    name: 'reads the claims of the token that RequestAuthentication has verified',
    async act(start) {
      await using app = await startApp(echo());
      const issuer = new Issuer();
      const rules = [
        { when: [{ key: 'request.auth.claims[groups]', values: ['staff'] }] },
        { from: [{ source: { requestPrincipals: ['https://issuer.test/ann'] } }] },
      ];
      const text =
        policy('AuthorizationPolicy', { rules }) +
        policy('RequestAuthentication', { jwtRules: [{ issuer: 'https://issuer.test', jwks: issuer.jwks }] });
      await using proxy = await start(withPolicies(text, [app.port]));
      const as = (claims: object): Promise<number> => status(proxy.port, '/', bearer(issuer.token(claims)));
      expect(await as({ sub: 'bob', groups: ['guests', 'staff'] })).toBe(200);
      expect(await as({ sub: 'bob', groups: 'staff' })).toBe(200);
      expect(await as({ sub: 'ann' })).toBe(200);
      expect(await as({ sub: 'bob', groups: ['guests'] })).toBe(403);
    },
  },
];
