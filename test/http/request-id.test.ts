import { expect, test } from 'vitest';
import { newRequestId } from '../../src/http/request-id.ts';

test('ids are random UUIDs (RFC 9562 §5.4), no two alike', () => {
  const ids = Array.from({ length: 10_000 }, newRequestId);
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(new Set(ids).size).toBe(ids.length);
  // Every digit that is not fixed takes every value.
  for (const at of [0, 7, 9, 15, 20, 24, 35]) expect(new Set(ids.map((id) => id[at])).size).toBe(16);
});
