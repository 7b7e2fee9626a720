import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { DynamicBuckets, dynamicBucketWords } from '../../../filters/local-ratelimit/dynamic-buckets.ts';
import { BUCKET_WORDS, processNowMs, TokenBucket } from '../../../filters/local-ratelimit/token-bucket.ts';

const config = { max_tokens: 20_000, tokens_per_fill: 1, fill_interval: 3_600_000 };
const moduleUrl = new URL('../../../filters/local-ratelimit/', import.meta.url).href;

/** Runs the same work in so many threads on one memory; answers what each granted. */
async function grantsOf(threads: number, memory: SharedArrayBuffer, source: string): Promise<number[]> {
  const workers = Array.from(
    { length: threads },
    () => new Worker(source, { eval: true, workerData: { memory, config, moduleUrl } }),
  );
  return Promise.all(
    workers.map(
      (worker) =>
        new Promise<number>((resolve, reject) => {
          worker.once('message', resolve);
          worker.once('error', reject);
        }),
    ),
  );
}

test('threads together get what one bucket holds', async () => {
  const memory = new SharedArrayBuffer(BUCKET_WORDS * 4);
  const grants = await grantsOf(
    2,
    memory,
    `const { workerData, parentPort } = require('node:worker_threads');
     import(workerData.moduleUrl + 'token-bucket.ts').then(({ TokenBucket, processNowMs }) => {
       const bucket = new TokenBucket(workerData.config, new Uint32Array(workerData.memory), 0);
       let granted = 0;
       for (let i = 0; i < 15000; i++) if (bucket.consume(processNowMs())) granted++;
       parentPort.postMessage(granted);
     });`,
  );
  const total = grants.reduce((sum, granted) => sum + granted, 0);
  expect(total).toBe(config.max_tokens);
  expect(new TokenBucket(config, new Uint32Array(memory), 0).consume(processNowMs())).toBe(false);
});

test('threads share the bucket of each value, also while they make it', async () => {
  const memory = new SharedArrayBuffer(dynamicBucketWords(100) * 4);
  const grants = await grantsOf(
    2,
    memory,
    `const { workerData, parentPort } = require('node:worker_threads');
     Promise.all(['token-bucket.ts', 'dynamic-buckets.ts'].map((file) => import(workerData.moduleUrl + file)))
       .then(([{ processNowMs }, { DynamicBuckets }]) => {
         const limits = { ...workerData.config, max_tokens: 50 };
         const buckets = new DynamicBuckets(limits, 100, new Uint32Array(workerData.memory), 0);
         let granted = 0;
         for (let round = 0; round < 40; round++) {
           for (let i = 0; i < 100; i++) if (buckets.get('value ' + i).consume(processNowMs())) granted++;
         }
         parentPort.postMessage(granted);
       });`,
  );
  expect(grants.reduce((sum, granted) => sum + granted, 0)).toBe(100 * 50);
});

test('the value that was used longest ago makes room for a new one', () => {
  const words = new Uint32Array(dynamicBucketWords(2));
  const limits = { max_tokens: 1, tokens_per_fill: 1, fill_interval: 3_600_000 };
  const buckets = new DynamicBuckets(limits, 2, words, 0);
  const take = (value: string) => buckets.get(value).consume(1000);
  expect([take('a'), take('b'), take('a'), take('b')]).toEqual([true, true, false, false]);
  expect(take('a')).toBe(false);
  expect(take('c')).toBe(true);
  expect(take('a')).toBe(false);
  expect(take('b')).toBe(true);
});
