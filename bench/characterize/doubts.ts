import type { Measurement } from './measurement.ts';

/** Below this share of its core something else than the proxy was the limit. */
const SATURATED_PERCENT = 80;
/** Further from its level than this, a rate has missed it. */
const MISSED = 0.3;
/** With fewer answers than this share of its rate, latency is that of a growing queue. */
const KEPT_UP = 0.95;

/** What makes figures of a run doubtful, in words: each reason once, with all that it is true of. */
export function doubts(all: readonly Measurement[]): string[] {
  const limited: string[] = [];
  const missed: string[] = [];
  const behind: string[] = [];
  const failed: string[] = [];
  for (const one of all) {
    const { scenario, peer } = one.subject;
    const character = one.character();
    const name = `${scenario.name} (${peer.name})`;
    const percent = character.cpuPercent;
    if (percent !== undefined && percent < SATURATED_PERCENT) limited.push(`${name} ${Math.round(percent)} %`);
    if (character.errors > 0) failed.push(`${name} ${character.errors}`);
    for (const { level, rate, achievedRate, cpuPercent, loop } of character.levels) {
      if (achievedRate.median < KEPT_UP * rate)
        behind.push(`${name} ${Math.round(achievedRate.median)} of ${Math.round(rate)}`);
      const off = Math.abs(cpuPercent.median / (100 * level) - 1);
      if (loop === 'open' && off > MISSED)
        missed.push(`${name} ${Math.round(cpuPercent.median)} % for ${Math.round(100 * level)} %`);
    }
  }
  return [
    ...sentence('not the proxy but the load, the backend or other work was the limit at saturation', limited),
    ...sentence('requests failed', failed),
    ...sentence('answers per second fell behind the fixed rate, so latency says little', behind),
    ...sentence('the fixed rate used another share of a core than it was chosen for', missed),
  ];
}

function sentence(what: string, of: readonly string[]): string[] {
  return of.length === 0 ? [] : [`${what}: ${of.join(', ')}`];
}
