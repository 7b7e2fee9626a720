import { ConfigError, type ConfigProblem } from '../src/config/errors.ts';
import { isSidecarFile } from '../src/config/sidecar/is-sidecar-file.ts';
import { isRecord } from '../src/config/sidecar/units.ts';

/** What people have beside each other and mix up: files that `outrigger` reads, with what each is for. */
const KINDS = {
  callGraph: ['a call graph', 'outrigger plan FILE reads call graphs'],
  characterization: [
    'a characterization',
    'outrigger report FILE reads those; outrigger characterize --costs FILE writes a cost profile too',
  ],
  benchmark: ['figures of the benchmark', 'outrigger report FILE reads what outrigger bench --json wrote'],
  configuration: ['a configuration of a proxy', 'outrigger run -c FILE reads those'],
  costProfile: ['a cost profile', 'outrigger plan --costs FILE reads those'],
  kubernetes: ['an object of Kubernetes', undefined],
  other: ['another file of outrigger', undefined],
  plan: ['a plan', 'outrigger plan --previous FILE reads plans'],
  policy: ['a policy', 'outrigger policy FILE reads policies, and outrigger plan beside a call graph'],
} as const;
export type InputKind = keyof typeof KINDS;

/** What each is made of, for whoever gave another one. */
const PARTS: Partial<Record<InputKind, string>> = {
  callGraph: 'services, calls, policies',
  configuration: 'static_resources, or app and listen',
  costProfile: 'source, pass, memory_mib, policies',
  plan: 'what outrigger plan --json or --output wrote',
  policy: 'apiVersion, kind, metadata, spec',
};

/** What a file seems to be, by its keys at the root; undefined when they tell nothing. */
export function inputKind(data: unknown): InputKind | undefined {
  if (!isRecord(data)) return undefined;
  const has = (...keys: string[]): boolean => keys.some((key) => Object.hasOwn(data as object, key));
  const { schema, apiVersion } = data as Record<string, unknown>;
  if (typeof schema === 'string' && schema.startsWith('outrigger.')) {
    if (schema.startsWith('outrigger.plan/')) return 'plan';
    if (schema.startsWith('outrigger.characterization/')) return 'characterization';
    return /^outrigger\.(bench|figures)/.test(schema) ? 'benchmark' : 'other';
  }
  if (has('apiVersion', 'kind') && has('metadata', 'spec'))
    return apiVersion === undefined || String(apiVersion).startsWith('outrigger.') ? 'policy' : 'kubernetes';
  if (has('static_resources', 'staticResources', 'dynamic_resources', 'dynamicResources')) return 'configuration';
  if (has('services', 'calls')) return 'callGraph';
  if (has('pass', 'memory_mib', 'memoryMib')) return 'costProfile';
  return isSidecarFile(data as object) ? 'configuration' : undefined;
}

/** That a file is not what is wanted but something else that people have beside it; undefined when it may be. */
export function otherKind(data: unknown, wanted: InputKind): ConfigProblem | undefined {
  const kind = inputKind(data);
  if (kind === undefined || kind === wanted) return undefined;
  const [what, use] = KINDS[kind];
  return {
    line: 1,
    column: 1,
    path: '',
    message: `seems to be ${what}, and not ${KINDS[wanted][0]}${use === undefined ? '' : ` (${use})`}`,
    allowed: PARTS[wanted],
  };
}

/** @throws ConfigError when the file is something else */
export function refuseOtherKind(file: string, data: unknown, wanted: InputKind): void {
  const problem = otherKind(data, wanted);
  if (problem !== undefined) throw new ConfigError(file, [problem]);
}
