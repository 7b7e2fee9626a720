import type { RouteEntry } from '../http/route/route-entry.ts';
import type { TcpProxy } from '../network/tcp-proxy.ts';
import { asEvent, type EventSampler } from './events.ts';
import type { Meter } from './meter.ts';
import { proxyOfSession, routeOfRouter, routeOfStream, SEAMS, type Seam } from './seams.ts';
import type { Loom, Weaving } from './weave.ts';

/** Weaves all seams. @throws Error when the code no longer has one of them */
export function weaveSeams(
  loom: Loom,
  meter: Meter,
  sampler: EventSampler,
  nameOfTcpProxy: (proxy: TcpProxy) => string,
): void {
  const names = new WeakMap<RouteEntry, string>();
  let lastEntry: RouteEntry | undefined;
  let lastName = '';
  const routeName = (entry: RouteEntry | undefined): string => {
    if (entry === undefined) return 'no route';
    // Looking it up takes as long as a part: as a rule it is the one of before.
    if (entry === lastEntry) return lastName;
    let name = names.get(entry);
    if (name === undefined) {
      name = `${entry.virtualHostName}/${entry.name || entry.clusterName || 'route'}`;
      names.set(entry, name);
    }
    lastEntry = entry;
    lastName = name;
    return name;
  };
  const weavingOf = ({ is, part }: Seam): Weaving => {
    const base = part === undefined ? {} : { part: meter.parts.of(part) };
    switch (is) {
      case 'read':
        return { ...base, before: (_self, _buffer, length: number) => meter.read(length) };
      case 'message':
        return { ...base, before: () => meter.beginMessage() };
      case 'request':
        return { ...base, isRequest: true, before: () => meter.beginRequest() };
      case 'route':
        return { ...base, after: (self: never) => meter.belongsTo(routeName(routeOfStream(self))) };
      case 'response':
        return { ...base, before: (self: never) => meter.belongsTo(routeName(routeOfRouter(self))) };
      case 'tcp':
        return { ...base, before: (self: never) => meter.belongsTo(nameOfTcpProxy(proxyOfSession(self))) };
      default:
        return base;
    }
  };
  for (const seam of SEAMS) {
    const { prototype } = seam.of;
    const weaving = weavingOf(seam);
    for (const method of seam.methods) {
      if (seam.is === 'event') loom.substitute(prototype, method, (original) => asEvent(sampler, original));
      else loom.weave(prototype, method, weaving);
    }
  }
}
