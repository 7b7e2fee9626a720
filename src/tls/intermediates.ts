import { X509Certificate } from 'node:crypto';
import { BroadcastChannel, isMainThread } from 'node:worker_threads';

/** Meshes have a handful of authorities, and change them every few hours. */
const MAX_KEPT = 256;

/**
 * Authorities below the trusted ones that peers have shown. A resumed session has the peer's own certificate alone
 * (OpenSSL keeps no more), and the thread that resumes it may be another one than the thread that saw the chain. They
 * are trusted by nobody: a chain over them is checked like any other.
 */
class Intermediates {
  private readonly kept = new Map<string, X509Certificate>();
  private channel: BroadcastChannel | undefined;

  /** These, and those that are known besides. */
  with(presented: readonly X509Certificate[]): readonly X509Certificate[] {
    return this.kept.size === 0 ? presented : [...presented, ...this.kept.values()];
  }

  /** Keeps the authorities of a chain that was found good. */
  remember(path: readonly X509Certificate[]): void {
    for (const certificate of path) {
      const print = certificate.fingerprint256;
      if (this.kept.has(print)) continue;
      this.keep(print, new X509Certificate(certificate.raw));
      this.open()?.postMessage(certificate.raw);
    }
  }

  /** Listens to what other threads see; a process of one thread has nobody to listen to. */
  open(): BroadcastChannel | undefined {
    if (isMainThread || this.channel !== undefined) return this.channel;
    this.channel = new BroadcastChannel('outrigger.tls.intermediates');
    this.channel.onmessage = (event) => {
      const certificate = new X509Certificate(Buffer.from((event as { readonly data: Uint8Array }).data));
      if (!this.kept.has(certificate.fingerprint256)) this.keep(certificate.fingerprint256, certificate);
    };
    this.channel.unref();
    return this.channel;
  }

  private keep(print: string, certificate: X509Certificate): void {
    if (this.kept.size >= MAX_KEPT) this.kept.delete(this.kept.keys().next().value as string);
    this.kept.set(print, certificate);
  }
}

export const intermediates = new Intermediates();
