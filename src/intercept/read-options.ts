import { OPTION_TABLE, type OptionKey, ownVariable } from './option-table.ts';
import { cidr, id, interfaceName, list, listOrAll, mark, mode, port, table, ValueError } from './option-values.ts';
import { DEFAULT_OPTIONS, type InterceptOptions, OUTBOUND_MARK } from './options.ts';

const READERS: { readonly [K in OptionKey]: (text: string) => InterceptOptions[K] } = {
  mode,
  outboundPort: port,
  inboundPort: port,
  tunnelPort: port,
  proxyUids: list(id),
  proxyGids: list(id),
  inboundPorts: listOrAll(port),
  excludedInboundPorts: list(port),
  outboundPorts: list(port),
  excludedOutboundPorts: list(port),
  outboundRanges: listOrAll(cidr),
  excludedOutboundRanges: list(cidr),
  excludedInterfaces: list(interfaceName),
  virtualInterfaces: list(interfaceName),
  excludedUids: list(id),
  excludedGids: list(id),
  tproxyMark: mark,
  tproxyTable: table,
};

export interface Sources {
  /** Texts from the command line, by key. */
  readonly flags: Readonly<Partial<Record<OptionKey, string>>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** By name, prefix included. */
  readonly annotations: ReadonlyMap<string, string>;
}

export interface ReadOptions {
  readonly options: InterceptOptions;
  /** All that is wrong, each naming where it stands. */
  readonly problems: readonly string[];
}

/** Puts the options together: what stands on the command line goes before the environment, that before annotations. */
export function readOptions(sources: Sources): ReadOptions {
  const problems: string[] = [];
  const given: Partial<Record<OptionKey, unknown>> = {};
  for (const key of Object.keys(OPTION_TABLE) as OptionKey[]) {
    const found = find(key, sources);
    if (found === undefined) continue;
    try {
      given[key] = READERS[key](found.text);
    } catch (error) {
      if (!(error instanceof ValueError)) throw error;
      problems.push(`${found.where}: ${error.message}`);
    }
  }
  const merged = { ...DEFAULT_OPTIONS, ...given } as InterceptOptions;
  const options = 'proxyGids' in given ? merged : { ...merged, proxyGids: merged.proxyUids };
  return { options, problems: [...problems, ...contradictions(options)] };
}

function find(key: OptionKey, { flags, env, annotations }: Sources): { text: string; where: string } | undefined {
  const source = OPTION_TABLE[key];
  const flag = flags[key];
  if (flag !== undefined) return { text: flag, where: `--${source.name}` };
  for (const variable of [ownVariable(source), source.variable]) {
    const text = variable === undefined ? undefined : env[variable];
    // A template leaves a variable empty that it has nothing for; only a list can be empty.
    if (variable !== undefined && text !== undefined && (text !== '' || isList(key))) return { text, where: variable };
  }
  for (const name of annotationNames(key)) {
    const text = annotations.get(name);
    if (text !== undefined) return { text, where: name };
  }
  return undefined;
}

function isList(key: OptionKey): boolean {
  return typeof DEFAULT_OPTIONS[key] === 'object' || DEFAULT_OPTIONS[key] === '*';
}

/** The annotations of an option, ours first. */
export function annotationNames(key: OptionKey): string[] {
  const { annotation } = OPTION_TABLE[key];
  if (annotation === undefined) return [];
  // The mode is of the sidecar in Istio, all others are of traffic.
  const istio = key === 'mode' ? 'sidecar.istio.io' : 'traffic.sidecar.istio.io';
  return [`outrigger.dev/${annotation}`, `${istio}/${annotation}`];
}

/** What is right by itself and cannot be meant together. */
function contradictions(options: InterceptOptions): string[] {
  const problems: string[] = [];
  const { outboundPort, inboundPort, tunnelPort } = options;
  if (new Set([outboundPort, inboundPort, tunnelPort]).size < 3) {
    problems.push(
      `--outbound-port, --inbound-port and --tunnel-port must differ: ${outboundPort}, ${inboundPort}, ${tunnelPort}`,
    );
  }
  if (options.proxyUids.length + options.proxyGids.length === 0) {
    problems.push('--proxy-uid: without it the proxy’s own connections would be intercepted, and never leave');
  }
  if (options.mode === 'tproxy' && options.tproxyMark === OUTBOUND_MARK) {
    problems.push(`--tproxy-mark: ${OUTBOUND_MARK} is the mark of the proxy's outbound side`);
  }
  const everything = options.excludedOutboundRanges.find(({ bits }) => bits === 0);
  if (everything !== undefined && options.outboundRanges === '*') {
    problems.push(
      `--exclude-outbound-ranges: ${everything.text} is everything; to intercept nothing, say --outbound-ranges none`,
    );
  }
  return problems;
}
