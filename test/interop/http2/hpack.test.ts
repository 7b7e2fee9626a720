import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HpackEncoder } from '../../../src/http/http2/hpack/encoder.ts';
import { step } from '../../http/http2/hpack/arbitrary-fields.ts';
import { createDecoder, decodeBlock, encodeBlock, hex } from '../../http/http2/hpack/hpack-fixture.ts';

type Fields = [name: string, value: string, sensitive: boolean][];
interface Step {
  settings: number[];
  fields: Fields;
}
interface Answer {
  error?: string;
  fields?: Fields;
  block?: string;
  tableBytes?: number;
}

const CONNECTIONS = 150;
const BLOCKS = 25;
const HPACK_VERSION = '4.1.0';
const LIMIT_MS = 120_000;
const FOLDER = join(import.meta.dirname, '..', '..', '..', '.bench', 'hpack');
const SCRIPT = join(import.meta.dirname, 'hpack-peer.py');

function run(program: string, args: string[], input = ''): { ok: boolean; output: string } {
  const options = { encoding: 'utf8', input, maxBuffer: 1 << 28, timeout: LIMIT_MS } as const;
  const result = spawnSync(program, args, options);
  return { ok: result.status === 0, output: result.status === 0 ? result.stdout : `${result.error ?? result.stderr}` };
}

/** Python with PyPI's hpack, in a virtual environment that is made once; undefined where that cannot be. */
function pythonWithHpack(): string | undefined {
  const python = join(FOLDER, 'bin', 'python');
  const isThere = (): boolean => existsSync(python) && run(python, ['-c', 'import hpack']).ok;
  if (isThere()) return python;
  mkdirSync(FOLDER, { recursive: true });
  run('python3', ['-m', 'venv', FOLDER]);
  run(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', `hpack==${HPACK_VERSION}`]);
  return isThere() ? python : undefined;
}

function pythonWithNghttp2(): string | undefined {
  return run('python3', ['-c', 'import ctypes; ctypes.CDLL("libnghttp2.so.14")']).ok ? 'python3' : undefined;
}

const PEERS = [
  { peer: 'hpack', find: pythonWithHpack, missing: 'needs python3 with venv, and hpack from PyPI' },
  { peer: 'nghttp2', find: pythonWithNghttp2, missing: 'needs python3 and libnghttp2.so.14' },
] as const;

function ask(python: string, peer: string, task: 'encode' | 'decode', connections: unknown[]): Answer[][] {
  const { ok, output } = run(python, [SCRIPT], JSON.stringify({ peer, task, connections }));
  if (!ok) throw new Error(output);
  return JSON.parse(output) as Answer[][];
}

/** What some connections send: the same at every run. */
function conversations(seed: number): Step[][] {
  const connection = fc.array(step, { minLength: BLOCKS, maxLength: BLOCKS });
  return fc.sample(connection, { seed, numRuns: CONNECTIONS }).map((steps) =>
    steps.map(([settings, fields]) => ({
      settings,
      fields: fields.map(([name, value, sensitive = false]) => [name, value, sensitive]),
    })),
  );
}

function pairsOf(fields: Fields): [string, string][] {
  return fields.map(([name, value]) => [name, value]);
}

describe.for(PEERS)('$peer', ({ peer, find, missing }) => {
  test('decodes what our encoder writes, and keeps the same table', { timeout: 3 * LIMIT_MS }, (context) => {
    const python = find();
    if (python === undefined) return context.skip(missing);
    const sent = conversations(1).map((steps, i) => {
      const encoder = new HpackEncoder(i % 3 === 0 ? 65_536 : (i * 61) % 8192);
      return steps.map(({ settings, fields }) => {
        for (const bytes of settings) encoder.setPeerTableBytes(bytes);
        return {
          settings,
          fields,
          block: encodeBlock(encoder, fields).toString('hex'),
          tableBytes: encoder.tableBytes,
        };
      });
    });
    const answers = ask(python, peer, 'decode', sent);
    for (const [i, steps] of sent.entries()) {
      for (const [k, { fields, tableBytes }] of steps.entries()) {
        const answer = answers[i]?.[k];
        expect(answer?.error, `connection ${i}, block ${k}`).toBeUndefined();
        expect(pairsOf(answer?.fields ?? [])).toEqual(pairsOf(fields));
        expect(answer?.tableBytes).toBe(tableBytes);
        for (const [n, [, , sensitive]] of fields.entries()) if (sensitive) expect(answer?.fields?.[n]?.[2]).toBe(true);
      }
    }
  });

  test('writes what our decoder reads, which keeps the same table', { timeout: 3 * LIMIT_MS }, (context) => {
    const python = find();
    if (python === undefined) return context.skip(missing);
    const sent = conversations(2).map((steps, i) => steps.map((one) => ({ ...one, huffman: i % 2 === 0 })));
    const answers = ask(python, peer, 'encode', sent);
    for (const [i, steps] of sent.entries()) {
      const decoder = createDecoder(65_536);
      for (const [k, { fields }] of steps.entries()) {
        const answer = answers[i]?.[k];
        expect(answer?.error).toBeUndefined();
        const decoded = decodeBlock(decoder, hex(answer?.block ?? ''));
        expect(decoded.error, `connection ${i}, block ${k}`).toBe('');
        expect(decoded.list.malformed).toBe('');
        expect(decoded.fields).toEqual(pairsOf(fields));
        expect(decoder.tableBytes).toBe(answer?.tableBytes);
        // PyPI's refers to an entry of its table for a sensitive field too.
        if (peer === 'nghttp2')
          for (const [n, [, , sensitive]] of fields.entries())
            if (sensitive) expect(decoded.list.sensitive[n]).toBe(true);
      }
    }
  });

  test('finds fault with the same blocks', { timeout: 3 * LIMIT_MS }, (context) => {
    const python = find();
    if (python === undefined) return context.skip(missing);
    // Blocks of ours with one byte changed; each is a connection of its own.
    const changes = fc.sample(fc.tuple(step, fc.nat(), fc.nat(255)), { seed: 3, numRuns: 5000 });
    const blocks = changes.map(([[, fields], at, byte]) => {
      const block = encodeBlock(new HpackEncoder(4096), fields);
      if (block.length > 0) block[at % block.length] = byte;
      return block;
    });
    const answers = ask(
      python,
      peer,
      'decode',
      blocks.map((block) => [{ settings: [], block: block.toString('hex') }]),
    );
    let faults = 0;
    for (const [i, block] of blocks.entries()) {
      const decoded = decodeBlock(createDecoder(), block);
      const answer = answers[i]?.[0];
      expect(decoded.error === '', `${block.toString('hex')}: ${decoded.error}, ${peer}: ${answer?.error}`).toBe(
        answer?.error === undefined,
      );
      if (decoded.error === '') expect(decoded.fields).toEqual(pairsOf(answer?.fields ?? []));
      else faults++;
    }
    expect(faults).toBeGreaterThan(100);
  });
});
