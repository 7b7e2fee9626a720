import { BACKENDS } from '../intercept/backend.ts';
import { OPTION_TABLE, type OptionKey } from '../intercept/option-table.ts';

/** An option of `outrigger intercept`, in commander's way of writing it. */
export interface InterceptOption {
  /** An option without `<…>` is a switch. */
  readonly flags: string;
  /** '' hides it from the help: another spelling, of istio-iptables. */
  readonly help: string;
  readonly choices?: readonly string[];
}

/** The options as they were given, by camel-case name; texts unread. */
export type InterceptFlags = Readonly<Record<string, string | true | undefined>>;

const KEYS = Object.keys(OPTION_TABLE) as OptionKey[];

/** What decides about the rules: the same for `install`, and for `check`, which is to know what was meant. */
const RULE_OPTIONS: readonly InterceptOption[] = [
  ...KEYS.flatMap((key): InterceptOption[] => {
    const { name, short, istio, value, help, fallback } = OPTION_TABLE[key];
    const dashes = short === undefined ? '' : `-${short}, `;
    const shown = { flags: `${dashes}--${name} <${value}>`, help: `${help} (${fallback})` };
    return istio === undefined || istio === name ? [shown] : [shown, { flags: `--${istio} <${value}>`, help: '' }];
  }),
  { flags: '--annotations <file>', help: 'annotations of the pod, as the downward API writes them' },
];

const HOST_OPTIONS: readonly InterceptOption[] = [
  {
    flags: '--backend <program>',
    help: 'what brings the rules into the kernel (auto: where rules are already, else the first that works)',
    choices: ['auto', ...BACKENDS],
  },
  {
    flags: '--ipv6 <when>',
    help: 'whether IPv6 is intercepted too (auto: wherever there is any)',
    choices: ['auto', 'on', 'off'],
  },
];

export const INTERCEPT_OPTIONS = {
  install: [
    ...RULE_OPTIONS,
    ...HOST_OPTIONS,
    { flags: '-n, --dry-run', help: 'print what the programs would be told, and change nothing' },
  ],
  remove: [{ flags: '-n, --dry-run', help: 'print what the programs would be told, and change nothing' }],
  show: [{ flags: '--json', help: 'one JSON object' }],
  check: [...RULE_OPTIONS, { flags: '--json', help: 'one JSON object' }],
} as const satisfies Record<string, readonly InterceptOption[]>;

export type InterceptVerb = keyof typeof INTERCEPT_OPTIONS;

/** The texts of options that decide about rules, by their key; istio-iptables' spelling counts where ours is missing. */
export function ruleTexts(flags: InterceptFlags): Partial<Record<OptionKey, string>> {
  const texts: Partial<Record<OptionKey, string>> = {};
  for (const key of KEYS) {
    const { name, istio = name } = OPTION_TABLE[key];
    const text = flags[camelCase(name)] ?? flags[camelCase(istio)];
    if (typeof text === 'string') texts[key] = text;
  }
  return texts;
}

/**
 * Reads a command line without commander, whose loading would be a tenth of the time of an installation. What is out of
 * the ordinary (help, a slip) gives undefined, and is left to commander's messages.
 */
export function readFlags(args: readonly string[], options: readonly InterceptOption[]): InterceptFlags | undefined {
  const flags: Record<string, string | true> = {};
  for (let i = 0; i < args.length; i++) {
    const [, spelling = '', attached] = /^(--?[a-z0-9-]+)(?:=(.*))?$/s.exec(args[i] ?? '') ?? [];
    const option = options.find(({ flags: all }) => all.split(/[ ,]+/).includes(spelling));
    if (option === undefined || (attached !== undefined && !spelling.startsWith('--'))) return undefined;
    const name = camelCase(/--([a-z0-9-]+)/.exec(option.flags)?.[1] ?? '');
    const takesValue = option.flags.includes('<');
    const value = takesValue ? (attached ?? args[++i]) : true;
    if (value === undefined || (!takesValue && attached !== undefined)) return undefined;
    if (value !== true && attached === undefined && value.startsWith('-')) return undefined;
    if (option.choices !== undefined && !option.choices.includes(String(value))) return undefined;
    flags[name] = value;
  }
  return flags;
}

function camelCase(name: string): string {
  return name.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}
