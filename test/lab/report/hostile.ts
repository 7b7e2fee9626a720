import type { Characterization } from '../../../src/lab/characterize/characterization.ts';
import { sample } from './sample.ts';

/** Numbers that no measurement should give, one after the other. */
const NUMBERS = [Number.NaN, -5, 0, 1e300, Number.POSITIVE_INFINITY, -1e-300, 1e-12];
const MARKUP =
  '<script>alert(1)</script><b>"bold"</b> & \u0000 a name that is much, much longer than any picture is wide';

/** A characterization whose every seventh number, and every name, is not what one expects. */
export function hostile(): Characterization {
  let count = 0;
  const spoil = (value: unknown, key: string): unknown => {
    if (typeof value === 'number') return count++ % 3 === 0 ? NUMBERS[((count / 3) % NUMBERS.length) | 0] : value;
    if (key === 'title') return `${MARKUP} ${count++}`;
    if (Array.isArray(value)) return value.map((item) => spoil(item, ''));
    if (typeof value === 'object' && value !== null)
      return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, spoil(item, name)]));
    return value;
  };
  return {
    ...(spoil(sample(), '') as Characterization),
    command: MARKUP,
    warnings: [MARKUP],
    machine: { cpu: MARKUP, cores: Number.NaN, kernel: MARKUP, node: MARKUP },
  };
}
