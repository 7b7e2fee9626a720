import { expect, test } from 'vitest';
import filter from '../../examples/filters/redact-json-body.ts';
import { testFilter } from '../../src/filter/harness.ts';

const json = { 'content-type': 'application/json; charset=utf-8' };

async function redact(body: string | string[], headers: Record<string, string> = json, config: object = {}) {
  const harness = await testFilter(filter, {
    config: { fields: ['password', 'card.number'], ...config },
    app: { headers: { etag: '"1"', ...headers }, body },
  });
  const outcome = await harness.request();
  return { ...outcome, counter: (name: string) => harness.env.counter(`redact_json.${name}`) };
}

test('hides fields by name at any depth and by path, in a body that comes in pieces', async () => {
  const text = JSON.stringify({
    users: [{ name: 'ü', password: 'geheim' }],
    card: { number: '4111', owner: 'x' },
    number: 7,
  });
  const { body, headers, counter } = await redact([text.slice(0, 14), text.slice(14)]);
  expect(JSON.parse(body)).toEqual({
    users: [{ name: 'ü', password: '[redacted]' }],
    card: { number: '[redacted]', owner: 'x' },
    number: 7,
  });
  expect(headers.etag).toBeUndefined();
  expect(counter('redacted')).toBe(2);
});

test('leaves JSON without such fields as it is, byte for byte', async () => {
  const text = '{ "n": 12345678901234567890,\n "passwords": 1 }';
  expect((await redact(text)).body).toBe(text);
});

test('leaves other content, broken JSON and empty bodies alone', async () => {
  const text = '{"password": "plain text"}';
  expect((await redact(text, { 'content-type': 'text/plain' })).body).toBe(text);
  const broken = await redact('{"password": ');
  expect(broken.body).toBe('{"password": ');
  expect(broken.counter('unreadable')).toBe(1);
  expect((await redact('')).body).toBe('');
});

test('asks upstreams not to compress, and counts what is compressed all the same', async () => {
  const { forwarded, counter } = await redact('\u001f', { ...json, 'content-encoding': 'gzip' });
  expect(forwarded?.headers['accept-encoding']).toBe('identity');
  expect(counter('unreadable')).toBe(1);
});

test('takes structured suffixes for JSON, and refuses what is larger than it may read', async () => {
  const problem = await redact('{"password":1}', { 'content-type': 'application/problem+json' });
  expect(problem.body).toBe('{"password":"[redacted]"}');
  const large = await redact('{"password":"12345678"}', json, { max_bytes: 10 });
  expect([large.verdict, large.status, large.details]).toEqual(['replied', 500, 'response_payload_too_large']);
});
