import { describe, expect, it } from 'vitest';
import { candidateNames, parseSearchList, readSearchList } from '../../src/upstream/search-list.ts';

describe('resolv.conf', () => {
  it('gives the search domains and ndots of a pod', () => {
    const text = 'nameserver 10.96.0.10\nsearch default.svc.cluster.local svc.cluster.local\noptions ndots:5 edns0\n';
    expect(parseSearchList(text)).toEqual({ domains: ['default.svc.cluster.local', 'svc.cluster.local'], ndots: 5 });
  });

  it('lets the last line count, passes comments over and caps ndots', () => {
    const text = '# search no.test\n; search no.test\ndomain one.test\nsearch two.test # why\noptions ndots:99';
    expect(parseSearchList(text)).toEqual({ domains: ['two.test'], ndots: 15 });
  });

  it('completes nothing without the file', () => {
    expect(readSearchList('/nonexistent/resolv.conf')).toEqual({ domains: [], ndots: 1 });
  });
});

describe('candidate names', () => {
  const pod = { domains: ['default.svc.cluster.local', 'cluster.local.'], ndots: 5 };

  it.each([
    ['reviews', ['reviews.default.svc.cluster.local', 'reviews.cluster.local', 'reviews']],
    ['a.b.c.d.e.f', ['a.b.c.d.e.f', 'a.b.c.d.e.f.default.svc.cluster.local', 'a.b.c.d.e.f.cluster.local']],
    ['example.com.', ['example.com']],
  ])('of %s', (name, names) => {
    expect(candidateNames(name, pod)).toEqual(names);
  });
});
