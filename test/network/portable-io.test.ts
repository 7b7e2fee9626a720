import { expect, test, vi } from 'vitest';
import { streamBinding } from '../../src/network/stream-handle.ts';

/** The stories of TCP and HTTP/1.1 once more, on connections that use documented stream API only. */
vi.hoisted(() => {
  process.env.OUTRIGGER_PORTABLE_IO = '1';
});

test('no handle is driven directly', () => {
  expect(streamBinding).toBeUndefined();
});

await import('./tcp-proxy.test.ts');
await import('./bulk-integrity.test.ts');
await import('../http/http1/smuggling.test.ts');
