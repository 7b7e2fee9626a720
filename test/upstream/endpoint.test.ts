import { describe, expect, it } from 'vitest';
import { Endpoint, formatAddress } from '../../src/upstream/endpoint.ts';

const LOCALITY = { region: '', zone: '', subZone: '', weight: 0 };
const TRAITS = { hostname: '', hashKey: '', weight: 1, priority: 0, health: 'healthy', locality: LOCALITY } as const;

describe('endpoint', () => {
  it.each([
    [{ host: '10.0.0.1', port: 80, pipe: undefined }, '10.0.0.1:80'],
    [{ host: 'fd00::1', port: 8443, pipe: undefined }, '[fd00::1]:8443'],
    [{ host: '', port: 0, pipe: '/run/app.sock' }, '/run/app.sock'],
    [{ host: '', port: 0, pipe: '\0app' }, '@app'],
  ])('writes its address as Envoy does: %j', (address, text) => {
    expect(formatAddress(address)).toBe(text);
    expect(new Endpoint(address, TRAITS).address).toBe(text);
  });

  it('is healthy unless it is said to be degraded or unhealthy', () => {
    const address = { host: '10.0.0.1', port: 80, pipe: undefined };
    const healthy = (health: 'healthy' | 'degraded' | 'unhealthy') =>
      new Endpoint(address, { ...TRAITS, health }).healthy;
    expect([healthy('healthy'), healthy('degraded'), healthy('unhealthy')]).toEqual([true, false, false]);
  });

  it('says whether an update changed anything', () => {
    const endpoint = new Endpoint({ host: '10.0.0.1', port: 80, pipe: undefined }, TRAITS);
    expect(endpoint.update({ ...TRAITS })).toBe(false);
    expect(endpoint.update({ ...TRAITS, weight: 2 })).toBe(true);
    expect(endpoint.update({ ...TRAITS, weight: 2, health: 'unhealthy' })).toBe(true);
    expect(endpoint).toMatchObject({ weight: 2, healthy: false });
  });

  it('has one shape, whatever it is made from', () => {
    const ip = new Endpoint({ host: '10.0.0.1', port: 80, pipe: undefined }, TRAITS);
    const pipe = new Endpoint({ host: '', port: 0, pipe: '/run/app.sock' }, { ...TRAITS, hostname: 'app' });
    expect(Object.keys(pipe)).toEqual(Object.keys(ip));
  });
});
