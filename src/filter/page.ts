/** What the page of a filter in docs/filters says beside what its schema tells. */
export interface FilterPage {
  /** Envoy's name of the filter or transport socket; custom ones are in docs/custom-filters.md. */
  readonly name: string;
  /** What the benchmark calls it, where that is not its name. */
  readonly benchmarkName?: string;
  /** File name in docs/filters, without `.md`. */
  readonly slug: string;
  /** One sentence, without a full stop: what it is for. */
  readonly summary: string;
  /** More, as Markdown. */
  readonly text?: string;
  /** Statistics by name, `<…>` for what varies, and what they count. */
  readonly statistics?: Readonly<Record<string, string>>;
  /** A complete file that starts: the proxy listens on 127.0.0.1:8080, the app on 127.0.0.1:3000. */
  readonly example: string;
  /** Calls to the example in order, and what comes of them; a test makes them. */
  readonly tries: readonly FilterTry[];
}

/** One call to the example. */
export interface FilterTry {
  readonly request: {
    /** GET unless given. */
    readonly method?: string;
    readonly path?: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: string;
    /** Plain text unless given; `certificate` shows one of the example's authority. */
    readonly over?: 'TLS' | 'TLS with a certificate';
    /** So many other connections are open meanwhile. */
    readonly besides?: number;
  };
  /** Status, and what its headers and its body hold; or a connection that is closed without an answer. */
  readonly answer:
    | 'closed'
    | {
        readonly status: number;
        readonly headers?: Readonly<Record<string, string>>;
        readonly body?: string;
      };
  /** Headers that the app gets; undefined: it must not get this one. */
  readonly appGets?: Readonly<Record<string, string | undefined>>;
}
