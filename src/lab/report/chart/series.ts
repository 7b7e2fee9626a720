import { px } from './drawing.ts';

/**
 * How the proxies look in every picture: a colour of Okabe and Ito's palette, which the colour-blind tell apart, and
 * besides it a shape and a dash pattern, so that nothing is said by colour alone.
 */
export interface Series {
  readonly label: string;
  /** CSS class that gives the colour. */
  readonly className: string;
  readonly shape: 'circle' | 'square' | 'triangle' | 'diamond';
  readonly dash: string;
}

const KNOWN: Readonly<Record<string, Series>> = {
  outrigger: { label: 'Outrigger', className: 'outrigger', shape: 'circle', dash: '' },
  envoy: { label: 'Envoy', className: 'envoy', shape: 'square', dash: '6 3' },
  nginx: { label: 'nginx', className: 'nginx', shape: 'triangle', dash: '2 3' },
  haproxy: { label: 'HAProxy', className: 'haproxy', shape: 'diamond', dash: '8 3 2 3' },
};

/** Any other proxy is drawn in the colour of text. */
export function seriesOf(peer: string): Series {
  return (
    (Object.hasOwn(KNOWN, peer) ? KNOWN[peer] : undefined) ?? {
      label: peer,
      className: 'other',
      shape: 'diamond',
      dash: '1 4',
    }
  );
}

/** Lines that are no proxies: told apart by the same means, in an order of their own. */
export function numberedSeries(label: string, index: number): Series {
  const places = NUMBERED[index % NUMBERED.length] as Omit<Series, 'label'>;
  return { label, ...places };
}

const NUMBERED: readonly Omit<Series, 'label'>[] = [
  { className: 'series-1', shape: 'circle', dash: '' },
  { className: 'series-2', shape: 'square', dash: '6 3' },
  { className: 'series-3', shape: 'triangle', dash: '2 3' },
  { className: 'series-4', shape: 'diamond', dash: '8 3 2 3' },
  { className: 'series-5', shape: 'square', dash: '1 4' },
];

const RADIUS = 4.5;
/** A hollow mark is larger, so that it is seen around a filled one. */
const HOLLOW_MORE = 1.5;

/** The shape of a series; a hollow one is what was predicted. */
export function marker(series: Series, x: number, y: number, isHollow = false): string {
  const style = `class="${isHollow ? 'hollow' : 'solid'} ${series.className}"`;
  const more = isHollow ? HOLLOW_MORE : 0;
  if (series.shape === 'circle') return `<circle ${style} cx="${px(x)}" cy="${px(y)}" r="${RADIUS + more}"/>`;
  const r = (series.shape === 'square' ? 4 : 5.5) + more;
  if (series.shape === 'square')
    return `<rect ${style} x="${px(x - r)}" y="${px(y - r)}" width="${2 * r}" height="${2 * r}"/>`;
  const path =
    series.shape === 'triangle'
      ? `M${px(x)} ${px(y - r)}L${px(x + r)} ${px(y + r * 0.8)}H${px(x - r)}Z`
      : `M${px(x)} ${px(y - r)}L${px(x + r)} ${px(y)}L${px(x)} ${px(y + r)}L${px(x - r)} ${px(y)}Z`;
  return `<path ${style} d="${path}"/>`;
}
