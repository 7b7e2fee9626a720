import { PROBE_MODES } from '../observe/probe.ts';
import { SPLICE_MODES } from '../splice-settings.ts';
import type { ServeFlags } from './serve-options.ts';

/** What the quick start takes as `--protocol`, as a sidecar file's `protocol` does. */
const QUICK_PROTOCOLS = ['http', 'http1', 'http2', 'grpc', 'tcp'] as const;
export type QuickProtocol = (typeof QUICK_PROTOCOLS)[number];

/** What `outrigger run` takes, by option: one list for the help and for the way in that does without it. */
export interface RunOption {
  /** As the help shows it, commander's way: `-c, --config <file>`; an option without `<…>` is a switch. */
  readonly flags: string;
  /** '' hides it from the help: another spelling that Envoy has. */
  readonly help: string;
  readonly choices?: readonly string[];
  readonly repeatable?: true;
}

/** The options as they were given: camel-case names, texts unread. */
export interface RunFlags extends ServeFlags {
  config?: string;
  configPath?: string;
  mode?: string;
  watch?: true;
  app?: string;
  listen?: string;
  protocol?: string;
  filter?: readonly string[];
  hotRestart?: string;
  restartEpoch?: string;
  baseId?: string;
  useDynamicBaseId?: true;
  baseIdPath?: string;
  drainStrategy?: string;
  parentShutdownTimeS?: string;
  skipHotRestartOnNoParent?: true;
  skipHotRestartParentStats?: true;
  disableHotRestart?: true;
}

export const RUN_OPTIONS: readonly RunOption[] = [
  { flags: '-c, --config <file>', help: 'configuration file: Envoy v3 or a sidecar file, YAML or JSON' },
  { flags: '--config-path <file>', help: '' },
  {
    flags: '--concurrency <n>',
    help: 'threads that serve, as many as the processors of the cgroup and affinity unless given; one does without worker threads',
  },
  { flags: '--admin <host:port>', help: 'address of the admin server, in place of the configuration’s' },
  {
    flags: '-l, --log-level <level>',
    help: 'lowest level that is logged: trace, debug, info (unless given), warning, error, critical, off',
  },
  { flags: '--drain-time <seconds>', help: 'longest time to finish what runs after SIGTERM, 20 unless given' },
  { flags: '--drain-time-s <seconds>', help: '' },
  {
    flags: '--probe <which>',
    help: 'time the components of the proxy: off unless given, sampled, or all events (docs/components.md)',
    choices: PROBE_MODES,
  },
  { flags: '--probe-interval <n>', help: 'with --probe sampled: one event in so many is timed, 200 unless given' },
  {
    flags: '--mode <mode>',
    help: 'validate reads the file, tells its problems and ends',
    choices: ['serve', 'validate'],
  },
  { flags: '--watch', help: 'reload the file when it changes, ConfigMap swaps included (SIGHUP reloads in any case)' },
  { flags: '--filter-dir <folder>', help: 'folder of the TypeScript filters that the configuration may name' },
  {
    flags: '--splice <mode>',
    help: 'auto, unless given: the kernel forwards TCP sessions where it may; on: it must; off: it does not',
    choices: SPLICE_MODES,
  },
  { flags: '--node-agent <socket>', help: 'Unix socket of the node agent that makes the bpf maps for --splice' },
  {
    flags: '--hot-restart <socket>',
    help: 'take over from the process that serves at this Unix socket, if there is one, and be met there by the next',
  },
  { flags: '--drain-strategy <strategy>', help: '', choices: ['gradual', 'immediate'] },
  {
    flags: '--parent-shutdown-time-s <seconds>',
    help: 'after a hot restart, longest time for the process before to finish what runs, 900 unless given',
  },
  { flags: '--restart-epoch <n>', help: '' },
  { flags: '--base-id <n>', help: '' },
  { flags: '--use-dynamic-base-id', help: '' },
  { flags: '--base-id-path <file>', help: '' },
  { flags: '--skip-hot-restart-on-no-parent', help: '' },
  { flags: '--skip-hot-restart-parent-stats', help: '' },
  { flags: '--disable-hot-restart', help: '' },
  { flags: '--app <host:port>', help: 'quick start: the app to stand in front of' },
  { flags: '--listen <host:port>', help: 'quick start: where clients connect' },
  { flags: '--protocol <protocol>', help: 'quick start: what is spoken', choices: QUICK_PROTOCOLS },
  { flags: '--filter <file>', help: 'quick start: a filter of your own; may be repeated', repeatable: true },
];

/**
 * Reads ordinary command lines without commander, whose loading would delay every start by more than 5 ms. Whatever is
 * out of the ordinary (help, a slip, a choice that is none) gives undefined and is left to commander's messages.
 */
export function readOrdinary(args: readonly string[]): RunFlags | undefined {
  const flags: Record<string, unknown> = {};
  for (let i = 0; i < args.length; i++) {
    const [spelling = '', attached] = splitAttached(args[i] as string);
    const option = RUN_OPTIONS.find(({ flags: all }) => all.split(/[ ,]+/).includes(spelling));
    if (option === undefined) return undefined;
    const name = propertyOf(option);
    if (!option.flags.includes('<')) {
      if (attached !== undefined) return undefined;
      flags[name] = true;
      continue;
    }
    const value = attached ?? args[++i];
    if (value === undefined || (attached === undefined && value.startsWith('-'))) return undefined;
    if (option.choices !== undefined && !option.choices.includes(value)) return undefined;
    flags[name] = option.repeatable === true ? [...((flags[name] as string[] | undefined) ?? []), value] : value;
  }
  return flags;
}

/** `--mode=validate` in its two parts. */
function splitAttached(arg: string): [spelling: string, value?: string] {
  const equals = arg.startsWith('--') ? arg.indexOf('=') : -1;
  return equals < 0 ? [arg] : [arg.slice(0, equals), arg.slice(equals + 1)];
}

/** `--drain-time <seconds>` is `drainTime`, as commander calls it. */
function propertyOf({ flags }: RunOption): string {
  const long = /--([a-z-]+)/.exec(flags)?.[1] ?? '';
  return long.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
