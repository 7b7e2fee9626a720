import fc from 'fast-check';
import { expect, test } from 'vitest';
import { StreamTable } from '../../../src/http/http2/stream-table.ts';

test('does what a map does, whatever ids are open at once', () => {
  const id = fc.oneof(
    fc.nat(200),
    fc.nat(0x7fffffff),
    fc.nat(40).map((n) => 1 + n * 2048),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), id), { maxLength: 300 }), (steps) => {
      const table = new StreamTable<{ id: number }>();
      const map = new Map<number, { id: number }>();
      for (const [adds, id] of steps) {
        if (adds && !map.has(id)) {
          const stream = { id };
          table.add(stream);
          map.set(id, stream);
        } else if (!adds) {
          table.delete(id);
          map.delete(id);
        }
        expect(table.get(id)).toBe(map.get(id));
        expect(table.size).toBe(map.size);
      }
      expect(new Set(table.values())).toEqual(new Set(map.values()));
      for (const [id, stream] of map) expect(table.get(id)).toBe(stream);
    }),
  );
});

test('streams may be removed while they are gone through', () => {
  const table = new StreamTable<{ id: number }>();
  for (let id = 1; id < 200; id += 2) table.add({ id });
  for (const { id } of table.values()) table.delete(id);
  expect(table.size).toBe(0);
  expect(table.values()).toEqual([]);
});
