import { createHash } from 'node:crypto';

const keys = new WeakMap<object, string>();
const uses = new Map<string, number>();

/**
 * The key of a configuration's memory, for `FilterEnv.shared`. The same configuration object always has the same key, so
 * that routes under one virtual host share its limit; another object has another, even with equal content, because every
 * place in a configuration limits on its own. All threads of the process read the same configurations in the same order
 * and so find the same keys.
 */
export function sharedKey(filter: string, config: object): string {
  let key = keys.get(config);
  if (key === undefined) {
    const content = `${filter} ${createHash('sha256').update(JSON.stringify(config)).digest('base64url')}`;
    const use = uses.get(content) ?? 0;
    uses.set(content, use + 1);
    key = `${content} ${use}`;
    keys.set(config, key);
  }
  return key;
}
