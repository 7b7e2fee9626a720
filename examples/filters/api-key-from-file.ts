import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync, unwatchFile, watchFile } from 'node:fs';
import { defineHttpFilter, reply } from 'outrigger';
import * as v from 'valibot';

/**
 * Lets only requests with a known API key pass. The file has one `name: key` per line (a mounted Secret, say); a change
 * of it takes effect within a second. Upstream and logs get the client's name, never its key.
 */
export default defineHttpFilter({
  name: 'api-key-from-file',
  config: v.object({
    file: v.string(),
    header: v.optional(v.pipe(v.string(), v.toLowerCase()), 'x-api-key'),
  }),
  semantics: { side: 'ingress', state: 'process', body: 'none' },
  create(config, env) {
    const allowed = env.stats.counter('api_key.allowed');
    const denied = env.stats.counter('api_key.denied');
    const options = { headers: { 'www-authenticate': 'ApiKey' } };
    const missing = reply(401, { ...options, body: `send a key in ${config.header}\n`, details: 'api_key_missing' });
    const unknown = reply(401, { ...options, body: 'unknown key\n', details: 'api_key_unknown' });

    // A configuration without its file must not start; afterwards a broken file leaves the last good keys in force.
    let keys = readKeys(config.file);
    watchFile(config.file, { interval: 500, persistent: false }, () => {
      try {
        keys = readKeys(config.file);
        env.log.info('keys read anew', { file: config.file, keys: keys.length });
      } catch (error) {
        env.log.warn('the old keys stay in force', { file: config.file, error });
      }
    });

    return {
      onRequest(request, stream) {
        const key = request.get(config.header);
        request.remove('x-api-client');
        if (key === undefined) {
          denied.inc();
          return missing;
        }
        // Digests have one length and every one is compared: neither tells how much of a key was right.
        const sent = digest(key);
        let client: string | undefined;
        for (const known of keys) if (timingSafeEqual(known.digest, sent)) client = known.client;
        if (client === undefined) {
          denied.inc();
          return unknown;
        }
        allowed.inc();
        request.remove(config.header);
        request.set('x-api-client', client);
        stream.setMetadata('api-key', 'client', client);
      },
      dispose: () => unwatchFile(config.file),
    };
  },
});

function readKeys(file: string): { client: string; digest: Buffer }[] {
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.flatMap((line, index) => {
    if (line.trim() === '' || line.startsWith('#')) return [];
    const [, client, key] = /^([\w-]+):\s*(\S{8,})\s*$/.exec(line) ?? [];
    if (client === undefined || key === undefined)
      throw new Error(`${file}:${index + 1}: not "name: key" (8 characters or more)`);
    return [{ client, digest: digest(key) }];
  });
}

const digest = (key: string): Buffer => createHash('sha256').update(key).digest();
