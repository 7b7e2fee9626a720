/** An audience as Envoy compares it: without `http://` or `https://`, and without one slash at the end. */
export function canonicalAudience(audience: string): string {
  return audience.replace(/^https?:\/\//, '').replace(/\/$/, '');
}

/** Undefined allows every token, whatever audiences it has. */
export type AllowedAudiences = ReadonlySet<string> | undefined;

export function compileAudiences(audiences: readonly string[]): AllowedAudiences {
  return audiences.length === 0 ? undefined : new Set(audiences.map(canonicalAudience));
}

/** Whether a token for these audiences, in canonical form, is for an allowed one. */
export function isForOneOf(allowed: AllowedAudiences, audiences: readonly string[]): boolean {
  if (allowed === undefined) return true;
  for (let i = 0; i < audiences.length; i++) if (allowed.has(audiences[i] as string)) return true;
  return false;
}
