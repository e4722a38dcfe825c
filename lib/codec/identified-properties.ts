import type { PublishProperties } from './packets.ts';
import { NUMBER_SIZE } from './properties.ts';

const SUBSCRIPTION_IDENTIFIER = 0x0b;
/** The longest section: its length, the identifier of the property, and four bytes. */
const LONGEST = 6;
/** Subscription Identifiers whose properties are kept; a power of two. */
const KEPT = 64;

/** The properties of a PUBLISH that has one Subscription Identifier and nothing else. */
export interface Identified {
  readonly properties: PublishProperties;
  /** The bytes of the section, its length included. */
  readonly length: number;
  /** The approximate memory of the properties, in bytes. */
  readonly size: number;
}

/**
 * Recognises properties that are one Subscription Identifier, as most are on a server that has them. Equal ones are one
 * frozen object, so that nothing is allocated while they repeat.
 */
export class IdentifiedProperties {
  readonly #kept: (Identified | undefined)[] = [];

  /** hot: the section that begins at `at`; undefined if it is another one, or malformed. */
  read(bytes: Uint8Array, at: number, end: number): Identified | undefined {
    const length = 1 + bytes[at]!;
    if (length < 3 || length > LONGEST || at + length > end || bytes[at + 1] !== SUBSCRIPTION_IDENTIFIER)
      return undefined;
    let identifier = 0;
    for (let i = at + 2, shift = 0; i < at + length; i++, shift += 7) {
      const byte = bytes[i]!;
      const isLast = i === at + length - 1;
      // It ends with the section, and has no more bytes than necessary [MQTT-1.5.5-1].
      if (byte > 0x7f === isLast || (isLast && byte === 0)) return undefined;
      identifier |= (byte & 0x7f) << shift;
    }
    const kept = this.#kept[identifier & (KEPT - 1)];
    if (kept !== undefined && kept.properties.subscriptionIdentifiers![0] === identifier) return kept;
    const properties = Object.freeze({ subscriptionIdentifiers: Object.freeze([identifier]) });
    const identified = { properties, length, size: length + NUMBER_SIZE };
    this.#kept[identifier & (KEPT - 1)] = identified;
    return identified;
  }
}
