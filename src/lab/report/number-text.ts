import { formatNumber as plainNumber } from '../number-text.ts';

/** Three significant digits, thousands apart, with a real minus sign; `–` for what is not a number. */
export function formatNumber(value: number): string {
  return Math.abs(value) >= 1e15 && Number.isFinite(value) ? value.toExponential(2) : minus(plainNumber(value));
}

/** Short, for axes: 2k, 1.5M. */
export function shortNumber(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (Math.abs(value) >= 1e6) return `${trimmed(value / 1e6)}M`;
  if (Math.abs(value) >= 1e3) return `${trimmed(value / 1e3)}k`;
  return trimmed(value);
}

/** A share of 1 in percent. */
export function percent(share: number, digits = 0): string {
  if (!Number.isFinite(share * 100)) return '–';
  return Math.abs(share) < 1e5
    ? `${minus((share * 100).toFixed(digits))} %`
    : `${minus((share * 100).toExponential(1))} %`;
}

export function signedPercent(share: number, digits = 1): string {
  return share > 0 && Number.isFinite(share * 100) ? `+${percent(share, digits)}` : percent(share, digits);
}

export function formatRatio(ratio: number): string {
  return ratio < 1e6 ? ratio.toFixed(2) : formatNumber(ratio);
}

/** Microseconds on an axis. */
export function shortMicros(micros: number): string {
  if (!Number.isFinite(micros)) return '–';
  if (micros >= 1e6) return `${trimmed(micros / 1e6)} s`;
  return micros >= 1000 ? `${trimmed(micros / 1000)} ms` : `${trimmed(micros)} µs`;
}

export function formatBytes(bytes: number): string {
  if (!Number.isFinite(bytes)) return '–';
  if (bytes >= 2 ** 20) return `${trimmed(bytes / 2 ** 20)} MiB`;
  return bytes >= 1024 ? `${trimmed(bytes / 1024)} KiB` : `${trimmed(bytes)} B`;
}

/** At most three significant digits, without zeros behind the point. */
function trimmed(value: number): string {
  return String(Number(value.toPrecision(3)));
}

/** A real minus sign, and none before zero. */
function minus(text: string): string {
  if (!text.startsWith('-')) return text;
  return Number(text) === 0 ? text.slice(1) : `−${text.slice(1)}`;
}
