/**
 * UTF-8 as a port: the codec is pure, and a platform may have faster text functions than the ones every platform
 * has. `portableText` is the default.
 */

import { utf8Length } from '../topic/names.ts';

/** What the codec needs to know about UTF-8. */
export interface Text {
  /** Bytes of `s` in UTF-8. */
  byteLength(s: string): number;
  /**
   * Writes `s` at `at`; there is room for it.
   * @param s without lone surrogates: that is the caller's to check
   * @returns bytes written
   */
  write(s: string, target: Uint8Array, at: number): number;
  /**
   * The text of `bytes[start, end)`, EF BB BF kept as U+FEFF wherever it stands.
   * @returns undefined where the bytes are ill-formed
   */
  read(bytes: Uint8Array, start: number, end: number): string | undefined;
}

/** Up to this length a loop over ASCII beats the call into the platform. */
const SHORT = 24;

const encoder = new TextEncoder();
// ignoreBOM means: do not strip it. [MQTT-1.5.4-3]
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const lossy = new TextDecoder('utf-8', { ignoreBOM: true });

function write(s: string, target: Uint8Array, at: number): number {
  if (s.length <= SHORT) {
    let i = 0;
    for (; i < s.length; i++) {
      const unit = s.charCodeAt(i);
      if (unit > 0x7f) break;
      target[at + i] = unit;
    }
    if (i === s.length) return i;
  }
  return encoder.encodeInto(s, target.subarray(at)).written;
}

function read(bytes: Uint8Array, start: number, end: number): string | undefined {
  if (end - start <= SHORT) {
    let s = '';
    let at = start;
    for (; at < end; at++) {
      const byte = bytes[at]!;
      if (byte > 0x7f) break;
      s += String.fromCharCode(byte);
    }
    if (at === end) return s;
  }
  try {
    return strict.decode(bytes.subarray(start, end));
  } catch {
    return undefined;
  }
}

/** Built on what every platform has. */
export const portableText: Text = { byteLength: utf8Length, write, read };

/** Text of MQTT 3.1, which has no rule against ill-formed bytes: they become U+FFFD. */
export function readLossy(bytes: Uint8Array, start: number, end: number): string {
  return lossy.decode(bytes.subarray(start, end));
}

/** Whether `bytes[start, end)` are well-formed UTF-8 (Unicode 15, table 3-7), without making a string of them. */
export function isUtf8(bytes: Uint8Array, start = 0, end: number = bytes.length): boolean {
  let at = start;
  while (at < end) {
    const lead = bytes[at++]!;
    if (lead < 0x80) continue;
    if (lead < 0xc2 || lead > 0xf4) return false;
    const more = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    if (at + more > end) return false;
    // The second byte also excludes overlong forms (E0, F0), surrogates (ED) and what is above U+10FFFF (F4).
    const second = bytes[at++]!;
    const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
    const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
    if (second < low || second > high) return false;
    for (let i = 1; i < more; i++) if ((bytes[at++]! & 0xc0) !== 0x80) return false;
  }
  return true;
}
