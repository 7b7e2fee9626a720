import { expect, test } from 'vitest';
import { formatHostPort, parseHostPort } from '../../src/cli/address.ts';
import { UsageError } from '../../src/cli/usage-error.ts';

test.each([
  ['127.0.0.1:8080', '127.0.0.1', 8080],
  ['app.local:80', 'app.local', 80],
  ['[::1]:9', '::1', 9],
  [':8080', '0.0.0.0', 8080],
  ['8080', '0.0.0.0', 8080],
  ['localhost:0', 'localhost', 0],
])('%s is read', (text, host, port) => {
  expect(parseHostPort(text, '--listen', '0.0.0.0')).toEqual({ host, port });
});

test.each(['', 'app', 'app:', 'app:65536', '::1:80', 'http://app:80', 'app:80 ', 'a b:80'])('%j is refused', (text) => {
  expect(() => parseHostPort(text, '--listen', '0.0.0.0')).toThrow(UsageError);
});

test('IPv6 hosts are printed in brackets', () => {
  expect(formatHostPort({ host: '::1', port: 80 })).toBe('[::1]:80');
  expect(formatHostPort({ host: 'app', port: 80 })).toBe('app:80');
});
