import { networkInterfaces } from 'node:os';
import { describe, expect, it } from 'vitest';
import { refusal } from '../../../src/observe/admin/guard.ts';

const own = Object.values(networkInterfaces())
  .flatMap((list) => list ?? [])
  .find((one) => !one.internal && one.family === 'IPv4');

describe('refusal', () => {
  it.each([
    { host: 'localhost:15000' },
    { host: '127.0.0.1' },
    { host: '127.8.9.1:80' },
    { host: '[::1]:15000' },
    { host: 'LOCALHOST:1' },
    { host: 'localhost:15000', origin: 'http://localhost:15000', 'sec-fetch-site': 'same-origin' },
    { host: 'localhost:15000', 'sec-fetch-site': 'none' },
    {
      host: 'localhost:15000',
      'sec-fetch-site': 'cross-site',
      'sec-fetch-mode': 'navigate',
      'sec-fetch-dest': 'document',
    },
    {},
  ])('lets %j in', (headers) => {
    expect(refusal(headers, '127.0.0.1')).toBeUndefined();
  });

  it.each([
    { host: 'evil.example:15000' },
    { host: 'localhost.evil.example' },
    { host: '127.0.0.1.evil.example:15000' },
    { host: '203.0.113.7:15000' },
    { host: '' },
    { host: '[::1]evil' },
    { host: 'localhost:15000', origin: 'http://evil.example' },
    { host: 'localhost:15000', origin: 'http://localhost:8080' },
    { host: 'localhost:15000', origin: 'null' },
    { origin: 'http://localhost:15000' },
    { host: 'localhost:15000', 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' },
    {
      host: 'localhost:15000',
      'sec-fetch-site': 'cross-site',
      'sec-fetch-mode': 'navigate',
      'sec-fetch-dest': 'iframe',
    },
  ])('keeps %j out', (headers) => {
    expect(refusal(headers, '127.0.0.1')).toBeTypeOf('string');
  });

  it("takes the machine's own address, as a scraper of the pod uses it", (context) => {
    if (own === undefined) context.skip('this machine has no address but the loopback');
    expect(refusal({ host: `${own?.address}:15090` }, '127.0.0.1')).toBeUndefined();
  });
});
