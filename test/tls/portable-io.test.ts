import { vi } from 'vitest';

/** The stories of TLS once more, on connections that use documented stream API only. */
vi.hoisted(() => {
  process.env.OUTRIGGER_PORTABLE_IO = '1';
});

await import('./tls-connection.test.ts');
await import('./downstream-tls.test.ts');
await import('./upstream-tls.test.ts');
