import { SPIFFE_VALIDATOR } from '../../config/extensions.ts';
import { runSchema } from '../../config/schema/schema.ts';
import { Secret } from '../../config/schema/secret.ts';
import type { Logger } from '../../filter/env.ts';
import { parseSpiffeId } from '../spiffe/spiffe-id.ts';
import { type Backoff, WorkloadApi, type WorkloadEvents } from '../spiffe/workload-api.ts';
import type { WorkloadIdentity, WorkloadSvid } from '../spiffe/workload-message.ts';
import { checkSecret } from './check-secret.ts';
import { SECRET_EXTENSIONS, type SecretKind } from './sds-file.ts';
import type { DiscoveredSecret, SdsStats, SecretUser } from './secret-store.ts';

/** Names under which an agent gives authorities, as SPIRE calls them: of the own trust domain, and of all. */
const OWN_AUTHORITIES = 'ROOTCA';
const ALL_AUTHORITIES = 'ALL';

/**
 * A secret that a SPIFFE agent gives. `default` is the workload's identity, its SPIFFE ID or hint one of several;
 * `ROOTCA` are the authorities of its own trust domain, `ALL` those of others too, and `spiffe://example.org` those of
 * one. An identity that was given stays in use until there is a new one, or until it expires.
 */
export class WorkloadSecret implements DiscoveredSecret {
  readonly name: string;
  current: Secret | undefined = undefined;
  problem = 'the agent has not answered yet';
  readonly users = new Set<SecretUser>();
  private readonly kind: SecretKind;
  private readonly stats: SdsStats;
  private readonly log: Logger;
  private readonly agent: WorkloadAgent;
  private fingerprint = '';

  constructor(name: string, kind: SecretKind, agent: WorkloadAgent, stats: SdsStats, log: Logger) {
    this.name = name;
    this.kind = kind;
    this.stats = stats;
    this.log = log;
    this.agent = agent;
    agent.join(this);
  }

  onIdentity(identity: WorkloadIdentity): void {
    this.stats.attempt.inc();
    try {
      const fields =
        this.kind === 'tls_certificate' ? certificateOf(identity, this.name) : trustOf(identity, this.name);
      const fingerprint = JSON.stringify(fields);
      if (fingerprint !== this.fingerprint) {
        const secret = validSecret({ name: this.name, ...fields });
        checkSecret(secret);
        this.current = secret;
        this.fingerprint = fingerprint;
        this.problem = '';
        for (const user of [...this.users]) user();
      }
      this.stats.success.inc();
      this.stats.updateTime.set(Date.now());
    } catch (error) {
      this.stats.rejected.inc();
      this.tell((error as Error).message);
    }
  }

  onProblem(reason: string): void {
    this.stats.attempt.inc();
    this.stats.failure.inc();
    this.tell(reason);
  }

  private tell(reason: string): void {
    this.problem = reason;
    this.log.warn(this.current === undefined ? 'a secret is missing' : 'no new secret, the old one stays', {
      secret: this.name,
      reason,
    });
  }

  close(): void {
    this.agent.leave(this);
  }
}

/** One agent, and the secrets that are wanted of it: they share a call. */
export class WorkloadAgent implements WorkloadEvents {
  private readonly socketPath: string;
  private readonly backoff: Backoff | undefined;
  private readonly secrets = new Set<WorkloadSecret>();
  private api: WorkloadApi | undefined = undefined;
  private last: WorkloadIdentity | undefined = undefined;

  constructor(socketPath: string, backoff?: Backoff) {
    this.socketPath = socketPath;
    this.backoff = backoff;
  }

  join(secret: WorkloadSecret): void {
    this.secrets.add(secret);
    if (this.last !== undefined) secret.onIdentity(this.last);
    this.api ??= new WorkloadApi(this.socketPath, this, this.backoff);
  }

  leave(secret: WorkloadSecret): void {
    this.secrets.delete(secret);
    if (this.secrets.size > 0) return;
    this.api?.close();
    this.api = undefined;
    this.last = undefined;
  }

  onIdentity(identity: WorkloadIdentity): void {
    this.last = identity;
    for (const secret of [...this.secrets]) secret.onIdentity(identity);
  }

  onProblem(reason: string): void {
    for (const secret of [...this.secrets]) secret.onProblem(reason);
  }
}

function certificateOf({ svids }: WorkloadIdentity, name: string): object {
  const svid = name === 'default' ? svids[0] : svids.find((one) => one.spiffeId === name || one.hint === name);
  if (svid === undefined) throw new Error(`the agent has no identity ${name}`);
  return {
    tls_certificate: {
      certificate_chain: { inline_string: svid.chainPem },
      private_key: { inline_string: svid.keyPem },
    },
  };
}

function trustOf(identity: WorkloadIdentity, name: string): object {
  const own = new Map(identity.svids.map((svid) => [ownDomain(svid), svid.bundlePem + identity.revocationListsPem]));
  const all = new Map([...identity.federated, ...own]);
  const wanted =
    name === ALL_AUTHORITIES
      ? all
      : name === OWN_AUTHORITIES
        ? new Map([...own].slice(0, 1))
        : new Map([...all].filter(([domain]) => `spiffe://${domain}` === name));
  if (wanted.size === 0) throw new Error(`the agent has no authorities ${name}`);
  const typed_config = {
    '@type': `type.googleapis.com/${SPIFFE_VALIDATOR}`,
    trust_domains: [...wanted].map(([domain, bundle]) => ({
      name: domain,
      trust_bundle: { inline_string: bundle },
    })),
  };
  return { validation_context: { custom_validator_config: { name: 'envoy.tls.cert_validator.spiffe', typed_config } } };
}

function ownDomain({ spiffeId }: WorkloadSvid): string {
  const id = parseSpiffeId(spiffeId);
  if (id === undefined) throw new Error(`the agent gave an identity that is none: ${spiffeId}`);
  return id.trustDomain;
}

/** With defaults filled in, as one from a file. */
function validSecret(fields: object): Secret {
  const { issues, value } = runSchema(Secret, fields, SECRET_EXTENSIONS);
  if (issues !== undefined) throw new Error(issues.map((issue) => issue.message).join('; '));
  return value as Secret;
}
