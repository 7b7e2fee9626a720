import { expect, test } from 'vitest';
import { compareInsideOutside } from '../../../src/lab/profile/inside-outside.ts';
import type { InsideView } from '../../../src/lab/profile/profile-report.ts';

function view(usPerRequest: Readonly<Record<string, number>>): InsideView {
  return { requests: 1000, cpuUsPerRequest: 20, unattributedShare: 0, usPerRequest };
}

function samples(counts: Readonly<Record<string, number>>): Map<string, number> {
  return new Map(Object.entries(counts));
}

test('parts that the probes cannot tell apart are compared as one, filters among themselves', () => {
  const inside = view({ os_write: 6, sidecar_write: 1, 'filter/a': 2, 'filter/b': 1, event_poll: 5, os_read: 5 });
  const outside = samples({ os_write: 20, os_ipc: 10, sidecar_write: 10, 'filter/x': 20, os_read: 40 });
  const { rows, total, largestDeviation } = compareInsideOutside(inside, outside, 20);
  const row = (title: string) => rows.find((one) => one.title === title);
  expect(row('Write, both sides')).toMatchObject({ inside: 7, outside: 8, share: 0.4 });
  expect(row('Write, both sides')?.deviation).toBeCloseTo(-1 / 8);
  expect(row('Filters')).toMatchObject({ inside: 3, outside: 4 });
  expect(row('Read and poll, both sides')?.deviation).toBeCloseTo(0.25);
  expect(largestDeviation).toBeCloseTo(0.25);
  expect(total).toMatchObject({ inside: 20, outside: 20, deviation: 0 });
});

test('what nobody knows outside is not held against the probes; a small row does not count for the largest deviation', () => {
  const { rows, total, largestDeviation } = compareInsideOutside(
    view({ os_write: 18, http_parse: 3 }),
    samples({ os_write: 90, http_parse: 4, unattributed: 6 }),
    20,
  );
  expect(total.outside).toBeCloseTo(18.8);
  expect(rows.find(({ title }) => title === 'Parsing and headers')?.deviation).toBeCloseTo(3 / 0.8 - 1);
  expect(largestDeviation).toBeCloseTo(0);
  expect(rows.find(({ title }) => title === 'Filters')?.deviation).toBeNull();
});

test('with TLS, reading and writing are one row, with the encryption that lies within both', () => {
  const { rows } = compareInsideOutside(
    view({ os_write: 8, sidecar_read: 4 }),
    samples({ os_write: 30, tls: 20, os_read: 10, routing: 40 }),
    20,
  );
  expect(rows[0]).toMatchObject({ title: 'Read, poll, write and TLS', inside: 12 });
  expect(rows[0]?.outside).toBeCloseTo(12);
});
