import { expect } from 'vitest';
import type { Canonical } from '../../../policies/policy.ts';
import { ask, echo, echoed, startApp } from '../../support/story.ts';
import { Identities, overTls, type PolicyScenario, policy, status, withPolicies } from '../scenario.ts';

/** Both ends of a connection. */
export const MUTUAL_TLS: readonly PolicyScenario[] = [
  {
    kind: 'PeerAuthentication',
    name: 'STRICT takes certificates of the mesh, and neither plain text nor strangers',
    async act(start) {
      await using app = await startApp(echo());
      using identities = new Identities();
      const { client, rogue } = identities.pki;
      const text = policy('PeerAuthentication', { ...identities.spec('server'), peers: ['spiffe://test/client'] });
      await using proxy = await start(withPolicies(text, [app.port], 'receiver'));
      expect(await overTls(proxy.port, { cert: client.cert, key: client.key })).toContain('200');
      expect(await overTls(proxy.port, {})).toBe('refused');
      expect(await overTls(proxy.port, { cert: rogue.cert, key: rogue.key })).toBe('refused');
      expect(await overTls(proxy.port, { cert: identities.pki.server.cert, key: identities.pki.server.key })).toBe(
        'refused',
      );
      await expect(ask(proxy.port)).rejects.toThrow();
    },
  },
  {
    kind: 'PeerAuthentication',
    name: 'PERMISSIVE takes plain text beside TLS on the same port',
    async act(start) {
      await using app = await startApp(echo());
      using identities = new Identities();
      const { client, rogue } = identities.pki;
      const text = policy('PeerAuthentication', { mode: 'PERMISSIVE', ...identities.spec('server') });
      await using proxy = await start(withPolicies(text, [app.port], 'receiver'));
      expect(await status(proxy.port)).toBe(200);
      expect(await overTls(proxy.port, { cert: client.cert, key: client.key })).toContain('200');
      expect(await overTls(proxy.port, { cert: rogue.cert, key: rogue.key })).toBe('refused');
    },
  },
  {
    kind: 'PeerAuthentication',
    name: 'one policy makes both ends of a hop: the sender shows its certificate, and asks for that of the receiver',
    async act(start) {
      await using app = await startApp(echo());
      using identities = new Identities();
      const spec = (who: 'server' | 'client', peer: string): object => ({ ...identities.spec(who), peers: [peer] });
      const receive = policy('PeerAuthentication', spec('server', 'spiffe://test/client'));
      await using receiver = await start(withPolicies(receive, [app.port], 'receiver'));
      const send = (peer: string): Canonical =>
        withPolicies(policy('PeerAuthentication', spec('client', peer)), [receiver.port], 'sender');
      await using sender = await start(send('spiffe://test/server'));
      await using mistaken = await start(send('spiffe://test/somebody-else'));
      const answer = await ask(sender.port);
      expect(answer.status).toBe(200);
      expect(echoed(answer).headers['x-forwarded-client-cert']).toContain('URI=spiffe://test/client');
      expect(await status(mistaken.port)).toBe(503);
    },
  },
];
