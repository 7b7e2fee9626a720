/** An answer of the admin server. */
export interface AdminReply {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  /** What follows the body, until it ends or the client has gone. */
  readonly stream?: (gone: AbortSignal) => AsyncIterable<string>;
}

export function textReply(body: string, status = 200): AdminReply {
  return { status, contentType: 'text/plain; charset=UTF-8', body };
}

/** JSON with Envoy's indentation of one space. */
export function jsonReply(value: unknown, status = 200): AdminReply {
  return { status, contentType: 'application/json', body: `${JSON.stringify(value, undefined, 1)}\n` };
}

export const OK = textReply('OK\n');

/** An error that becomes an answer: thrown by commands for what their caller did wrong. */
export class AdminError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = 'AdminError';
    this.status = status;
  }
}
