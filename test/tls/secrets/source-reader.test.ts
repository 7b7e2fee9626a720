import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { SourceReader } from '../../../src/tls/secrets/source-reader.ts';

const folder = mkdtempSync(join(tmpdir(), 'outrigger-sources-'));
const file = join(folder, 'ca.pem');

afterAll(() => rmSync(folder, { recursive: true }));

test('reads text, bytes, files and environment variables', () => {
  const reader = new SourceReader();
  process.env.OUTRIGGER_TEST_SOURCE = 'from the environment';
  writeFileSync(file, 'from a file');
  expect(reader.read({ inline_string: 'text' }, 'x').toString()).toBe('text');
  expect(reader.read({ inline_bytes: Buffer.from('bytes') }, 'x').toString()).toBe('bytes');
  expect(reader.read({ filename: file }, 'x').toString()).toBe('from a file');
  expect(reader.read({ environment_variable: 'OUTRIGGER_TEST_SOURCE' }, 'x').toString()).toBe('from the environment');
  delete process.env.OUTRIGGER_TEST_SOURCE;
  expect(() => reader.read({ environment_variable: 'OUTRIGGER_TEST_SOURCE' }, 'key')).toThrow(
    'key: the environment variable OUTRIGGER_TEST_SOURCE is not set',
  );
  expect(() => reader.read({ filename: join(folder, 'no') }, 'key')).toThrow(/^cannot read key: ENOENT/);
});

test('knows its files, also one that is missing, and when one reads differently', () => {
  const reader = new SourceReader();
  const late = join(folder, 'late.pem');
  writeFileSync(file, 'a');
  reader.read({ filename: file }, 'x');
  expect(() => reader.read({ filename: late }, 'x')).toThrow();
  expect([...reader.watched]).toEqual([file, late]);
  expect(reader.changed()).toBe(false);
  writeFileSync(file, 'a');
  expect(reader.changed()).toBe(false);
  writeFileSync(late, 'here');
  expect(reader.changed()).toBe(true);
  const other = new SourceReader();
  other.read({ filename: file }, 'x');
  rmSync(file);
  expect(other.changed()).toBe(false);
  writeFileSync(file, 'b');
  expect(other.changed()).toBe(true);
});

test('where a folder is given, that is what is followed', () => {
  const reader = new SourceReader();
  writeFileSync(file, 'a');
  reader.read({ filename: file }, 'x', { path: folder });
  expect([...reader.watched]).toEqual([folder]);
});

test('the fingerprint is that of everything that was read, wherever it lies in a message', () => {
  const of = (text: string): string => {
    const reader = new SourceReader();
    reader.readAll({ trusted_ca: { inline_string: 'ca' }, domains: [{ bundle: { inline_string: text } }], depth: 3 });
    return reader.fingerprint();
  };
  expect(of('one')).toBe(of('one'));
  expect(of('one')).not.toBe(of('two'));
});
