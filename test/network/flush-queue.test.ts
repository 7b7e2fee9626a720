import { expect, test } from 'vitest';
import { flushQueue } from '../../src/network/flush-queue.ts';

const entry = (log: string[], name: string, then: () => void = () => {}) => ({
  flush: () => {
    log.push(name);
    then();
  },
});

test('what is added in an event leaves at its end, in order', () => {
  const log: string[] = [];
  flushQueue.enter();
  flushQueue.add(entry(log, 'a'));
  flushQueue.add(entry(log, 'b'));
  expect(log).toEqual([]);
  flushQueue.leave();
  expect(log).toEqual(['a', 'b']);
});

test('events inside events leave with the outermost one', () => {
  const log: string[] = [];
  flushQueue.enter();
  flushQueue.enter();
  flushQueue.add(entry(log, 'a'));
  flushQueue.leave();
  expect(log).toEqual([]);
  flushQueue.leave();
  expect(log).toEqual(['a']);
});

test('outside of events it leaves in a microtask', async () => {
  const log: string[] = [];
  flushQueue.add(entry(log, 'a'));
  flushQueue.add(entry(log, 'b'));
  expect(log).toEqual([]);
  await Promise.resolve();
  expect(log).toEqual(['a', 'b']);
});

test('what a flush adds leaves with it, each thing once', async () => {
  const log: string[] = [];
  flushQueue.enter();
  flushQueue.add(entry(log, 'a', () => flushQueue.add(entry(log, 'b'))));
  flushQueue.leave();
  await Promise.resolve();
  expect(log).toEqual(['a', 'b']);
});

test('one that throws does not keep the others', async () => {
  const log: string[] = [];
  flushQueue.enter();
  flushQueue.add(entry(log, 'a'));
  flushQueue.add({
    flush: () => {
      throw new Error('broken');
    },
  });
  flushQueue.add(entry(log, 'b'));
  expect(() => flushQueue.leave()).toThrow('broken');
  await Promise.resolve();
  expect(log).toEqual(['a', 'b']);
  flushQueue.enter();
  flushQueue.add(entry(log, 'c'));
  flushQueue.leave();
  expect(log).toEqual(['a', 'b', 'c']);
});
