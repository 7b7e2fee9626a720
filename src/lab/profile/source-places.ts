import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { filterPart, partOfWoven, WOVEN_SOURCE } from '../../observe/components.ts';

/** A file, or some of its methods, that belongs to a part. The first that fits is taken. */
interface PlaceRule {
  /** Of the path below the checkout. */
  readonly file: RegExp;
  readonly methods?: readonly string[];
  /** A part; `''` for helpers, whose time is their caller's. */
  readonly part: string;
}

const RULES: readonly PlaceRule[] = [
  { file: /^src\/network\/(?:clock|timer)\.ts$/, part: '' },
  { file: /^src\/(?:matching\/|types\/|observe\/stats)/, part: '' },
  { file: /^src\/http\/(?:headers|message|path|authority|status-text|http-date|stream-record)\.ts$/, part: '' },
  { file: /^src\/probe\//, part: '' },

  { file: /^src\/http\/http1\/server-connection\.ts$/, methods: ['readHead', 'startRequest'], part: 'http_parse' },
  { file: /^src\/http\/http1\/client-connection\.ts$/, methods: ['readHead', 'readHopByHop'], part: 'http_parse' },
  // What the reader of bodies calls before it is the stream's.
  {
    file: /^src\/http\/http1\/(?:server|client)-connection\.ts$/,
    methods: ['onBody', 'onBodyEnd'],
    part: 'http_parse',
  },
  { file: /^src\/http\/http1\/(?:server|client)-connection\.ts$/, methods: ['writeHead'], part: 'header_codec' },
  { file: /^src\/http\/http1\/(?:server|client)-connection\.ts$/, part: 'packet_processing' },
  {
    file: /^src\/http\/http1\/message-writer\.ts$/,
    methods: ['headerLines', 'properCaseHeaderLines', 'isFramingOfOurs'],
    part: 'header_codec',
  },
  { file: /^src\/http\/http1\/message-writer\.ts$/, part: 'sidecar_write' },
  { file: /^src\/http\/http1\/(?:request-text|response-text)\.ts$/, part: 'header_codec' },
  { file: /^src\/http\/http1\/(?:input-stash|connection-timer)\.ts$/, part: 'packet_processing' },
  { file: /^src\/http\/http1\//, part: 'http_parse' },

  { file: /^src\/http\/http2\/hpack\//, part: 'header_codec' },
  {
    file: /^src\/http\/http2\/(?:head-writer|field-values|request-fields|response-fields|trailer-fields)\.ts$/,
    part: 'header_codec',
  },
  // A field list becomes a head, and a head a field list.
  {
    file: /^src\/http\/http2\/(?:server|client)-stream\.ts$/,
    methods: ['onFields', 'bodyLength'],
    part: 'header_codec',
  },
  {
    file: /^src\/http\/http2\/server-(?:stream|connection)\.ts$/,
    methods: ['writeHead', 'writeResponseHead'],
    part: 'header_codec',
  },
  { file: /^src\/http\/http2\/http2-stream\.ts$/, methods: ['sendBody'], part: 'sidecar_write' },
  { file: /^src\/http\/http2\/(?:frame-reader|cut-frame)\.ts$/, part: 'http_parse' },
  // Room and heads of frames are asked for by who writes header blocks into them too.
  { file: /^src\/http\/http2\/frame-output\.ts$/, methods: ['reserve', 'writeFrameHeader'], part: '' },
  { file: /^src\/http\/http2\/frame-output\.ts$/, part: 'sidecar_write' },

  { file: /^src\/http\/response-mutations\.ts$/, part: 'header_codec' },
  { file: /^src\/http\/response-path\.ts$/, methods: ['sendResponseHead'], part: 'header_codec' },
  {
    file: /^src\/http\/(?:router|router-timer|retry|retry-state|retry-host|mirror|upstream-failure|upstream-outcome)\.ts$/,
    part: 'routing',
  },
  { file: /^src\/http\/stream\.ts$/, methods: ['matchRoute'], part: 'routing' },
  { file: /^src\/(?:http\/route|upstream)\//, part: 'routing' },

  {
    file: /^src\/network\/handle-connection\.ts$/,
    methods: ['writeText', 'writeCopy', 'writeAround', 'writeStable', 'afterWrite', 'fill'],
    part: 'sidecar_write',
  },
  {
    file: /^src\/(?:network\/stream-connection|tls\/tls-connection)\.ts$/,
    methods: ['writeText', 'writeCopy', 'writeAround', 'writeStable', 'writeBytes', 'send'],
    part: 'sidecar_write',
  },
  // Before the event begins, and after its end: to the probes it is a part of what leads to the next one.
  { file: /^src\/(?:network\/handle-connection|tls\/tls-connection)\.ts$/, methods: ['onRead'], part: 'sidecar_read' },
  { file: /^src\/observe\/(?:access-log|format)\//, part: filterPart('access log') },
  { file: /^src\/observe\/tracing\//, part: filterPart('tracing') },
  { file: /^src\/(?:http|network|listener|observe|filter|tls|kernel|threads)\//, part: 'packet_processing' },
  { file: /^src\/[a-z-]+\.ts$/, part: 'packet_processing' },
];

/** Where the probes see streams or routing entered again, whoever calls (`SEAMS`). */
const CORE_ENTRIES: readonly Omit<PlaceRule, 'part'>[] = [
  {
    file: /^src\/http\/(?:stream|stream-core|response-path)\.ts$/,
    methods: [
      ...['onRequestHead', 'onRequestBody', 'onRequestEnd', 'matchRoute', 'sendLocalReply'],
      ...['runResponseHooks', 'onResponseBody', 'onResponseEnd', 'complete'],
    ],
  },
  { file: /^src\/http\/connection-manager\.ts$/, methods: ['takeStream'] },
  { file: /^src\/http\/router\.ts$/ },
];

/** Names of the configured filters by the folder or file of `filters/` that they are made of. */
export type FilterNames = ReadonlyMap<string, string>;

/** Tells the part of a line of the proxy's sources. */
export class SourcePlaces {
  private readonly root: string;
  private readonly filters: FilterNames;
  private readonly methods = new Map<string, readonly { line: number; name: string }[]>();

  /** @param root - the checkout, without a slash at its end */
  constructor(root: string, filters: FilterNames = new Map()) {
    this.root = root;
    this.filters = filters;
  }

  /** The part; '' for helpers; undefined for what is not ours. `file` may be a URL. */
  partOf(file: string, line: number): string | undefined {
    if (file.startsWith('node:')) return nodeModulePart(file);
    if (file.startsWith(WOVEN_SOURCE)) return partOfWoven(file);
    const path = this.pathOf(file);
    if (path === undefined) return undefined;
    if (path.startsWith('filters/')) {
      const name = path.split('/')[1]?.replace(/\.ts$/, '') ?? '';
      return filterPart(this.filters.get(name) ?? name);
    }
    const rule = RULES.find((one) => this.fits(one, path, line));
    if (rule !== undefined) return rule.part;
    // A filter of somebody's own lies elsewhere.
    return /^(?:examples|test)\//.test(path) ? filterPart(path) : undefined;
  }

  /** Whether the probes see streams or routing entered there. */
  isCoreEntry(file: string, line: number): boolean {
    const path = this.pathOf(file);
    return path !== undefined && CORE_ENTRIES.some((one) => this.fits(one, path, line));
  }

  private fits({ file, methods }: Omit<PlaceRule, 'part'>, path: string, line: number): boolean {
    return file.test(path) && (methods === undefined || methods.includes(this.methodAt(path, line)));
  }

  /** Below the checkout; undefined for what lies elsewhere. */
  private pathOf(file: string): string | undefined {
    const path = file.startsWith('file://') ? fileURLToPath(file) : file;
    return path.startsWith(`${this.root}/`) ? path.substring(this.root.length + 1) : undefined;
  }

  private methodAt(path: string, line: number): string {
    let list = this.methods.get(path);
    if (list === undefined) {
      list = methodsOf(readFileSync(`${this.root}/${path}`, 'utf8'));
      this.methods.set(path, list);
    }
    let name = '';
    for (const method of list) {
      if (method.line > line) break;
      name = method.name;
    }
    return name;
  }
}

/** Node's own JavaScript: the event loop's, and the glue around handles. */
function nodeModulePart(file: string): string | undefined {
  if (/^node:(?:internal\/(?:timers|process\/task_queues|process\/promises)|timers)/.test(file)) return 'event_poll';
  if (/^node:(?:net|internal\/stream_base_commons|stream|internal\/streams|_tls|tls)/.test(file))
    return 'packet_processing';
  return '';
}

const METHOD =
  /^(?: {2}(?:(?:private|protected|public|static|override|readonly|async|get|set) )*([A-Za-z_$][\w$]*)\s*(?:[(<]|= \()|(?:export )?(?:async )?function ([A-Za-z_$][\w$]*))/;

/** Methods and functions of a source, by the line of their head; they end where the next one begins. */
export function methodsOf(source: string): { line: number; name: string }[] {
  return source.split('\n').flatMap((text, index) => {
    const [, method, fn] = METHOD.exec(text) ?? [];
    const name = method ?? fn;
    return name === undefined || /^(?:if|for|while|switch|return)$/.test(name) ? [] : [{ line: index + 1, name }];
  });
}
