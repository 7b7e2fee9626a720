import { defineHttpFilter } from 'outrigger';

/**
 * Greets: `x-name: Ada` on the request gives `x-greeting: Hello, Ada!` on the response. Save a change while the demo
 * runs and send the request again.
 */
export default defineHttpFilter({
  name: 'greeting',
  semantics: { side: 'either', state: 'none', body: 'none' },
  create(_config, env) {
    const names = env.slot<string>();
    const greeted = env.stats.counter('greeting.greeted');
    return {
      onRequest(request, stream) {
        const name = request.get('x-name');
        if (name === undefined) return;
        names.set(stream, name);
        request.set('x-greeted-by', 'outrigger');
      },
      onResponse(response, stream) {
        const name = names.get(stream);
        if (name === undefined) return;
        greeted.inc();
        response.set('x-greeting', `Hello, ${name}!`);
      },
    };
  },
});
