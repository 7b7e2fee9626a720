import type { Verified } from './verified.ts';

interface Entry {
  readonly verified: Verified;
  /** Looked up since the last search for a place. */
  isUsed: boolean;
}

/**
 * The same latin1 text in memory of its own: a token, and a part of one, is a piece of its whole request's text, which
 * would stay in memory with it.
 */
export function copyOf(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}

const DEFAULT_ENTRIES = 100;
const DEFAULT_TOKEN_BYTES = 4096;

/**
 * Tokens of one provider that were found genuine, by their full text. Bounded: the oldest that was not used since
 * the last round makes place (second chance, which needs no bookkeeping when an entry is found).
 */
export class TokenCache {
  readonly #entries = new Map<string, Entry>();
  readonly #maxEntries: number;
  readonly #maxTokenBytes: number;

  /** 0 means Envoy's defaults: 100 tokens of at most 4096 bytes. */
  constructor(maxEntries: number, maxTokenBytes: number) {
    this.#maxEntries = maxEntries || DEFAULT_ENTRIES;
    this.#maxTokenBytes = maxTokenBytes || DEFAULT_TOKEN_BYTES;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(token: string): Verified | undefined {
    const entry = this.#entries.get(token);
    if (entry === undefined) return undefined;
    entry.isUsed = true;
    return entry.verified;
  }

  set(token: string, verified: Verified): void {
    if (token.length > this.#maxTokenBytes) return;
    if (this.#entries.size >= this.#maxEntries) this.#evict();
    this.#entries.set(copyOf(token), { verified, isUsed: false });
  }

  delete(token: string): void {
    this.#entries.delete(token);
  }

  clear(): void {
    this.#entries.clear();
  }

  #evict(): void {
    for (const [token, entry] of this.#entries) {
      this.#entries.delete(token);
      if (!entry.isUsed) return;
      entry.isUsed = false;
      this.#entries.set(token, entry);
    }
  }
}
