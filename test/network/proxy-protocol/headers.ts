import { V2_SIGNATURE } from '../../../src/network/proxy-protocol/header.ts';

/** A header of version 2 from its parts. */
export function v2(command: number, family: number, body: Buffer, lengthBytes = body.length): Buffer {
  const fixed = Buffer.from([0x20 | command, family, lengthBytes >>> 8, lengthBytes & 0xff]);
  return Buffer.concat([V2_SIGNATURE, fixed, body]);
}

/** From 1.2.3.4:1111 to 5.6.7.8:2222. */
export const TCP4_ENDS = Buffer.from([1, 2, 3, 4, 5, 6, 7, 8, 1111 >>> 8, 1111 & 0xff, 2222 >>> 8, 2222 & 0xff]);

/** From 2001:db8::1, port 1111, to 2001:db8::2, port 2222. */
export const TCP6_ENDS = Buffer.from('20010db800000000000000000000000120010db8000000000000000000000002045708ae', 'hex');

export function tlv(type: number, value: string | Buffer): Buffer {
  const bytes = Buffer.from(value as string, 'latin1');
  return Buffer.concat([Buffer.from([type, bytes.length >>> 8, bytes.length & 0xff]), bytes]);
}
