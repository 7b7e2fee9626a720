import { expect, test } from 'vitest';
import { cheapestSecond } from '../../../bench/characterize/cheapest-second.ts';
import { costOf } from '../../../bench/characterize/figures.ts';
import type { SaturationResult } from '../../../bench/load/saturation.ts';
import type { Measured } from '../../../bench/run/trial.ts';

/** A second with so many answers, each of which cost so much. */
function second(requests: number, costMicros: number, errors = 0): Measured<SaturationResult> {
  const result = { requests, requestsPerSecond: requests, errors } as SaturationResult;
  const micros = requests * costMicros;
  return { result, cpu: { processMicros: micros } as Measured<SaturationResult>['cpu'], wallMs: 1000 };
}

test('the second counts in which a request cost least, with its own figures', () => {
  const chosen = cheapestSecond([second(900, 20), second(1000, 17), second(700, 26)]);
  expect(costOf(chosen)).toBe(17);
  expect(chosen.result.requestsPerSecond).toBe(1000);
});

test('errors of the other seconds are not forgotten', () => {
  expect(cheapestSecond([second(900, 20, 3), second(1000, 17), second(700, 26, 4)]).result.errors).toBe(7);
});

test('a second without an answer is chosen only where no other has one', () => {
  expect(costOf(cheapestSecond([second(0, 0), second(700, 26)]))).toBe(26);
  expect(cheapestSecond([second(0, 0, 1), second(0, 0, 1)]).result).toMatchObject({ requests: 0, errors: 2 });
});

test('without a second there is nothing to choose', () => {
  expect(() => cheapestSecond([])).toThrow('no second');
});
