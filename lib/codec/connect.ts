/**
 * CONNECT (3.1).
 *
 * ```
 * 10                  Remaining Length
 * Protocol Name       00 04 MQTT; 3.1: 00 06 MQIsdp
 * Protocol Version    03 | 04 | 05
 * Connect Flags       7 user name, 6 password, 5 will retain, 4-3 will QoS, 2 will, 1 clean start, 0 reserved
 * Keep Alive          u16 seconds
 * Properties          5.0
 * Client Identifier   string
 * Will Properties     5.0     these three if the will flag is 1
 * Will Topic          string
 * Will Payload        binary
 * User Name           string  if its flag is 1
 * Password            binary  if its flag is 1
 * ```
 */

import { quoted, topicNameError } from '../topic/names.ts';
import { ProtocolError } from '../errors.ts';
import { bytesOf, flag, hex, integer, malformed, qosOf, stringOf, violation, wrongType } from './errors.ts';
import {
  NO_PROPERTIES,
  type ConnectPacket,
  type ProtocolVersion,
  type QoS,
  type WillMessage,
} from './packets.ts';
import { checkAuthentication, readProperties, refuseProperties, writeProperties } from './properties.ts';
import { checkFormat } from './publish-writer.ts';
import type { Reader } from './reader.ts';
import { checkText, type Encodable, type Writer } from './writer.ts';

const USER_NAME = 0x80;
const PASSWORD = 0x40;
const WILL_RETAIN = 0x20;
const WILL_QOS = 0x18;
const WILL = 0x04;
const CLEAN_START = 0x02;
const RESERVED = 0x01;

/** Reads the protocol name and version, by which the rest is read. */
function readVersion(reader: Reader): ProtocolVersion {
  // Until the version is known, the strictest rules apply: a protocol name is ASCII anyway.
  const name = reader.utf8();
  const version = reader.u8();
  if (version === 3 ? name === 'MQIsdp' : name === 'MQTT' && (version === 4 || version === 5)) {
    return version as ProtocolVersion;
  }
  // [MQTT-3.1.2-1], [MQTT-3.1.2-2] a server answers another name or version with 0x84 and closes.
  const statement = name === 'MQTT' ? 'MQTT-3.1.2-2' : 'MQTT-3.1.2-1';
  throw new ProtocolError(
    `CONNECT has protocol ${quoted(name)} version ${version}, which is not supported`,
    statement,
    0x84,
  );
}

/** Reads a body. The reader takes over the version of the packet. */
export function readConnect(reader: Reader): ConnectPacket {
  reader.version = readVersion(reader);
  const flags = reader.u8();
  checkFlags(flags, reader.version);
  const keepAlive = reader.u16();
  const properties = reader.version === 5 ? readProperties(reader, 'connect') : NO_PROPERTIES;
  checkAuthentication(properties);
  const clientId = reader.utf8();
  const will = (flags & WILL) === 0 ? undefined : readWill(reader, flags);
  // On 3.1 a flag may be set although Remaining Length leaves no room for its field: then the field is absent.
  const left = (): boolean => reader.version !== 3 || reader.left > 0;
  const username = (flags & USER_NAME) !== 0 && left() ? reader.utf8() : undefined;
  const password = (flags & PASSWORD) !== 0 && left() ? reader.binary() : undefined;
  reader.finish();
  return {
    type: 'connect',
    clientId,
    cleanStart: (flags & CLEAN_START) !== 0,
    keepAlive,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(will !== undefined && { will }),
    properties,
  };
}

function checkFlags(flags: number, version: ProtocolVersion): void {
  const willQoS = flags & WILL_QOS;
  // 3.1 does not use bit 0, and has no rule for the others.
  if (version === 3) {
    if (willQoS === WILL_QOS) throw malformed('CONNECT has Will QoS 3', '3.1');
    return;
  }
  const refuse = (what: string, statement: string, statementOf311: string): never => {
    throw malformed(`CONNECT has ${what}`, version === 5 ? statement : statementOf311);
  };
  // [MQTT-3.1.2-3] "The Server MUST validate that the reserved flag in the CONNECT packet is set to 0".
  if ((flags & RESERVED) !== 0) refuse(`Connect Flags ${hex(flags)}`, 'MQTT-3.1.2-3', 'MQTT-3.1.2-3');
  if (willQoS === WILL_QOS) refuse('Will QoS 3', 'MQTT-3.1.2-12', 'MQTT-3.1.2-14');
  if ((flags & WILL) === 0) {
    // Without the will flag Will QoS and Will Retain are 0.
    if (willQoS !== 0) refuse('Will QoS without a will', 'MQTT-3.1.2-11', 'MQTT-3.1.2-13');
    if ((flags & WILL_RETAIN) !== 0) refuse('Will Retain without a will', 'MQTT-3.1.2-13', 'MQTT-3.1.2-15');
  }
  // [MQTT-3.1.2-22] (3.1.1) "If the User Name Flag is set to 0, the Password Flag MUST be set to 0".
  if (version === 4 && (flags & (USER_NAME | PASSWORD)) === PASSWORD)
    throw malformed('CONNECT has a password without a user name', 'MQTT-3.1.2-22');
}

function readWill(reader: Reader, flags: number): WillMessage {
  const properties = reader.version === 5 ? readProperties(reader, 'will') : NO_PROPERTIES;
  const topic = reader.utf8();
  const error = topicNameError(topic);
  if (error !== undefined) throw violation(`CONNECT, will: ${error}`, willTopicStatement(reader.version));
  const payload = reader.binary();
  return {
    topic,
    payload,
    qos: ((flags & WILL_QOS) >> 3) as QoS,
    retain: (flags & WILL_RETAIN) !== 0,
    properties,
  };
}

/** The Will Topic is a UTF-8 Encoded String, and as a Topic Name has no wildcards. */
function willTopicStatement(version: ProtocolVersion): string {
  return version === 5 ? 'MQTT-3.1.3-11' : 'MQTT-3.1.3-10';
}

type EncodableWill = NonNullable<Encodable<'connect'>['will']>;

export function writeConnect(writer: Writer, packet: Encodable<'connect'>): void {
  const { version } = writer;
  const { username, password, will } = packet;
  const clientId = stringOf('clientId', packet.clientId);
  const cleanStart = packet.cleanStart as unknown;
  if (typeof cleanStart !== 'boolean') throw wrongType('cleanStart', 'a boolean', cleanStart);
  checkClientId(clientId, cleanStart, version);
  // [MQTT-3.1.2-22] (3.1.1) no password without a user name; 5.0 allows it.
  if (version !== 5 && password !== undefined && username === undefined) {
    throw malformed('password is given without username', 'MQTT-3.1.2-22');
  }
  writer.utf8('protocol name', version === 3 ? 'MQIsdp' : 'MQTT');
  writer.u8(version);
  // [MQTT-3.1.2-3] bit 0 is 0; [MQTT-3.1.2-16] to [MQTT-3.1.2-19] a flag is 1 exactly if its field is present.
  writer.u8(
    (username === undefined ? 0 : USER_NAME) |
      (password === undefined ? 0 : PASSWORD) |
      (will === undefined ? 0 : willFlags(will)) |
      (cleanStart ? CLEAN_START : 0),
  );
  writer.u16(integer('keepAlive', packet.keepAlive, 0, 0xffff));
  checkAuthentication(packet.properties ?? NO_PROPERTIES);
  writeProperties(writer, 'connect', packet.properties);
  // [MQTT-3.1.3-1] order: Client Identifier, Will Properties, Will Topic, Will Payload, User Name, Password.
  writer.utf8('clientId', clientId);
  if (will !== undefined) writeWill(writer, will);
  if (username !== undefined) writer.utf8('username', username);
  if (password !== undefined) writer.binary('password', password);
}

function checkClientId(clientId: string, cleanStart: boolean, version: ProtocolVersion): void {
  if (clientId !== '' || version === 5) return;
  // 3.1: the Client Identifier has 1 to 23 characters. Servers accept longer ones, but no empty one.
  if (version === 3) throw new ProtocolError('clientId is empty, which MQTT 3.1 does not allow', '3.1', 0x85);
  // [MQTT-3.1.3-7] (3.1.1) "If the Client supplies a zero-byte ClientId, the Client MUST also set CleanSession to 1".
  if (!cleanStart) throw new ProtocolError('clientId is empty without cleanStart', 'MQTT-3.1.3-7', 0x85);
}

function willFlags(will: EncodableWill): number {
  if (typeof will !== 'object' || (will as unknown) === null) throw wrongType('will', 'an object', will);
  // [MQTT-3.1.2-12] Will QoS is 0, 1 or 2.
  return WILL | (qosOf('will.qos', will.qos) << 3) | (flag('will.retain', will.retain) ? WILL_RETAIN : 0);
}

function writeWill(writer: Writer, will: EncodableWill): void {
  if (writer.version === 5) writeProperties(writer, 'will', will.properties);
  else refuseProperties(will.properties, writer.version);
  const topic = stringOf('will.topic', will.topic);
  checkText('will.topic', topic, writer.version);
  const error = topicNameError(topic);
  if (error !== undefined) {
    throw new ProtocolError(`will.topic: ${error}`, willTopicStatement(writer.version), 0x90);
  }
  const payload = bytesOf('will.payload', will.payload);
  checkFormat(will.properties?.payloadFormatIndicator, payload);
  writer.utf8('will.topic', topic);
  writer.binary('will.payload', payload);
}
