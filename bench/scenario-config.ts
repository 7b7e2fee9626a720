import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { expandText, toYaml } from '../src/config/expand.ts';
import type { PeerRun } from './peers/peer.ts';
import { pipePath } from './pipe-path.ts';
import { downstreamTls, policyConfig } from './policies/policy-config.ts';
import type { Scenario } from './scenario.ts';

/** The ports that the scenario files are written with; each run replaces them by free ones. */
const LISTEN_PORT = '127.0.0.1:18001';
const APP_PORT = '127.0.0.1:18002';

/** A scenario's sidecar file for one run: what Outrigger gets. */
export function outriggerConfig(run: PeerRun): string {
  if (run.scenario.policies !== undefined) return policyConfig(run);
  const { scenario, listenPort, backendPort } = run;
  const { pipes } = scenario;
  const text = scenarioText(scenario)
    .replace(LISTEN_PORT, addressText(listenPort, pipes?.downstream))
    .replace(APP_PORT, addressText(backendPort, pipes?.upstream))
    // As canonical files write them.
    .replace('port_value: 18001', `port_value: ${listenPort}`)
    .replace('port_value: 18002', `port_value: ${backendPort}`);
  return scenario.tls === undefined && scenario.inspectsHttp !== true ? text : withFront(text, run);
}

interface CanonicalFile {
  readonly static_resources: { readonly listeners: readonly [{ readonly filter_chains: readonly [object] }] };
}

/** The canonical form with what stands before the filters, for which the short form has no words. */
function withFront(text: string, run: PeerRun): string {
  const canonical = parse(expandText(`${run.scenario.config}.yaml`, text)) as CanonicalFile;
  const [listener] = canonical.static_resources.listeners;
  const socket = downstreamTls(run);
  if (socket !== undefined) Object.assign(listener.filter_chains[0], { transport_socket: socket });
  if (run.scenario.inspectsHttp === true) Object.assign(listener, { listener_filters: [HTTP_INSPECTOR] });
  return toYaml(canonical);
}

const HTTP_INSPECTOR = {
  name: 'envoy.filters.listener.http_inspector',
  typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.listener.http_inspector.v3.HttpInspector' },
};

function addressText(port: number, isPipe: true | undefined): string {
  return isPipe === true ? `unix:${pipePath(port)}` : `127.0.0.1:${port}`;
}

/** The same file in canonical form: what Envoy gets. */
export function envoyConfig(run: PeerRun): string {
  if (run.scenario.policies !== undefined) return policyConfig(run);
  return expandText(`${run.scenario.config}.yaml`, outriggerConfig(run));
}

/** The scenario's file with its pattern repeated and its protocols, and the ports that it was written with. */
export function scenarioText(scenario: Scenario): string {
  const text = readFileSync(join(import.meta.dirname, 'scenarios', `${scenario.config}.yaml`), 'utf8');
  return withProtocols(scenario.repeat === undefined ? text : repeatPattern(text, scenario.repeat), scenario);
}

/** One file serves every combination of protocols: it is written for HTTP/1.1 both ways. */
function withProtocols(text: string, { downstream, upstream, grpc }: Scenario): string {
  if (downstream === 'http1' && upstream === 'http1') return text;
  const protocol = grpc === undefined ? downstream : 'grpc';
  return text.replace(
    `app: ${APP_PORT}`,
    `protocol: ${protocol}\napp: { address: '${APP_PORT}', protocol: ${upstream} }`,
  );
}

interface Rule {
  readonly name: string;
  readonly source: string;
}

interface SourceIp {
  readonly address_prefix: string;
  readonly prefix_len: number;
}

interface PatternFile {
  readonly filters: readonly {
    ip_tag?: { repeat: number };
    rbac?: Partial<Record<'allow' | 'deny', Rule[]>>;
    typed_config?: { rules: { policies: { strangers: { principals: { source_ip: SourceIp }[] } } } };
  }[];
}

/** As many tags, principals, or rules in all: the rule called `other` stands for every one but the last. */
function repeatPattern(text: string, count: number): string {
  const file = parse(text) as PatternFile;
  for (const { ip_tag, rbac, typed_config } of file.filters) {
    if (ip_tag !== undefined) ip_tag.repeat = count;
    if (typed_config !== undefined) typed_config.rules.policies.strangers.principals = strangers(count);
    for (const action of ['allow', 'deny'] as const) {
      const rules = rbac?.[action];
      if (rbac !== undefined && rules?.[0]?.name === 'other')
        rbac[action] = [...otherRules(count - 1), ...rules.slice(1)];
    }
  }
  return stringify(file);
}

/** Rules for distinct addresses, their names in the order in which Envoy asks them: that of the alphabet. */
function otherRules(count: number): Rule[] {
  return Array.from({ length: count }, (_, i) => ({
    name: `other-${String(i).padStart(6, '0')}`,
    source: `${otherAddress(i)}/32`,
  }));
}

function strangers(count: number): { source_ip: SourceIp }[] {
  return Array.from({ length: count }, (_, i) => ({ source_ip: { address_prefix: otherAddress(i), prefix_len: 32 } }));
}

/** One that no client of the benchmark has. */
function otherAddress(i: number): string {
  return `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`;
}
