import { HeaderMap } from '../../../src/http/headers.ts';
import type { MicroBenchmark } from '../micro.ts';

const FIELDS = ['host', 'user-agent', 'accept', 'x-request-id', 'x-forwarded-for', 'x-forwarded-proto', 'cookie'];

/** A head as the codec leaves it: every field a span, nothing decoded. */
function parsedHead(): HeaderMap {
  const headers = new HeaderMap();
  const raw = FIELDS.map((name) => `${name}: value-of-${name}\r\n`).join('');
  headers.reset(raw);
  let at = 0;
  for (const name of FIELDS) {
    const end = raw.indexOf('\r\n', at) + 2;
    headers.pushSpan(name, at, at + name.length + 2, end - 2, end);
    at = end;
  }
  return headers;
}

const decoded = parsedHead();
const reused = new HeaderMap();
const raw = decoded.raw;

const benchmarks: readonly MicroBenchmark[] = [
  { name: 'get the last of 7 fields, decoded', run: () => decoded.get('cookie') },
  { name: 'get a field that is not there', run: () => decoded.get('x-absent') },
  {
    name: 'one field parsed and decoded',
    run: () => {
      reused.reset(raw);
      reused.pushSpan('host', 0, 6, 19, 21);
      return reused.get('host');
    },
  },
  {
    name: 'set two fields',
    run: () => {
      reused.reset('');
      reused.set('x-envoy-expected-rq-timeout-ms', '15000');
      reused.set('x-forwarded-proto', 'http');
      return reused;
    },
  },
];

export default benchmarks;
