import { expect, test } from 'vitest';
import { filterNames } from '../../bench/profile/filter-names.ts';
import { meanInterval } from '../../bench/profile/mean-interval.ts';
import { parseMaps, reasonOf } from '../../bench/profile/system-calls.ts';

test('the maps of bpftrace are read, whatever else it says', () => {
  const text = `{"type": "attached_probes", "data": {"probes": 3}}
Attaching 3 probes...
{"type": "map", "data": {"@count": {"0": 4, "1": 2, "999": 1}}}
{"type": "map", "data": {"@ns": {"0": 4000, "1": 9000, "999": 10}}}
`;
  expect(parseMaps(text).map(({ count, ns }) => [count, ns])).toEqual([
    [2, 9000],
    [4, 4000],
    [1, 10],
  ]);
  expect(parseMaps(text).at(-1)?.name).toBe('call 999');
  expect(parseMaps('')).toEqual([]);
});

test('the interval of a mean is that of Student', () => {
  const { mean, low, high } = meanInterval([1, 2, 3, 4, 5]);
  expect(mean).toBe(3);
  expect(low).toBeCloseTo(3 - 1.963, 2);
  expect(high).toBeCloseTo(3 + 1.963, 2);
  expect(meanInterval([1]).low).toBeNaN();
});

test('filters are told by the names that the configuration gives them', () => {
  const config = {
    http_filters: [
      {
        name: 'tags',
        typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.ip_tagging.v3.IPTagging' },
      },
      {
        name: 'other',
        typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.ip_tagging.v3.IPTagging' },
      },
    ],
  };
  expect([...filterNames(config)]).toEqual([['ip-tagging', 'tags']]);
  expect(filterNames(undefined).size).toBe(0);
});

test('why nothing was traced is said by the line that says it', () => {
  const warning = "ERROR: Unknown error -1: couldn't set RLIMIT_MEMLOCK for bpftrace.";
  expect(reasonOf(`${warning}\n\nERROR: failed to look up elem: -2\n`)).toBe('ERROR: failed to look up elem: -2');
  expect(reasonOf(warning)).toBe(warning);
});
