import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VirtualHostTable } from '../../../src/http/route/virtual-host-table.ts';

function table(domains: readonly string[], ignorePort = false): VirtualHostTable<string> {
  const hosts = new VirtualHostTable<string>(ignorePort);
  for (const domain of domains) hosts.add(domain, domain);
  return hosts;
}

describe('VirtualHostTable', () => {
  const hosts = table([
    '*',
    'foo.com',
    '*.foo.com',
    '*-bar.foo.com',
    '*.a.foo.com',
    'foo.*',
    'foo.bar.*',
    'Mixed.Case',
  ]);

  it.each([
    ['foo.com', 'foo.com'],
    ['FOO.com', 'foo.com'],
    ['mixed.CASE', 'Mixed.Case'],
    ['x.foo.com', '*.foo.com'],
    ['x.a.foo.com', '*.a.foo.com'],
    ['x-bar.foo.com', '*-bar.foo.com'],
    // A wildcard stands for at least one character.
    ['.foo.com', '*'],
    ['-bar.foo.com', '*.foo.com'],
    ['foo.org', 'foo.*'],
    ['foo.bar.org', 'foo.bar.*'],
    ['foo.', '*'],
    ['other', '*'],
    ['foo.com:8080', 'foo.*'],
    ['', undefined],
  ])('finds for %s the host %s', (authority, expected) => {
    expect(hosts.find(authority)).toBe(expected);
  });

  it('compares without the port where told so', () => {
    const portless = table(['foo.com', '*.foo.com', '[::1]'], true);
    expect(portless.find('foo.com:8080')).toBe('foo.com');
    expect(portless.find('x.foo.com:8080')).toBe('*.foo.com');
    expect(portless.find('[::1]:80')).toBe('[::1]');
    expect(table(['foo.com']).find('foo.com:8080')).toBeUndefined();
    expect(table(['foo.com:8080']).find('foo.com:8080')).toBe('foo.com:8080');
  });

  it('serves requests without a host from the only virtual host for everything', () => {
    expect(table(['*']).find('')).toBe('*');
  });

  it('refuses a domain that has an owner', () => {
    expect(() => table(['foo.com', 'FOO.com'])).toThrow('belongs to another virtual host');
    expect(() => table(['*', '*'])).toThrow('belongs to another virtual host');
  });

  it('agrees with comparing every domain, whatever was asked before', () => {
    const label = fc.string({ unit: fc.constantFrom('a', 'b', '.', 'A'), minLength: 1, maxLength: 5 });
    const domain = fc.oneof(
      label,
      label.map((rest) => `*${rest}`),
      label.map((rest) => `${rest}*`),
      fc.constant('*'),
    );
    const domains = fc.uniqueArray(domain, { maxLength: 12, selector: (each) => each.toLowerCase() });
    fc.assert(
      fc.property(domains, fc.array(label, { minLength: 1, maxLength: 10 }), (all, authorities) => {
        const indexed = table(all);
        for (const authority of authorities) expect(indexed.find(authority), authority).toBe(naive(all, authority));
      }),
      { numRuns: 3000 },
    );
  });
});

function naive(domains: readonly string[], authority: string): string | undefined {
  const host = authority.toLowerCase();
  const longest = (matching: string[]): string | undefined => matching.sort((a, b) => b.length - a.length)[0];
  return (
    domains.find((domain) => domain.toLowerCase() === host) ??
    longest(
      domains.filter(
        (d) => d.length > 1 && d.startsWith('*') && host.length >= d.length && host.endsWith(d.slice(1).toLowerCase()),
      ),
    ) ??
    longest(
      domains.filter(
        (d) =>
          d.length > 1 && d.endsWith('*') && host.length >= d.length && host.startsWith(d.slice(0, -1).toLowerCase()),
      ),
    ) ??
    domains.find((domain) => domain === '*')
  );
}
