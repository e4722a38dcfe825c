/**
 * UTF-8 as a port: the codec does not depend on a platform, but a platform may have faster functions for text.
 * `portableText` is the default.
 */

import { utf8Length } from '../topic/names.ts';

export interface Text {
  byteLength(s: string): number;
  /**
   * Writes `s` at `at`, where there must be room for it.
   * @param s a string without lone surrogates, as the caller has checked
   * @returns the number of bytes written
   */
  write(s: string, target: Uint8Array, at: number): number;
  /**
   * The text of `bytes[start, end)`. EF BB BF stays U+FEFF.
   * @returns undefined if the bytes are not well-formed
   */
  read(bytes: Uint8Array, start: number, end: number): string | undefined;
  /** The text of `bytes[start, end)` if they are ASCII. Every other byte becomes a character that is not ASCII. */
  readAscii(bytes: Uint8Array, start: number, end: number): string;
}

/** Up to this length a loop over ASCII is faster than the platform. */
const SHORT = 24;

const encoder = new TextEncoder();
// ignoreBOM means: do not strip it. [MQTT-1.5.4-3]
const ascii = new TextDecoder('latin1');
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

function readAscii(bytes: Uint8Array, start: number, end: number): string {
  return ascii.decode(bytes.subarray(start, end));
}

/** Works on every platform. */
export const portableText: Text = { byteLength: utf8Length, write, read, readAscii };

/** Text of MQTT 3.1, which allows ill-formed bytes: they become U+FFFD. */
export function readLossy(bytes: Uint8Array, start: number, end: number): string {
  return lossy.decode(bytes.subarray(start, end));
}

/** Whether `bytes[start, end)` are well-formed UTF-8 (Unicode 15, table 3-7). Makes no string. */
export function isUtf8(bytes: Uint8Array, start = 0, end: number = bytes.length): boolean {
  let at = start;
  while (at < end) {
    const lead = bytes[at++]!;
    if (lead < 0x80) continue;
    if (lead < 0xc2 || lead > 0xf4) return false;
    const more = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    if (at + more > end) return false;
    // The second byte also excludes overlong forms (E0, F0), surrogates (ED) and code points above U+10FFFF (F4).
    const second = bytes[at++]!;
    const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
    const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
    if (second < low || second > high) return false;
    for (let i = 1; i < more; i++) if ((bytes[at++]! & 0xc0) !== 0x80) return false;
  }
  return true;
}
