import * as v from 'valibot';
import type { Path } from '../errors.ts';
import { Problem } from '../schema/schema.ts';
import { type Finding, findingOf } from '../validate.ts';
import { intercepted } from './intercept.ts';
import { listener } from './listener.ts';
import { Provenance } from './provenance.ts';
import { InterceptFile, type ListenerEntry, SidecarFile, SidecarGroup } from './schema.ts';
import { cluster, type Upstream } from './upstream.ts';

/** A sidecar file in canonical form, or what is wrong with it. */
export type SidecarResult =
  | { readonly bootstrap: Record<string, unknown>; readonly sourcePathOf: (path: Path) => Path }
  | { readonly findings: readonly Finding[] };

/** Validates a sidecar file and expands it. Paths of findings are those of the sidecar file. */
export function readSidecar(data: object): SidecarResult {
  if ('intercept' in data) return readInterception(data);
  const isGroup = 'listeners' in data;
  const result = v.safeParse(isGroup ? SidecarGroup : SidecarFile, data);
  if (!result.success) return { findings: result.issues.map(findingOf) };
  const file = result.output;
  const provenance = new Provenance();
  const problems: Problem[] = [];
  const upstreams = new Map<string, Record<string, unknown>>();
  const entries: [ListenerEntry, Path][] =
    'listeners' in file ? file.listeners.map((entry, index) => [entry, ['listeners', index]]) : [[file, []]];
  const speakHttp = entries.map(([entry]) => entry.protocol).filter((protocol) => protocol !== 'TCP');
  const isHttp2 = speakHttp.length > 0 && speakHttp.every(expectsHttp2);
  for (const [name, upstream] of Object.entries(file.upstreams)) {
    const made = cluster(name, upstream, { keepCase: true, isHttp2, upgrades: true });
    upstreams.set(name, provenance.mark(['upstreams', name], made));
  }
  const names = new Set<string>();
  const listeners = entries.map(([entry, path]) => {
    if (names.has(entry.name))
      problems.push(new Problem(`a listener "${entry.name}" exists already`, { path: [...path, 'name'] }));
    names.add(entry.name);
    const appCluster = entry.app === undefined ? undefined : isGroup ? `${entry.name}-app` : 'app';
    if (appCluster !== undefined) addApp(appCluster, entry, entry.app!, path);
    return listener(entry, { appCluster, path, provenance, problems });
  });
  if (problems.length > 0) return { findings: problems };

  function addApp(name: string, entry: ListenerEntry, app: Upstream, path: Path): void {
    if (upstreams.has(name)) {
      problems.push(new Problem(`the name "${name}" is taken by the app of a listener`, { path: ['upstreams', name] }));
    }
    if (entry.protocol === 'TCP' && app.protocol !== undefined) {
      problems.push(new Problem('needs protocol: http', { path: [...path, 'app', 'protocol'] }));
    }
    const { keep_header_case: keepCase, websocket: upgrades } = entry.http;
    const isHttp2 = expectsHttp2(entry.protocol);
    const http = entry.protocol === 'TCP' ? undefined : { keepCase, isHttp2, upgrades };
    upstreams.set(name, provenance.mark([...path, 'app'], cluster(name, app, http)));
  }

  const bootstrap = provenance.mark([], {
    ...about(file, provenance),
    static_resources: { listeners, clusters: [...upstreams.values()] },
  });
  return { bootstrap, sourcePathOf: (path) => provenance.sourcePathOf(bootstrap, path) };
}

function readInterception(data: object): SidecarResult {
  const result = v.safeParse(InterceptFile, data);
  if (!result.success) return { findings: result.issues.map(findingOf) };
  const { node, admin, intercept } = result.output;
  const provenance = new Provenance();
  const problems: Problem[] = [];
  const resources = intercepted(intercept, { provenance, problems });
  if (problems.length > 0) return { findings: problems };
  const bootstrap = provenance.mark([], { ...about({ node, admin }, provenance), static_resources: resources });
  return { bootstrap, sourcePathOf: (path) => provenance.sourcePathOf(bootstrap, path) };
}

/** What a file says of the proxy itself. */
function about({ node, admin }: Pick<SidecarFile, 'node' | 'admin'>, provenance: Provenance): Record<string, unknown> {
  return {
    ...(node === undefined ? {} : { node: provenance.mark(['node'], { ...node }) }),
    ...(admin === undefined ? {} : { admin: provenance.mark(['admin'], { address: admin }) }),
  };
}

/** True when the app behind a listener is expected to speak HTTP/2 unless it says otherwise. */
function expectsHttp2(protocol: ListenerEntry['protocol']): boolean {
  return protocol === 'GRPC' || protocol === 'HTTP2';
}

/**
 * The canonical bootstrap of a sidecar file that is plain data.
 *
 * @throws Error naming everything that is wrong
 */
export function expandSidecar(data: object): Record<string, unknown> {
  const result = readSidecar(data);
  if ('bootstrap' in result) return result.bootstrap;
  throw new Error(result.findings.map(({ path, message }) => `${path.join('.')}: ${message}`).join('\n'));
}
