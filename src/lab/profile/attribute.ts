import { componentOf, WOVEN_SOURCE } from '../../observe/components.ts';
import type { JitMap } from './jit-map.ts';
import { kernelPart } from './kernel-frames.ts';
import { nodePart } from './native-frames.ts';
import type { SourcePlaces } from './source-places.ts';
import type { Frame, Sample } from './stack-reader.ts';

/** What no rule knows. */
export const UNATTRIBUTED = 'unattributed';
/** User space of a program without symbols. */
export const USER = 'user';
/** The probes' own work, in the account that is held against theirs. */
export const PROBE = 'probe';
/** Connections, streams, the chain of filters and routes: what filters call, too. */
const CORE: ReadonlySet<string> = new Set(['packet_processing', 'routing']);

/** Tells the part of a sample: a component's id, `filter/<name>`, `user` or `unattributed`. */
export type Attribution = (sample: Sample) => string;

/** For programs without symbols: the kernel's side by symbols, user space as one. */
export function attributeKernel({ frames }: Sample): string {
  const kernel = leadingKernel(frames);
  if (kernel.length === 0) return frames.length === 0 ? UNATTRIBUTED : USER;
  return kernelPart(kernel, frames[kernel.length]);
}

/** For Outrigger: the innermost frame that shows a part decides, as it does for the probes within the proxy. */
export function attributeOutrigger(jit: JitMap, places: SourcePlaces): Attribution {
  return ({ frames, timeNs }) => {
    const kernel = leadingKernel(frames);
    // What user space caused without a call, a page fault for one, is the kernel's all the same.
    if (kernel.length > 0) return kernelPart(kernel, frames[kernel.length]);
    return userPart(frames, timeNs, jit, places) ?? lostPart(frames) ?? UNATTRIBUTED;
  };
}

/**
 * The same as the probes see it, to whom garbage collection, compilation, page faults and interrupts are a part of what
 * they interrupt, and who take their own work out.
 */
export function attributeInterrupted(jit: JitMap, places: SourcePlaces): Attribution {
  const direct = attributeOutrigger(jit, places);
  return (sample) => {
    const user = sample.frames.slice(leadingKernel(sample.frames).length);
    if (isProbes(user, sample.timeNs, jit)) return PROBE;
    const part = direct(sample);
    if (part !== 'runtime' && part !== 'kernel_other') return part;
    return userPart(user, sample.timeNs, jit, places, 'runtime') ?? lostPart(user) ?? UNATTRIBUTED;
  };
}

const ALLOCATOR =
  /^(?:_int_(?:malloc|free|realloc)|(?:__libc_)?(?:malloc|calloc|realloc)|cfree|free|malloc_consolidate|unlink_chunk)\b/;

/**
 * A stack that ends at the allocator: of those that call it, Node is compiled with frame pointers, by which its stacks go
 * on, and OpenSSL is not.
 */
function lostPart([leaf, caller]: readonly Frame[]): string | undefined {
  const isLost = caller === undefined || caller.symbol === '';
  return leaf !== undefined && isLost && ALLOCATOR.test(leaf.symbol) ? 'tls' : undefined;
}

const PROBES = /\/src\/(?:probe\/|kernel\/thread-clock)/;

/** Whether the innermost file of ours is one of the probes. */
function isProbes(frames: readonly Frame[], timeNs: number, jit: JitMap): boolean {
  for (const [index, { address, symbol }] of frames.entries()) {
    if (symbol !== '' && !symbol.startsWith('JS:')) continue;
    const place = jit.find(instructionAt(address, index), timeNs);
    const file = [place?.file ?? '', place?.code ?? ''].find((text) => text.includes('/src/'));
    if (file !== undefined) return PROBES.test(file);
  }
  return false;
}

/**
 * An address in what a frame of user space was doing. Of a caller the stack has the address to return to, which may be
 * that of the next line already, inlined from another file perhaps: the call is the byte before.
 */
function instructionAt(address: number, index: number): number {
  return index === 0 ? address : address - 1;
}

/**
 * The innermost part; what a filter calls of the proxy's core is the filter's, unless the probes tell the two apart.
 *
 * @param except - a part that does not count: the frames around are asked
 */
function userPart(
  frames: readonly Frame[],
  timeNs: number,
  jit: JitMap,
  places: SourcePlaces,
  except = '',
): string | undefined {
  let core: string | undefined;
  for (const [index, frame] of frames.entries()) {
    const address = instructionAt(frame.address, index);
    const js = jsParts({ ...frame, address }, timeNs, jit, places, index === 0);
    for (const part of js?.parts ?? [nativePart(frame)]) {
      if (part === undefined || part === '' || part === except) continue;
      if (CORE.has(part)) core ??= part;
      else return core === undefined || componentOf(part).id === 'filter' ? part : core;
    }
    if (core !== undefined && js?.isEntry === true) return core;
  }
  return core;
}

function leadingKernel(frames: readonly Frame[]): readonly Frame[] {
  const end = frames.findIndex(({ isKernel }) => !isKernel);
  return end < 0 ? frames : frames.slice(0, end);
}

function nativePart({ symbol }: Frame): string | undefined {
  return symbol === '' ? undefined : nodePart(symbol);
}

/**
 * Parts of what was compiled into each other, the innermost first; undefined for what is no JavaScript.
 *
 * What calls a builtin is missing in stacks that were taken before that has a frame of its own. A function that the probes
 * put around a method calls nothing else, so what it is found to call is the method's; its own instructions are its caller's.
 */
function jsParts(
  { address, symbol }: Frame,
  timeNs: number,
  jit: JitMap,
  places: SourcePlaces,
  isLeaf: boolean,
): { readonly parts: readonly (string | undefined)[]; readonly isEntry: boolean } | undefined {
  if (symbol !== '' && !symbol.startsWith('JS:')) return undefined;
  const isPassedOver = (file: string, line: number): boolean =>
    file.startsWith(WOVEN_SOURCE) ? isLeaf : places.partOf(file, line) === '';
  const place = jit.find(address, timeNs, isPassedOver);
  if (place === undefined) return undefined;
  const inner = place.file === '' ? undefined : places.partOf(place.file, place.line);
  const own = /(?:^| )((?:file:\/\/|node:|woven:|\/)\S*?):(\d+):\d+$/.exec(place.code);
  if (own === null) return { parts: [inner], isEntry: false };
  const [file, line] = [own[1] as string, Number(own[2])];
  return { parts: [inner, places.partOf(file, line)], isEntry: places.isCoreEntry(file, line) };
}
