import { afterEach, beforeEach, expect, test } from 'vitest';
import { compileLocalTime } from '../../../src/observe/format/start-time.ts';

const SUMMER = Date.UTC(2026, 6, 1, 22, 30, 5, 120);
const WINTER = Date.UTC(2026, 11, 31, 23, 30, 5);
let zone: string | undefined;

beforeEach(() => {
  zone = process.env.TZ;
});
afterEach(() => {
  if (zone === undefined) delete process.env.TZ;
  else process.env.TZ = zone;
});

test('times are those of the clock on the wall, with the offset of the season', () => {
  process.env.TZ = 'Europe/Berlin';
  const format = compileLocalTime('%Y-%m-%d %H:%M:%S %z %s');
  expect(format(SUMMER)).toBe('2026-07-02 00:30:05 +0200 1782945005');
  expect(format(WINTER)).toBe('2027-01-01 00:30:05 +0100 1798759805');
});

test('west of Greenwich, and half an hour off', () => {
  process.env.TZ = 'America/St_Johns';
  expect(compileLocalTime('%H:%M %z')(SUMMER)).toBe('20:00 -0230');
});

test('zones have their short names', () => {
  process.env.TZ = 'America/New_York';
  expect(compileLocalTime('%Z')(SUMMER)).toBe('EDT');
  process.env.TZ = 'UTC';
  expect(compileLocalTime('%Z %z')(SUMMER)).toBe('UTC +0000');
});

test('without a format the offset stands behind the milliseconds', () => {
  process.env.TZ = 'Asia/Tokyo';
  expect(compileLocalTime('')(SUMMER)).toBe('2026-07-02T07:30:05.120+0900');
});
