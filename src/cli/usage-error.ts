/** The command line asks for something that cannot be; shown without a stack, exit code 2. */
export class UsageError extends Error {
  /** What to do instead, one line; shown below the message. */
  readonly hint: string | undefined;

  constructor(message: string, hint?: string) {
    super(message);
    this.name = 'UsageError';
    this.hint = hint;
  }
}
