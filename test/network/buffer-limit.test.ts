import { expect, test } from 'vitest';
import { ask, startApp, story } from '../support/story.ts';

const SIZE = 8_000_000;

/** The longest pieces of a request's and of a response's body that a filter sees. */
async function longestPieces(listener: string, cluster: string): Promise<{ request: number; response: number }> {
  const longest = { request: 0, response: 0 };
  await using app = await startApp((request, response) => {
    request.resume().on('end', () => response.end(Buffer.alloc(SIZE)));
  });
  await using proxy = await story({
    app: app.port,
    listener,
    cluster,
    filters: [
      {
        onRequestBody(chunk) {
          longest.request = Math.max(longest.request, chunk.length);
        },
        onResponseBody(chunk) {
          longest.response = Math.max(longest.response, chunk.length);
        },
      },
    ],
  });
  const answer = await ask(proxy.port, { method: 'POST', body: Buffer.alloc(SIZE) });
  expect(answer.body.length).toBe(SIZE);
  return longest;
}

test('per_connection_buffer_limit_bytes of listener and cluster bound what is held of a body', async () => {
  const { request, response } = await longestPieces(
    'per_connection_buffer_limit_bytes: 40000',
    'per_connection_buffer_limit_bytes: 20000',
  );
  expect(request).toBeGreaterThan(1000);
  expect(request).toBeLessThanOrEqual(40_000);
  expect(response).toBeGreaterThan(1000);
  expect(response).toBeLessThanOrEqual(20_000);
});

test('within the limits, long bodies are read in larger pieces', async () => {
  const { request, response } = await longestPieces('', '');
  expect(request).toBeGreaterThan(65_536);
  expect(response).toBeGreaterThan(65_536);
});
