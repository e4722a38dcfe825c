/**
 * Reads and writes the properties of MQTT 5.0 (2.2.2).
 *
 * ```
 * Property Length   varint, 00 when there are none [MQTT-2.2.2-1]
 *   Identifier      varint; every identifier fits one byte
 *   Value           by its type: see `property-table.ts`
 *   …
 * ```
 */

import { topicNameError } from '../topic/names.ts';
import { ProtocolError } from '../errors.ts';
import { flag, integer, malformed, notInVersion, violation, wrongType } from './errors.ts';
import {
  NO_PROPERTIES,
  type AuthProperties,
  type ConnackProperties,
  type ConnectProperties,
  type ProtocolVersion,
  type PublishProperties,
} from './packets.ts';
import {
  HOST_PROPERTIES,
  Kind,
  PROPERTY_NAMES,
  type PropertiesOf,
  type Property,
  type PropertyHost,
  type Values,
} from './property-table.ts';
import { Reader } from './reader.ts';
import { undecodedSizeOf, deferUserProperties } from './user-properties.ts';
import { VARINT_MAX } from './varint.ts';
import type { Writer } from './writer.ts';

/** The longest property section that is accepted when reading, in bytes. Writing has no such limit. */
export const MAXIMUM_PROPERTY_LENGTH = 1_048_576;

/**
 * If a PUBLISH has more User Properties than this, all of them are kept as bytes: as pairs of strings they would take up
 * to 15 times the memory while the message waits. Up to this number, keeping bytes costs more than decoding.
 */
const MAXIMUM_DECODED_PAIRS = 16;

/** The approximate memory of a User Property besides its strings, and of a number, in bytes. */
const PAIR_SIZE = 64;
export const NUMBER_SIZE = 8;

/** Reads Property Length and properties. If there are none, it returns `NO_PROPERTIES` and allocates nothing. */
export function readProperties<Host extends PropertyHost>(reader: Reader, host: Host): PropertiesOf[Host] {
  const length = reader.varint();
  if (length === 0) return NO_PROPERTIES;
  const outerEnd = reader.end;
  const start = reader.take(length);
  if (length > MAXIMUM_PROPERTY_LENGTH)
    throw new ProtocolError(
      `${host} has ${length} bytes of properties, more than the limit of ${MAXIMUM_PROPERTY_LENGTH}`,
      '2.2.2.1',
      0x95,
    );
  reader.at = start;
  reader.end = start + length;
  reader.overhead = 0;
  const pairsAtOnce = host === 'publish' ? MAXIMUM_DECODED_PAIRS : Infinity;
  const values = readAll(reader, host, pairsAtOnce) as PropertiesOf[Host];
  reader.end = outerEnd;
  return values;
}

function readAll(reader: Reader, host: PropertyHost, pairsAtOnce: number): Values {
  const { byId } = HOST_PROPERTIES[host];
  const values: Values = {};
  let seen = 0;
  let pairs: (readonly [string, string])[] | undefined;
  /** From the first User Property to the last one that was not decoded; 0: all were. */
  let pairsStart = 0;
  let pairsEnd = 0;
  while (reader.at < reader.end) {
    const id = reader.u8();
    const property = byId[id];
    if (property === undefined) {
      // Only a padded identifier has a second byte. [MQTT-1.5.5-1]
      if (id > 0x7f) {
        reader.at--;
        reader.varint();
      }
      throw malformed(`${host} must not have a property 0x${id.toString(16)}`, '2.2.2.2');
    }
    const repeated = (seen & property.bit) !== 0;
    seen |= property.bit;
    if (property.kind === Kind.Pairs) {
      if (pairs === undefined) {
        pairsStart = reader.at - 1;
        values.userProperties = pairs = [[reader.utf8(), reader.utf8()]];
      } else if (pairs.length < pairsAtOnce) {
        pairs.push([reader.utf8(), reader.utf8()]);
      } else {
        reader.skipUtf8();
        reader.skipUtf8();
        pairsEnd = reader.at;
      }
    } else if (property.kind === Kind.Varints) {
      reader.overhead += NUMBER_SIZE;
      const identifier = readNumber(reader, property);
      if (repeated) (values.subscriptionIdentifiers as number[]).push(identifier);
      else values.subscriptionIdentifiers = [identifier];
    } else {
      if (repeated) throw violation(`${host} has ${property.name} twice`, '2.2.2.2');
      property.set(values, readValue(reader, property));
    }
  }
  if (pairsEnd === 0) {
    if (pairs !== undefined) reader.overhead += PAIR_SIZE * pairs.length;
    return values;
  }
  // A copy: a view would keep the whole slab in memory.
  const bytes = new Uint8Array(reader.bytes.subarray(pairsStart, pairsEnd));
  return deferUserProperties(values, bytes, decodePairs);
}

/** The User Properties in bytes of PUBLISH properties that were checked before. */
function decodePairs(bytes: Uint8Array): unknown {
  return readAll(new Reader().reset(bytes, 0, bytes.length, 5), 'publish', Infinity).userProperties;
}

function readValue(reader: Reader, property: Property): unknown {
  switch (property.kind) {
    case Kind.Flag:
      return readBit(reader, property) === 1;
    case Kind.Bit:
      return readBit(reader, property);
    case Kind.Utf8:
      return reader.utf8();
    case Kind.Binary:
      return reader.binary();
    case Kind.TopicName: {
      const topicName = reader.utf8();
      checkResponseTopic(topicName);
      return topicName;
    }
    default:
      return readNumber(reader, property);
  }
}

function readBit(reader: Reader, property: Property): number {
  return checkBit(property, reader.u8());
}

function readNumber(reader: Reader, property: Property): number {
  const value =
    property.kind === Kind.U16 ? reader.u16() : property.kind === Kind.U32 ? reader.u32() : reader.varint();
  return checkZero(property, value);
}

/** Writes Property Length and properties on 5.0. On 3.1 and 3.1.1 refuses any. */
export function writeProperties<Host extends PropertyHost>(
  writer: Writer,
  host: Host,
  properties: PropertiesOf[Host] | undefined,
): void {
  if (writer.version !== 5) {
    refuseProperties(properties, writer.version);
  } else if (properties === undefined || properties === NO_PROPERTIES) {
    writer.u8(0);
  } else {
    const start = writer.at;
    writeEach(writer, host, properties);
    writer.prefix(start);
  }
}

/** Whether there is any property to write. */
export function hasProperties(properties: object | undefined): properties is object {
  if (properties === undefined || properties === NO_PROPERTIES) return false;
  if (typeof properties !== 'object') throw wrongType('properties', 'an object', properties);
  for (const name in properties) {
    const value = (properties as Record<string, unknown>)[name];
    if (value !== undefined && !(Array.isArray(value) && value.length === 0)) return true;
  }
  return false;
}

export function refuseProperties(properties: object | undefined, version: ProtocolVersion): void {
  if (version !== 5 && hasProperties(properties)) throw notInVersion('properties');
}

/** Writes properties without their length. */
export function writeEach<Host extends PropertyHost>(
  writer: Writer,
  host: Host,
  properties: PropertiesOf[Host],
): void {
  if (typeof properties !== 'object' || (properties as unknown) === null) {
    throw wrongType('properties', 'an object', properties);
  }
  const { byName } = HOST_PROPERTIES[host];
  for (const name in properties) {
    const value: unknown = properties[name];
    if (value === undefined) continue;
    const property = byName.get(name);
    if (property === undefined) throw notLegal(name, host);
    writeValue(writer, property, value);
  }
}

function notLegal(name: string, host: PropertyHost): Error {
  // [U-2.2.2-a] an identifier "not valid for its packet type" makes the packet malformed.
  if (PROPERTY_NAMES.has(name)) return malformed(`${host} must not have ${name}`, '2.2.2.2');
  return new TypeError(
    `properties: expected names of MQTT 5.0 properties of ${host}, got ${JSON.stringify(name)}`,
  );
}

function writeValue(writer: Writer, property: Property, value: unknown): void {
  const { id, name, kind } = property;
  // These write the identifier once per value.
  if (kind === Kind.Pairs) return writePairs(writer, property, value);
  if (kind === Kind.Varints) return writeIdentifiers(writer, property, value);
  writer.u8(id);
  switch (kind) {
    case Kind.Flag:
      return writer.u8(flag(name, value) ? 1 : 0);
    case Kind.Bit:
      return writer.u8(checkBit(property, integer(name, value, 0, 0xff)));
    case Kind.U16:
      return writer.u16(checkNumber(property, value, 0xffff));
    case Kind.U32:
      return writer.u32(checkNumber(property, value, 0xffff_ffff));
    case Kind.Varint:
      return writer.varint(checkNumber(property, value, VARINT_MAX));
    case Kind.Binary:
      return writer.binary(name, value);
    case Kind.TopicName:
      writer.utf8(name, value);
      return checkResponseTopic(value as string);
    case Kind.Utf8:
      return writer.utf8(name, value);
  }
}

function writePairs(writer: Writer, { id, name }: Property, value: unknown): void {
  if (!Array.isArray(value)) throw wrongType(name, 'an array of [name, value] pairs', value);
  for (const pair of value as unknown[]) {
    if (!Array.isArray(pair) || pair.length !== 2) throw wrongType(name, 'pairs of [name, value]', pair);
    writer.u8(id);
    // [MQTT-1.5.7-1] both are UTF-8 Encoded Strings.
    writer.utf8(name, pair[0]);
    writer.utf8(name, pair[1]);
  }
}

function writeIdentifiers(writer: Writer, property: Property, value: unknown): void {
  if (!Array.isArray(value)) throw wrongType(property.name, 'an array of integers', value);
  for (const identifier of value as unknown[]) {
    writer.u8(property.id);
    writer.varint(checkNumber(property, identifier, VARINT_MAX));
  }
}

function checkNumber(property: Property, value: unknown, maximum: number): number {
  return checkZero(property, integer(property.name, value, 0, maximum));
}

/** The approximate memory of properties, in bytes. Does not decode User Properties that are kept as bytes. */
export function sizeOfProperties(properties: PublishProperties | undefined): number {
  if (properties === undefined || properties === NO_PROPERTIES) return 0;
  const undecoded = undecodedSizeOf(properties);
  let size = undecoded;
  for (const name in properties) {
    if (name === 'userProperties' && undecoded > 0) continue;
    const value: unknown = properties[name as keyof PublishProperties];
    if (!Array.isArray(value)) size += sizeOfValue(value);
    else for (const item of value as unknown[]) size += Array.isArray(item) ? sizeOfPair(item) : NUMBER_SIZE;
  }
  return size;
}

function sizeOfPair(pair: unknown[]): number {
  return PAIR_SIZE + sizeOfValue(pair[0]) + sizeOfValue(pair[1]);
}

function sizeOfValue(value: unknown): number {
  if (typeof value === 'string' || value instanceof Uint8Array) return value.length;
  return value === undefined ? 0 : NUMBER_SIZE;
}

function checkBit({ name, statement }: Property, value: number): number {
  if (value > 1) throw violation(`${name} is ${value}, not 0 or 1`, statement);
  return value;
}

function checkZero({ name, refusesZero, statement }: Property, value: number): number {
  if (value === 0 && refusesZero !== undefined)
    throw new ProtocolError(`${name} is 0, which is not allowed`, statement, refusesZero);
  return value;
}

function checkResponseTopic(topicName: string): void {
  // [MQTT-3.3.2-14] "The Response Topic MUST NOT contain wildcard characters".
  const error = topicNameError(topicName);
  if (error !== undefined) throw violation(`responseTopic: ${error}`, 'MQTT-3.3.2-14');
}

/** Authentication Data needs an Authentication Method (3.1.2.11.10). */
export function checkAuthentication(
  properties: ConnectProperties | ConnackProperties | AuthProperties,
): void {
  if (properties.authenticationData !== undefined && properties.authenticationMethod === undefined) {
    throw violation('authenticationData is present without authenticationMethod', '3.1.2.11.10');
  }
}
