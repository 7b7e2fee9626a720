import { getSystemErrorName } from 'node:util';
import { type Libc, libc } from './libc.ts';

/** Number of the system call bpf(2), by architecture. */
const BPF_CALL: Readonly<Record<string, bigint>> = { x64: 321n, arm64: 280n };

/** Commands, as in linux/bpf.h. */
const COMMAND = { MAP_CREATE: 0n, MAP_UPDATE_ELEM: 2n, MAP_DELETE_ELEM: 3n, PROG_LOAD: 5n, PROG_ATTACH: 8n } as const;

export const MAP_TYPE = { HASH: 1, ARRAY: 2, SOCKMAP: 15, RINGBUF: 27 } as const;
export const MAP_FLAG = { NO_PREALLOC: 1, MMAPABLE: 1 << 10 } as const;
export const PROGRAM_TYPE = { SK_SKB: 14 } as const;
export const ATTACH_TYPE = { SK_SKB_VERDICT: 38 } as const;

/** Longest log of the verifier that is kept, bytes. */
const LOG_BYTES = 256 * 1024;
const ATTRIBUTE_BYTES = 128;

export interface MapDefinition {
  /** At most 15 letters, digits and underscores: what bpftool shows. */
  readonly name: string;
  readonly type: number;
  readonly keyBytes: number;
  readonly valueBytes: number;
  readonly maxEntries: number;
  readonly flags?: number;
}

export interface ProgramDefinition {
  readonly name: string;
  readonly type: number;
  readonly attachType: number;
  /** Eight bytes an instruction. */
  readonly instructions: Buffer<ArrayBuffer>;
}

/** bpf(2) refused; `code` is the name of its error, EPERM where capabilities are missing. */
export class BpfError extends Error {
  readonly code: string;

  constructor(what: string, errno: number, log = '') {
    const code = errno === 0 ? 'ENOSYS' : getSystemErrorName(-errno);
    super(`${what}: ${code}${log === '' ? '' : `\n${log}`}`);
    this.code = code;
  }
}

/** Makes a map and gives its descriptor. @throws BpfError */
export function createMap(map: MapDefinition): number {
  const attributes = Buffer.alloc(ATTRIBUTE_BYTES);
  attributes.writeUInt32LE(map.type, 0);
  attributes.writeUInt32LE(map.keyBytes, 4);
  attributes.writeUInt32LE(map.valueBytes, 8);
  attributes.writeUInt32LE(map.maxEntries, 12);
  attributes.writeUInt32LE(map.flags ?? 0, 16);
  attributes.latin1Write(map.name.slice(0, 15), 28);
  return bpf(`making the bpf map ${map.name}`, COMMAND.MAP_CREATE, attributes);
}

/** Loads a program and gives its descriptor. @throws BpfError, with the verifier's log when it refused */
export function loadProgram(program: ProgramDefinition): number {
  const what = `loading the bpf program ${program.name}`;
  const attributes = Buffer.alloc(ATTRIBUTE_BYTES);
  const license = Buffer.from('Apache-2.0\0', 'latin1');
  const c = found(what);
  attributes.writeUInt32LE(program.type, 0);
  attributes.writeUInt32LE(program.instructions.length / 8, 4);
  attributes.writeBigUInt64LE(c.addressOf(program.instructions), 8);
  attributes.writeBigUInt64LE(c.addressOf(license), 16);
  attributes.latin1Write(program.name.slice(0, 15), 48);
  attributes.writeUInt32LE(program.attachType, 68);
  try {
    return bpf(what, COMMAND.PROG_LOAD, attributes);
  } catch (error) {
    if (!(error instanceof BpfError) || error.code === 'EPERM') throw error;
  }
  // Once more for the log alone: a program that loads needs none.
  const log = Buffer.alloc(LOG_BYTES);
  attributes.writeUInt32LE(1, 24);
  attributes.writeUInt32LE(log.length, 28);
  attributes.writeBigUInt64LE(c.addressOf(log), 32);
  return bpf(what, COMMAND.PROG_LOAD, attributes, () => log.latin1Slice(0, Math.max(0, log.indexOf(0))));
}

/** Attaches a program to a map of sockets. @throws BpfError */
export function attachProgram(programFd: number, mapFd: number, attachType: number): void {
  const attributes = Buffer.alloc(ATTRIBUTE_BYTES);
  attributes.writeUInt32LE(mapFd, 0);
  attributes.writeUInt32LE(programFd, 4);
  attributes.writeUInt32LE(attachType, 8);
  bpf('attaching the bpf program', COMMAND.PROG_ATTACH, attributes);
}

/** One map's elements; key and value lie in `key` and `value`, which the caller fills before each call. */
export class MapElements {
  readonly key: Buffer<ArrayBuffer>;
  readonly value: Buffer<ArrayBuffer>;
  private readonly name: string;
  private readonly attributes = Buffer.alloc(32);
  private readonly attributesAddress: bigint;
  private readonly c: Libc;

  constructor(name: string, fd: number, keyBytes: number, valueBytes: number) {
    this.name = name;
    this.c = found(`the bpf map ${name}`);
    this.key = Buffer.alloc(keyBytes);
    this.value = Buffer.alloc(valueBytes);
    this.attributes.writeUInt32LE(fd, 0);
    this.attributes.writeBigUInt64LE(this.c.addressOf(this.key), 8);
    this.attributes.writeBigUInt64LE(this.c.addressOf(this.value), 16);
    this.attributesAddress = this.c.addressOf(this.attributes);
  }

  /** Puts `value` at `key`. @returns undefined, or the name of the error. */
  update(): string | undefined {
    return this.run(COMMAND.MAP_UPDATE_ELEM, 32n);
  }

  /** Takes out what is at `key`. @returns undefined, or the name of the error. */
  remove(): string | undefined {
    // The kernel refuses attributes that the command does not have: here the value.
    return this.run(COMMAND.MAP_DELETE_ELEM, 16n);
  }

  private run(command: bigint, attributeBytes: bigint): string | undefined {
    const { c } = this;
    const result = c.syscall(callNumber(this.name), command, this.attributesAddress, attributeBytes, 0n, 0n);
    return result < 0n ? getSystemErrorName(-c.errno()) : undefined;
  }
}

function bpf(what: string, command: bigint, attributes: Buffer<ArrayBuffer>, log?: () => string): number {
  const c = found(what);
  const size = BigInt(attributes.length);
  const result = c.syscall(callNumber(what), command, c.addressOf(attributes), size, 0n, 0n);
  if (result < 0n) throw new BpfError(what, c.errno(), log?.());
  return Number(result);
}

function found(what: string): Libc {
  const c = libc();
  if (c === undefined) throw new BpfError(`${what} (libc cannot be reached)`, 0);
  return c;
}

function callNumber(what: string): bigint {
  const number = BPF_CALL[process.arch];
  if (number === undefined) throw new BpfError(`${what} (unknown on ${process.arch})`, 0);
  return number;
}
