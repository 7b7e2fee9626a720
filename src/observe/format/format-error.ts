/** A format string that cannot be compiled: says which operator, where it begins (column from 1) and what is wrong. */
export class FormatError extends Error {
  readonly operator: string;
  readonly column: number;

  constructor(operator: string, column: number, reason: string) {
    super(`${operator} at column ${column}: ${reason}`);
    this.name = 'FormatError';
    this.operator = operator;
    this.column = column;
  }
}
