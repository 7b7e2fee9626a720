/** A register: r0 holds results, r1 to r5 arguments of calls, r6 to r9 survive calls, r10 is the end of the stack. */
export type Register = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10;

/** How many bytes a load or store moves. */
export type Width = 'u8' | 'u16' | 'u32' | 'u64';

/** Comparisons of a jump; `s` means signed. */
export type Comparison = '==' | '!=' | '>' | '>=' | '<' | '<=' | 's>' | 's>=' | 's<' | 's<=';

/** Classes, sizes and operations of the instruction set (RFC 9669, sections 4 and 5). */
const CLASS = { LD: 0x00, LDX: 0x01, ST: 0x02, STX: 0x03, JMP: 0x05, JMP32: 0x06, ALU64: 0x07 } as const;
const SIZE: Readonly<Record<Width, number>> = { u32: 0x00, u16: 0x08, u8: 0x10, u64: 0x18 };
const MODE = { IMM: 0x00, MEM: 0x60, ATOMIC: 0xc0 } as const;
const SOURCE_REGISTER = 0x08;
const ALU = { add: 0x00, sub: 0x10, and: 0x50, xor: 0xa0, mov: 0xb0 } as const;
const JUMP: Readonly<Record<Comparison, number>> = {
  '==': 0x10,
  '>': 0x20,
  '>=': 0x30,
  '!=': 0x50,
  's>': 0x60,
  's>=': 0x70,
  '<': 0xa0,
  '<=': 0xb0,
  's<': 0xc0,
  's<=': 0xd0,
};
const JUMP_ALWAYS = 0x00;
const CALL = 0x80;
const EXIT = 0x90;
const ATOMIC_EXCHANGE = 0xe1;
const ATOMIC_FETCH_ADD = 0x01;
/** In the source field of a 64-bit load: the constant is a map's descriptor. */
const PSEUDO_MAP_FD = 1;

interface Instruction {
  readonly opcode: number;
  readonly target: number;
  readonly source: number;
  readonly offset: number;
  readonly immediate: number;
  /** Where it jumps to; `offset` is computed when all labels are known. */
  readonly label?: string;
}

/**
 * Assembles a BPF program: one call per instruction, jumps to labels. Operands stand as in the text that bpftool and
 * the verifier's log print, target first.
 *
 * @example new Assembler().set(0, 1).exit().bytes()
 */
export class Assembler {
  private readonly instructions: Instruction[] = [];
  private readonly labels = new Map<string, number>();

  /** `target = value`, a signed 32-bit number. */
  set(target: Register, value: number): this {
    return this.emit(CLASS.ALU64 | ALU.mov, target, 0, 0, value);
  }

  /** `target = source` */
  copy(target: Register, source: Register): this {
    return this.emit(CLASS.ALU64 | ALU.mov | SOURCE_REGISTER, target, source, 0, 0);
  }

  /** `target op= value` */
  compute(target: Register, operation: 'add' | 'sub' | 'and' | 'xor', value: number): this {
    return this.emit(CLASS.ALU64 | ALU[operation], target, 0, 0, value);
  }

  /** `target op= source` */
  combine(target: Register, operation: 'add' | 'sub' | 'and' | 'xor', source: Register): this {
    return this.emit(CLASS.ALU64 | ALU[operation] | SOURCE_REGISTER, target, source, 0, 0);
  }

  /** `target = *(width *)(base + offset)` */
  load(width: Width, target: Register, base: Register, offset: number): this {
    return this.emit(CLASS.LDX | MODE.MEM | SIZE[width], target, base, offset, 0);
  }

  /** `*(width *)(base + offset) = source` */
  store(width: Width, base: Register, offset: number, source: Register): this {
    return this.emit(CLASS.STX | MODE.MEM | SIZE[width], base, source, offset, 0);
  }

  /** Atomically puts `register` into memory and what was there into `register`; a full barrier. */
  exchange(width: 'u32' | 'u64', base: Register, offset: number, register: Register): this {
    return this.emit(CLASS.STX | MODE.ATOMIC | SIZE[width], base, register, offset, ATOMIC_EXCHANGE);
  }

  /** Atomically adds `register` to memory and puts what was there into `register`; a full barrier. */
  fetchAdd(width: 'u32' | 'u64', base: Register, offset: number, register: Register): this {
    return this.emit(CLASS.STX | MODE.ATOMIC | SIZE[width], base, register, offset, ATOMIC_FETCH_ADD);
  }

  /** `target = ` the map behind a descriptor of this process. */
  loadMap(target: Register, fd: number): this {
    this.emit(CLASS.LD | MODE.IMM | SIZE.u64, target, PSEUDO_MAP_FD, 0, fd);
    return this.emit(0, 0, 0, 0, 0);
  }

  /** Calls a helper of the kernel by its number; r0 is the result, r1 to r5 are lost. */
  call(helper: number): this {
    return this.emit(CLASS.JMP | CALL, 0, 0, 0, helper);
  }

  exit(): this {
    return this.emit(CLASS.JMP | EXIT, 0, 0, 0, 0);
  }

  /** Names the next instruction. */
  label(name: string): this {
    if (this.labels.has(name)) throw new Error(`label ${name} is there twice`);
    this.labels.set(name, this.instructions.length);
    return this;
  }

  jump(label: string): this {
    return this.emit(CLASS.JMP | JUMP_ALWAYS, 0, 0, 0, 0, label);
  }

  /** Jumps when the 64 bits of `left` compare so to a constant, which is sign-extended. */
  jumpIf(left: Register, comparison: Comparison, value: number, label: string): this {
    return this.emit(CLASS.JMP | JUMP[comparison], left, 0, 0, value, label);
  }

  /** The same for the lower 32 bits of two registers: counters that wrap. */
  jumpIf32(left: Register, comparison: Comparison, right: Register, label: string): this {
    return this.emit(CLASS.JMP32 | JUMP[comparison] | SOURCE_REGISTER, left, right, 0, 0, label);
  }

  /** The program as the kernel takes it, eight bytes an instruction. @throws for a label that is nowhere */
  bytes(): Buffer<ArrayBuffer> {
    const program = Buffer.alloc(this.instructions.length * 8);
    this.instructions.forEach((one, index) => {
      const at = index * 8;
      program.writeUInt8(one.opcode, at);
      program.writeUInt8((one.source << 4) | one.target, at + 1);
      program.writeInt16LE(one.label === undefined ? one.offset : this.distance(index, one.label), at + 2);
      program.writeInt32LE(one.immediate, at + 4);
    });
    return program;
  }

  /** Jumps count from the instruction behind the jump. */
  private distance(from: number, label: string): number {
    const to = this.labels.get(label);
    if (to === undefined) throw new Error(`label ${label} is nowhere`);
    return to - from - 1;
  }

  private emit(
    opcode: number,
    target: number,
    source: number,
    offset: number,
    immediate: number,
    label?: string,
  ): this {
    this.instructions.push({ opcode, target, source, offset, immediate, ...(label === undefined ? {} : { label }) });
    return this;
  }
}
