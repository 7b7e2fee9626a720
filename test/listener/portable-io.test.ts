import { expect, test, vi } from 'vitest';
import { streamBinding } from '../../src/network/stream-handle.ts';

/** What listener filters leave of a connection must be read there too, where connections use documented stream API only. */
vi.hoisted(() => {
  process.env.OUTRIGGER_PORTABLE_IO = '1';
});

test('no handle is driven directly', () => {
  expect(streamBinding).toBeUndefined();
});

await import('./proxy-protocol-filter.test.ts');
await import('./http-inspector.test.ts');
await import('./server-first.test.ts');
await import('./tls-inspector.test.ts');
