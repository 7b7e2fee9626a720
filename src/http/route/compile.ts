import type { RouteConfiguration, VirtualHost } from '../../config/schema/route.ts';
import type { Route } from '../../config/schema/route-components.ts';
import { compileRoute, type RouteScope } from './compile-route.ts';
import type { RouteChoice } from './route-choice.ts';
import { type Candidate, RouteIndex } from './route-index.ts';
import { compileLevel, type RouteLevel } from './route-level.ts';
import { compileRouteMatch } from './route-match.ts';
import { RouteTable } from './route-table.ts';
import { VirtualHostTable } from './virtual-host-table.ts';

/** What compiling routes needs from the connection manager; every field has a default. */
export interface RouteContext {
  /** The router's `suppress_envoy_headers`: no x-envoy-original-path. */
  readonly suppressEnvoyHeaders?: boolean;
  /** Numbers from 0 (included) to 1 for fractions and weights. */
  readonly random?: () => number;
}

/** One thing that is wrong, with its place below the route configuration. */
export interface RouteProblem {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** A route configuration that cannot be compiled: everything that is wrong with it. */
export class RouteConfigError extends Error {
  override name = 'RouteConfigError';
  readonly problems: readonly RouteProblem[];

  constructor(problems: readonly RouteProblem[]) {
    super(problems.map(({ path, message }) => `${path.join('.')}: ${message}`).join('\n'));
    this.problems = problems;
  }
}

/** @throws RouteConfigError with every problem found */
export function compileRouteConfiguration(config: RouteConfiguration, context: RouteContext = {}): RouteTable {
  return new RouteCompiler(config, context).compile();
}

const EMPTY_LEVEL: RouteLevel = { request: undefined, response: undefined, perFilterConfig: undefined };

class RouteCompiler {
  private readonly config: RouteConfiguration;
  private readonly suppressEnvoyHeaders: boolean;
  private readonly random: () => number;
  private readonly problems: RouteProblem[] = [];
  private readonly choices: RouteChoice[] = [];

  constructor(config: RouteConfiguration, context: RouteContext) {
    this.config = config;
    this.suppressEnvoyHeaders = context.suppressEnvoyHeaders ?? false;
    this.random = context.random ?? Math.random;
  }

  compile(): RouteTable {
    const { config } = this;
    const level = this.at([], () => compileLevel(config)) ?? EMPTY_LEVEL;
    const hosts = new VirtualHostTable<RouteIndex<RouteChoice>>(config.ignore_port_in_host_matching);
    for (const [i, host] of config.virtual_hosts.entries()) {
      const index = this.compileHost(host, level, ['virtual_hosts', i]);
      for (const [j, domain] of host.domains.entries()) {
        this.at(['virtual_hosts', i, 'domains', j], () => hosts.add(domain, index));
      }
    }
    if (this.problems.length > 0) throw new RouteConfigError(this.problems);
    return new RouteTable({
      name: config.name,
      hosts,
      entries: this.choices.flatMap((choice) => choice.entries),
      internalOnlyHeaders: config.internal_only_headers,
      virtualHostHeader: config.vhost_header.toLowerCase(),
      ignorePathParameters: config.ignore_path_parameters_in_path_matching,
    });
  }

  private compileHost(
    host: VirtualHost,
    outer: RouteLevel,
    path: readonly (string | number)[],
  ): RouteIndex<RouteChoice> {
    const level = this.at(path, () => compileLevel(host)) ?? EMPTY_LEVEL;
    const scope: RouteScope = {
      configuration: this.config,
      host,
      levels: [outer, level],
      suppressEnvoyHeaders: this.suppressEnvoyHeaders,
      random: this.random,
    };
    const candidates: Candidate<RouteChoice>[] = [];
    for (const [i, route] of host.routes.entries()) {
      const candidate = this.at([...path, 'routes', i], () => this.compileCandidate(route, scope));
      if (candidate !== undefined) candidates.push(candidate);
    }
    return new RouteIndex(candidates);
  }

  private compileCandidate(route: Route, scope: RouteScope): Candidate<RouteChoice> {
    const choice = compileRoute(route, scope);
    this.choices.push(choice);
    return compileRouteMatch(route.match, choice, this.random);
  }

  /** Notes what `compile` throws as a problem at a place, and goes on. */
  private at<T>(path: readonly (string | number)[], compile: () => T): T | undefined {
    try {
      return compile();
    } catch (error) {
      this.problems.push({ path, message: error instanceof Error ? error.message : String(error) });
      return undefined;
    }
  }
}
