import type { RequestHead } from '../message.ts';
import type { HashStream } from './hash-policy.ts';
import type { RouteEntry } from './route-entry.ts';

const UNSIGNED = /^\d{1,20}$/;

/** How one of several weighted clusters is chosen. */
export interface WeightedOptions {
  /** Lower-case name of a header whose number decides instead of chance; '' without. */
  readonly header: string;
  /** Whether the route's hash policy decides where it gives a hash. */
  readonly useHash: boolean;
  /** Numbers from 0 (included) to 1. */
  readonly random: () => number;
}

/** The entries of one route: one, or one for each weighted cluster. */
export class RouteChoice {
  readonly entries: readonly RouteEntry[];
  private readonly only: RouteEntry | undefined;
  /** Sums of the weights up to and with each entry. */
  private readonly bounds: readonly number[];
  private readonly total: number;
  private readonly options: WeightedOptions;

  constructor(entries: readonly RouteEntry[], weights: readonly number[], options: WeightedOptions) {
    this.entries = entries;
    this.only = entries.length === 1 ? entries[0] : undefined;
    let sum = 0;
    this.bounds = weights.map((weight) => {
      sum += weight;
      return sum;
    });
    this.total = sum;
    this.options = options;
  }

  pick(request: RequestHead, stream: HashStream): RouteEntry {
    if (this.only !== undefined) return this.only;
    const point = this.point(request, stream);
    const { bounds, entries } = this;
    let i = 0;
    while (i < bounds.length - 1 && point >= (bounds[i] as number)) i++;
    return entries[i] as RouteEntry;
  }

  /** A number from 0 to below the total weight. */
  private point(request: RequestHead, stream: HashStream): number {
    const { header, useHash, random } = this.options;
    if (header !== '') {
      const text = request.get(header);
      if (text !== undefined && UNSIGNED.test(text)) return Number(BigInt(text) % BigInt(this.total));
    }
    if (useHash) {
      const hash = this.entries[0]?.hash?.(stream);
      if (hash !== undefined) return hash.modulo(this.total);
    }
    return random() * this.total;
  }
}
