import type { PassThroughTlvs } from '../../config/schema/proxy-protocol.ts';
import { TLV_CRC32C } from './header.ts';

/** Which items go on. A checksum never does: it is that of the header which it came with. */
export function passesTlv(config: PassThroughTlvs | undefined): (type: number) => boolean {
  if (config === undefined) return () => false;
  if (config.match_type === 'INCLUDE_ALL') return (type) => type !== TLV_CRC32C;
  const types = new Set(config.tlv_type);
  types.delete(TLV_CRC32C);
  return (type) => types.has(type);
}
