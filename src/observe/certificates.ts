import type { StatsScope } from './stats.ts';

/** One certificate in use, as the admin server tells of it. Dates are ISO 8601 to the second. */
export interface CertificateDetails {
  /** The file, or `<inline>`. */
  readonly path: string;
  readonly serialNumber: string;
  /** `{dns}`, `{uri}` or `{ip_address}`. */
  readonly subjectAltNames: readonly Readonly<Record<string, string>>[];
  readonly validFromEpochMs: number;
  readonly validToEpochMs: number;
}

/** The certificates of one TLS context: those it shows, and the authorities that it believes. */
export interface ContextCertificates {
  readonly authorities: readonly CertificateDetails[];
  readonly chain: readonly CertificateDetails[];
}

const DAY_MS = 86_400_000;

/** Whole days until then, 0 for what has expired. */
export function daysUntil(epochMs: number, nowMs: number = Date.now()): number {
  return Math.max(0, Math.floor((epochMs - nowMs) / DAY_MS));
}

/** The certificates of all TLS contexts of one thread's proxy. */
export class CertificateRegistry {
  private readonly root: StatsScope;
  private readonly contexts = new Map<object, ContextCertificates>();

  constructor(root: StatsScope) {
    this.root = root;
  }

  /** `owner` uses these from now on; undefined takes it out. */
  set(owner: object, certificates: ContextCertificates | undefined): void {
    if (certificates === undefined) this.contexts.delete(owner);
    else this.contexts.set(owner, certificates);
    this.publish();
  }

  list(): ContextCertificates[] {
    return [...this.contexts.values()];
  }

  /** Brings `server.days_until_first_cert_expiring` up to date; called before statistics are read. */
  publish(): void {
    const all = this.list().flatMap(({ authorities, chain }) => [...authorities, ...chain]);
    if (all.length === 0) return;
    const firstMs = Math.min(...all.map((one) => one.validToEpochMs));
    this.root.gauge('server.days_until_first_cert_expiring').set(daysUntil(firstMs));
  }
}

const registries = new WeakMap<StatsScope, CertificateRegistry>();

/** The registry of the proxy whose statistics these are. */
export function certificatesOf(root: StatsScope): CertificateRegistry {
  let registry = registries.get(root);
  if (registry === undefined) {
    registry = new CertificateRegistry(root);
    registries.set(root, registry);
  }
  return registry;
}
