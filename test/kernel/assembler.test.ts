import { expect, test } from 'vitest';
import { Assembler } from '../../src/kernel/assembler.ts';

/** The bytes of one instruction, as llvm-objdump prints them. */
function hex(program: Assembler): string[] {
  const text = program.bytes().toString('hex');
  return text.match(/.{16}/g) ?? [];
}

// The bytes on the right are the encoding of RFC 9669, as bpftool and llvm-objdump read them back.
test.each<[string, (program: Assembler) => Assembler, string[]]>([
  ['r0 = 1', (p) => p.set(0, 1), ['b700000001000000']],
  ['r1 = -2', (p) => p.set(1, -2), ['b7010000feffffff']],
  ['r6 = r1', (p) => p.copy(6, 1), ['bf16000000000000']],
  ['r2 += -8', (p) => p.compute(2, 'add', -8), ['07020000f8ffffff']],
  ['r3 ^= 1', (p) => p.compute(3, 'xor', 1), ['a703000001000000']],
  ['r3 -= r2', (p) => p.combine(3, 'sub', 2), ['1f23000000000000']],
  ['r2 += r7', (p) => p.combine(2, 'add', 7), ['0f72000000000000']],
  ['r7 = *(u32 *)(r6 + 0)', (p) => p.load('u32', 7, 6, 0), ['6167000000000000']],
  ['r2 = *(u64 *)(r9 + 8)', (p) => p.load('u64', 2, 9, 8), ['7992080000000000']],
  ['*(u64 *)(r10 - 8) = r0', (p) => p.store('u64', 10, -8, 0), ['7b0af8ff00000000']],
  ['*(u32 *)(r9 + 20) = r1', (p) => p.store('u32', 9, 20, 1), ['6319140000000000']],
  ['r1 = xchg32_32(r9 + 36, w1)', (p) => p.exchange('u32', 9, 36, 1), ['c3192400e1000000']],
  ['w1 = atomic_fetch_add((u32 *)(r9 + 20), w1)', (p) => p.fetchAdd('u32', 9, 20, 1), ['c319140001000000']],
  ['r1 = map 7 ll', (p) => p.loadMap(1, 7), ['1811000007000000', '0000000000000000']],
  ['call 46', (p) => p.call(46), ['850000002e000000']],
  ['exit', (p) => p.exit(), ['9500000000000000']],
])('%s', (_, build, bytes) => {
  expect(hex(build(new Assembler()))).toEqual(bytes);
});

test('jumps count from the instruction behind them, forward and back, a map’s address as two', () => {
  const program = new Assembler()
    .label('start')
    .jumpIf(7, '==', 0, 'end')
    .loadMap(1, 3)
    .jumpIf32(3, 's<', 7, 'start')
    .jump('end')
    .set(0, 0)
    .label('end')
    .exit();
  expect(hex(program)).toEqual([
    '1507050000000000',
    '1811000003000000',
    '0000000000000000',
    'ce73fcff00000000',
    '0500010000000000',
    'b700000000000000',
    '9500000000000000',
  ]);
});

test('a label that is nowhere, or there twice, is an error that names it', () => {
  expect(() => new Assembler().jump('away').bytes()).toThrow('label away is nowhere');
  expect(() => new Assembler().label('here').label('here')).toThrow('label here is there twice');
});
