import { describe, expect, test } from 'vitest';
import { ipTagging } from '../../filters/ip-tagging.ts';
import { HttpFilterHarness } from '../support/filter-harness.ts';

const ip_tags = [
  { ip_tag_name: 'wide', ip_list: [{ address_prefix: '10.0.0.0', prefix_len: 8 }] },
  {
    ip_tag_name: 'narrow',
    ip_list: [
      { address_prefix: '10.1.0.0', prefix_len: 16 },
      { address_prefix: '2001:db8::', prefix_len: 32 },
    ],
  },
  { ip_tag_name: 'wide', ip_list: [{ address_prefix: '10.1.1.0', prefix_len: 24 }] },
];

describe('envoy.filters.http.ip_tagging', () => {
  test('tags with every range that holds the client, the narrowest first and each name once', () => {
    const filter = new HttpFilterHarness(ipTagging, { ip_tags });
    const tags = (remoteAddress: string) => filter.request({}, { remoteAddress }).request.get('x-envoy-ip-tags');
    expect(tags('10.1.2.3')).toBe('narrow,wide');
    expect(tags('10.1.1.3')).toBe('wide,narrow');
    expect(tags('10.2.2.3')).toBe('wide');
    expect(tags('2001:db8::7')).toBe('narrow');
    expect(tags('::ffff:10.1.2.3')).toBe('narrow,wide');
    expect(tags('11.0.0.1')).toBeUndefined();
    const stats = ['total', 'no_hit', 'wide.hit', 'narrow.hit'].map((name) =>
      filter.stat(`http.test.ip_tagging.${name}`),
    );
    expect(stats).toEqual([6, 1, 4, 4]);
  });

  test('goes by the client behind trusted hops, not by the peer', () => {
    const filter = new HttpFilterHarness(ipTagging, { ip_tags });
    const { request, stream } = filter.request({}, { peer: '10.0.0.1', remoteAddress: '192.0.2.1' });
    expect(request.has('x-envoy-ip-tags')).toBe(false);
    expect(stream.routeCacheCleared).toBe(0);
  });

  test('appends to what an earlier filter tagged, and has routes matched again', () => {
    const filter = new HttpFilterHarness(ipTagging, { ip_tags });
    const { request, stream } = filter.request({ 'x-envoy-ip-tags': 'geo' }, { peer: '10.2.0.1' });
    expect(request.get('x-envoy-ip-tags')).toBe('geo,wide');
    expect(stream.routeCacheCleared).toBe(1);
  });

  test('a header of its own is replaced, or removed, unless it shall be appended to', () => {
    const tag = (action: string, peer: string) => {
      const config = { ip_tags, ip_tag_header: { header: 'X-Tags', action } };
      return new HttpFilterHarness(ipTagging, config).request({ 'x-tags': 'forged' }, { peer }).request.get('x-tags');
    };
    expect(tag('SANITIZE', '10.2.0.1')).toBe('wide');
    expect(tag('SANITIZE', '11.0.0.1')).toBeUndefined();
    expect(tag('APPEND_IF_EXISTS_OR_ADD', '10.2.0.1')).toBe('forged,wide');
    expect(tag('APPEND_IF_EXISTS_OR_ADD', '11.0.0.1')).toBe('forged');
  });

  test('concerns internal or external requests only when told so', () => {
    const totals = ['BOTH', 'INTERNAL', 'EXTERNAL'].map((request_type) => {
      const filter = new HttpFilterHarness(ipTagging, { request_type, ip_tags });
      filter.request({ 'x-envoy-internal': 'true' });
      filter.request();
      filter.request();
      return filter.stat('http.test.ip_tagging.total');
    });
    expect(totals).toEqual([3, 1, 2]);
  });
});
