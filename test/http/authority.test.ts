import { describe, expect, it } from 'vitest';
import { compileAuthorityNormalizer, isValidAuthority, portStart } from '../../src/http/authority.ts';

const OFF = { strip_any_host_port: false, strip_matching_host_port: false, strip_trailing_host_dot: false };

function clean(settings: Partial<typeof OFF>, authority: string, localPort = 15001): string {
  return compileAuthorityNormalizer({ ...OFF, ...settings })?.(authority, localPort) ?? authority;
}

describe('compileAuthorityNormalizer', () => {
  it('is nothing when nothing is to be done', () => {
    expect(compileAuthorityNormalizer(OFF)).toBeUndefined();
  });

  // What Envoy 1.40 makes of each host.
  it.each([
    ['a.com:80', 'a.com'],
    ['a.com', 'a.com'],
    ['a.com:', 'a.com:'],
    ['a.com:x', 'a.com:x'],
    ['a.com:-1', 'a.com:-1'],
    ['a.com:+80', 'a.com'],
    ['a.com:080', 'a.com'],
    ['a.com:99999', 'a.com'],
    ['a.com:99999999999', 'a.com:99999999999'],
    ['[::1]:80', '[::1]'],
    ['[::1]', '[::1]'],
    [':80', ''],
  ])('strips any port of %s to %s', (authority, expected) => {
    expect(clean({ strip_any_host_port: true }, authority)).toBe(expected);
  });

  it("strips only the listener's port where told so", () => {
    expect(clean({ strip_matching_host_port: true }, 'a.com:15001')).toBe('a.com');
    expect(clean({ strip_matching_host_port: true }, 'a.com:80')).toBe('a.com:80');
  });

  it.each([
    ['a.com.', 'a.com'],
    ['a.com..', 'a.com.'],
    ['a.com.:80', 'a.com:80'],
    ['a.com.:', 'a.com:'],
    ['a.com:80', 'a.com:80'],
    ['.', ''],
    ['[::1].', '[::1]'],
    ['localhost', 'localhost'],
  ])('strips the trailing dot of %s to %s', (authority, expected) => {
    expect(clean({ strip_trailing_host_dot: true }, authority)).toBe(expected);
  });

  it('strips dot and port together', () => {
    expect(clean({ strip_any_host_port: true, strip_trailing_host_dot: true }, 'a.com.:80')).toBe('a.com');
  });
});

describe('portStart', () => {
  it('takes no colon of an IPv6 address for that of a port', () => {
    expect(portStart('[::1]')).toBe(-1);
    expect(portStart('[::1]:80')).toBe(5);
    expect(portStart('a:80')).toBe(1);
  });
});

describe('isValidAuthority', () => {
  it('accepts hosts, addresses and ports', () => {
    for (const authority of ['a.com', 'a-b_c.com:80', '[fe80::1%25eth0]:80', '10.0.0.1', 'user@a.com', '']) {
      expect(isValidAuthority(authority), authority).toBe(true);
    }
  });

  it('refuses what could mislead another parser', () => {
    for (const authority of ['a b', 'a/b', 'a?b', 'a#b', 'a\\b', 'a"b', 'a<b', 'a\x00', 'a\xe9', 'a\r\nb']) {
      expect(isValidAuthority(authority), JSON.stringify(authority)).toBe(false);
    }
  });
});
