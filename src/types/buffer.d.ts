/** Buffer's own methods by encoding: what `toString('latin1')` and `write(…, 'latin1')` call, without looking up the encoding. */
interface Buffer {
  latin1Slice(start?: number, end?: number): string;
  hexSlice(start?: number, end?: number): string;
  hexWrite(digits: string, offset?: number, length?: number): number;
  latin1Write(text: string, offset?: number, length?: number): number;
}
