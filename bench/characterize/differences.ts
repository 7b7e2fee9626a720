import type { Figure } from '../../src/lab/characterize/characterization.ts';
import { USER } from '../../src/lab/profile/attribute.ts';
import { byDifference, type UserTimes, type Variant } from '../../src/lab/profile/difference.ts';
import type { ProfilePart, ProfileReport } from '../../src/lab/profile/profile-report.ts';
import type { Configuration } from './configurations.ts';

/** A proxy in one configuration, in rounds and in a profile. */
export interface Profiled {
  readonly peer: string;
  readonly configuration: Configuration;
  readonly bytes?: number | undefined;
  /** CPU of the process per request at saturation, µs. */
  readonly cpuMicros?: Figure | undefined;
  readonly report: ProfileReport;
}

/**
 * The parts of a profile. Where the program has no symbols, its user space is taken apart by what the configuration costs
 * more than its base, and HTTP more than TCP: of CPU time round by round, in the share that user space has in each profile.
 */
export function partsByDifference(one: Profiled, all: readonly Profiled[]): readonly ProfilePart[] {
  const { configuration, report } = one;
  const whole = userTimes(one);
  if (whole === undefined) return report.parts;
  const same = (name: string | undefined): UserTimes | undefined => {
    const found = all.find(
      (other) => other.peer === one.peer && other.bytes === one.bytes && other.configuration.name === name,
    );
    const times = found && userTimes(found);
    return times?.length === whole.length ? times : undefined;
  };
  const [base, http, tcp] = [configuration.base, 'http', 'tcp'].map(same);
  const filters: Variant[] = base === undefined ? [] : [{ part: addedPart(configuration), userUs: base }];
  const plain = configuration.protocol === 'http' && http && tcp ? { http, tcp } : undefined;
  if (filters.length === 0 && plain === undefined) return report.parts;
  return byDifference(report, { whole, filters, plain }).parts;
}

/** User space of a request, round by round; undefined where symbols tell what it is, or nothing was measured. */
function userTimes({ report, cpuMicros }: Profiled): UserTimes | undefined {
  const share = report.parts.find(({ part }) => part === USER)?.share;
  return share === undefined ? undefined : cpuMicros?.values.map((micros) => share * micros);
}

/** What a configuration has and its base lacks, as a component (docs/components.md). */
function addedPart({ name, scenario }: Configuration): string {
  if (name.startsWith('tls')) return 'tls';
  return scenario === 'routing_2' || scenario === 'header_router' ? 'routing' : 'filter';
}
