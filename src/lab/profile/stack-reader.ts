/** One function of a stack. */
export interface Frame {
  readonly address: number;
  /** '' when there is no symbol. */
  readonly symbol: string;
  readonly isKernel: boolean;
  /** The file that it lies in: a program, a library, or perf's name for what was made at run time. */
  readonly object: string;
}

/** Where a thread was when the clock struck: the innermost frame first. */
export interface Sample {
  readonly threadId: number;
  readonly timeNs: number;
  readonly frames: readonly Frame[];
}

const HEAD = /^\s*(\d+)\s+(\d+)\.(\d+):/;
const FRAME = /^\s+([0-9a-f]+) (.*) \(([^()]*(?:\([^()]*\)[^()]*)*)\)$/;

/**
 * Reads what `perf script -F tid,time,ip,sym,dso` writes, as it comes. Lines that are neither a sample's head nor a frame
 * are left out: perf warns in between.
 */
export class StackReader {
  private readonly onSample: (sample: Sample) => void;
  private rest = '';
  private current: { threadId: number; timeNs: number; frames: Frame[] } | undefined;

  constructor(onSample: (sample: Sample) => void) {
    this.onSample = onSample;
  }

  write(text: string): void {
    const lines = (this.rest + text).split('\n');
    this.rest = lines.pop() ?? '';
    for (const line of lines) this.line(line);
  }

  /** Nothing more comes. */
  end(): void {
    if (this.rest !== '') this.line(this.rest);
    this.rest = '';
    this.finish();
  }

  private line(line: string): void {
    if (line === '') {
      this.finish();
      return;
    }
    const frame = FRAME.exec(line);
    if (frame !== null && this.current !== undefined) {
      const [, address = '', symbol = '', object = ''] = frame;
      const isKernel = object.startsWith('[kernel') || object === '[guest.kernel.kallsyms]' || object === '[bpf]';
      this.current.frames.push({
        address: Number.parseInt(address, 16),
        symbol: symbol === '[unknown]' ? '' : symbol,
        isKernel,
        object,
      });
      return;
    }
    const head = HEAD.exec(line);
    if (head === null) return;
    this.finish();
    const [, threadId, seconds, fraction = ''] = head;
    this.current = {
      threadId: Number(threadId),
      timeNs: Number(seconds) * 1e9 + Number(fraction.padEnd(9, '0')),
      frames: [],
    };
  }

  private finish(): void {
    if (this.current !== undefined) this.onSample(this.current);
    this.current = undefined;
  }
}
