import type * as v from 'valibot';
import { double, enumOf, list, message, optional, uint32 } from '../src/config/schema/building-blocks.ts';
import { AccessLogs, accessLogs } from '../src/config/sidecar/access-log.ts';
import { oneOrMany } from '../src/config/sidecar/units.ts';
import { RESPONSE_FLAGS } from '../src/http/response-flags.ts';
import { secondsOf, time } from './fields.ts';
import type { Canonical, PolicyKind } from './policy.ts';

const flag = enumOf(RESPONSE_FLAGS);

const Spec = message({
  /** `stdout`, `stderr`, a file, or a map with `to` and `format` or `json`, as in a sidecar file. */
  to: AccessLogs,
  /** All that is given must hold. */
  when: optional(
    message({
      /** From this status on. */
      min_status: optional(uint32({ min: 100, max: 599 })),
      slower_than: optional(time()),
      flags: optional(oneOrMany(flag, list(flag, { min: 1 }))),
      /** Share of the requests, %. */
      sample: optional(double({ min: 0, max: 100 })),
    }),
    {},
  ),
});
type Spec = v.InferOutput<typeof Spec>;

/** ⑥ Access logs. Table 2: in L4/L7 headers, out nothing, no state. */
export const accessLog: PolicyKind<Spec> = {
  kind: 'AccessLog',
  summary: 'a line for each request',
  spec: Spec,
  semantics: {
    paper: 6,
    input: 'L4 and L7 headers',
    output: 'none',
    pure: true,
    state: { kept: 'none', what: 'lines wait in memory until they are written: no request depends on them' },
    payload: 'none',
    placement: 'either',
    usualSide: 'receiver',
    granularity: 'mesh',
  },
  refusal: () => undefined,
  compile({ spec, metadata }) {
    const key = `policy.${metadata.namespace}.${metadata.name}`;
    const filters = conditions(spec.when, key);
    const filter = filters.length > 1 ? { and_filter: { filters } } : filters[0];
    return {
      accessLogs: accessLogs(spec.to).map((log) => (filter === undefined ? log : { ...log, filter })),
    };
  },
};

function conditions(when: Spec['when'], key: string): Canonical[] {
  const compare = (name: string, value: number): Canonical => ({
    comparison: { op: 'GE', value: { default_value: value, runtime_key: `${key}.${name}` } },
  });
  const { min_status, slower_than, flags, sample } = when;
  return [
    ...(min_status === undefined ? [] : [{ status_code_filter: compare('min_status', min_status) }]),
    ...(slower_than === undefined
      ? []
      : [{ duration_filter: compare('slower_than', Math.round(secondsOf(slower_than) * 1000)) }]),
    ...(flags === undefined ? [] : [{ response_flag_filter: { flags } }]),
    ...(sample === undefined
      ? []
      : [
          {
            runtime_filter: {
              runtime_key: `${key}.sample`,
              percent_sampled: { numerator: Math.round(sample * 10_000), denominator: 'MILLION' },
            },
          },
        ]),
  ];
}
