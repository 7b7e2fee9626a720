/** Why interception cannot be installed, removed or shown; for people, without a stack. */
export class InterceptError extends Error {
  /** What to do about it, one line. */
  readonly hint: string | undefined;

  constructor(message: string, hint?: string) {
    super(message);
    this.name = 'InterceptError';
    this.hint = hint;
  }
}
