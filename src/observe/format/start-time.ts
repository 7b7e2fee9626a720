const MS_Z = Array.from({ length: 1000 }, (_, ms) => `${String(ms).padStart(3, '0')}Z`);
const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];

let isoMs = -1;
let isoText = '';
let secondMs = -1;
let secondText = '';

/**
 * Milliseconds since the epoch as `2026-11-21T21:14:54.340Z`, Envoy's default. The text is kept up to the second, and
 * whole for the streams of one millisecond.
 */
export function formatIso(epochMs: number): string {
  const ms = Math.floor(epochMs);
  if (ms === isoMs) return isoText;
  if (ms < secondMs || ms >= secondMs + 1000) {
    secondMs = Math.floor(ms / 1000) * 1000;
    secondText = new Date(secondMs).toISOString().slice(0, 20);
  }
  isoMs = ms;
  isoText = secondText + (MS_Z[ms - secondMs] as string);
  return isoText;
}

/** Where the clock on the wall stands: `date` is shifted, so that its UTC fields are the local ones. */
interface Zone {
  readonly epochSecond: number;
  /** East of Greenwich. */
  readonly offsetMinutes: number;
}

type Part = (date: Date, fractionNs: number, zone: Zone) => string;

const two = (value: number): string => String(value).padStart(2, '0');
const spaced = (value: number): string => String(value).padStart(2, ' ');
const hour12 = (date: Date): number => date.getUTCHours() % 12 || 12;
const clock = (date: Date): string => date.toISOString().slice(11, 19);
const day = (date: Date): string => date.toISOString().slice(0, 10);
const usDay = (date: Date): string =>
  `${two(date.getUTCMonth() + 1)}/${two(date.getUTCDate())}/${two(date.getUTCFullYear() % 100)}`;

/** strftime(3) with C locale, as far as access logs use it. */
const PARTS: Readonly<Record<string, Part>> = {
  Y: (d) => String(d.getUTCFullYear()),
  y: (d) => two(d.getUTCFullYear() % 100),
  C: (d) => two(Math.floor(d.getUTCFullYear() / 100)),
  m: (d) => two(d.getUTCMonth() + 1),
  d: (d) => two(d.getUTCDate()),
  e: (d) => spaced(d.getUTCDate()),
  H: (d) => two(d.getUTCHours()),
  I: (d) => two(hour12(d)),
  k: (d) => spaced(d.getUTCHours()),
  l: (d) => spaced(hour12(d)),
  M: (d) => two(d.getUTCMinutes()),
  S: (d) => two(d.getUTCSeconds()),
  p: (d) => (d.getUTCHours() < 12 ? 'AM' : 'PM'),
  j: (d) => String(dayOfYear(d)).padStart(3, '0'),
  U: (d) => two(Math.floor((dayOfYear(d) + 6 - d.getUTCDay()) / 7)),
  W: (d) => two(Math.floor((dayOfYear(d) + 6 - ((d.getUTCDay() + 6) % 7)) / 7)),
  u: (d) => String(d.getUTCDay() || 7),
  w: (d) => String(d.getUTCDay()),
  a: (d) => (DAYS[d.getUTCDay()] as string).slice(0, 3),
  A: (d) => DAYS[d.getUTCDay()] as string,
  b: (d) => (MONTHS[d.getUTCMonth()] as string).slice(0, 3),
  h: (d) => (MONTHS[d.getUTCMonth()] as string).slice(0, 3),
  B: (d) => MONTHS[d.getUTCMonth()] as string,
  D: usDay,
  x: usDay,
  F: day,
  R: (d) => clock(d).slice(0, 5),
  T: clock,
  X: clock,
  s: (_, _fraction, zone) => String(zone.epochSecond),
  z: (_, _fraction, zone) => offset(zone.offsetMinutes),
  Z: (_, _fraction, zone) => zoneName(zone),
  n: () => '\n',
  t: () => '\t',
  '%': () => '%',
  f: (_, fractionNs) => String(fractionNs).padStart(9, '0'),
};

/** `+0130`. */
function offset(minutes: number): string {
  const size = Math.abs(minutes);
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(size / 60))}${two(size % 60)}`;
}

/** `CET`, or `GMT+2` where the zone has no short name in English. */
function zoneName({ epochSecond, offsetMinutes }: Zone): string {
  if (offsetMinutes === 0) return 'UTC';
  return new Date(epochSecond * 1000).toLocaleTimeString('en-US', { timeZoneName: 'short' }).split(' ').at(-1) ?? '';
}

/** Counts from 1. */
function dayOfYear(date: Date): number {
  return Math.floor((date.getTime() - Date.UTC(date.getUTCFullYear(), 0, 1)) / 86_400_000) + 1;
}

/**
 * Compiles the argument of START_TIME: strftime with `%f` for nine and `%1f`…`%9f` for that many digits of the second's
 * fraction. Without a fraction the text is formatted once per second.
 *
 * @throws Error that names the unknown conversion
 */
export function compileTime(format: string): (epochMs: number) => string {
  return format === '' ? formatIso : compileZoned(format, () => 0);
}

/** The same for START_TIME_LOCAL, in the time zone of the process (TZ). @throws as `compileTime` */
export function compileLocalTime(format: string): (epochMs: number) => string {
  return compileZoned(format || '%Y-%m-%dT%H:%M:%S.%3f%z', (epochMs) => -new Date(epochMs).getTimezoneOffset());
}

function compileZoned(format: string, offsetMinutesAt: (epochMs: number) => number): (epochMs: number) => string {
  const parts = parseTime(format);
  const hasFraction = /%[1-9]?f/.test(format);
  const render = (second: number, fractionNs: number): string => {
    const zone = { epochSecond: second, offsetMinutes: offsetMinutesAt(second * 1000) };
    const date = new Date((second + zone.offsetMinutes * 60) * 1000);
    let text = '';
    for (const part of parts) text += typeof part === 'string' ? part : part(date, fractionNs, zone);
    return text;
  };
  let cachedSecond = -1;
  let cachedText = '';
  return (epochMs) => {
    const second = Math.floor(epochMs / 1000);
    if (hasFraction) return render(second, Math.floor((epochMs - second * 1000) * 1e6));
    if (second !== cachedSecond) {
      cachedSecond = second;
      cachedText = render(second, 0);
    }
    return cachedText;
  };
}

function parseTime(format: string): (string | Part)[] {
  const parts: (string | Part)[] = [];
  const pattern = /%([1-9]f|.)|([^%]+)|%/gs;
  for (const [whole, conversion, literal] of format.matchAll(pattern)) {
    if (literal !== undefined) parts.push(literal);
    else if (conversion?.length === 2) parts.push(fractionPart(Number(conversion[0])));
    else {
      const part = conversion === undefined ? undefined : PARTS[conversion];
      if (part === undefined) throw new Error(`unknown time conversion '${whole}'`);
      parts.push(part);
    }
  }
  return parts;
}

function fractionPart(digits: number): Part {
  return (_, fractionNs) => String(fractionNs).padStart(9, '0').slice(0, digits);
}
