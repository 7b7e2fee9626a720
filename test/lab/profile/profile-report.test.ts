import { expect, test } from 'vitest';
import { byDifference, bySize } from '../../../src/lab/profile/difference.ts';
import { compareInsideOutside } from '../../../src/lab/profile/inside-outside.ts';
import {
  PROFILE_SCHEMA,
  type ProfileReport,
  paperSums,
  partsOfSamples,
  unattributedShare,
} from '../../../src/lab/profile/profile-report.ts';
import { profileText } from '../../../src/lab/profile/profile-text.ts';

function reportOf(samples: Readonly<Record<string, number>>, cpuUsPerRequest = 20): ProfileReport {
  const parts = partsOfSamples(new Map(Object.entries(samples)), cpuUsPerRequest);
  return {
    schema: PROFILE_SCHEMA,
    startedAt: '2026-01-01T00:00:00.000Z',
    command: 'outrigger profile',
    machine: { cpu: 'cpu', cores: 2, kernel: '6', node: '26' },
    peer: { name: 'envoy', version: '1', description: 'd' },
    config: 'x.yaml',
    protocol: 'http',
    load: { tool: 'wrk', connections: 32, durationS: 5 },
    requests: 1000,
    requestsPerSecond: 200,
    cpuUsPerRequest,
    sampling: { event: 'cpu-clock (software)', hz: 1999, samples: 100 },
    parts,
    ...paperSums(parts),
    systemCalls: { tool: null, note: 'bpftrace is not installed', calls: [] },
    counters: { kind: 'software', note: 'none here', perRequest: {}, derived: {} },
    notes: [],
  };
}

test('samples divide the CPU time of a request, and nothing of it is lost', () => {
  const report = reportOf({ os_write: 50, 'filter/rbac': 20, unattributed: 5, os_read: 25 });
  expect(report.parts.map(({ part, usPerRequest }) => [part, usPerRequest])).toEqual([
    ['os_read', 5],
    ['filter/rbac', 4],
    ['os_write', 10],
    ['unattributed', 1],
  ]);
  expect(unattributedShare(report.parts)).toBe(0.05);
  for (const sums of [report.table2, report.meshInsight]) {
    expect(Object.values(sums).reduce((a, b) => a + b)).toBeCloseTo(20);
  }
  expect(report.table2).toMatchObject({ 'OS Write': 10, 'Sidecar Filter': 4, Unattributed: 1 });
});

test('user space without symbols is taken apart by difference, and marked so', () => {
  const whole = reportOf({ os_write: 50, user: 50 });
  const apart = byDifference(whole, {
    whole: [10, 20, 12],
    filters: [{ part: 'filter/rbac', userUs: [9, 18, 10] }],
    plain: { http: [8, 9, 7], tcp: [2, 4, 3] },
  });
  const part = (name: string) => apart.parts.find((one) => one.part === name);
  // Medians of the differences 1, 2, 2 and 6, 5, 4, at the report's 10 µs of user space against a median of 12.
  expect(part('filter/rbac')).toMatchObject({ basis: 'by difference' });
  expect(part('filter/rbac')?.usPerRequest).toBeCloseTo((2 * 10) / 12);
  expect(part('http_parse')?.usPerRequest).toBeCloseTo((5 * 10) / 12);
  expect(part('os_write')).toMatchObject({ basis: 'symbols', usPerRequest: 10 });
  expect(apart.parts.reduce((sum, { usPerRequest }) => sum + usPerRequest, 0)).toBeCloseTo(20);
  expect(apart.notes[0]).toContain('the median of 3 rounds');
});

test('a difference below 0 is shown as it is', () => {
  const apart = byDifference(reportOf({ user: 100 }), {
    whole: [10],
    filters: [{ part: 'filter/rbac', userUs: [11] }],
    plain: undefined,
  });
  expect(apart.parts.find(({ part }) => part === 'filter/rbac')?.share).toBeCloseTo(-0.1);
});

test('the text has both tables, says where figures come from, and what is missing', () => {
  const inside = { requests: 10, cpuUsPerRequest: 20, unattributedShare: 0, usPerRequest: { os_write: 9 } };
  const insideOutside = compareInsideOutside(
    inside,
    new Map([
      ['os_write', 50],
      ['unattributed', 50],
    ]),
    20,
  );
  const text = profileText({ ...reportOf({ os_write: 40, os_ipc: 10, user: 50 }), inside, insideOutside });
  for (const shown of ['Table 2', 'MeshInsight', 'IPC', 'bpftrace is not installed', 'none here', 'not taken apart'])
    expect(text).toContain(shown);
  expect(text).toMatch(/Write, both sides +9\.00 +10\.00 +−10\.0 %/);
  expect(text).toContain('on: 10.0 %');
});

test('TLS is what the same work costs less in clear text', () => {
  const apart = byDifference(reportOf({ os_write: 50, user: 50 }), {
    whole: [10, 12],
    filters: [],
    withoutTls: [7, 8],
    plain: { http: [7, 8], tcp: [3, 3] },
  });
  const us = (name: string) => apart.parts.find((one) => one.part === name)?.usPerRequest;
  expect(us('tls')).toBeCloseTo((3.5 * 10) / 11);
  expect(us('http_parse')).toBeCloseTo((4.5 * 10) / 11);
  expect(apart.parts.reduce((sum, { usPerRequest }) => sum + usPerRequest, 0)).toBeCloseTo(20);
  expect(apart.notes.join()).toContain('encryption');
});

function sized(bytes: number, ...users: number[]) {
  const reports = users.map((user) => reportOf({ user, os_write: 20 }, user + 20));
  return { bytes, reports };
}

test('sizes tell what a message costs from what its bytes cost, and how straight the line is', () => {
  const { bytes, rows, largestBend } = bySize([sized(4096, 16, 17), sized(0, 8, 9), sized(1024, 12, 13)]);
  expect(bytes).toEqual([0, 1024, 4096]);
  const user = rows.find(({ part }) => part === 'user');
  expect(user?.fixedUs).toBeCloseTo(8.5);
  expect(user?.usPerKib).toBeCloseTo(2);
  expect(rows.find(({ part }) => part === 'os_write')?.usPerKib).toBeCloseTo(0);
  expect(rows.at(-1)).toMatchObject({ part: 'all', measuredUs: [28.5, 32.5, 36.5] });
  // The line says 30.5 µs for 1 KiB.
  expect(largestBend).toBeCloseTo(2 / 32.5);
  const text = profileText({ ...reportOf({ user: 100 }), sizes: bySize([sized(100, 8), sized(1124, 10)]) });
  expect(text).toMatch(/All +27\.80 +2\.000 {2}by difference/);
  expect(text).toContain('Bodies of 100, 1124 bytes');
});

test('one size alone tells nothing', () => {
  expect(() => bySize([sized(100, 8)])).toThrow('one size');
});
