import type { RootLogger } from '../log.ts';
import type { AdminReply } from './reply.ts';
import type { Maybe, ProxyView } from './view.ts';

export interface CommandContext {
  readonly view: ProxyView;
  readonly log: RootLogger;
  readonly query: URLSearchParams;
  /** What came with the request. */
  readonly body: string;
}

/** One path of the admin server. */
export interface Command {
  readonly path: string;
  /** Commands that change something answer POST only. */
  readonly method: 'GET' | 'POST';
  readonly help: string;
  /** Parameters of the query with what they mean, for /help. */
  readonly parameters?: Readonly<Record<string, string>>;
  run(context: CommandContext): Maybe<AdminReply>;
}
