import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type DnsLookupFamily, SystemResolver, type SystemResolverOptions } from '../../src/upstream/dns.ts';
import { DnsServer } from './dns-server.ts';

let server: DnsServer;
let folder: string;

beforeEach(async () => {
  server = await DnsServer.start();
  folder = await mkdtemp(join(tmpdir(), 'outrigger-dns-'));
});

afterEach(async () => {
  await server[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

function makeResolver(options: SystemResolverOptions = {}): SystemResolver {
  return new SystemResolver({
    servers: [server.address],
    hostsFile: join(folder, 'hosts'),
    searchList: { domains: [], ndots: 1 },
    timeoutMs: 200,
    tries: 1,
    ...options,
  });
}

describe('the resolver and a name server', () => {
  it('gives all addresses with the smallest TTL', async () => {
    server.zones.set('web.test', { addresses: ['10.0.0.1', '10.0.0.2'], ttlS: 7 });
    expect(await makeResolver().resolve('web.test', 'V4_ONLY')).toEqual({
      addresses: ['10.0.0.1', '10.0.0.2'],
      ttlMs: 7000,
    });
  });

  it.each<[DnsLookupFamily, string[], string[]]>([
    ['V4_ONLY', ['10.0.0.1'], ['A dual.test']],
    ['V6_ONLY', ['fd00::1'], ['AAAA dual.test']],
    ['AUTO', ['fd00::1'], ['AAAA dual.test']],
    ['V4_PREFERRED', ['10.0.0.1'], ['A dual.test']],
    ['ALL', ['10.0.0.1', 'fd00::1'], ['A dual.test', 'AAAA dual.test']],
  ])('asks for the families of %s', async (family, addresses, questions) => {
    server.zones.set('dual.test', { addresses: ['10.0.0.1', 'fd00::1'] });
    expect((await makeResolver().resolve('dual.test', family)).addresses).toEqual(addresses);
    expect(server.questions.toSorted()).toEqual(questions);
  });

  it.each<[DnsLookupFamily, string, string[]]>([
    ['AUTO', '10.0.0.1', ['10.0.0.1']],
    ['V4_PREFERRED', 'fd00::1', ['fd00::1']],
    ['ALL', '10.0.0.1', ['10.0.0.1']],
    ['V4_ONLY', 'fd00::1', []],
    ['V6_ONLY', '10.0.0.1', []],
  ])('with %s and only %s gives %j', async (family, known, addresses) => {
    server.zones.set('single.test', { addresses: [known] });
    expect((await makeResolver().resolve('single.test', family)).addresses).toEqual(addresses);
  });

  it('knows "no such name" from a failure', async () => {
    server.zones.set('gone.test', 'no such name');
    server.zones.set('empty.test', { addresses: [] });
    server.zones.set('broken.test', 'server failure');
    server.zones.set('mute.test', 'silence');
    const resolver = makeResolver();
    expect((await resolver.resolve('gone.test', 'AUTO')).addresses).toEqual([]);
    expect((await resolver.resolve('empty.test', 'ALL')).addresses).toEqual([]);
    for (const family of ['AUTO', 'ALL', 'V4_ONLY'] as const) {
      await expect(resolver.resolve('broken.test', family)).rejects.toMatchObject({ code: 'ESERVFAIL' });
      await expect(resolver.resolve('mute.test', family)).rejects.toMatchObject({ code: 'ETIMEOUT' });
    }
  });

  it('asks anew each time: nothing is cached below us', async () => {
    const resolver = makeResolver();
    server.zones.set('web.test', { addresses: ['10.0.0.1'], ttlS: 3600 });
    await resolver.resolve('web.test', 'V4_ONLY');
    server.zones.set('web.test', { addresses: ['10.0.0.2'], ttlS: 3600 });
    expect((await resolver.resolve('web.test', 'V4_ONLY')).addresses).toEqual(['10.0.0.2']);
  });

  it('gives up what is under way when cancelled', async () => {
    server.zones.set('mute.test', 'silence');
    const resolver = makeResolver({ timeoutMs: 10_000 });
    const answer = resolver.resolve('mute.test', 'V4_ONLY');
    setTimeout(() => resolver.cancel(), 20);
    await expect(answer).rejects.toMatchObject({ code: 'ECANCELLED' });
  });

  it('completes short names with the search list', async () => {
    server.zones.set('reviews.default.svc.cluster.local', { addresses: ['10.0.0.1'] });
    const searchList = { domains: ['default.svc.cluster.local', 'svc.cluster.local'], ndots: 5 };
    const resolver = makeResolver({ searchList });
    expect((await resolver.resolve('reviews', 'V4_ONLY')).addresses).toEqual(['10.0.0.1']);
    expect(server.questions).toEqual(['A reviews.default.svc.cluster.local']);
    expect((await resolver.resolve('ratings', 'V4_ONLY')).addresses).toEqual([]);
    expect(server.questions.at(-1)).toBe('A ratings');
  });

  it('does not take a failure on the search list for "no such name"', async () => {
    server.zones.set('reviews.default', 'server failure');
    const resolver = makeResolver({ searchList: { domains: ['default'], ndots: 5 } });
    await expect(resolver.resolve('reviews', 'V4_ONLY')).rejects.toMatchObject({ code: 'ESERVFAIL' });
  });
});

describe('the resolver without a name server', () => {
  it.each(['10.1.2.3', '::1'])('takes the address %s as it is', async (address) => {
    expect(await makeResolver().resolve(address, 'AUTO')).toEqual({ addresses: [address], ttlMs: undefined });
    expect(server.questions).toEqual([]);
  });

  it('finds names of the hosts file, whatever their case', async () => {
    await writeFile(join(folder, 'hosts'), '10.0.0.9 App app.internal # the app\nfd00::9 app\n');
    const resolver = makeResolver();
    expect(await resolver.resolve('APP', 'V4_ONLY')).toEqual({ addresses: ['10.0.0.9'], ttlMs: undefined });
    expect((await resolver.resolve('app', 'AUTO')).addresses).toEqual(['fd00::9']);
    expect((await resolver.resolve('app.internal', 'AUTO')).addresses).toEqual(['10.0.0.9']);
    expect((await resolver.resolve('app', 'ALL')).addresses).toEqual(['10.0.0.9', 'fd00::9']);
    expect(server.questions).toEqual([]);
  });

  it('sees that the hosts file was replaced', async () => {
    const hostsFile = join(folder, 'hosts');
    const resolver = makeResolver();
    await writeFile(hostsFile, '10.0.0.1 app\n');
    expect((await resolver.resolve('app', 'V4_ONLY')).addresses).toEqual(['10.0.0.1']);
    await writeFile(`${hostsFile}.new`, '10.0.0.2 app\n');
    await rename(`${hostsFile}.new`, hostsFile);
    expect((await resolver.resolve('app', 'V4_ONLY')).addresses).toEqual(['10.0.0.2']);
    await rm(hostsFile);
    expect((await resolver.resolve('app', 'V4_ONLY')).addresses).toEqual([]);
  });

  it.each(['localhost', 'app.localhost', 'LOCALHOST.'])('keeps %s on this machine', async (name) => {
    expect((await makeResolver().resolve(name, 'V4_ONLY')).addresses).toEqual(['127.0.0.1']);
    expect((await makeResolver().resolve(name, 'V6_ONLY')).addresses).toEqual(['::1']);
    expect(server.questions).toEqual([]);
  });
});
