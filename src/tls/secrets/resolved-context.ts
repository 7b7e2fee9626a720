import type { Secret } from '../../config/schema/secret.ts';
import type {
  CertificateValidationContext,
  CommonTlsContext,
  DownstreamTlsContext,
  TlsSessionTicketKeys,
} from '../../config/schema/tls.ts';
import type { DiscoveredSecret, SecretStore, SecretUser } from './secret-store.ts';

/** A context with all its secrets in place. */
export interface ResolvedContext {
  /** `tls_certificates` and `validation_context` hold what the secrets say. */
  readonly common: CommonTlsContext;
  /** Names of the secrets that the certificates are, '' for what is written in the configuration. */
  readonly certificateNames: readonly string[];
  readonly authorityName: string;
  readonly ticketKeys: TlsSessionTicketKeys | undefined;
}

type TicketConfig = Partial<
  Pick<DownstreamTlsContext, 'session_ticket_keys' | 'session_ticket_keys_sds_secret_config'>
>;

/** The secrets that one context names, from files of their own. */
export class ContextSecrets {
  private readonly common: CommonTlsContext;
  private readonly tickets: TicketConfig;
  private readonly store: SecretStore;
  private readonly user: SecretUser;
  private readonly certificates: readonly DiscoveredSecret[];
  private readonly validation: DiscoveredSecret | undefined;
  private readonly ticketKeys: DiscoveredSecret | undefined;

  /** @param user called whenever a secret has a new version. */
  constructor(common: CommonTlsContext, tickets: TicketConfig, store: SecretStore, user: SecretUser) {
    this.common = common;
    this.tickets = tickets;
    this.store = store;
    this.user = user;
    const validation =
      common.validation_context_sds_secret_config ??
      common.combined_validation_context?.validation_context_sds_secret_config;
    const keys = tickets.session_ticket_keys_sds_secret_config;
    this.certificates = common.tls_certificate_sds_secret_configs.map((config) =>
      store.use(config, 'tls_certificate', user),
    );
    this.validation = validation === undefined ? undefined : store.use(validation, 'validation_context', user);
    this.ticketKeys = keys === undefined ? undefined : store.use(keys, 'session_ticket_keys', user);
  }

  /** All of them. */
  get all(): readonly DiscoveredSecret[] {
    return [...this.certificates, this.validation, this.ticketKeys].filter((secret) => secret !== undefined);
  }

  /** The secret that has no version yet. */
  get missing(): DiscoveredSecret | undefined {
    return this.all.find((secret) => secret.current === undefined);
  }

  /** What the context is now; only while nothing is missing. */
  resolve(): ResolvedContext {
    const { common, certificates, validation, ticketKeys } = this;
    const fromFiles = certificates.map((secret) => (secret.current as Secret).tls_certificate);
    const resolved: CommonTlsContext = {
      ...common,
      tls_certificates: [...common.tls_certificates, ...fromFiles.filter((one) => one !== undefined)],
    };
    const dynamic = validation?.current?.validation_context;
    if (dynamic !== undefined) {
      resolved.validation_context = combine(common.combined_validation_context?.default_validation_context, dynamic);
    }
    return {
      common: resolved,
      certificateNames: [...common.tls_certificates.map(() => ''), ...certificates.map(({ name }) => name)],
      authorityName: validation?.name ?? '',
      ticketKeys: ticketKeys?.current?.session_ticket_keys ?? this.tickets.session_ticket_keys,
    };
  }

  close(): void {
    for (const secret of this.all) this.store.release(secret, this.user);
  }
}

/** As protobuf merges: what the secret says takes the place of single values and is added to lists. */
function combine(
  base: CertificateValidationContext | undefined,
  over: CertificateValidationContext,
): CertificateValidationContext {
  if (base === undefined) return over;
  const merged: Record<string, unknown> = { ...base };
  for (const [field, value] of Object.entries(over)) {
    const before = merged[field];
    if (Array.isArray(value)) merged[field] = [...((before as unknown[]) ?? []), ...value];
    else if (before === undefined || !isUnset(value)) merged[field] = value;
  }
  return merged as CertificateValidationContext;
}

/** Defaults are filled in by validation: they are what an unset field reads as. */
function isUnset(value: unknown): boolean {
  return value === undefined || value === false || value === '' || value === 'VERIFY_TRUST_CHAIN';
}
