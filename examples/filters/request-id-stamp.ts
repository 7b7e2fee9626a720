import { randomBytes } from 'node:crypto';
import { defineHttpFilter } from 'outrigger';
import * as v from 'valibot';

/**
 * Gives every request an id that sorts by time (a ULID: 48 bits of milliseconds, 80 random bits), unless it comes with
 * a good one, and tells the client which it was. Logs print it with `%REQ(X-REQUEST-ID)%`.
 */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const headerName = v.pipe(v.string(), v.regex(/^[\w-]+$/, 'a header name'), v.toLowerCase());

export default defineHttpFilter({
  name: 'request-id-stamp',
  config: v.object({
    /** Header that carries the id, both ways. */
    header: v.optional(headerName, 'x-request-id'),
    /** Keep an id that the client sends; turn it off at the edge, where clients are not trusted. */
    trust_client: v.optional(v.boolean(), true),
  }),
  semantics: { side: 'either', state: 'none', body: 'none' },
  create(config, env) {
    const stamped = env.stats.counter('request_id.stamped');
    const kept = env.stats.counter('request_id.kept');
    const id = env.slot<string>();
    return {
      onRequest(request, stream) {
        const sent = config.trust_client ? request.get(config.header) : undefined;
        // Longer or stranger ids would let a client write what it likes into every log behind us.
        const isGood = sent !== undefined && /^[\w.:-]{8,64}$/.test(sent);
        (isGood ? kept : stamped).inc();
        const value = isGood ? sent : ulid(Date.now());
        if (!isGood) request.set(config.header, value);
        id.set(stream, value);
      },
      onResponse(response, stream) {
        const value = id.get(stream);
        if (value !== undefined) response.set(config.header, value);
      },
    };
  },
});

/** 26 characters of Crockford's base 32. */
function ulid(epochMs: number): string {
  let text = '';
  for (let rest = epochMs, i = 0; i < 10; i++) {
    text = ALPHABET.charAt(rest % 32) + text;
    rest = Math.floor(rest / 32);
  }
  for (const byte of randomBytes(16)) text += ALPHABET.charAt(byte & 31);
  return text;
}
