/**
 * Whether every block occurs in the bytes, in this order and without overlap; other bytes may lie between (the "fuzzy"
 * matching of envoy.config.core.v3.HealthCheck.TcpHealthCheck).
 */
export function holdsBlocks(bytes: Buffer, blocks: readonly Buffer[]): boolean {
  let from = 0;
  for (const block of blocks) {
    const at = bytes.indexOf(block, from);
    if (at < 0) return false;
    from = at + block.length;
  }
  return true;
}
