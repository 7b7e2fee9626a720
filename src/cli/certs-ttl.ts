export const DAY_MS = 86_400_000;

const UNITS_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: DAY_MS };

/** `90s`, `15m`, `12h`, `30d` in milliseconds; undefined for anything else, and for no time at all. */
export function parseTtl(text: string): number | undefined {
  const match = /^(\d{1,6})([smhd])$/.exec(text);
  const ms = Number(match?.[1] ?? 0) * (UNITS_MS[match?.[2] ?? ''] ?? 0);
  return ms > 0 ? ms : undefined;
}

/** A span in the largest unit that leaves at least two: `47h`, `30d`. */
export function spanText(ms: number): string {
  for (const [unit, size] of [
    ['d', DAY_MS],
    ['h', 3_600_000],
    ['m', 60_000],
  ] as const) {
    if (ms >= 2 * size) return `${Math.floor(ms / size)}${unit}`;
  }
  return `${Math.max(0, Math.floor(ms / 1000))}s`;
}
