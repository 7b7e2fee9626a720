import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** How long Node may take to build a snapshot. */
const DEADLINE_MS = 60_000;

/** Node's own modules that are no part of the snapshot and that an ordinary run may come to load: their code stays. */
const LOADED_LATER =
  /^(?:_http_\w+|internal\/http|http|module|worker_threads|internal\/worker(?:\/.*)?|dns|internal\/dns\/.*|internal\/fs\/watchers|internal\/source_map\/source_map|internal\/deps\/amaro\/.*|internal\/async_local_storage\/.*|internal\/freelist)$/;

/**
 * Has Node build the start-up snapshot of a bundle of `run` (`build-snapshot.cjs`).
 *
 * @param configurations - files whose first listener answers HTTP requests with 200
 * @param snapshot - the file to write
 */
export async function buildSnapshot(
  bundle: string,
  configurations: readonly string[],
  snapshot: string,
): Promise<void> {
  const builder = join(import.meta.dirname, 'build-snapshot.cjs');
  // Options and switches of the one who builds would be those of all who start.
  const { NODE_OPTIONS: _options, OUTRIGGER_PORTABLE_IO: _io, ...env } = process.env;
  await promisify(execFile)(process.execPath, ['--snapshot-blob', snapshot, '--build-snapshot', builder], {
    env: { ...env, BUNDLE: bundle, WARM_UP: JSON.stringify(configurations) },
    timeout: DEADLINE_MS,
  });
  writeFileSync(snapshot, withoutSpareCode(readFileSync(snapshot)));
}

interface CodeList {
  readonly start: number;
  readonly entries: readonly { readonly name: string; readonly bytes: Buffer }[];
}

/**
 * A snapshot without the code that V8 has for Node's own modules, but for those that may be loaded later: Node reads and
 * copies all 4 MB of it at every start, and compiles what is missing. Node's option to leave it out would clear the code
 * of the bundle too. The list stands at the end: a count, then names and contents, each behind its length (64 bits).
 *
 * @throws where no such list is found
 */
export function withoutSpareCode(snapshot: Buffer): Buffer {
  for (let start = 0; start < snapshot.length - 16; start++) {
    if (!isCount(snapshot, start, 10, 5000) || !isCount(snapshot, start + 8, 1, 200)) continue;
    const list = readList(snapshot, start);
    if (list === undefined) continue;
    const kept = list.entries.filter(({ name }) => LOADED_LATER.test(name)).map(({ bytes }) => bytes);
    const count = Buffer.alloc(8);
    count.writeUInt32LE(kept.length);
    return Buffer.concat([snapshot.subarray(0, list.start), count, ...kept]);
  }
  throw new Error('the code of Node’s modules was not found in the snapshot: does this Node write it in another form?');
}

/** The list that begins here and ends with the file. */
function readList(snapshot: Buffer, start: number): CodeList | undefined {
  const entries: { name: string; bytes: Buffer }[] = [];
  const count = snapshot.readUInt32LE(start);
  let at = start + 8;
  while (entries.length < count) {
    const from = at;
    if (!isCount(snapshot, at, 1, 200)) return undefined;
    const nameEnd = at + 8 + snapshot.readUInt32LE(at);
    const name = snapshot.toString('latin1', at + 8, nameEnd);
    if (!/^[\w/.-]+$/.test(name) || !isCount(snapshot, nameEnd, 0, snapshot.length)) return undefined;
    at = nameEnd + 8 + snapshot.readUInt32LE(nameEnd);
    if (at > snapshot.length) return undefined;
    entries.push({ name, bytes: snapshot.subarray(from, at) });
  }
  return at === snapshot.length ? { start, entries } : undefined;
}

/** Whether a 64-bit number within these bounds stands here. */
function isCount(bytes: Buffer, at: number, min: number, max: number): boolean {
  if (at + 8 > bytes.length || bytes.readUInt32LE(at + 4) !== 0) return false;
  const count = bytes.readUInt32LE(at);
  return count >= min && count <= max;
}
