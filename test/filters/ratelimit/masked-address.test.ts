import { expect, test } from 'vitest';
import { maskAddress } from '../../../filters/ratelimit/masked-address.ts';

test('an address becomes its range, in the canonical text', () => {
  const cases: [address: string, v4: number, v6: number, range: string | undefined][] = [
    ['10.200.3.4', 32, 128, '10.200.3.4/32'],
    ['10.200.3.4', 9, 128, '10.128.0.0/9'],
    ['255.255.255.255', 0, 128, '0.0.0.0/0'],
    ['255.255.255.255', 1, 128, '128.0.0.0/1'],
    ['2001:db8:1234:5678::1', 32, 128, '2001:db8:1234:5678::1/128'],
    ['2001:db8:1234:5678:ffff::1', 32, 45, '2001:db8:1230::/45'],
    ['ffff::1', 32, 0, '::/0'],
    ['::ffff:10.1.2.3', 16, 64, '10.1.0.0/16'],
    ['', 32, 128, undefined],
    ['/run/app.sock', 32, 128, undefined],
  ];
  for (const [address, v4, v6, range] of cases) expect(maskAddress(address, v4, v6)).toBe(range);
});
