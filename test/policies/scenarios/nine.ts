import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { startApp } from '../../support/story.ts';
import { tlsClient } from '../../support/tls.ts';
import { Identities, Issuer, overTls, type PolicyScenario, policy, withPolicies } from '../scenario.ts';
import { startCollector, startRateLimitService } from '../services.ts';

/** All policies in one proxy. */
export const NINE: readonly PolicyScenario[] = [
  {
    kind: 'CircuitBreaker',
    name: 'lives with the eight other policies in one proxy, and each of them acts',
    async act(start) {
      const hits: string[] = [];
      await using app = await startApp((request, response) => {
        hits.push(request.url ?? '');
        response.statusCode = request.url === '/flaky' && hits.length === 1 ? 503 : 200;
        response.setHeader('x-trace', String(request.headers.traceparent));
        response.end();
      });
      await using service = await startRateLimitService(2);
      await using collector = await startCollector();
      using identities = new Identities();
      const issuer = new Issuer();
      const dir = mkdtempSync(join(tmpdir(), 'outrigger-nine-'));
      const log = join(dir, 'access.log');
      const limits = [{ by: { claim: 'sub' }, requests: 2, per: 'minute' }];
      const rate = { domain: 'shop', service: { address: `127.0.0.1:${service.port}`, timeout: '5s' }, limits };
      const otlp = { address: `127.0.0.1:${collector.port}`, protocol: 'HTTP' };
      const nine =
        policy('RequestAuthentication', { jwtRules: [{ issuer: 'https://issuer.test', jwks: issuer.jwks }] }) +
        policy('Sidecar', { egress: [{ hosts: ['a.test'] }] }) +
        policy('AuthorizationPolicy', {
          rules: [
            { from: [{ source: { principals: ['test/client'] } }], to: [{ operation: { notPaths: ['/admin'] } }] },
          ],
        }) +
        policy('RateLimit', rate) +
        policy('Tracing', { sampling: 100, service: 'nine', otlp }) +
        policy('AccessLog', {
          to: { to: log, format: '%REQ(:PATH)% %RESPONSE_CODE% %UPSTREAM_REQUEST_ATTEMPT_COUNT%' },
        }) +
        policy('PeerAuthentication', identities.spec('server')) +
        policy('RetryPolicy', { on: ['gateway-error'], backOff: { base: '1ms' } }) +
        policy('CircuitBreaker', { limits: { maxConnections: 8 }, outlierDetection: { consecutive5xx: 5 } });
      await using proxy = await start(withPolicies(nine, [app.port]));
      const { client } = identities.pki;
      const call = async (path: string, claims?: object, host = 'a.test'): Promise<string> => {
        const token = claims === undefined ? '' : `authorization: Bearer ${issuer.token(claims)}\r\n`;
        const connection = await tlsClient(proxy.port, { cert: client.cert, key: client.key });
        connection.socket.write(`GET ${path} HTTP/1.1\r\nhost: ${host}\r\n${token}connection: close\r\n\r\n`);
        await connection.untilClosed();
        return connection.text.split(' ')[1] ?? 'closed';
      };
      expect(await overTls(proxy.port, {})).toBe('refused');
      expect(await call('/')).toBe('401');
      expect(await call('/', { sub: 'ann' }, 'bank.test')).toBe('403');
      expect(await call('/admin', { sub: 'ann' })).toBe('403');
      expect(await call('/flaky', { sub: 'ann' })).toBe('200');
      expect(await call('/', { sub: 'ann' })).toBe('200');
      expect(await call('/', { sub: 'ann' })).toBe('429');
      expect(await call('/', { sub: 'bob' })).toBe('200');
      expect(hits).toEqual(['/flaky', '/flaky', '/', '/']);
      await expect.poll(() => collector.received(), { timeout: 15_000 }).toContain('nine');
      const lines = async (): Promise<string> => {
        await proxy.flush();
        return existsSync(log) ? readFileSync(log, 'utf8') : '';
      };
      await expect.poll(lines, { timeout: 10_000 }).toContain('/flaky 200 2\n');
      await expect.poll(lines, { timeout: 10_000 }).toContain('/admin 403 ');
      rmSync(dir, { recursive: true });
    },
  },
];
