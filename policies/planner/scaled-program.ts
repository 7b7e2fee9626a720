import type { Expression, Term } from './expression.ts';
import type { IntegerProgram } from './integer-program.ts';

/**
 * Costs and capacities may lie fifteen decimal powers apart, and a solver's arithmetic tells about ten from each other. So
 * rows and objectives are written in units of what is asked: a limit, or a plan that is there and is to be bettered. What
 * alone goes beyond that is ruled out by itself and leaves the sum, and what is nothing beside it is nothing.
 */

/** What a limit or the plan to be bettered becomes. HiGHS keeps rows to within 1e-6, and drops coefficients below 1e-9. */
const SCALE = 1e5;
/** Rounding of sums of doubles, with a margin. */
const ROUNDING = 1e-9;
const NO_LIMIT = Number.POSITIVE_INFINITY;

/** A program with its objective in other units. */
export interface ScaledProgram {
  readonly program: IntegerProgram;
  /** No solution has less; the objective's own unit. */
  readonly least: number;
  /** From the program's objective, and bounds of it, to the objective's own unit. */
  readonly toValue: (objective: number) => number;
  readonly scale: number;
  /** Values of the columns that this program has beside those of the one it is made of. */
  readonly more: readonly number[];
}

/** Adds `expression ≤ upper`. */
export function addLimit(program: IntegerProgram, expression: Expression, upper: number): void {
  const { least, terms } = expression.normal();
  const room = upper - least;
  const rounding = ROUNDING * upper;
  // A row without columns that asks for something: nothing is possible.
  if (room < -rounding) {
    program.addRow(1, [], NO_LIMIT);
    return;
  }
  const inside = terms.filter((term) => {
    if (term.amount <= room + rounding) return true;
    program.addRow(term.isComplement ? 1 : 0, [[term.column, 1]], term.isComplement ? 1 : 0);
    return false;
  });
  const scale = terms.every(({ amount }) => amount === 1) ? 1 : SCALE / Math.max(room, rounding);
  if (inside.length > 0 && room > 0) addScaledRow(program, inside, scale, room * scale);
}

/** The program that makes the expression small. @param upper its value in a solution that is there */
export function minimising(base: IntegerProgram, expression: Expression, upper: number): ScaledProgram {
  const program = base.copy();
  const { least, terms } = expression.normal();
  const room = Math.max(0, upper - least);
  const scale = terms.every(({ amount }) => amount === 1) || room === 0 ? 1 : SCALE / room;
  let offset = 0;
  for (const { column, amount, isComplement } of terms) {
    if (amount > room + ROUNDING * upper) program.fix(column, isComplement ? 1 : 0);
    else {
      program.costs[column] = (isComplement ? -amount : amount) * scale;
      if (isComplement) offset += amount * scale;
    }
  }
  return { program, least, toValue: (objective) => least + (objective + offset) / scale, scale, more: [] };
}

/** The program that makes the largest of the expressions small. @param upper its value in a solution that is there */
export function minimisingLargest(
  base: IntegerProgram,
  expressions: readonly Expression[],
  upper: number,
): ScaledProgram {
  const program = base.copy();
  const scale = upper === 0 ? 1 : SCALE / upper;
  const largest = program.addColumn(1, { upper: NO_LIMIT, integer: false });
  let least = 0;
  for (const expression of expressions) {
    const normal = expression.normal();
    least = Math.max(least, normal.least);
    const inside = normal.terms.filter(({ column, amount, isComplement }) => {
      if (normal.least + amount <= upper * (1 + ROUNDING)) return true;
      program.fix(column, isComplement ? 1 : 0);
      return false;
    });
    addScaledRow(program, inside, scale, -normal.least * scale, largest);
  }
  return { program, least, toValue: (objective) => objective / scale, scale, more: [upper * scale] };
}

/** `Σ amount · column ≤ upper`, or with a column that is to be no less than the sum. */
function addScaledRow(
  program: IntegerProgram,
  terms: readonly Term[],
  scale: number,
  upper: number,
  largest?: number,
): void {
  let right = upper;
  const row: (readonly [number, number])[] = terms.map(({ column, amount, isComplement }) => {
    if (isComplement) right -= amount * scale;
    return [column, (isComplement ? -amount : amount) * scale];
  });
  if (largest !== undefined) row.push([largest, -1]);
  program.addRow(-NO_LIMIT, row, right);
}
