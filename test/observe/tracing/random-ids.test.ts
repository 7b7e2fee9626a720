import { expect, test } from 'vitest';
import { newSpanId, newTraceId } from '../../../src/observe/tracing/random-ids.ts';

test('ids are hexadecimal and do not come again, beyond one draw of bytes', () => {
  const ids = new Set<string>();
  for (let i = 0; i < 2000; i++) {
    expect(newTraceId()).toMatch(/^[0-9a-f]{32}$/);
    const id = newSpanId();
    expect(id).toMatch(/^[0-9a-f]{16}$/);
    ids.add(id);
  }
  expect(ids.size).toBe(2000);
});
