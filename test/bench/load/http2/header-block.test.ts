import { describe, expect, it } from 'vitest';
import { decodeStatus, encodeRequest } from '../../../../bench/load/http2/header-block.ts';

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(' ', ''), 'hex');
}

describe('the status of a response', () => {
  it.each([
    ['indexed in the static table', '88 c1', 200],
    ['indexed, 404', '8d', 404],
    ['a literal (RFC 7541 C.5.1)', '4803 3330 32', 302],
    ['a Huffman-coded literal (RFC 7541 C.6.1)', '4882 6402', 302],
    ['a Huffman-coded literal (RFC 7541 C.6.2)', '4883 640e ff', 307],
    ['a literal without indexing', '0803 3430 33', 403],
    ['a literal never indexed', '1803 3430 33', 403],
    ['behind a size update', '20 88', 200],
    ['behind size updates of several bytes', '3fe1 1f 3f e11f 88', 200],
  ])('is read as %s', (_form, block, status) => {
    expect(decodeStatus(hex(block))).toBe(status);
  });

  it('is 0 where only a dynamic table could tell, and where the block does not begin with it', () => {
    expect(decodeStatus(hex('be'))).toBe(0);
    expect(decodeStatus(hex('0f10 03 616263'))).toBe(0);
    expect(decodeStatus(hex('4803 33'))).toBe(0);
  });
});

describe('a request that is sent again and again', () => {
  const fields = [
    [':method', 'GET'],
    ['x-tenant', 'blue'],
  ] as const;

  it('is one index per field from the second time on', () => {
    const { first, next } = encodeRequest(fields);
    expect(first.toString('latin1')).toBe('@\x07:method\x03GET@\x08x-tenant\x04blue');
    expect(next).toEqual(hex('bf be'));
  });

  it('stays literal for a peer that keeps no table, which is told so once', () => {
    const { first, next } = encodeRequest(fields, 0);
    expect(next.toString('latin1')).toBe('\x00\x07:method\x03GET\x00\x08x-tenant\x04blue');
    expect(first).toEqual(Buffer.concat([hex('20'), next]));
  });

  it('does not ask for more room than the default table has', () => {
    const large = [['x-large', 'y'.repeat(5000)]] as const;
    const { first, next } = encodeRequest(large, 65_536);
    expect(first).toEqual(next);
    expect(next.subarray(0, 12)).toEqual(hex('00 07 782d6c61726765 7f 8926'));
  });
});
