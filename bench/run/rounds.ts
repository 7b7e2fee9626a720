import { roundOrder } from '../measure/statistics.ts';

/** What is measured again in every round, until it fails. */
export interface Contender {
  /** Why it was left out. */
  error: string | undefined;
}

/** Every contender once per round, the order reversed each round; one that failed is left out from then on. */
export async function inRounds<T extends Contender>(
  all: readonly T[],
  count: number,
  step: (contender: T, round: number) => Promise<void>,
): Promise<void> {
  for (let round = 0; round < count; round++) {
    for (const contender of roundOrder(all, round)) {
      if (contender.error !== undefined) continue;
      try {
        await step(contender, round);
      } catch (error) {
        contender.error = (error as Error).message;
      }
    }
  }
}
