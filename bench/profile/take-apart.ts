import { byDifference, bySize, type SizeRounds, userUs } from '../../src/lab/profile/difference.ts';
import type { ProfileReport } from '../../src/lab/profile/profile-report.ts';
import { filterPart } from '../../src/observe/components.ts';
import type { Scenario } from '../scenario.ts';
import { SCENARIOS } from '../scenarios.ts';
import { httpFilters, withoutFilters, withoutTls } from './canonical.ts';
import { type ProfileOptions, profile } from './run-profile.ts';

export interface TakeApartOptions {
  readonly rounds: number;
  /** Bodies in bytes, besides the scenario's. */
  readonly sizes: readonly number[];
  /** Told what is run. */
  readonly say: (text: string) => void;
}

/** One of the runs that are compared: the whole, with something less or of another size. */
export interface Variant {
  readonly name: string;
  readonly changed: Partial<ProfileOptions>;
}

/** Which runs take a proxy without symbols apart, and which of them is which. */
export interface Variants {
  readonly whole: Variant;
  readonly filters: readonly (Variant & { readonly filter: string })[];
  readonly withoutTls?: Variant;
  readonly plain?: { readonly http: Variant; readonly tcp: Variant };
  readonly sizes: readonly (Variant & { readonly bytes: number })[];
  readonly notes: readonly string[];
}

/** What can be left out of this work, and what this peer can do without. */
export function variantsOf(options: ProfileOptions, bodies: readonly number[]): Variants {
  const { canonical, scenario, peer } = options;
  const notes: string[] = [];
  const names = canonical === undefined ? [] : [...new Set(httpFilters(canonical).map(({ name }) => name))];
  const filters = names.map((filter) => ({
    filter,
    name: `without ${filter}`,
    changed: { canonical: withoutFilters(canonical ?? {}, ({ name }) => name === filter) },
  }));
  const { tls: _, ...clear } = scenario;
  const inClear = canonical === undefined ? {} : { canonical: withoutTls(canonical) };
  const hasTls = scenario.tls?.downstream !== undefined && scenario.policies?.includes('mtls') !== true;
  const withTls = hasTls ? { withoutTls: { name: 'without TLS', changed: { scenario: clear, ...inClear } } } : {};
  const tcp = SCENARIOS.find(({ name }) => name === 'tcp') as Scenario;
  const { connections, bodyBytes } = scenario;
  const asTcp = { ...tcp, connections, bodyBytes };
  const isPlainHttp =
    scenario.protocol === 'http' &&
    scenario.downstream === 'http1' &&
    scenario.upstream === 'http1' &&
    hasOwnBody(scenario);
  const canTcp = isPlainHttp && (scenario.tls === undefined || hasTls) && peer.supports(asTcp);
  if (isPlainHttp && !canTcp)
    notes.push(
      `HTTP is not taken apart: ${peer.name} as it is installed here has nothing in its place to compare with.`,
    );
  const bare = canonical === undefined ? {} : { canonical: withoutFilters(withoutTls(canonical), () => true) };
  const plain = {
    http: { name: 'without filters', changed: { scenario: clear, ...bare } },
    tcp: { name: 'as TCP', changed: { canonical: undefined, scenario: asTcp } },
  };
  const sizes = hasOwnBody(scenario) ? [...new Set(bodies)].filter((bytes) => bytes !== bodyBytes) : [];
  return {
    whole: { name: 'as it is', changed: {} },
    filters,
    ...withTls,
    ...(canTcp ? { plain } : {}),
    sizes: sizes.map((bytes) => ({
      bytes,
      name: `bodies of ${bytes} bytes`,
      changed: { scenario: { ...scenario, bodyBytes: bytes } },
    })),
    notes,
  };
}

/** The body is what the scenario says: nobody answers in the backend's place. */
function hasOwnBody({ expectStatus, grpc, newConnections }: Scenario): boolean {
  return expectStatus === 200 && grpc === undefined && newConnections !== true;
}

/** Runs the same work with less of it, and with larger bodies, round by round; the order is reversed each time. */
export async function takeApart(
  whole: ProfileReport,
  options: ProfileOptions,
  { rounds, sizes: bodies, say }: TakeApartOptions,
): Promise<ProfileReport> {
  const variants = variantsOf(options, bodies);
  const { filters, withoutTls: clear, plain, sizes } = variants;
  const all = [variants.whole, ...filters, clear, plain?.http, plain?.tcp, ...sizes].filter((one) => one !== undefined);
  const reports = new Map<Variant, ProfileReport[]>(all.map((variant) => [variant, []]));
  for (let round = 0; round < rounds; round++) {
    for (const variant of round % 2 === 0 ? all : all.toReversed()) {
      say(`round ${round + 1} of ${rounds}, ${variant.name}`);
      reports.get(variant)?.push(await profile({ ...options, ...variant.changed, stacksOnly: true }));
    }
  }
  const user = (variant: Variant): number[] => (reports.get(variant) ?? []).map(userUs);
  const apart = byDifference(whole, {
    whole: user(variants.whole),
    filters: filters.map((variant) => ({ part: filterPart(variant.filter), userUs: user(variant) })),
    withoutTls: clear === undefined ? undefined : user(clear),
    plain: plain === undefined ? undefined : { http: user(plain.http), tcp: user(plain.tcp) },
  });
  const notes = [...apart.notes, ...variants.notes];
  if (sizes.length === 0) return { ...apart, notes };
  const bySizes: SizeRounds[] = [
    { bytes: options.scenario.bodyBytes, reports: reports.get(variants.whole) ?? [] },
    ...sizes.map((variant) => ({ bytes: variant.bytes, reports: reports.get(variant) ?? [] })),
  ];
  return { ...apart, sizes: bySize(bySizes), notes };
}
