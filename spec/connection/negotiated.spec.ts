import assert from 'node:assert/strict';
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import type { ConnackPacket, ConnackProperties } from '../../lib/codec/packets.ts';
import { KeepAlive } from '../../lib/connection/keep-alive.ts';
import {
  checkConnack,
  type ConnectIdentity,
  connectPacket,
  type ConnectSettings,
  negotiate,
} from '../../lib/connection/negotiated.ts';
import { SendQuota } from '../../lib/connection/send-quota.ts';
import { TopicAliases } from '../../lib/connection/topic-aliases.ts';
import { refused } from '../support/codec.ts';

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
    expect(() => checkConnack(connack({}, true), SETTINGS, IDENTITY)).toThrow(refused('MQTT-3.2.2-2', 0x82));
  });

  it('v4 MQTT-3.2.2-1 is refused with Session Present after Clean Session', () => {
    const settings = { ...SETTINGS, protocolVersion: 4 } as const;
    expect(() => checkConnack(connack({}, true), settings, IDENTITY)).toThrow(refused('MQTT-3.2.2-2', 0x82));
  });

  it('v5 MQTT-3.2.2-4 is refused with Session Present 1 if the client has no session', () => {
    const identity = { ...IDENTITY, cleanStart: false };
    const anonymous = { ...identity, clientId: '' };
    expect(() => checkConnack(connack({}, true), SETTINGS, anonymous)).toThrow(refused('MQTT-3.2.2-4', 0x82));
    expect(() => checkConnack(connack({}, true), SETTINGS, identity)).not.toThrow();
    expect(() =>
      checkConnack(connack({}, true), { ...SETTINGS, protocolVersion: 4 }, anonymous),
    ).not.toThrow();
  });

  it('v5 MQTT-3.2.2-16 is refused without Assigned Client Identifier after an empty Client Identifier', () => {
    const identity = { ...IDENTITY, clientId: '' };
    expect(() => checkConnack(connack(), SETTINGS, identity)).toThrow(refused('MQTT-3.2.2-16', 0x82));
    expect(() => checkConnack(connack({ assignedClientIdentifier: 'x' }), SETTINGS, identity)).not.toThrow();
  });

  it('v5 MQTT-4.12.0-5, -6 is refused with another Authentication Method than that of CONNECT', () => {
    const asked = { ...SETTINGS, properties: { authenticationMethod: 'm' } };
    expect(() => checkConnack(connack(), asked, IDENTITY)).toThrow(refused('MQTT-4.12.0-5', 0x82));
    expect(() => checkConnack(connack({ authenticationMethod: 'n' }), asked, IDENTITY)).toThrow(
      refused('MQTT-4.12.0-5', 0x82),
    );
    expect(() => checkConnack(connack({ authenticationMethod: 'm' }), asked, IDENTITY)).not.toThrow();
    expect(() => checkConnack(connack({ authenticationMethod: 'm' }), SETTINGS, IDENTITY)).toThrow(
      refused('MQTT-4.12.0-6', 0x82),
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
      announcedTopicAliasMaximum: 0,
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

describe('KeepAlive', () => {
  it('v5 MQTT-3.1.2-20 makes PINGREQ due shortly before the end of Keep Alive', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 65_535 }), fc.nat(1e9), fc.nat(1e6), (seconds, sent, later) => {
        const keepAlive = new KeepAlive(seconds, undefined, 0);
        keepAlive.sentAt = sent;
        keepAlive.receivedAt = sent + later;
        const ms = seconds * 1_000;
        const margin = sent + ms - keepAlive.pingDue;
        expect(margin).toBeGreaterThanOrEqual(100);
        expect(margin).toBeLessThanOrEqual(Math.max(100, Math.min(5_000, ms / 10)));
      }),
    );
  });

  it('peers P15 counts from the last packet sent or the last byte received, whichever is longer ago', () => {
    const keepAlive = new KeepAlive(10, undefined, 0);
    expect(keepAlive.pingDue).toBe(9_000);
    keepAlive.sentAt = 5_000;
    expect(keepAlive.pingDue).toBe(9_000);
    keepAlive.receivedAt = 3_000;
    expect(keepAlive.pingDue).toBe(12_000);
    keepAlive.receivedAt = 8_000;
    expect(keepAlive.pingDue).toBe(14_000);
  });

  it('v5 U-3.1.2-a is never due with Keep Alive 0', () => {
    expect(new KeepAlive(0, undefined, 5).pingDue).toBe(Infinity);
  });

  it('notices a dead server within one and a half Keep Alive', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 65_535 }), (seconds) => {
        const keepAlive = new KeepAlive(seconds, undefined, 0);
        expect(keepAlive.silenceFatalAt(keepAlive.pingDue)).toBeLessThanOrEqual(1_500 * seconds);
      }),
    );
  });

  it('waits for pingTimeout after the last sign of life', () => {
    const keepAlive = new KeepAlive(60, 2_000, 0);
    expect(keepAlive.silenceFatalAt(55_000)).toBe(57_000);
    keepAlive.receivedAt = 56_000;
    expect(keepAlive.silenceFatalAt(55_000)).toBe(58_000);
    keepAlive.lastFlushAt = 57_500;
    expect(keepAlive.silenceFatalAt(55_000)).toBe(59_500);
  });
});

describe('SendQuota', () => {
  it('v5 MQTT-4.9.0-1, U-4.9-a is never below 0 nor above its limit', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10 }),
        fc.array(fc.boolean(), { maxLength: 60, size: 'max' }),
        (limit, script) => {
          const quota = new SendQuota(limit);
          let used = 0;
          for (const take of script) {
            if (take) quota.take();
            else quota.give();
            used = Math.max(0, used + (take ? 1 : -1));
            assert.equal(quota.used, used);
            assert.equal(quota.free, Math.max(0, limit - used));
          }
        },
      ),
    );
  });

  it('has no free place until fewer than a lowered limit are in use', () => {
    const quota = new SendQuota(1);
    quota.take();
    quota.take();
    quota.give();
    expect(quota.free).toBe(0);
    quota.give();
    expect(quota.free).toBe(1);
  });
});

describe('TopicAliases', () => {
  it('v5 U-3.3.4-a sets, uses and overwrites a received alias', () => {
    const aliases = new TopicAliases(2, 0);
    expect(aliases.receive(1, 'a')).toBe('a');
    expect(aliases.receive(2, 'b')).toBe('b');
    expect(aliases.receive(1, '')).toBe('a');
    expect(aliases.receive(1, 'c')).toBe('c');
    expect(aliases.receive(1, '')).toBe('c');
    expect(aliases.receive(2, '')).toBe('b');
  });

  it('v5 U-3.3.4-a refuses an alias that was not defined', () => {
    expect(() => new TopicAliases(2, 0).receive(2, '')).toThrow(refused('3.3.4', 0x82));
  });

  it('v5 MQTT-3.1.2-26, MQTT-3.3.2-10, -11 accepts every alias up to the maximum and none above', () => {
    const aliases = new TopicAliases(65_535, 0);
    expect(aliases.receive(65_535, 'a')).toBe('a');
    expect(() => new TopicAliases(2, 0).receive(3, 'a')).toThrow(refused('MQTT-3.1.2-26', 0x94));
  });

  it('v5 MQTT-3.1.2-27 accepts none if the maximum is 0', () => {
    expect(() => new TopicAliases(0, 9).receive(1, 'a')).toThrow(refused('MQTT-3.1.2-27', 0x94));
  });

  it('keeps at most 16 MiB of Topic Names, then refuses with 0x97', () => {
    const aliases = new TopicAliases(65_535, 0);
    const name = 'x'.repeat(65_536);
    for (let alias = 1; alias <= 128; alias++) aliases.receive(alias, name);
    // A name that is overwritten no longer counts.
    aliases.receive(1, 'short');
    aliases.receive(2, name);
    expect(aliases.receive(129, 'short')).toBe('short');
    expect(() => aliases.receive(130, name)).toThrow(refused('3.1.2.11.5', 0x97));
    expect(aliases.receive(3, '')).toBe(name);
  });

  it('keeps sent aliases apart from received ones', () => {
    const aliases = new TopicAliases(5, 5);
    aliases.receive(1, 'a');
    expect(aliases.isKnown(1, 'a')).toBe(false);
    aliases.noteSent(1, 'a');
    expect(aliases.isKnown(1, 'a')).toBe(true);
    aliases.noteSent(1, 'b');
    expect(aliases.isKnown(1, 'a')).toBe(false);
    expect(aliases.isKnown(1, 'b')).toBe(true);
    expect(aliases.outgoingMaximum).toBe(5);
  });
});
