import { WOVEN_SOURCE } from '../../observe/components.ts';

/** Where a machine instruction that V8 made comes from. */
export interface JitPlace {
  /** V8's name of the code: `JS:*parse file:///…`, `Builtin:…`. */
  readonly code: string;
  /** File that the instruction was compiled from, functions that were inlined included; '' when V8 does not say. */
  readonly file: string;
  /** From 1; 0 when V8 does not say. */
  readonly line: number;
}

const MAGIC = 0x4a695444;
const RECORD = { LOAD: 0, DEBUG_INFO: 2, CLOSE: 3 } as const;
const RECORD_HEAD_BYTES = 16;
const LAST_RECORD = 4;
const LONGEST_RUN_NS = 86_400_000_000_000n;
/** V8 adds the length of the ELF header that `perf inject` puts before each code to the addresses of its lines. */
const ELF_HEADER_BYTES = 0x40;
/** In the place of a name: the same as the entry before. */
const SAME_NAME = 0xff;
const MADE_OF_TEXT = /^JS:\S* :\d+:\d+$/;

interface Code {
  readonly start: number;
  readonly end: number;
  readonly name: string;
  /** Offsets into the code, ascending, and what lies behind each. */
  readonly offsets: readonly number[];
  readonly lines: readonly number[];
  readonly files: readonly string[];
  /** When it was made, nanoseconds of the monotonic clock. */
  readonly madeNs: number;
}

/**
 * What V8's `--perf-prof` wrote: the jitdump format of Linux (tools/perf/Documentation/jitdump-specification.txt). Unlike
 * the names alone, its line tables tell inlined functions apart.
 */
export class JitMap {
  private readonly codes: Code[] = [];
  private isSorted = true;

  /** Functions that it knows. */
  get size(): number {
    return this.codes.length;
  }

  /** @throws Error when it is no jitdump; a record that was cut off, because the process still wrote, ends it */
  static parse(dump: Buffer): JitMap {
    if (dump.length < 40 || dump.readUInt32LE(0) !== MAGIC) throw new Error('this is no jitdump file');
    const map = new JitMap();
    let debug: Pick<Code, 'offsets' | 'lines' | 'files'> & { at: number } = NO_DEBUG;
    // That of the header is of another clock.
    const begunNs = dump.length < 64 ? 0n : dump.readBigUInt64LE(dump.readUInt32LE(8) + 8);
    for (let at = dump.readUInt32LE(8); at >= 0 && at + RECORD_HEAD_BYTES <= dump.length; ) {
      const kind = dump.readUInt32LE(at);
      const size = dump.readUInt32LE(at + 4);
      if (at + size > dump.length) break;
      const body = dump.subarray(at + RECORD_HEAD_BYTES, at + size);
      if (kind === RECORD.DEBUG_INFO) debug = readDebugInfo(body);
      else if (kind === RECORD.LOAD) {
        const start = Number(body.readBigUInt64LE(16));
        const nameEnd = body.indexOf(0, 40);
        const known = debug.at === start ? debug : NO_DEBUG;
        map.add({
          start,
          end: start + Number(body.readBigUInt64LE(24)),
          name: withSource(body.toString('utf8', 40, nameEnd), known.files),
          madeNs: Number(dump.readBigUInt64LE(at + 8)),
          ...known,
        });
        debug = NO_DEBUG;
      } else if (kind === RECORD.CLOSE) break;
      at = isRecord(dump, at + size, begunNs) ? at + size : nextRecord(dump, at + RECORD_HEAD_BYTES, begunNs);
    }
    return map;
  }

  private add(code: Code): void {
    this.codes.push(code);
    this.isSorted = false;
  }

  /**
   * What was at the address then; V8 uses addresses again.
   *
   * @param isPassedOver - lines that tell nothing: in their place comes the nearest one before. Of functions that were put
   *   into each other V8 tells the innermost alone; what calls it lies before it.
   */
  find(
    address: number,
    timeNs: number,
    isPassedOver: (file: string, line: number) => boolean = () => false,
  ): JitPlace | undefined {
    if (!this.isSorted) {
      this.codes.sort((a, b) => a.start - b.start || a.madeNs - b.madeNs);
      this.isSorted = true;
    }
    let found: Code | undefined;
    // Code that begins at or before the address; of several, overlapping in time, the newest that existed.
    for (let i = upperBound(this.codes, address) - 1, steps = 0; i >= 0 && steps < 64; i--, steps++) {
      const code = this.codes[i] as Code;
      if (address >= code.end || code.madeNs > timeNs) continue;
      if (found === undefined || code.madeNs > found.madeNs) found = code;
    }
    if (found === undefined) return undefined;
    let entry = -1;
    for (let i = 0; i < found.offsets.length && (found.offsets[i] as number) <= address; i++) entry = i;
    while (entry >= 0 && isPassedOver(found.files[entry] as string, found.lines[entry] as number)) entry--;
    return { code: found.name, file: found.files[entry] ?? '', line: found.lines[entry] ?? 0 };
  }
}

/** The name of a function that was made of text, `JS:* :3:17`, has no source, but its lines do. */
function withSource(name: string, files: readonly string[]): string {
  const source = MADE_OF_TEXT.test(name) ? files.find((file) => file.startsWith(WOVEN_SOURCE)) : undefined;
  return source === undefined ? name : name.replace(' :', ` ${source}:`);
}

/** Whether a record can begin there. */
function isRecord(dump: Buffer, at: number, begunNs: bigint): boolean {
  if (at + RECORD_HEAD_BYTES > dump.length) return at <= dump.length;
  const size = dump.readUInt32LE(at + 4);
  if (dump.readUInt32LE(at) > LAST_RECORD || size < RECORD_HEAD_BYTES || at + size > dump.length) return false;
  const timeNs = dump.readBigUInt64LE(at + 8);
  return timeNs >= begunNs && timeNs - begunNs < LONGEST_RUN_NS;
}

/** V8 miscounts the length of some records: the next one is looked for. -1: there is none. */
function nextRecord(dump: Buffer, from: number, begunNs: bigint): number {
  for (let at = from; at + RECORD_HEAD_BYTES <= dump.length; at++) if (isRecord(dump, at, begunNs)) return at;
  return -1;
}

const NO_DEBUG = { at: -1, offsets: [], lines: [], files: [] };

function readDebugInfo(body: Buffer) {
  const offsets: number[] = [];
  const lines: number[] = [];
  const files: string[] = [];
  const count = Number(body.readBigUInt64LE(8));
  let at = 16;
  let file = '';
  for (let i = 0; i < count && at + 17 <= body.length; i++) {
    const address = Number(body.readBigUInt64LE(at)) - ELF_HEADER_BYTES;
    const line = body.readUInt32LE(at + 8);
    const nameEnd = body.indexOf(0, at + 16);
    if (nameEnd < 0) break;
    if (!(nameEnd === at + 17 && body[at + 16] === SAME_NAME)) file = body.toString('utf8', at + 16, nameEnd);
    offsets.push(address);
    lines.push(line);
    files.push(file);
    at = nameEnd + 1;
  }
  // V8 writes with each line the file of the line before. That of the last is not known; behind it lies what seldom runs of
  // the whole function.
  files.shift();
  files.push('');
  return { at: Number(body.readBigUInt64LE(0)), offsets, lines, files };
}

/** Index of the first code that begins behind the address. */
function upperBound(codes: readonly Code[], address: number): number {
  let low = 0;
  let high = codes.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((codes[middle] as Code).start <= address) low = middle + 1;
    else high = middle;
  }
  return low;
}
