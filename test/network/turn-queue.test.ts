import { expect, test } from 'vitest';
import { turnQueue } from '../../src/network/turn-queue.ts';

const turn = (): Promise<void> => new Promise((done) => setImmediate(done));

test('what is added is flushed once, at the end of the turn, in its order', async () => {
  const flushed: string[] = [];
  for (const name of ['a', 'b', 'c']) turnQueue.add({ flush: () => void flushed.push(name) });
  await Promise.resolve();
  expect(flushed).toEqual([]);
  await turn();
  expect(flushed).toEqual(['a', 'b', 'c']);
  await turn();
  expect(flushed).toEqual(['a', 'b', 'c']);
});

test('what a flush adds has its turn later, and is not lost', async () => {
  const flushed: string[] = [];
  const again = { flush: () => void flushed.push('again') };
  turnQueue.add({
    flush: () => {
      flushed.push('first');
      turnQueue.add(again);
    },
  });
  turnQueue.add({ flush: () => void flushed.push('second') });
  await turn();
  expect(flushed).toEqual(['first', 'second']);
  await turn();
  expect(flushed).toEqual(['first', 'second', 'again']);
});

test('one that throws does not keep the others', async () => {
  const flushed: string[] = [];
  const thrown = new Promise<unknown>((resolve) => {
    const listeners = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.once('uncaughtException', (error) => {
      for (const listener of listeners) process.on('uncaughtException', listener);
      resolve(error);
    });
  });
  turnQueue.add({ flush: () => void flushed.push('before') });
  turnQueue.add({
    flush: () => {
      throw new Error('on purpose');
    },
  });
  turnQueue.add({ flush: () => void flushed.push('behind') });
  expect(await thrown).toEqual(new Error('on purpose'));
  await turn();
  await turn();
  expect(flushed).toEqual(['before', 'behind']);
});
