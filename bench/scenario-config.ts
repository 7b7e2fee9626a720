import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PeerRun } from './peers/peer.ts';

/** The ports that the scenario files are written with; each run replaces them by free ones. */
const LISTEN_PORT = 18001;
const BACKEND_PORT = 18002;

function scenarioText(run: PeerRun): string {
  const text = readFileSync(join(import.meta.dirname, 'scenarios', `${run.scenario.config}.yaml`), 'utf8');
  return text
    .replaceAll(String(LISTEN_PORT), String(run.listenPort))
    .replaceAll(String(BACKEND_PORT), String(run.backendPort));
}

export function outriggerConfig(run: PeerRun): string {
  return scenarioText(run);
}

export async function envoyConfig(run: PeerRun): Promise<string> {
  return scenarioText(run);
}
