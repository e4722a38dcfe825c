/** Makes the errors of the codec, and checks single values. */

import { isBytes } from '../bytes.ts';
import { ProtocolError } from '../errors.ts';
import type { QoS } from './packets.ts';

/** The packet cannot be parsed (4.13.1): Reason Code 0x81. */
export function malformed(message: string, statement: string): ProtocolError {
  return new ProtocolError(message, statement, 0x81);
}

/** The packet can be parsed, but breaks a rule of the protocol (4.13.1): Reason Code 0x82. */
export function violation(message: string, statement: string): ProtocolError {
  return new ProtocolError(message, statement, 0x82);
}

/** A value as error messages show it: short, and never the text of a string, which may be a secret. */
export function show(value: unknown): string {
  if (typeof value === 'string') return `a string of ${value.length} characters`;
  if (value === null || typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (Array.isArray(value)) return `an array of ${value.length}`;
  return typeof value;
}

/** A byte as error messages show it. */
export function hex(byte: number): string {
  return `0x${byte.toString(16).toUpperCase().padStart(2, '0')}`;
}

export function wrongType(what: string, expected: string, value: unknown): TypeError {
  return new TypeError(`${what}: expected ${expected}, got ${show(value)}`);
}

/** A field that the version does not have is refused, not silently dropped. */
export function notInVersion(what: string): TypeError {
  return new TypeError(`${what}: expected none, as this version of MQTT does not have it`);
}

/** @returns `value`, an integer of `minimum` to `maximum` */
export function integer(what: string, value: unknown, minimum: number, maximum: number): number {
  if (typeof value !== 'number') throw wrongType(what, `an integer of ${minimum} to ${maximum}`, value);
  if (!Number.isInteger(value) || value < minimum || value > maximum) {
    throw new RangeError(`${what}: expected an integer of ${minimum} to ${maximum}, got ${value}`);
  }
  return value;
}

/** @returns `value`; undefined means false */
export function flag(what: string, value: unknown): boolean {
  if (value === undefined) return false;
  if (typeof value !== 'boolean') throw wrongType(what, 'a boolean', value);
  return value;
}

/** @returns `value`, a Quality of Service; undefined means 0 */
export function qosOf(what: string, value: unknown): QoS {
  if (value === undefined) return 0;
  if (typeof value !== 'number') throw wrongType(what, '0, 1 or 2', value);
  // [MQTT-3.3.1-4] there is no QoS 3.
  if (value === 3) throw malformed(`${what} is 3`, 'MQTT-3.3.1-4');
  return integer(what, value, 0, 2) as QoS;
}

export function bytesOf(what: string, value: unknown): Uint8Array {
  if (!isBytes(value)) throw wrongType(what, 'a Uint8Array', value);
  return value;
}

export function stringOf(what: string, value: unknown): string {
  if (typeof value !== 'string') throw wrongType(what, 'a string', value);
  return value;
}
