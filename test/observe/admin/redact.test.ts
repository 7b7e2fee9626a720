import { describe, expect, it } from 'vitest';
import { REDACTED, redact } from '../../../src/observe/admin/redact.ts';

describe('redact', () => {
  it('hides private keys, passwords and tokens, in either spelling', () => {
    const dump = redact({
      tls_certificates: [
        {
          certificate_chain: { inline_string: 'PUBLIC' },
          private_key: { inline_string: 'K1' },
          password: { inline_bytes: 'K2' },
        },
      ],
      sessionTicketKeys: { keys: [{ inlineString: 'K3' }] },
      config: {
        api_key: 'K4',
        apiKey: 'K5',
        authToken: 'K6',
        credentials: [{ user: 'K7' }],
        clientSecret: 'K8',
        pin_secret: 7,
      },
      // May hold the secrets of HMAC.
      local_jwks: { inline_string: 'K9' },
    });
    const text = JSON.stringify(dump);
    expect(text).not.toMatch(/K\d/);
    expect(text).toContain('PUBLIC');
    expect(text).not.toContain(':7');
    expect(text.split(REDACTED)).toHaveLength(11);
  });

  it('names files and variables that hold secrets', () => {
    expect(redact({ private_key: { filename: '/key.pem' }, password: { environment_variable: 'PW' } })).toEqual({
      private_key: { filename: '/key.pem' },
      password: { environment_variable: 'PW' },
    });
  });

  it('hides credentials in headers that are added or matched', () => {
    const dump = redact({
      request_headers_to_add: [
        { header: { key: 'Authorization', value: 'Bearer K1' } },
        { header: { key: 'x-team', value: 'shop' } },
      ],
      headers: [{ name: 'x-api-key', string_match: { exact: 'K2' } }],
    });
    expect(JSON.stringify(dump)).not.toMatch(/K\d/);
    expect(JSON.stringify(dump)).toContain('shop');
  });

  it('leaves alone what only sounds secret', () => {
    const config = {
      token_bucket: { max_tokens: 10, tokens_per_fill: 1 },
      key: 'x-user',
      descriptors: [{ key: 'remote', value: 'a' }],
    };
    expect(redact(config)).toEqual(config);
  });

  it('does not change the configuration itself', () => {
    const config = { password: 'K1' };
    redact(config);
    expect(config.password).toBe('K1');
  });
});
