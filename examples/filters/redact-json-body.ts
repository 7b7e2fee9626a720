import { bufferBody, defineHttpFilter } from 'outrigger';
import * as v from 'valibot';

/**
 * Blacks out fields of JSON responses, at any depth, by name: `password` everywhere, `card.number` only inside `card`.
 * Upstreams are asked not to compress. Other content, and what is no JSON after all, goes through untouched and counted.
 */
export default defineHttpFilter({
  name: 'redact-json-body',
  config: v.object({
    fields: v.pipe(v.array(v.pipe(v.string(), v.nonEmpty())), v.nonEmpty('at least one field')),
    replacement: v.optional(v.string(), '[redacted]'),
    /** Larger responses are refused with 500 rather than let through unread. */
    max_bytes: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1)), 1024 * 1024),
  }),
  semantics: { side: 'either', state: 'none', body: 'write' },
  create(config, env) {
    const paths = config.fields.map((field) => field.split('.'));
    const redacted = env.stats.counter('redact_json.redacted');
    const unreadable = env.stats.counter('redact_json.unreadable');
    const isJson = env.slot<boolean>();
    const collect = bufferBody(config.max_bytes);

    const isHidden = (path: readonly string[]): boolean =>
      paths.some((wanted) => wanted.every((name, i) => path[path.length - wanted.length + i] === name));

    /** The value with its hidden fields replaced; `path` holds the names above it. */
    const clean = (value: unknown, path: string[]): unknown => {
      if (typeof value !== 'object' || value === null) return value;
      if (Array.isArray(value)) return value.map((item) => clean(item, path));
      return Object.fromEntries(
        Object.entries(value).map(([name, inner]) => {
          const here = [...path, name];
          if (!isHidden(here)) return [name, clean(inner, here)];
          redacted.inc();
          return [name, config.replacement];
        }),
      );
    };

    return {
      onRequest(request) {
        request.set('accept-encoding', 'identity');
      },
      onResponse(response, stream) {
        if (!/^application\/(?:[\w.-]+\+)?json\b/i.test(response.get('content-type') ?? '')) return;
        if ((response.get('content-encoding') ?? 'identity') !== 'identity') {
          unreadable.inc();
          return;
        }
        isJson.set(stream, true);
        // Validators and ranges of the original do not fit the redacted body.
        for (const name of ['etag', 'content-md5', 'digest', 'accept-ranges']) response.remove(name);
        return collect;
      },
      onResponseBody(chunk, _end, stream) {
        if (isJson.get(stream) !== true || chunk.length === 0) return;
        try {
          const before = redacted.value;
          const text = JSON.stringify(clean(JSON.parse(chunk.toString('utf8')), []));
          // What hides nothing stays as it is, byte for byte.
          return redacted.value === before ? undefined : Buffer.from(text);
        } catch (error) {
          unreadable.inc();
          env.log.warn('a response that says it is JSON is not', { path: stream.request.path, error });
        }
      },
    };
  },
});
