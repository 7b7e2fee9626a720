import type { RuntimeFilter } from '../../config/schema/access-log.ts';
import { PERCENT_DENOMINATOR } from '../../matching/fraction.ts';
import type { StreamInfo } from '../stream-info.ts';

/** What decides of a request id: of a UUID the first group, which is random. */
const DECIDING = /^(?:0x[0-9a-f]{6}|[0-9a-f]{8})/i;

/**
 * Compiles `runtime_filter`: logs a share of the streams. The request's id decides, as in Envoy, so that every proxy on
 * its way logs the same requests; chance does where there is no id, or where the filter asks for it.
 */
export function compileSampling(
  config: RuntimeFilter,
  random: () => number = Math.random,
): (info: StreamInfo) => boolean {
  const { numerator, denominator } = config.percent_sampled ?? { numerator: 0, denominator: 'HUNDRED' };
  const whole = PERCENT_DENOMINATOR[denominator];
  if (numerator === 0) return () => false;
  if (numerator >= whole) return () => true;
  const byChance = (): boolean => random() * whole < numerator;
  if (config.use_independent_randomness) return byChance;
  return (info) => {
    const number = numberOf(info.request?.get('x-request-id'));
    return number === undefined ? byChance() : number % whole < numerator;
  };
}

/** The number that an id begins with, in hexadecimal; undefined when it begins otherwise. */
function numberOf(id: string | undefined): number | undefined {
  const digits = id === undefined ? null : DECIDING.exec(id);
  return digits === null ? undefined : Number.parseInt(digits[0], 16);
}
