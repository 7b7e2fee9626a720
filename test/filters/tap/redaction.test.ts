import { describe, expect, test } from 'vitest';
import { Redaction } from '../../../filters/tap/redaction.ts';

const plain = { secret_headers: [], secret_parameters: [], show_secrets: false, max_files: 1 };
const redaction = new Redaction(plain);
const own = new Redaction({ ...plain, secret_headers: ['X-Internal'], secret_parameters: ['Pin'] });

describe('headers', () => {
  test.each([
    'authorization',
    'proxy-authorization',
    'cookie',
    'set-cookie',
    'x-api-key',
    'x-auth-token',
    'x-amz-security-token',
    'x-client-secret',
    'x-hub-signature',
    'x-original-authorization',
    'x-session-id',
    'x-forwarded-jwt',
  ])('%s is not shown', (name) => {
    expect(redaction.header(name, 'hush')).toBe('[redacted]');
  });

  test.each(['host', 'x-request-id', 'content-type', 'x-token-count', 'etag'])('%s is', (name) => {
    expect(redaction.header(name, 'shown')).toBe('shown');
  });

  test('that are configured are not shown', () => {
    expect(own.header('x-internal', 'hush')).toBe('[redacted]');
    expect(redaction.header('x-internal', 'shown')).toBe('shown');
  });
});

describe('parameters', () => {
  test.each([
    ['/a?access_token=hush&b=1', '/a?access_token=[redacted]&b=1'],
    ['/a?b=1&ToKeN=hush', '/a?b=1&ToKeN=[redacted]'],
    ['/a?x=1;api%5Fkey=hu;sh', '/a?x=1;api%5Fkey=[redacted]'],
    ['/a?password=a=b&code=c', '/a?password=[redacted]&code=[redacted]'],
    ['/token=hush/x?monkey=1&tokens=2', '/token=hush/x?monkey=1&tokens=2'],
    ['/a#id_token=hush', '/a#id_token=[redacted]'],
    ['/%E0?%E0%zz=1&jwt=hush', '/%E0?%E0%zz=1&jwt=[redacted]'],
  ])('of %s', (path, shown) => {
    expect(redaction.header(':path', path)).toBe(shown);
  });

  test('of addresses in other headers, and their users', () => {
    expect(redaction.header('location', 'https://user:hush@a.test/b?sig=hush&x=1')).toBe(
      'https://[redacted]@a.test/b?sig=[redacted]&x=1',
    );
    expect(redaction.header('referer', 'https://a.test/?session=hush')).toBe('https://a.test/?session=[redacted]');
    expect(own.header(':path', '/?pin=hush')).toBe('/?pin=[redacted]');
  });
});

describe('bodies', () => {
  const body = (type: string, text: string): string => redaction.body(type, Buffer.from(text)).toString();

  test('of forms', () => {
    expect(body('application/x-www-form-urlencoded', 'user=a&password=h?u,s h')).toBe('user=a&password=[redacted]');
    expect(body('application/x-www-form-urlencoded', 'password=hush&x=1')).toBe('password=[redacted]&x=1');
  });

  test.each([
    ['{"access_token": "hush", "n": 1}', '{"access_token": "[redacted]", "n": 1}'],
    ['{"a":{"clientSecret":"hu\\"sh"},"b":"token"}', '{"a":{"clientSecret":"[redacted]"},"b":"token"}'],
    ['{"password": 1234, "key": "k", "code": 404}', '{"password": "[redacted]", "key": "k", "code": 404}'],
    ['{"password": "cut in the midd', '{"password": "[redacted]"'],
    ['["password", "shown"]', '["password", "shown"]'],
  ])('of JSON: %s', (text, shown) => {
    expect(body('application/json; charset=utf-8', text)).toBe(shown);
    expect(body('application/problem+json', text)).toBe(shown);
  });

  test('of other types are what they are', () => {
    expect(body('text/plain', '{"password": "x"}')).toBe('{"password": "x"}');
  });

  test('of many quotes are read once', () => {
    const text = '\\"'.repeat(300_000);
    expect(body('application/json', `"${text}`).length).toBe(text.length + 1);
  });
});
