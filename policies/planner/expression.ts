/** One column of a sum: what it adds when it is 1, or, as a complement, when it is 0. */
export interface Term {
  readonly column: number;
  /** Above 0. */
  readonly amount: number;
  readonly isComplement: boolean;
}

/**
 * A sum over a program's columns, none of which adds less than nothing. What a column adds when it is 0 is kept apart: as a
 * constant less the same amount it would leave nothing but rounding of smaller amounts.
 */
export class Expression {
  constant = 0;
  private readonly amounts = new Map<number, number>();
  private readonly complements = new Map<number, number>();

  /** Adds so much while the column is 1. @param amount not below 0 */
  add(column: number, amount: number): void {
    this.amounts.set(column, (this.amounts.get(column) ?? 0) + amount);
  }

  /** Adds so much while the column is 0. @param amount not below 0 */
  addComplement(column: number, amount: number): void {
    this.complements.set(column, (this.complements.get(column) ?? 0) + amount);
  }

  addAll(other: Expression, factor: number): void {
    this.constant += other.constant * factor;
    for (const [column, amount] of other.amounts) this.add(column, amount * factor);
    for (const [column, amount] of other.complements) this.addComplement(column, amount * factor);
  }

  valueAt(values: ArrayLike<number>): number {
    let sum = this.constant;
    for (const [column, amount] of this.amounts) sum += amount * values[column]!;
    for (const [column, amount] of this.complements) sum += amount * (1 - values[column]!);
    return sum;
  }

  /** The same sum with each column once, and with what is added whatever its columns are. */
  normal(): { readonly least: number; readonly terms: readonly Term[] } {
    let least = this.constant;
    const terms: Term[] = [];
    for (const column of new Set([...this.amounts.keys(), ...this.complements.keys()])) {
      const amount = this.amounts.get(column) ?? 0;
      const complement = this.complements.get(column) ?? 0;
      least += Math.min(amount, complement);
      if (amount !== complement)
        terms.push({ column, amount: Math.abs(amount - complement), isComplement: complement > amount });
    }
    return { least, terms };
  }
}
