import { clockMs } from './clock.ts';
import { type LoadClient, type LoadEvents, openClient } from './load-client.ts';
import type { LoadTarget } from './load-target.ts';
import type { SaturationResult } from './saturation.ts';

/**
 * Sends as fast as answers come, everything that the target has room for at once: for work that no installed generator
 * knows. It costs more CPU than one in C, so look at the marks.
 */
export async function runClosedLoop(target: LoadTarget, durationMs: number): Promise<SaturationResult> {
  const load = new ClosedLoopLoad();
  const client = await openClient(target, load);
  try {
    const startMs = clockMs();
    load.begin(client);
    await new Promise((resolve) => setTimeout(resolve, durationMs));
    const { answers, errors } = load;
    const seconds = (clockMs() - startMs) / 1000;
    if (answers === 0) throw new Error('no request was answered');
    return { requests: answers, requestsPerSecond: answers / seconds, errors };
  } finally {
    client.close();
  }
}

class ClosedLoopLoad implements LoadEvents {
  answers = 0;
  errors = 0;
  private client: LoadClient | undefined;

  begin(client: LoadClient): void {
    this.client = client;
    this.onReady();
  }

  onAnswer(_intendedMs: number, isRight: boolean): void {
    this.answers++;
    if (!isRight) this.errors++;
  }

  onReady(): void {
    const { client } = this;
    if (client === undefined) return;
    // The time does not matter here, only that it is one.
    while (client.trySend(0));
    client.flush();
  }
}

if (import.meta.main) {
  const [target, durationMs] = JSON.parse(process.argv[2] ?? '[]') as [LoadTarget, number];
  process.stdout.write(`${JSON.stringify(await runClosedLoop(target, durationMs))}\n`);
}
