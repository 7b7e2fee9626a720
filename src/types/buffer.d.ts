/** Buffer's own latin1 methods: what `toString('latin1')` and `write(…, 'latin1')` call, without looking up the encoding. */
interface Buffer {
  latin1Slice(start?: number, end?: number): string;
  latin1Write(text: string, offset?: number, length?: number): number;
}
