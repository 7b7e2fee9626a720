import type { BackendName, PlannedInput } from './backend.ts';
import { findBackends, noBackend, survey } from './backends.ts';
import { Routes, tproxyMarks } from './routes.ts';
import type { Family } from './rule.ts';

const FAMILIES: readonly Family[] = [4, 6];

/**
 * Takes out all that installations have made, by whichever program.
 *
 * @returns whose rules there were; empty when there was nothing
 */
export async function remove(): Promise<(BackendName | 'routes')[]> {
  const snapshots = await readAll();
  const ours = snapshots.filter((snapshot) => snapshot.hasOurs);
  for (const snapshot of ours) await snapshot.remove();
  const hadRoutes = await Routes.find()?.remove(tproxyMarks(ours), FAMILIES);
  return [...ours.map((snapshot) => snapshot.backend), ...(hadRoutes === true ? (['routes'] as const) : [])];
}

/** What `remove` would tell the programs now. */
export async function planRemoval(): Promise<PlannedInput[]> {
  return (await readAll()).flatMap((snapshot) => snapshot.planRemoval());
}

async function readAll() {
  const backends = findBackends();
  if (backends.length === 0) throw noBackend();
  const { snapshots, errors } = await survey(backends, FAMILIES);
  if (snapshots.length === 0 && errors[0] !== undefined) throw errors[0];
  return snapshots;
}
