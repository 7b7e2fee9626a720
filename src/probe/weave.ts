import { wovenSource } from '../observe/components.ts';
import type { Meter } from './meter.ts';

type Method = (this: unknown, ...args: unknown[]) => unknown;

/** What a woven method does besides being timed. All are called only in events that are timed. */
export interface Weaving {
  /** Part that it belongs to; undefined leaves it with whom it was called by. */
  readonly part?: number;
  /** Before the method. */
  readonly before?: (self: never, ...args: never[]) => void;
  /** Counts requests, those of events that nobody times too. */
  readonly isRequest?: boolean;
  /** What the method is called on, where that is not what the woven one is called on. A bound method would be slower. */
  readonly receiver?: object;
  /** Parameters of the method, where it does not show them itself. */
  readonly arity?: number;
  /** After it, unless it threw. */
  readonly after?: (self: never, ...args: never[]) => void;
}

/** Methods that took the place of others, by what they replaced: for whoever wants to know whether one is woven. */
const originals = new WeakMap<object, Method>();

export function isWoven(method: unknown): boolean {
  return typeof method === 'function' && originals.has(method);
}

/**
 * Puts timed methods into the place of methods of a prototype or object, until they are taken out again. Nothing of it
 * is there before, or after: an unwoven method has no branch for the probe.
 */
export class Loom {
  private readonly meter: Meter;
  private readonly undo: (() => void)[] = [];

  constructor(meter: Meter) {
    this.meter = meter;
  }

  /** @throws Error when there is no such method: the code has changed, and its time would be counted elsewhere */
  weave(target: object, name: string, weaving: Weaving): void {
    const owner = target as Record<string, unknown>;
    const found = owner[name];
    if (typeof found !== 'function') throw new Error(`there is no method ${name} to time`);
    const own = Object.getOwnPropertyDescriptor(target, name);
    this.replace(target, name, timed(this.meter, found as Method, weaving), own);
  }

  /** Puts `method` into the place of one as it is. */
  substitute(target: object, name: string, make: (original: Method) => Method): void {
    const own = Object.getOwnPropertyDescriptor(target, name);
    const original = (target as Record<string, unknown>)[name] as Method;
    this.replace(target, name, make(original), own);
  }

  private replace(target: object, name: string, method: Method, own: PropertyDescriptor | undefined): void {
    const before = (target as Record<string, unknown>)[name] as Method;
    originals.set(method, before);
    Object.defineProperty(target, name, {
      value: method,
      writable: true,
      configurable: true,
      enumerable: own?.enumerable ?? false,
    });
    this.undo.push(() => {
      if (own === undefined) delete (target as Record<string, unknown>)[name];
      else Object.defineProperty(target, name, own);
    });
  }

  /** Everything is as it was. */
  unweave(): void {
    for (const restore of this.undo.splice(0).reverse()) restore();
  }
}

/** Timed functions that were made. */
let sources = 0;

/** Makes a timed function. */
type Maker = (
  meter: Meter,
  method: Method,
  part: number,
  before: Method | undefined,
  after: Method | undefined,
  receiver: object | undefined,
) => Method;

/**
 * A function that does what `method` does, timed.
 *
 * It is compiled anew for each method, so that V8 knows which one it calls. Each source has a number: of equal ones V8 keeps
 * in one place what it has seen them call. What an untimed event passes through is as short as can be, with constants in the
 * place of variables, so that V8 puts it and the method where they are called. Otherwise events that nobody times would cost
 * a tenth more.
 */
export function timed(
  meter: Meter,
  method: Method,
  { part, before, after, arity, isRequest, receiver }: Weaving,
): Method {
  const names = Array.from({ length: arity ?? arityOf(method) }, (_, index) => `a${index}`);
  const args = ['this', ...names].join(', ');
  const selfArgs = ['self', ...names].join(', ');
  const callArgs = [receiver === undefined ? 'self' : 'receiver', ...names].join(', ');
  const untimedArgs = [receiver === undefined ? 'this' : 'receiver', ...names].join(', ');
  const source = `// ${++sources}
    const meter = meterOf, method = methodOf, part = partOf, before = beforeOf, after = afterOf, receiver = receiverOf;
    function timed(${selfArgs}) {
      ${before === undefined ? '' : `before(${selfArgs});`}
      ${part === undefined ? '' : 'const outside = meter.enter(part);'}
      try {
        const result = method.call(${callArgs});
        ${after === undefined ? '' : `if (meter.active) after(${selfArgs});`}
        return result;
      } finally {
        ${part === undefined ? '' : 'if (meter.active) meter.leave(outside);'}
      }
    }
    return function (${names.join(', ')}) {
      ${isRequest === true ? 'meter.requests++;' : ''}
      return meter.active ? timed(${args}) : method.call(${untimedArgs});
    };
    //# sourceURL=${wovenSource(part === undefined ? '' : (meter.parts.names[part] as string))}`;
  const make = new Function('meterOf', 'methodOf', 'partOf', 'beforeOf', 'afterOf', 'receiverOf', source) as Maker;
  const made = make(meter, method, part ?? 0, before as Method | undefined, after as Method | undefined, receiver);
  originals.set(made, method);
  return made;
}

/** Parameters that a function declares, those with defaults included, which `length` leaves out. */
export function arityOf(method: Method): number {
  const source = method.toString();
  let depth = 0;
  let commas = 0;
  let isEmpty = true;
  for (let i = source.indexOf('('); i < source.length; i++) {
    const char = source[i] as string;
    if (char === ')' && depth === 1) return Math.max(isEmpty ? 0 : commas + 1, method.length);
    if ('([{'.includes(char)) depth++;
    else if (')]}'.includes(char)) depth--;
    else if (char === ',' && depth === 1) commas += /^,\s*\)/.test(source.slice(i, i + 20)) ? 0 : 1;
    if (depth > 1 || !/[\s(]/.test(char)) isEmpty = false;
  }
  return method.length;
}
