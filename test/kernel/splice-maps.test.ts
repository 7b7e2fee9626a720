import { closeSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Assembler } from '../../src/kernel/assembler.ts';
import {
  ATTACH_TYPE,
  BpfError,
  createMap,
  loadProgram,
  MAP_TYPE,
  MapElements,
  PROGRAM_TYPE,
} from '../../src/kernel/bpf.ts';
import { createSpliceMaps } from '../../src/kernel/splice-maps.ts';
import { SpliceSet } from '../../src/kernel/splice-set.ts';
import { spliceProblem } from '../support/splice.ts';

const problem = spliceProblem();

test('a program that the verifier refuses gives its log', (context) => {
  if (problem !== undefined) context.skip(`needs bpf(2): ${problem}`);
  const load = (instructions: Buffer<ArrayBuffer>): number =>
    loadProgram({
      name: 'refused',
      type: PROGRAM_TYPE.SK_SKB,
      attachType: ATTACH_TYPE.SK_SKB_VERDICT,
      instructions,
    });
  // r0 was never set.
  expect(() => load(new Assembler().exit().bytes())).toThrow(/loading the bpf program refused: EACCES\n.*R0 !read_ok/s);
  const fd = load(new Assembler().set(0, 1).exit().bytes());
  expect(fd).toBeGreaterThan(2);
  closeSync(fd);
});

test('an error names what was wanted and the kernel’s reason', (context) => {
  if (problem !== undefined) context.skip(`needs bpf(2): ${problem}`);
  const wrong = (): number =>
    createMap({ name: 'wrong', type: MAP_TYPE.SOCKMAP, keyBytes: 3, valueBytes: 4, maxEntries: 1 });
  expect(wrong).toThrow(BpfError);
  expect(wrong).toThrow('making the bpf map wrong: EINVAL');
});

test('what is put into a map can be taken out again, and makes room', (context) => {
  if (problem !== undefined) context.skip(`needs bpf(2): ${problem}`);
  const fd = createMap({ name: 'two', type: MAP_TYPE.HASH, keyBytes: 8, valueBytes: 4, maxEntries: 2 });
  const map = new MapElements('two', fd, 8, 4);
  const at = (key: number): MapElements => {
    map.key.writeUInt32LE(key);
    return map;
  };
  expect([at(1).update(), at(2).update(), at(3).update()]).toEqual([undefined, undefined, 'E2BIG']);
  expect([at(1).remove(), at(1).remove()]).toEqual([undefined, 'ENOENT']);
  expect(at(3).update()).toBeUndefined();
  closeSync(fd);
});

test('slots come in pairs, and come back', (context) => {
  if (problem !== undefined) context.skip(`needs bpf(2): ${problem}`);
  const set = new SpliceSet(createSpliceMaps());
  const first = set.acquire();
  const second = set.acquire();
  expect([first % 2, second % 2, first === second]).toEqual([0, 0, false]);
  set.setTakenBytes(first, 2 ** 32 + 5);
  expect(set.redirectedBytes(first)).toBe(0);
  set.release(first);
  expect(set.acquire()).toBe(first);
  let more = 0;
  while (!set.isFull) {
    set.acquire();
    more++;
  }
  expect(more).toBe(2046);
});
