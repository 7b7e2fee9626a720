import { execFileSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { JitMap } from '../../../src/lab/profile/jit-map.ts';

const BASE = 0x7f00_0000_0000;
/** What V8 adds to the addresses of lines. */
const ELF_HEADER_BYTES = 0x40;

function header(): Buffer {
  const bytes = Buffer.alloc(40);
  bytes.writeUInt32LE(0x4a695444, 0);
  bytes.writeUInt32LE(1, 4);
  bytes.writeUInt32LE(40, 8);
  return bytes;
}

function record(kind: number, timeNs: number, body: Buffer, extraBytes = 0): Buffer {
  const head = Buffer.alloc(16);
  head.writeUInt32LE(kind, 0);
  head.writeUInt32LE(16 + body.length + extraBytes, 4);
  head.writeBigUInt64LE(BigInt(timeNs), 8);
  return Buffer.concat([head, body]);
}

function load(name: string, offset: number, size: number, timeNs: number): Buffer {
  const body = Buffer.alloc(40);
  body.writeBigUInt64LE(BigInt(BASE + offset), 16);
  body.writeBigUInt64LE(BigInt(size), 24);
  return record(0, timeNs, Buffer.concat([body, Buffer.from(`${name}\0`), Buffer.alloc(size)]));
}

function debug(
  offset: number,
  timeNs: number,
  entries: readonly [offset: number, line: number, file: string][],
  extraBytes = 0,
): Buffer {
  const head = Buffer.alloc(16);
  head.writeBigUInt64LE(BigInt(BASE + offset), 0);
  head.writeBigUInt64LE(BigInt(entries.length), 8);
  const parts = entries.map(([at, line], index) => {
    // As V8 does: each line comes with the file of the one before.
    const file = entries[Math.max(index - 1, 0)]?.[2] ?? '';
    const entry = Buffer.alloc(16);
    entry.writeBigUInt64LE(BigInt(BASE + at + ELF_HEADER_BYTES), 0);
    entry.writeUInt32LE(line, 8);
    return Buffer.concat([entry, Buffer.from(file, 'latin1'), Buffer.from([0])]);
  });
  return record(2, timeNs, Buffer.concat([head, ...parts]), extraBytes);
}

test('lines of helpers are passed over, to the one before that calls them', () => {
  const entries: [number, number, string][] = [
    [0, 1, '/p/src/chain.ts'],
    [10, 5, '/p/filters/tags.ts'],
    [20, 7, '/p/src/headers.ts'],
    [30, 9, '/p/src/headers.ts'],
    [40, 2, '/p/src/chain.ts'],
    [60, 3, '/p/src/chain.ts'],
  ];
  const name = 'JS:*run /p/src/chain.ts:1:1';
  const map = JitMap.parse(Buffer.concat([header(), debug(0, 100, entries), load(name, 0, 64, 100)]));
  const isHelper = (file: string): boolean => file.includes('headers');
  expect(map.find(BASE + 35, 200)).toMatchObject({ file: '/p/src/headers.ts', line: 9 });
  expect(map.find(BASE + 35, 200, isHelper)).toMatchObject({ file: '/p/filters/tags.ts', line: 5 });
  expect(map.find(BASE + 45, 200, isHelper)).toMatchObject({ file: '/p/src/chain.ts', line: 2 });
  expect(map.find(BASE + 35, 200, () => true)).toEqual({ code: name, file: '', line: 0 });
});

test('an address is told by code, file and line, inlined functions by their own file', () => {
  const entries: [number, number, string][] = [
    [10, 5, '/p/src/a.ts'],
    [20, 7, '/p/src/b.ts'],
    [30, 9, '\xff'],
    [40, 11, '/p/src/a.ts'],
  ];
  const map = JitMap.parse(
    Buffer.concat([header(), debug(0, 100, entries), load('JS:*a /p/src/a.ts:1:1', 0, 64, 100)]),
  );
  expect(map.find(BASE + 5, 200)).toEqual({ code: 'JS:*a /p/src/a.ts:1:1', file: '', line: 0 });
  expect(map.find(BASE + 12, 200)).toMatchObject({ file: '/p/src/a.ts', line: 5 });
  expect(map.find(BASE + 20, 200)).toMatchObject({ file: '/p/src/b.ts', line: 7 });
  expect(map.find(BASE + 39, 200)).toMatchObject({ file: '/p/src/b.ts', line: 9 });
  expect(map.find(BASE + 63, 200)).toMatchObject({ line: 11 });
  expect(map.find(BASE + 64, 200)).toBeUndefined();
  expect(map.find(BASE + 12, 50)).toBeUndefined();
});

test('an address that was used again belongs to what was there at the time', () => {
  const map = JitMap.parse(Buffer.concat([header(), load('old', 0, 32, 100), load('new', 16, 32, 300)]));
  expect(map.find(BASE + 20, 200)?.code).toBe('old');
  expect(map.find(BASE + 20, 400)?.code).toBe('new');
});

test('records behind one whose length is wrong are found again', () => {
  const wrong = debug(0, 100, [[0, 1, '/p/src/a.ts']], 6);
  const map = JitMap.parse(Buffer.concat([header(), wrong, load('one', 0, 32, 110), load('two', 64, 32, 120)]));
  expect(map.find(BASE + 70, 200)?.code).toBe('two');
});

test('a cut file gives what is whole, and another file is refused', () => {
  const whole = Buffer.concat([header(), load('one', 0, 32, 100), load('two', 64, 32, 120)]);
  expect(JitMap.parse(whole.subarray(0, whole.length - 3)).find(BASE + 1, 200)?.code).toBe('one');
  expect(() => JitMap.parse(Buffer.alloc(64))).toThrow('this is no jitdump file');
  expect(JitMap.parse(header()).size).toBe(0);
});

/** Code that V8 compiled, and the lines that it told of it. */
interface Dumped {
  readonly start: number;
  readonly size: number;
  readonly lines: readonly number[];
}

/** @param files - by name, beside the script */
function dumpOf(script: string, files: Readonly<Record<string, string>> = {}): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'jit-map-'));
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    // Compiled at once, however busy the machine is: the script may be over before another thread has done it.
    execFileSync(process.execPath, ['--perf-prof', '--no-concurrent-recompilation', '-e', script], { cwd: folder });
    return readFileSync(join(folder, globSync('jit-*.dump', { cwd: folder })[0] as string));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function readDump(dump: Buffer): Dumped[] {
  const found: Dumped[] = [];
  let lines: number[] = [];
  for (let at = dump.readUInt32LE(8); at + 16 <= dump.length; ) {
    const [kind, size] = [dump.readUInt32LE(at), dump.readUInt32LE(at + 4)];
    const body = dump.subarray(at + 16, at + size);
    if (kind === 2) {
      lines = [];
      let next = 16;
      for (let left = Number(body.readBigUInt64LE(8)); left > 0 && next + 17 <= body.length; left--) {
        lines.push(Number(body.readBigUInt64LE(next)));
        next = body.indexOf(0, next + 16) + 1;
        if (next === 0) break;
      }
    } else if (kind === 0) {
      found.push({ start: Number(body.readBigUInt64LE(16)), size: Number(body.readBigUInt64LE(24)), lines });
      lines = [];
    }
    at += Math.max(size, 16);
  }
  return found.filter((code) => code.lines.length > 0);
}

test('this Node’s V8 adds an ELF header to the addresses of lines, as is taken off again', () => {
  const dump = dumpOf(
    'function f(x) { let s = 0; for (let i = 0; i < 1000; i++) s += (x * i) | 0; return s; } for (let k = 0; k < 2e4; k++) f(k);',
  );
  const codes = readDump(dump);
  expect(codes.length).toBeGreaterThan(3);
  const first = Math.min(...codes.map(({ start, lines }) => Math.min(...lines) - start));
  expect(first).toBe(ELF_HEADER_BYTES);
});

test('this Node’s V8 tells a line’s file one line late, as is put right again', () => {
  const inner = `${'\n'.repeat(50)}exports.inner = (x) => {
  const { a } = x;
  return a + x.b;
};`;
  const outer = `const { inner } = require('./inner.cjs');
exports.outer = (x) => {
  let sum = 0;
  for (let i = 0; i < 100; i++) sum += inner(x) + x.c;
  return sum;
};`;
  const dump = dumpOf(
    "const { outer } = require('./outer.cjs'); for (let k = 0; k < 2e4; k++) outer({ a: k, b: 1, c: 2 });",
    {
      'inner.cjs': inner,
      'outer.cjs': outer,
    },
  );
  const map = JitMap.parse(dump);
  const seen = new Set<string>();
  for (const { start, lines } of readDump(dump)) {
    for (const address of lines.slice(0, -1)) {
      const { code, file, line } = map.find(address - ELF_HEADER_BYTES, Number.MAX_SAFE_INTEGER) ?? { code: '' };
      if (!code.includes('exports.outer') || address < start) continue;
      seen.add(`${file?.endsWith('inner.cjs')} ${(line ?? 0) > 50}`);
    }
  }
  expect([...seen].sort()).toEqual(['false false', 'true true']);
});

test('this Node’s V8 names a function made of text by its source, also where it is inlined', () => {
  const dump = dumpOf(
    `const inner = new Function('return function (x) { return x.a + x.b; };\\n//# sourceURL=woven:filter%2Fa%20b')();
function outer(x) { let s = 0; for (let i = 0; i < 100; i++) s += inner(x); return s; }
for (let k = 0; k < 2e4; k++) outer({ a: k, b: 1 });`,
  );
  const map = JitMap.parse(dump);
  const found = readDump(dump).flatMap(({ start, lines }) =>
    lines.map((address) => ({ start, ...map.find(address - ELF_HEADER_BYTES, Number.MAX_SAFE_INTEGER) })),
  );
  const source = 'woven:filter%2Fa%20b';
  expect(found.some(({ code }) => code?.includes(` ${source}:`))).toBe(true);
  expect(found.some(({ code, file }) => code?.includes("'outer ") && file === source)).toBe(true);
});
