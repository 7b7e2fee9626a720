import { describe, expect, test } from 'vitest';
import { cors } from '../../filters/cors.ts';
import { HttpFilterHarness, responseHead } from '../support/filter-harness.ts';

const policy = {
  allow_origin_string_match: [{ exact: 'http://a.test' }, { suffix: '.b.test' }],
  allow_methods: 'GET,POST',
  allow_headers: 'x-one',
  expose_headers: 'x-two',
  max_age: '600',
  allow_credentials: true,
};

function harness(...routeConfigs: object[]) {
  return new HttpFilterHarness(cors, {}, { routeConfigs });
}

function preflight(origin: string, more: Record<string, string> = {}) {
  return { ':method': 'OPTIONS', origin, 'access-control-request-method': 'PUT', ...more };
}

const never = { default_value: { numerator: 0 } };
const always = { default_value: { numerator: 100 } };

describe('envoy.filters.http.cors', () => {
  test('does nothing on routes without a policy', () => {
    expect(harness().hooks.onRequest).toBeUndefined();
  });

  test('answers the preflight of an allowed origin', () => {
    const filter = harness(policy);
    expect(filter.request(preflight('http://a.test')).verdict).toMatchObject({
      status: 200,
      body: '',
      details: 'cors_response',
      headers: {
        'access-control-allow-origin': 'http://a.test',
        'access-control-allow-credentials': 'true',
        'access-control-allow-methods': 'GET,POST',
        'access-control-allow-headers': 'x-one',
        'access-control-max-age': '600',
      },
    });
    expect(filter.stat('http.test.cors.origin_valid')).toBe(1);
  });

  test('passes the preflight of another origin on, or answers it without allowing', () => {
    const filter = harness(policy);
    expect(filter.request(preflight('http://c.test')).verdict).toBeUndefined();
    expect(filter.stat('http.test.cors.origin_invalid')).toBe(1);
    const answers = harness({ ...policy, forward_not_matching_preflights: false });
    const { headers } = answers.request(preflight('http://c.test')).verdict as { headers: Record<string, string> };
    expect(Object.keys(headers)).not.toContain('access-control-allow-origin');
    expect(headers['access-control-allow-methods']).toBe('GET,POST');
  });

  test('a star echoes what the preflight asks for', () => {
    const filter = harness({ ...policy, allow_methods: '*', allow_headers: '*', allow_private_network_access: true });
    const asked = {
      'access-control-request-headers': 'x-q',
      'access-control-request-private-network': 'true',
    };
    expect(filter.request(preflight('http://a.test', asked)).verdict).toMatchObject({
      headers: {
        'access-control-allow-methods': 'PUT',
        'access-control-allow-headers': 'x-q',
        'access-control-allow-private-network': 'true',
      },
    });
  });

  test('an OPTIONS request without the asked method is no preflight', () => {
    const { verdict } = harness(policy).request({ ':method': 'OPTIONS', origin: 'http://a.test' });
    expect(verdict).toBeUndefined();
  });

  test('marks the responses to allowed origins only, over what the upstream says', () => {
    const filter = harness(policy);
    const mark = (fields: Record<string, string>) => {
      const upstream = responseHead(200, { 'access-control-allow-origin': 'http://upstream' });
      const { response } = filter.response(filter.request(fields).stream, upstream);
      return ['allow-origin', 'allow-credentials', 'expose-headers'].map((name) =>
        response.get(`access-control-${name}`),
      );
    };
    expect(mark({ origin: 'http://x.b.test' })).toEqual(['http://x.b.test', 'true', 'x-two']);
    expect(mark({ origin: 'http://c.test' })).toEqual(['http://upstream', undefined, undefined]);
    expect(mark({})).toEqual(['http://upstream', undefined, undefined]);
  });

  test('the route overrides its virtual host field by field', () => {
    const filter = harness(policy, { allow_methods: 'DELETE', allow_credentials: false });
    const { headers } = filter.request(preflight('http://a.test')).verdict as { headers: Record<string, string> };
    expect(headers).toEqual({
      'access-control-allow-origin': 'http://a.test',
      'access-control-allow-methods': 'DELETE',
      'access-control-allow-headers': 'x-one',
      'access-control-max-age': '600',
    });
  });

  test('in the shadow it only counts, and disabled it does nothing', () => {
    const shadow = harness({ ...policy, filter_enabled: never, shadow_enabled: always });
    const { stream, verdict } = shadow.request(preflight('http://a.test'));
    expect(verdict).toBeUndefined();
    expect(shadow.response(stream).response.has('access-control-allow-origin')).toBe(false);
    expect(shadow.stat('http.test.cors.origin_valid')).toBe(1);
    const off = harness({ ...policy, filter_enabled: never });
    off.request(preflight('http://a.test'));
    expect(off.stat('http.test.cors.origin_valid')).toBe(0);
  });
});
