import { describe, expect, test } from 'vitest';
import { type Location, locationsOf } from '../../../filters/jwt-authn/locations.ts';
import { JwtProvider } from '../../../filters/jwt-authn/schema.ts';
import { readConfig, requestHead } from '../../support/filter-harness.ts';

function locationOf(provider: object): Location {
  const local_jwks = { inline_string: '{"keys":[]}' };
  return locationsOf(readConfig<JwtProvider>(JwtProvider as never, { local_jwks, ...provider }))[0] as Location;
}

describe('a cookie', () => {
  const location = locationOf({ from_cookies: ['t.k'] });
  const read = (...lines: string[]): string | undefined => location.read(requestHead({ cookie: lines }));

  test('is read where it stands, once or several times the same', () => {
    expect(read('a=b; t.k=x.y.z; c=d')).toBe('x.y.z');
    expect(read('t.k="x.y.z"')).toBe('x.y.z');
    expect(read('t.k=x.y.z; t.k=x.y.z', 't.k="x.y.z"')).toBe('x.y.z');
    expect(read('a=t.k=x; tok=y; xt.k=z')).toBeUndefined();
  });

  test.each([
    ['twice in a line', ['t.k=good; t.k=forged']],
    ['in two lines', ['t.k=good', 't.k=forged']],
    ['once with spaces around its name', ['t.k =forged; t.k=good']],
    ['with a tab before its name', ['t.k=good;\tt.k=forged']],
    ['only as what other readers take for it', ['t.k =forged']],
  ])('given %s is no token: the app may read the other one', (_, lines) => {
    expect(read(...lines)).toContain(',');
  });

  test('of a hundred thousand spaces is read in no time', () => {
    expect(read(`${' '.repeat(50_000)};${' '.repeat(50_000)}t.k`)).toBeUndefined();
  });
});
