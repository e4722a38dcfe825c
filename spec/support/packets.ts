/** The smallest valid Control Packets, whose fields can be overridden. */
import type {
  AckPacket,
  ConnackPacket,
  ConnackProperties,
  DisconnectPacket,
  EncodablePacket,
  PublishPacket,
  PublishProperties,
  QoS,
} from '../../lib/codec/packets.ts';

const encoder = new TextEncoder();

/** UTF-8 bytes of a text. */
export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** CONNACK, accepted by default. Fields other than `sessionPresent` and `reasonCode` are properties. */
export function connack(
  fields: Partial<Pick<ConnackPacket, 'sessionPresent' | 'reasonCode'>> & ConnackProperties = {},
): EncodablePacket {
  const { sessionPresent = false, reasonCode = 0, ...properties } = fields;
  return { type: 'connack', sessionPresent, reasonCode, properties };
}

interface PublishFields {
  readonly topic?: string;
  readonly payload?: string;
  readonly qos?: QoS;
  readonly packetId?: number;
  readonly duplicate?: boolean;
  readonly retain?: boolean;
  readonly properties?: PublishProperties;
}

/** PUBLISH of `m` to `a/b`. With a Packet Identifier the default is QoS 1. */
export function publish(fields: PublishFields = {}): PublishPacket {
  const { packetId, qos = packetId === undefined ? 0 : 1, payload = 'm' } = fields;
  return {
    type: 'publish',
    topic: fields.topic ?? 'a/b',
    payload: utf8(payload),
    qos,
    retain: fields.retain ?? false,
    duplicate: fields.duplicate ?? false,
    ...(packetId !== undefined && { packetId }),
    properties: fields.properties ?? {},
  };
}

function ack<Type extends AckPacket['type']>(type: Type) {
  return (packetId: number, reasonCode = 0, properties: AckPacket['properties'] = {}) =>
    ({ type, packetId, reasonCode, properties }) as const;
}

export const puback: ReturnType<typeof ack<'puback'>> = ack('puback');
export const pubrec: ReturnType<typeof ack<'pubrec'>> = ack('pubrec');
export const pubrel: ReturnType<typeof ack<'pubrel'>> = ack('pubrel');
export const pubcomp: ReturnType<typeof ack<'pubcomp'>> = ack('pubcomp');

export function suback(packetId: number, ...reasonCodes: number[]): EncodablePacket {
  return { type: 'suback', packetId, reasonCodes };
}

export function unsuback(packetId: number, ...reasonCodes: number[]): EncodablePacket {
  return { type: 'unsuback', packetId, reasonCodes };
}

export const pingresp: EncodablePacket = { type: 'pingresp' };

export function disconnect(reasonCode = 0, properties: DisconnectPacket['properties'] = {}): EncodablePacket {
  return { type: 'disconnect', reasonCode, properties };
}
