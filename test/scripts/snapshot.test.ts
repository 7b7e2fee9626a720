import { expect, test } from 'vitest';
import { withoutSpareCode } from '../../scripts/snapshot.ts';

/** A list as Node writes it: a count, then names and contents, each behind its length. */
function codeList(entries: readonly (readonly [name: string, code: string])[]): Buffer {
  const parts = entries.flatMap(([name, code]) => [number(name.length), name, number(code.length), code]);
  return Buffer.concat([number(entries.length), ...parts.map((part) => Buffer.from(part))]);
}

function number(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

const HEAP = Buffer.from('what V8 wrote, with numbers in it: \x0c\0\0\0\0\0\0\0 \x02\0\0\0\0\0\0\0ab');
const MODULES = Array.from({ length: 12 }, (_, i) => [`internal/module_${i}`, 'code'.repeat(i)] as const);

test('leaves of the code of Node’s modules what may be loaded later, and the rest of the snapshot as it is', () => {
  const all = codeList([MODULES[0]!, ['http', 'code of http'], ...MODULES.slice(1), ['_http_server', '']]);
  const kept = codeList([
    ['http', 'code of http'],
    ['_http_server', ''],
  ]);
  expect(withoutSpareCode(Buffer.concat([HEAP, all])).toString('latin1')).toBe(
    Buffer.concat([HEAP, kept]).toString('latin1'),
  );
});

test.each([
  ['without a list', HEAP],
  ['with something behind the list', Buffer.concat([HEAP, codeList(MODULES), Buffer.from('more')])],
  ['that is cut off', Buffer.concat([HEAP, codeList(MODULES)]).subarray(0, -3)],
])('refuses a file %s', (_, file) => {
  expect(() => withoutSpareCode(file)).toThrow('not found in the snapshot');
});
