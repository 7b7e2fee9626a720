/**
 * Envoy's response flags as a bit set: why a stream did not go the ordinary way. Order is the order of printing in
 * %RESPONSE_FLAGS% (Envoy's access-log documentation).
 */
export const RESPONSE_FLAGS = [
  'LH',
  'UH',
  'UT',
  'LR',
  'UR',
  'UF',
  'UC',
  'UO',
  'NR',
  'DI',
  'FI',
  'RL',
  'UAEX',
  'RLSE',
  'DC',
  'URX',
  'SI',
  'IH',
  'DPE',
  'UMSDR',
  'RFCF',
  'NFCF',
  'DT',
  'UPE',
  'NC',
  'OM',
  'DF',
  'DO',
  'DR',
  'UDO',
] as const;

export type ResponseFlag = (typeof RESPONSE_FLAGS)[number];

const BIT = new Map<ResponseFlag, number>(RESPONSE_FLAGS.map((flag, index) => [flag, 1 << index]));

/** The bit of one flag. */
export function flagBit(flag: ResponseFlag): number {
  return BIT.get(flag) as number;
}

/** The bit of each flag by name, for code that sets them. */
export const FLAG = Object.freeze(Object.fromEntries(BIT)) as Readonly<Record<ResponseFlag, number>>;

/** `UF,URX`, or `-` when no flag is set. */
export function formatFlags(bits: number): string {
  if (bits === 0) return '-';
  let text = '';
  for (const flag of RESPONSE_FLAGS) if (bits & flagBit(flag)) text += text === '' ? flag : `,${flag}`;
  return text;
}
