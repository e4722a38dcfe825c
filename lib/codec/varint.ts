/**
 * Variable Byte Integer (1.5.5): seven bits per byte, least significant first, bit 7 set in all but the last.
 *
 * ```
 *            127  7F
 *            128  80 01
 *    268,435,455  FF FF FF 7F
 * ```
 */

/** The largest value in four bytes, and so the largest Remaining Length. */
export const VARINT_MAX = 268_435_455;

export function varintSize(value: number): 1 | 2 | 3 | 4 {
  return value < 128 ? 1 : value < 16_384 ? 2 : value < 2_097_152 ? 3 : 4;
}

/**
 * [MQTT-1.5.5-1] "The encoded value MUST use the minimum number of bytes necessary".
 * @param value 0 to {@link VARINT_MAX}, as the caller has checked
 * @returns the offset behind it
 */
export function writeVarint(target: Uint8Array, at: number, value: number): number {
  let rest = value;
  let offset = at;
  while (rest > 127) {
    target[offset++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  target[offset++] = rest;
  return offset;
}
