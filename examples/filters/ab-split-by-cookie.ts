import { defineHttpFilter } from 'outrigger';
import * as v from 'valibot';

/**
 * Sends a share of the visitors to a variant and keeps each of them there: the choice is a cookie. The variant's name
 * goes into a header that routes match on, so the routes decide where each variant lives.
 */
const token = v.pipe(v.string(), v.regex(/^[\w-]+$/, 'letters, digits, _ and - only'));

export default defineHttpFilter({
  name: 'ab-split-by-cookie',
  config: v.object({
    cookie: v.optional(token, 'variant'),
    header: v.optional(v.pipe(token, v.toLowerCase()), 'x-variant'),
    /** Weights of the variants, in any unit: { a: 90, b: 10 }. */
    variants: v.pipe(
      v.record(token, v.pipe(v.number(), v.minValue(0))),
      v.check((weights) => Object.values(weights).some((weight) => weight > 0), 'at least one weight above 0'),
    ),
    /** How long a visitor stays in a variant, seconds; default 30 days. */
    max_age_s: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1)), 30 * 24 * 3600),
  }),
  semantics: { side: 'ingress', state: 'none', body: 'none' },
  create(config, env) {
    const variants = Object.entries(config.variants).map(([name, weight]) => ({
      name,
      weight,
      chosen: env.stats.counter(`ab_split.${name}`),
      setCookie: `${config.cookie}=${name}; Path=/; Max-Age=${config.max_age_s}; SameSite=Lax; HttpOnly`,
    }));
    const byName = new Map(variants.map((variant) => [variant.name, variant]));
    const total = variants.reduce((sum, { weight }) => sum + weight, 0);
    const newcomer = env.slot<string>();

    const draw = () => {
      let at = Math.random() * total;
      for (const variant of variants) {
        at -= variant.weight;
        if (at < 0) return variant;
      }
      return variants[0];
    };

    return {
      onRequest(request, stream) {
        const known = byName.get(cookieValue(request.get('cookie'), config.cookie) ?? '');
        // A weight of 0 ends a variant: its visitors are drawn anew.
        const variant = known !== undefined && known.weight > 0 ? known : draw();
        if (variant === undefined) return;
        variant.chosen.inc();
        if (variant !== known) newcomer.set(stream, variant.setCookie);
        request.set(config.header, variant.name);
        stream.clearRouteCache();
      },
      onResponse(response, stream) {
        const setCookie = newcomer.get(stream);
        if (setCookie !== undefined) response.add('set-cookie', setCookie);
      },
    };
  },
});

/** The value of one cookie (RFC 6265 §4.2.1; browsers may split the header, which arrives joined by commas). */
function cookieValue(header: string | undefined, name: string): string | undefined {
  for (const pair of header?.split(/[;,]/) ?? []) {
    const at = pair.indexOf('=');
    if (at > 0 && pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim();
  }
  return undefined;
}
