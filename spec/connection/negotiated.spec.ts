import { describe, expect, it } from '@jest/globals';
import type { ConnackPacket, ConnackProperties } from '../../lib/codec/packets.ts';
import {
  checkConnack,
  connectPacket,
  negotiate,
  type ConnectIdentity,
  type ConnectSettings,
} from '../../lib/connection/negotiated.ts';

const SETTINGS: ConnectSettings = {
  protocolVersion: 5,
  keepAlive: 60,
  sessionExpiryInterval: 0,
  will: undefined,
  receiveMaximum: 10,
  maximumPacketSize: undefined,
  properties: {},
};
const IDENTITY: ConnectIdentity = { clientId: 'c', cleanStart: true };

function connack(properties: ConnackProperties = {}, sessionPresent = false): ConnackPacket {
  return { type: 'connack', sessionPresent, reasonCode: 0, properties };
}

const refused = (statement: string): unknown => expect.objectContaining({ statement, reasonCode: 0x82 });

describe('CONNECT', () => {
  it('has on 5.0 exactly the properties that were set', () => {
    expect(connectPacket(SETTINGS, IDENTITY)).toEqual({
      type: 'connect',
      clientId: 'c',
      cleanStart: true,
      keepAlive: 60,
      properties: { receiveMaximum: 10 },
    });
    const settings = {
      ...SETTINGS,
      sessionExpiryInterval: 7,
      maximumPacketSize: 100,
      properties: { topicAliasMaximum: 3 },
    };
    expect(connectPacket(settings, IDENTITY).properties).toEqual({
      receiveMaximum: 10,
      sessionExpiryInterval: 7,
      maximumPacketSize: 100,
      topicAliasMaximum: 3,
    });
  });

  it('carries user name, password and Will', () => {
    const will = { topic: 'w', payload: new Uint8Array(), qos: 1, retain: false, properties: {} } as const;
    const identity = { ...IDENTITY, username: 'u', password: new Uint8Array([1]) };
    expect(connectPacket({ ...SETTINGS, will }, identity)).toMatchObject({
      username: 'u',
      password: new Uint8Array([1]),
      will,
    });
  });

  it.each([3, 4] as const)('has no properties on version %d', (protocolVersion) => {
    const settings = { ...SETTINGS, protocolVersion, maximumPacketSize: 100, sessionExpiryInterval: 7 };
    expect(connectPacket(settings, IDENTITY).properties).toEqual({});
  });
});

describe('a successful CONNACK', () => {
  it('v5 MQTT-3.2.2-2 is refused with Session Present after Clean Start', () => {
    expect(() => checkConnack(connack({}, true), SETTINGS, IDENTITY)).toThrow(refused('MQTT-3.2.2-2'));
  });

  it('v4 MQTT-3.2.2-1 is refused with Session Present after Clean Session', () => {
    const settings = { ...SETTINGS, protocolVersion: 4 } as const;
    expect(() => checkConnack(connack({}, true), settings, IDENTITY)).toThrow(refused('MQTT-3.2.2-2'));
  });

  it('v5 MQTT-3.2.2-4 is refused with Session Present 1 if the client has no session', () => {
    const identity = { ...IDENTITY, cleanStart: false };
    const anonymous = { ...identity, clientId: '' };
    expect(() => checkConnack(connack({}, true), SETTINGS, anonymous)).toThrow(refused('MQTT-3.2.2-4'));
    expect(() => checkConnack(connack({}, true), SETTINGS, identity)).not.toThrow();
    expect(() =>
      checkConnack(connack({}, true), { ...SETTINGS, protocolVersion: 4 }, anonymous),
    ).not.toThrow();
  });

  it('v5 MQTT-3.2.2-16 is refused without Assigned Client Identifier after an empty Client Identifier', () => {
    const identity = { ...IDENTITY, clientId: '' };
    expect(() => checkConnack(connack(), SETTINGS, identity)).toThrow(refused('MQTT-3.2.2-16'));
    expect(() => checkConnack(connack({ assignedClientIdentifier: 'x' }), SETTINGS, identity)).not.toThrow();
  });

  it('v5 MQTT-4.12.0-5, -6 is refused with another Authentication Method than that of CONNECT', () => {
    const asked = { ...SETTINGS, properties: { authenticationMethod: 'm' } };
    expect(() => checkConnack(connack(), asked, IDENTITY)).toThrow(refused('MQTT-4.12.0-5'));
    expect(() => checkConnack(connack({ authenticationMethod: 'n' }), asked, IDENTITY)).toThrow(
      refused('MQTT-4.12.0-5'),
    );
    expect(() => checkConnack(connack({ authenticationMethod: 'm' }), asked, IDENTITY)).not.toThrow();
    expect(() => checkConnack(connack({ authenticationMethod: 'm' }), SETTINGS, IDENTITY)).toThrow(
      refused('MQTT-4.12.0-6'),
    );
  });
});

describe('negotiated values', () => {
  it('are the defaults of the specification unless CONNACK has others', () => {
    expect(negotiate(connack(), SETTINGS, IDENTITY)).toEqual({
      protocolVersion: 5,
      clientId: 'c',
      sessionPresent: false,
      keepAlive: 60,
      sessionExpiryInterval: 0,
      receiveMaximum: 65_535,
      maximumQoS: 2,
      retainAvailable: true,
      maximumPacketSize: Infinity,
      topicAliasMaximum: 0,
      wildcardSubscriptionAvailable: true,
      subscriptionIdentifiersAvailable: true,
      sharedSubscriptionAvailable: true,
      responseInformation: undefined,
      serverReference: undefined,
    });
  });

  it('v5 MQTT-3.1.2-21, MQTT-3.2.2-21, U-3.2.2-b are those of CONNACK if it has any', () => {
    const answer = {
      assignedClientIdentifier: 'assigned',
      serverKeepAlive: 0,
      sessionExpiryInterval: 9,
      receiveMaximum: 1,
      maximumQoS: 0,
      retainAvailable: false,
      maximumPacketSize: 50,
      topicAliasMaximum: 2,
      wildcardSubscriptionAvailable: false,
      subscriptionIdentifiersAvailable: false,
      sharedSubscriptionAvailable: false,
      serverReference: 'other',
    } as const;
    const { assignedClientIdentifier: clientId, serverKeepAlive: keepAlive, ...rest } = answer;
    expect(negotiate(connack(answer), SETTINGS, IDENTITY)).toMatchObject({ clientId, keepAlive, ...rest });
  });

  it('v5 MQTT-3.1.2-28 include Response Information only if it was requested', () => {
    const answer = connack({ responseInformation: 'r/' });
    const asked = { ...SETTINGS, properties: { requestResponseInformation: true } };
    expect(negotiate(answer, asked, IDENTITY).responseInformation).toBe('r/');
    expect(negotiate(answer, SETTINGS, IDENTITY).responseInformation).toBeUndefined();
  });

  it('v4 MQTT-3.1.2-4, -6 make a session end with the connection, or never', () => {
    const settings = { ...SETTINGS, protocolVersion: 4 } as const;
    expect(negotiate(connack(), settings, IDENTITY)).toMatchObject({
      sessionExpiryInterval: 0,
      subscriptionIdentifiersAvailable: false,
    });
    expect(negotiate(connack(), settings, { ...IDENTITY, cleanStart: false }).sessionExpiryInterval).toBe(
      0xffff_ffff,
    );
  });
});
