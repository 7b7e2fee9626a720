import { expect, test } from 'vitest';
import { runSchema } from '../../src/config/schema/schema.ts';
import type { RateLimitRequest } from '../../src/http/grpc/rate-limit-request.ts';
import { StatsStore } from '../../src/observe/stats.ts';
import type { HitCounters } from '../../src/ratelimit/hit-counters.ts';
import { LimitTable } from '../../src/ratelimit/limit-table.ts';
import { type LimitDescriptor, LimitsFile } from '../../src/ratelimit/limits-schema.ts';
import { MemoryCounters } from '../../src/ratelimit/memory-counters.ts';
import { type FailureMode, RateLimitService } from '../../src/ratelimit/rate-limit-service.ts';

const OK = 1;
const OVER = 2;

function tableOf(descriptors: object[]): LimitTable {
  return new LimitTable([runSchema(LimitsFile, { domain: 'shop', descriptors }, {}).value as LimitsFile]);
}

function serviceWith(descriptors: object[], counters: HitCounters = new MemoryCounters(), mode: FailureMode = 'error') {
  const store = new StatsStore();
  return {
    service: new RateLimitService(tableOf(descriptors), counters, mode, store),
    stat: (name: string) => store.counters.get(`ratelimit_service.${name}`)?.value ?? 0,
  };
}

/** A request with one descriptor for each text `key=value key=value`. */
function request(descriptors: string[], more: Partial<RateLimitRequest> = {}): RateLimitRequest {
  return {
    domain: 'shop',
    hitsAddend: 0,
    descriptors: descriptors.map((text) => ({
      entries: text.split(' ').map((entry) => ({ key: entry.split('=')[0] ?? '', value: entry.split('=')[1] ?? '' })),
      limit: undefined,
      hitsAddend: undefined,
    })),
    ...more,
  };
}

const limit = (requests_per_unit: number, more: object = {}) => ({ unit: 'hour', requests_per_unit, ...more });
const client = (requests: number, more: Partial<LimitDescriptor> = {}) => ({
  key: 'client',
  rate_limit: limit(requests),
  ...more,
});

test('each value of a descriptor has a counter of its own, and is over after its last request', async () => {
  const { service, stat } = serviceWith([client(2)]);
  const codes: number[] = [];
  for (const value of ['a', 'a', 'b', 'a', 'b', 'b'])
    codes.push((await service.judge(request([`client=${value}`]))).overallCode);
  expect(codes).toEqual([OK, OK, OK, OVER, OK, OVER]);
  expect([
    stat('calls'),
    stat('rate_limit.shop.client.within_limit'),
    stat('rate_limit.shop.client.over_limit'),
  ]).toEqual([6, 4, 2]);
});

test('a verdict tells the limit, what is left and when it begins anew', async () => {
  const { service } = serviceWith([{ key: 'client', rate_limit: limit(3, { name: 'mine' }) }]);
  const { statuses } = await service.judge(request(['client=a']));
  expect(statuses).toEqual([
    {
      code: OK,
      currentLimit: expect.objectContaining({ requestsPerUnit: 3, unit: 3, name: 'mine' }),
      remaining: 2,
      resetSeconds: 3600,
    },
  ]);
  const unknown = await service.judge(request(['nobody=a']));
  expect(unknown).toEqual({
    overallCode: OK,
    statuses: [{ code: OK, currentLimit: undefined, remaining: 0, resetSeconds: 0 }],
  });
});

test('one descriptor over its limit is enough, and the others are counted all the same', async () => {
  const { service } = serviceWith([client(1), { key: 'path', rate_limit: limit(10) }]);
  await service.judge(request(['client=a', 'path=/']));
  const { overallCode, statuses } = await service.judge(request(['client=a', 'path=/']));
  expect([overallCode, ...statuses.map(({ code, remaining }) => [code, remaining])]).toEqual([
    OVER,
    [OVER, 0],
    [OK, 8],
  ]);
});

test('a request may count more than one, as a whole and by descriptor', async () => {
  const { service } = serviceWith([client(10)]);
  const remaining = async (more: RateLimitRequest) => (await service.judge(more)).statuses[0]?.remaining;
  expect(await remaining(request(['client=a'], { hitsAddend: 4 }))).toBe(6);
  const own = request(['client=a'], { hitsAddend: 4 });
  expect(await remaining({ ...own, descriptors: own.descriptors.map((one) => ({ ...one, hitsAddend: 2 })) })).toBe(4);
  expect((await service.judge(request(['client=a'], { hitsAddend: 5 }))).overallCode).toBe(OVER);
});

test("a limit that the request brings takes the place of the configuration's", async () => {
  const { service } = serviceWith([client(1)]);
  const brings = (requestsPerUnit: number, unit: number) => {
    const plain = request(['client=a']);
    return { ...plain, descriptors: plain.descriptors.map((one) => ({ ...one, limit: { requestsPerUnit, unit } })) };
  };
  expect((await service.judge(brings(5, 2))).statuses[0]).toMatchObject({ code: OK, remaining: 4, resetSeconds: 60 });
  expect((await service.judge(brings(0, 2))).overallCode).toBe(OVER);
  expect((await service.judge(brings(5, 0))).statuses[0]?.currentLimit).toBeUndefined();
});

test('shadow limits count and refuse nothing, unlimited ones are never over, replaced ones do not count', async () => {
  const { service, stat } = serviceWith([
    client(0, { shadow_mode: true }),
    { key: 'vip', rate_limit: { unlimited: true, replaces: [{ name: 'all' }] } },
    { key: 'any', rate_limit: limit(0, { name: 'all' }) },
  ]);
  expect((await service.judge(request(['client=a']))).overallCode).toBe(OK);
  expect(stat('rate_limit.shop.client.shadow_mode')).toBe(1);
  expect((await service.judge(request(['any=a']))).overallCode).toBe(OVER);
  expect(await service.judge(request(['any=a', 'vip=a']))).toMatchObject({
    overallCode: OK,
    statuses: [{ currentLimit: undefined }, { remaining: 0xffffffff }],
  });
});

test('who is over its limit costs no call to the counters until the window ends', async () => {
  const counters = new MemoryCounters();
  let asked = 0;
  const counting: HitCounters = {
    add: (...args) => {
      asked++;
      return counters.add(...args);
    },
    close: () => counters.close(),
  };
  const { service, stat } = serviceWith([client(1)], counting);
  const codes = [];
  for (let i = 0; i < 5; i++) codes.push((await service.judge(request(['client=a']))).overallCode);
  expect(codes).toEqual([OK, OVER, OVER, OVER, OVER]);
  expect([asked, stat('rate_limit.shop.client.over_limit_with_local_cache')]).toEqual([2, 3]);
  // A configuration that allows more is believed at once.
  service.replace(tableOf([client(100)]));
  expect((await service.judge(request(['client=a']))).statuses[0]?.remaining).toBe(97);
});

test('a window ends, and another one begins', async () => {
  const { service } = serviceWith([{ key: 'client', rate_limit: { unit: 'second', requests_per_unit: 1 } }]);
  await service.judge(request(['client=a']));
  expect((await service.judge(request(['client=a']))).overallCode).toBe(OVER);
  await expect
    .poll(async () => (await service.judge(request(['client=a']))).overallCode, { timeout: 5000, interval: 100 })
    .toBe(OK);
});

test('limits of months and years hold, which no timer of Node could wait for', async () => {
  for (const unit of ['month', 'year']) {
    const { service } = serviceWith([{ key: 'client', rate_limit: { unit, requests_per_unit: 2 } }]);
    const codes = [];
    for (let i = 0; i < 3; i++) {
      codes.push((await service.judge(request(['client=a']))).overallCode);
      await new Promise((done) => setTimeout(done, 10));
    }
    expect(codes).toEqual([OK, OK, OVER]);
  }
});

test('counters that cannot be reached mean what the failure mode says, and are counted', async () => {
  const broken: HitCounters = { add: () => Promise.reject(new Error('away')), close: async () => {} };
  const judge = (mode: FailureMode) => {
    const { service, stat } = serviceWith([client(1)], broken, mode);
    return service.judge(request(['client=a', 'nobody=x'])).then(
      ({ overallCode }) => [overallCode, stat('counter_failures')],
      (error: Error) => [error.message, stat('counter_failures')],
    );
  };
  expect(await judge('allow')).toEqual([OK, 1]);
  expect(await judge('deny')).toEqual([OVER, 1]);
  expect(await judge('error')).toEqual(['away', 1]);
});

test('concurrent requests never pass beyond the limit', async () => {
  const { service } = serviceWith([client(100)]);
  const verdicts = await Promise.all(Array.from({ length: 300 }, () => service.judge(request(['client=a']))));
  expect(verdicts.filter(({ overallCode }) => overallCode === OK).length).toBe(100);
});
