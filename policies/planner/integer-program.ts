/** A row of a program: `lower ≤ Σ coefficient · column ≤ upper`. */
export interface Row {
  readonly lower: number;
  readonly upper: number;
  readonly columns: readonly number[];
  readonly coefficients: readonly number[];
}

/** A program to minimise, as HiGHS takes it. */
export class IntegerProgram {
  readonly costs: number[] = [];
  readonly lowers: number[] = [];
  readonly uppers: number[] = [];
  readonly isInteger: boolean[] = [];
  readonly rows: Row[] = [];

  /** @returns the new column's index */
  addColumn(cost: number, { lower = 0, upper = 1, integer = true } = {}): number {
    this.costs.push(cost);
    this.lowers.push(lower);
    this.uppers.push(upper);
    this.isInteger.push(integer);
    return this.costs.length - 1;
  }

  addRow(lower: number, terms: readonly (readonly [column: number, coefficient: number])[], upper: number): void {
    this.rows.push({
      lower,
      upper,
      columns: terms.map(([column]) => column),
      coefficients: terms.map(([, one]) => one),
    });
  }

  /** A program of its own, with the same columns and rows. */
  copy(): IntegerProgram {
    const copy = new IntegerProgram();
    for (const key of ['costs', 'lowers', 'uppers'] as const) for (const one of this[key]) copy[key].push(one);
    for (const one of this.isInteger) copy.isInteger.push(one);
    for (const row of this.rows) copy.rows.push(row);
    return copy;
  }

  /** Leaves a column no choice. */
  fix(column: number, value: number): void {
    this.lowers[column] = value;
    this.uppers[column] = value;
  }

  /** The objective of values for its columns. */
  objective(values: ArrayLike<number>): number {
    return this.costs.reduce((sum, cost, column) => sum + cost * values[column]!, 0);
  }
}

/** A program as it crosses threads. */
export interface PackedProgram {
  readonly costs: Float64Array;
  readonly lowers: Float64Array;
  readonly uppers: Float64Array;
  readonly integers: Int32Array;
  readonly rowLowers: Float64Array;
  readonly rowUppers: Float64Array;
  readonly starts: Int32Array;
  readonly indices: Int32Array;
  readonly values: Float64Array;
}

export function pack(program: IntegerProgram): PackedProgram {
  const starts = new Int32Array(program.rows.length + 1);
  for (const [index, { columns }] of program.rows.entries()) starts[index + 1] = starts[index]! + columns.length;
  return {
    costs: Float64Array.from(program.costs),
    lowers: Float64Array.from(program.lowers),
    uppers: Float64Array.from(program.uppers),
    integers: Int32Array.from(program.isInteger, (one) => (one ? 1 : 0)),
    rowLowers: Float64Array.from(program.rows, ({ lower }) => lower),
    rowUppers: Float64Array.from(program.rows, ({ upper }) => upper),
    starts,
    indices: Int32Array.from(program.rows.flatMap(({ columns }) => columns)),
    values: Float64Array.from(program.rows.flatMap(({ coefficients }) => coefficients)),
  };
}
