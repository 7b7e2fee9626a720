import { expect, test } from 'vitest';
import { buffer } from '../../filters/buffer.ts';
import { HttpFilterHarness } from '../support/filter-harness.ts';

const collect = (maxBytes: number) => ({ kind: 'buffer', maxBytes });

test('asks for the whole body, at most as long as configured', () => {
  expect(new HttpFilterHarness(buffer, { max_request_bytes: 100 }).request().verdict).toEqual(collect(100));
});

test('a route may have another limit or none', () => {
  const other = { routeConfigs: [{ buffer: { max_request_bytes: 5 } }] };
  expect(new HttpFilterHarness(buffer, { max_request_bytes: 100 }, other).request().verdict).toEqual(collect(5));
  const disabled = new HttpFilterHarness(buffer, { max_request_bytes: 100 }, { routeConfigs: [{ disabled: true }] });
  expect(disabled.hooks.onRequest).toBeUndefined();
});

test.each([
  [{}, [], 'required'],
  [{ max_request_bytes: 0 }, [], 'out of range'],
  [{ max_request_bytes: 1 }, [{}], 'required'],
  [{ max_request_bytes: 1 }, [{ disabled: false }], 'must be true'],
])('refuses %j with routes %j', (config, routeConfigs, message) => {
  expect(() => new HttpFilterHarness(buffer, config, { routeConfigs })).toThrow(message);
});
