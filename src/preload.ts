/**
 * Loads what an ordinary run loads on its way, and runs nothing of it: for the start-up snapshot, in which its modules
 * lie evaluated. They are evaluated where the snapshot is made, so none of them may read the clock, the environment or
 * random numbers then (`scripts/build-snapshot.cjs` refuses it).
 */
export async function preloadModules(): Promise<void> {
  await Promise.all([import('./http/connection-manager.ts'), import('./network/tcp-proxy.ts')]);
}
