import type { Meter } from './meter.ts';

type Method = (this: unknown, ...args: unknown[]) => unknown;

/** What a woven method does besides being timed. All are called only in events that are timed. */
export interface Weaving {
  /** Part that it belongs to; undefined leaves it with whom it was called by. */
  readonly part?: number;
  /** Before the method. */
  readonly before?: (self: never, ...args: never[]) => void;
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

/** Makes a timed function; compiled anew for each method, so that V8 knows which one it calls and may inline it. */
type Maker = (meter: Meter, method: Method, part: number, before?: Method, after?: Method) => Method;

/** A function that does what `method` does, timed. It is called with all six arguments: none of ours has more, or counts them. */
export function timed(meter: Meter, method: Method, { part, before, after }: Weaving): Method {
  const enter = part === undefined ? '' : 'const outside = meter.enter(part);';
  const leave = part === undefined ? '' : 'meter.leave(outside);';
  const args = 'this, a, b, c, d, e, f';
  const source = `return function (a, b, c, d, e, f) {
    if (!meter.active) return method.call(${args});
    ${before === undefined ? '' : `before(${args});`}
    ${enter}
    let done = false;
    try {
      const result = method.call(${args});
      done = true;
      return result;
    } finally {
      if (meter.active) {
        ${leave}
        ${after === undefined ? '' : `if (done) after(${args});`}
      }
    }
  };`;
  const make = new Function('meter', 'method', 'part', 'before', 'after', source) as Maker;
  return make(meter, method, part ?? 0, before as Method | undefined, after as Method | undefined);
}
