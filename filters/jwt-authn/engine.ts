import { type FilterEnv, type HttpFilterHooks, type HttpStream, type Reply, reply } from '../../src/filter/index.ts';
import type { RequestHead } from '../../src/http/message.ts';
import { RouteIndex } from '../../src/http/route/route-index.ts';
import { compileRouteMatch } from '../../src/http/route/route-match.ts';
import { denialDetails, type Failure } from './failure.ts';
import { Provider } from './provider.ts';
import { compileRequirement, type Requirement, type Result } from './requirement.ts';
import type { JwtAuthentication, JwtRequirement, PerRouteConfig, RequirementRule } from './schema.ts';
import { JwtStats } from './stats.ts';

/** Envoy names at most so many bytes of the path in `www-authenticate`. */
const MAX_REALM_PATH_BYTES = 256;

/** Engines by their configuration: routes with overrides share the keys and the cache. */
const engines = new WeakMap<JwtAuthentication, Engine>();

/** @throws Error when local keys cannot be read */
export function createHooks(config: JwtAuthentication, env: FilterEnv<PerRouteConfig>): HttpFilterHooks {
  let engine = engines.get(config);
  if (engine === undefined) {
    engine = new Engine(config, env);
    engines.set(config, engine);
  }
  return engine.hooks(env.routeConfigs.at(-1));
}

/** A rule's requirement; null is a rule that requires nothing. */
type Rule = Requirement | null;

/** What one configuration of the filter has, whatever routes override. */
class Engine {
  readonly #config: JwtAuthentication;
  readonly #stats: JwtStats;
  readonly #providers = new Map<string, Provider>();
  readonly #rules: RouteIndex<Rule>;
  readonly #stateRules = new Map<string, Rule>();
  /** Headers that only the filter may set. */
  readonly #ownHeaders: readonly string[];
  /** Some provider's claims decide on routes. */
  readonly #changesRoutes: boolean;
  #isStarted = false;
  /** Sets of hooks that have not been disposed of. */
  #users = 0;

  constructor(config: JwtAuthentication, env: FilterEnv<PerRouteConfig>) {
    this.#config = config;
    const scope = env.stats.scope('jwt_authn');
    this.#stats = new JwtStats(config.stat_prefix === '' ? scope : scope.scope(config.stat_prefix));
    const providerEnv = { calls: env.calls, log: env.log, stats: this.#stats };
    const ownHeaders = new Set<string>();
    for (const [name, provider] of Object.entries(config.providers)) {
      this.#providers.set(name, new Provider(name, provider, providerEnv));
      for (const { header_name: header } of provider.claim_to_headers) ownHeaders.add(header);
      if (provider.forward_payload_header !== undefined) ownHeaders.add(provider.forward_payload_header);
    }
    ownHeaders.delete('');
    this.#changesRoutes = Object.values(config.providers).some((provider) => provider.clear_route_cache);
    this.#ownHeaders = [...ownHeaders];
    this.#rules = new RouteIndex(
      config.rules.map((rule) => compileRouteMatch(rule.match, this.#compileRule(rule), Math.random)),
    );
    for (const [value, requirement] of Object.entries(config.filter_state_rules?.requires ?? {})) {
      this.#stateRules.set(value, this.#compile(requirement));
    }
  }

  #compileRule(rule: RequirementRule): Rule {
    const named = rule.requirement_name === undefined ? {} : this.#config.requirement_map[rule.requirement_name];
    return this.#compile(rule.requires ?? named ?? {});
  }

  #compile(requirement: JwtRequirement): Rule {
    return compileRequirement(requirement, this.#providers) ?? null;
  }

  /** The hooks of a route with this override. */
  hooks(override: PerRouteConfig | undefined): HttpFilterHooks {
    const find = this.#finder(override);
    this.#users++;
    return {
      onStart: () => this.#start(),
      dispose: () => this.#release(),
      onRequest: (request, stream) => {
        // Before anything else: whoever reads them behind this filter takes them for verified.
        let isForged = false;
        for (let i = 0; i < this.#ownHeaders.length; i++) {
          if (request.removeSpellings(this.#ownHeaders[i] as string)) isForged = true;
        }
        // Nor may they have chosen the route.
        if (isForged && this.#changesRoutes) stream.clearRouteCache();
        if (this.#config.bypass_cors_preflight && isPreflight(request)) {
          this.#stats.bypassed.inc();
          this.#stats.allowed.inc();
          return undefined;
        }
        const rule = find(request, stream);
        if (rule === null) {
          this.#stats.allowed.inc();
          return undefined;
        }
        if ('kind' in rule) {
          this.#stats.denied.inc();
          return rule;
        }
        const { path } = request;
        const result = rule.check(request, stream);
        if (result instanceof Promise) return this.#settleLater(result, request, path);
        return this.#settle(result, request, path);
      },
    };
  }

  /** What a request must bring: null for nothing, a reply where the override names a requirement that is not there. */
  #finder(override: PerRouteConfig | undefined): (request: RequestHead, stream: HttpStream) => Rule | Reply {
    if (override?.disabled === true) return () => null;
    if (override?.requirement_name !== undefined) {
      const fixed = this.#namedRule(override.requirement_name);
      return () => fixed;
    }
    const rules = this.#rules;
    const stateName = this.#config.filter_state_rules?.name;
    if (stateName === undefined) return (request, stream) => rules.find(request, pathEnd(request.path), stream) ?? null;
    return (request, stream) => {
      const rule = rules.find(request, pathEnd(request.path), stream);
      if (rule !== undefined) return rule;
      const value = stream.getFilterState(stateName);
      return (typeof value === 'string' ? this.#stateRules.get(value) : undefined) ?? null;
    };
  }

  #namedRule(name: string): Rule | Reply {
    const { requirement_map: requirements, strip_failure_response: isStripped } = this.#config;
    const requirement = Object.hasOwn(requirements, name) ? requirements[name] : undefined;
    if (requirement !== undefined) return this.#compile(requirement);
    const known = Object.keys(requirements).sort().join(',');
    const problem = `Wrong requirement_name: ${name}. It should be one of [${known}]`;
    const body = isStripped ? '' : `Failed JWT authentication: ${problem}`;
    return reply(403, { body, details: denialDetails(problem) });
  }

  #settle(failure: Result, request: RequestHead, path: string): Reply | undefined {
    if (failure === undefined) {
      this.#stats.allowed.inc();
      return undefined;
    }
    this.#stats.denied.inc();
    const { httpStatus, details } = failure;
    if (this.#config.strip_failure_response) return reply(httpStatus, { details });
    const headers = { 'www-authenticate': challenge(failure, request, path) };
    return reply(httpStatus, { body: failure.text, headers, details });
  }

  async #settleLater(result: Promise<Result>, request: RequestHead, path: string): Promise<Reply | undefined> {
    return this.#settle(await result, request, path);
  }

  #start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    for (const provider of this.#providers.values()) provider.keys.start();
  }

  #release(): void {
    if (--this.#users > 0) return;
    engines.delete(this.#config);
    for (const provider of this.#providers.values()) provider.keys.stop();
  }
}

/** The challenge of a denial (RFC 6750 §3). */
function challenge(failure: Failure, request: RequestHead, path: string): string {
  const uri = `${request.scheme}://${request.authority}${path.substring(0, MAX_REALM_PATH_BYTES)}`;
  // What is quoted may hold no bare quote (RFC 9110 §5.6.4): the client chose the path.
  const realm = uri.replace(/["\\]/g, '\\$&');
  return `Bearer realm="${realm}"${failure.code === 1 ? '' : ', error="invalid_token"'}`;
}

function pathEnd(path: string): number {
  const query = path.indexOf('?');
  return query < 0 ? path.length : query;
}

/** A CORS preflight request (Fetch standard): browsers send it without credentials. */
function isPreflight(request: RequestHead): boolean {
  return (
    request.method === 'OPTIONS' &&
    (request.get('origin') ?? '') !== '' &&
    (request.get('access-control-request-method') ?? '') !== ''
  );
}
