import { expect, test } from 'vitest';
import {
  PAPER_STATEMENTS,
  paperMicros,
  TABLE3,
  TABLE4,
  table3Error,
  table3Row,
} from '../../../src/lab/characterize/paper-columns.ts';

test('Table 3 adds up as the paper says: an estimate of a mix is the sum of its filters', () => {
  const filter = (name: string): number => TABLE3[name]!.filterActual!;
  expect(TABLE3.iprate_iptag!.filterEstimate).toBe(filter('ratelimit') + filter('iptag'));
  expect(filter('header_read') + filter('ratelimit') + filter('iptag') + filter('logging')).toBe(
    TABLE3.mix_2!.filterEstimate,
  );
});

test('a total is estimated as that of HTTP and the filter’s own cycles', () => {
  for (const { filterActual, totalEstimate } of Object.values(TABLE3)) {
    if (filterActual === undefined) continue;
    // Both are rounded to a tenth of a thousand.
    expect(Math.abs(TABLE3.http!.totalActual + filterActual - totalEstimate!)).toBeLessThanOrEqual(100);
  }
});

test('the printed percentages of filters are the errors of its numbers with the other sign', () => {
  for (const { printed, ...row } of Object.values(TABLE3)) {
    if (printed?.filter === undefined) continue;
    expect(-table3Error(row, 'filter')!).toBeCloseTo(Number.parseFloat(printed.filter), 1);
  }
  // Of the totals only the first is: that is why the errors are calculated here.
  expect(-table3Error(TABLE3.header_read!, 'total')!).toBeCloseTo(1.22, 1);
  expect(-table3Error(TABLE3.mix_2!, 'total')!).toBeCloseTo(10.66, 1);
  expect(table3Error(TABLE3.http!, 'total')).toBeUndefined();
});

test('rows are found by the names that configurations have here', () => {
  expect(table3Row('header_metadata')?.policy).toBe('Header Proc.');
  expect(table3Row('iptag')?.policy).toBe('IP Tag (1)');
  expect(table3Row('mix_2')?.policy).toBe('HTTP Mix 2');
  // More filters than Table 3 has in its Mix 2.
  expect(table3Row('http_mix')).toBeUndefined();
  for (const name of ['tcp', '', 'constructor', '__proto__']) expect(table3Row(name)).toBeUndefined();
});

test('cycles are microseconds at 2.4 GHz', () => {
  expect(paperMicros(350_500)).toBeCloseTo(146.04, 2);
});

test('Table 4: conditional branches and misses are within all that retire', () => {
  const [all, ...others] = TABLE4;
  for (const { total, miss } of others) {
    expect(total).toBeLessThan(all.total);
    expect(miss).toBeLessThan(all.miss);
  }
});

test('every statement says where it stands', () => {
  for (const { text, source } of PAPER_STATEMENTS) {
    expect(text).not.toBe('');
    expect(source).toMatch(/^(§|Figure|appendix|Table)/);
  }
});
