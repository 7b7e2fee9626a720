import { expect, test } from 'vitest';
import { type Sample, StackReader } from '../../../src/lab/profile/stack-reader.ts';

const TEXT = `19842 35977.203273001:
	ffffffff82012053 tcp_recvmsg_locked ([kernel.kallsyms])
	           f82ec read (/usr/lib/x86_64-linux-gnu/libc.so.6)
	    7fb4382cc473 [unknown] (/tmp/perf-19842.map)
	         78896f node::StreamBase::JSMethod<&(int node::StreamBase::WriteString<(node::encoding)4>(v8::Local<v8::Value> const&))> (/opt/node (copy)/bin/node)

Warning: 3 samples lost
19843 35977.5:
	         161bf6c uv__stream_io (/opt/node)
`;

function read(...pieces: string[]): Sample[] {
  const samples: Sample[] = [];
  const reader = new StackReader((sample) => samples.push(sample));
  for (const piece of pieces) reader.write(piece);
  reader.end();
  return samples;
}

test('samples are read with their frames, the innermost first', () => {
  const [first, second] = read(TEXT);
  expect(first).toMatchObject({ threadId: 19842, timeNs: 35_977_203_273_001 });
  expect(first?.frames.map(({ symbol, isKernel }) => [symbol.slice(0, 24), isKernel])).toEqual([
    ['tcp_recvmsg_locked', true],
    ['read', false],
    ['', false],
    ['node::StreamBase::JSMeth', false],
  ]);
  expect(first?.frames[2]).toMatchObject({ address: 0x7fb4382cc473, object: '/tmp/perf-19842.map' });
  expect(first?.frames[3]?.object).toBe('/opt/node (copy)/bin/node');
  expect(second).toMatchObject({ threadId: 19843, timeNs: 35_977_500_000_000 });
  expect(second?.frames).toHaveLength(1);
});

test('the text may come in any pieces', () => {
  expect(read(...TEXT)).toEqual(read(TEXT));
});

test('a text without samples, or cut off, is no error', () => {
  expect(read('')).toEqual([]);
  expect(read('\tffff tcp (x)\nnoise\n')).toEqual([]);
  expect(read(TEXT.slice(0, 120))).toHaveLength(1);
});
