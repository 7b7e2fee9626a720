import { fstatSync, openSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { closeDescriptor } from '../../src/kernel/close-descriptor.ts';
import { libc } from '../../src/kernel/libc.ts';

test('a descriptor is closed', () => {
  const fd = openSync('/dev/null', 'r');
  closeDescriptor(fd);
  expect(() => fstatSync(fd)).toThrow('EBADF');
});

test('a worker thread closes what it did not open without a warning', async (context) => {
  if (libc() === undefined) return context.skip('needs Linux and node:ffi');
  const fd = openSync('/dev/null', 'r');
  const source = `
    import { closeDescriptor } from ${JSON.stringify(new URL('../../src/kernel/close-descriptor.ts', import.meta.url).href)};
    import { parentPort, workerData } from 'node:worker_threads';
    const warnings = [];
    process.on('warning', ({ name, message }) => name !== 'ExperimentalWarning' && warnings.push(message));
    closeDescriptor(workerData);
    setTimeout(() => parentPort.postMessage(warnings), 50);`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), { workerData: fd });
  const warnings = await new Promise((done, fail) => worker.once('message', done).once('error', fail));
  expect(warnings).toEqual([]);
  expect(() => fstatSync(fd)).toThrow('EBADF');
  await worker.terminate();
});
