import { ALWAYS_EXCLUDED_INBOUND_PORTS, type InterceptOptions } from './options.ts';
import { type Match, RETURN, type Rule, type Target } from './rule.ts';

export function rule(match: Match, target: Target): Rule {
  return { match, target };
}

/** Both directions of such an interface stay as they are. */
export function excludedInterfaceRules({ excludedInterfaces }: InterceptOptions, way: 'in' | 'out'): Rule[] {
  return excludedInterfaces.map((name) => rule(way === 'in' ? { inInterface: name } : { outInterface: name }, RETURN));
}

export function excludedPortRules(ports: readonly number[]): Rule[] {
  return ports.map((port) => rule(tcp(port), RETURN));
}

export function inboundExclusions({ excludedInboundPorts }: InterceptOptions): number[] {
  return [...new Set([...ALWAYS_EXCLUDED_INBOUND_PORTS, ...excludedInboundPorts])];
}

export function tcp(port: number | undefined): Match {
  return port === undefined ? { isTcp: true } : { isTcp: true, destinationPort: port };
}
