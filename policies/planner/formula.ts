/** A variable or its negation: `2 · variable`, plus one for the negation. */
export type Literal = number;

export function holds(variable: number): Literal {
  return variable * 2;
}

export function fails(variable: number): Literal {
  return variable * 2 + 1;
}

export function negated(literal: Literal): Literal {
  return literal ^ 1;
}

export function variableOf(literal: Literal): number {
  return literal >> 1;
}

/** One of at most two literals holds. */
export type Clause = readonly [Literal] | readonly [Literal, Literal];

/** Clauses of at most two literals, with an assignment that grows by implication and can be taken back. */
export class Formula {
  readonly clauses: readonly Clause[];
  /** Per variable: 1, 0, or -1 while nothing decides it. */
  readonly values: Int8Array;
  /** Literals that follow, by literal. */
  private readonly implied: (readonly Literal[])[];
  private readonly trail: Literal[] = [];

  constructor(variables: number, clauses: readonly Clause[]) {
    this.clauses = clauses;
    this.values = new Int8Array(variables).fill(-1);
    const implied: Literal[][] = Array.from({ length: variables * 2 }, () => []);
    for (const [first, second] of clauses) {
      if (second === undefined) continue;
      implied[negated(first)]!.push(second);
      implied[negated(second)]!.push(first);
    }
    this.implied = implied;
  }

  /** Makes the clauses of one literal hold; false when they contradict each other. */
  propagateUnits(): boolean {
    return this.clauses.every(([literal, second]) => second !== undefined || this.assume(literal));
  }

  isTrue(literal: Literal): boolean {
    return this.values[variableOf(literal)] === 1 - (literal & 1);
  }

  isFalse(literal: Literal): boolean {
    return this.values[variableOf(literal)] === (literal & 1);
  }

  /** Where the assignment stands, for {@link undo}. */
  mark(): number {
    return this.trail.length;
  }

  /** What was assigned since the mark. */
  since(mark: number): readonly Literal[] {
    return this.trail.slice(mark);
  }

  undo(mark: number): void {
    while (this.trail.length > mark) this.values[variableOf(this.trail.pop()!)] = -1;
  }

  /** Assigns a literal and all that follows from it; takes everything back and answers false on a contradiction. */
  assume(literal: Literal): boolean {
    const mark = this.trail.length;
    if (this.isTrue(literal)) return true;
    if (this.isFalse(literal)) return false;
    this.assign(literal);
    for (let at = mark; at < this.trail.length; at++) {
      for (const next of this.implied[this.trail[at]!]!) {
        if (this.isTrue(next)) continue;
        if (this.isFalse(next)) {
          this.undo(mark);
          return false;
        }
        this.assign(next);
      }
    }
    return true;
  }

  /**
   * Assigns every variable that nothing decides yet, the preferred value first; false when that cannot be. Clauses of two
   * literals never need to look back further than one decision (Even, Itai, Shamir 1976).
   */
  complete(prefer: (variable: number) => boolean): boolean {
    for (let variable = 0; variable < this.values.length; variable++) {
      if (this.values[variable] !== -1) continue;
      const wanted = prefer(variable) ? holds(variable) : fails(variable);
      if (!this.assume(wanted) && !this.assume(negated(wanted))) return false;
    }
    return true;
  }

  private assign(literal: Literal): void {
    this.values[variableOf(literal)] = 1 - (literal & 1);
    this.trail.push(literal);
  }
}
