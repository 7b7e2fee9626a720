import { Worker } from 'node:worker_threads';
import { expect, onTestFinished, test } from 'vitest';
import { TestCa } from '../support/pki.ts';

const MODULE = new URL('../../src/tls/intermediates.ts', import.meta.url).href;

/** A thread that tells how many authorities it knows, and is told of some. */
const THREAD = `
const { parentPort } = require('node:worker_threads');
const { X509Certificate } = require('node:crypto');
import(${JSON.stringify(MODULE)}).then(({ intermediates }) => {
  intermediates.open();
  parentPort.on('message', (pem) => {
    if (pem !== '') intermediates.remember([new X509Certificate(pem)]);
    parentPort.postMessage(intermediates.with([]).length);
  });
  parentPort.postMessage(0);
});`;

function start(): Worker {
  const thread = new Worker(THREAD, { eval: true });
  onTestFinished(() => void thread.terminate());
  return thread;
}

const answer = (thread: Worker): Promise<number> => new Promise((resolve) => thread.once('message', resolve));

function ask(thread: Worker, pem = ''): Promise<number> {
  thread.postMessage(pem);
  return answer(thread);
}

test('an authority that one thread has seen is known to the others, once', async () => {
  const threads = [start(), start()] as const;
  await Promise.all(threads.map(answer));
  const [one, other] = threads;
  const below = new TestCa('Below', new TestCa('Root'));
  expect(await ask(one, below.cert)).toBe(1);
  expect(await ask(one, below.cert)).toBe(1);
  await expect.poll(() => ask(other)).toBe(1);
  expect(await ask(other, below.cert)).toBe(1);
});
