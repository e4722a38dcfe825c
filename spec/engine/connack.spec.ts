import { describe, expect, it } from '@jest/globals';
import { Connection } from '../../lib/connection/connection.ts';
import { Traffic } from '../../lib/connection/traffic.ts';
import { Decoder } from '../../lib/codec/codec.ts';
import { acceptConnack, sendConnect, sessionPresence } from '../../lib/engine/connack.ts';
import type { Credentials } from '../../lib/engine/options.ts';
import type { ConnackPacket, ProtocolVersion } from '../../lib/codec/packets.ts';
import { ENGINE_DEFAULTS, enginePorts } from '../support/engine-options.ts';

function connecting(protocolVersion: ProtocolVersion, cleanStart: boolean): Connection {
  return new Connection(
    {
      connectionNumber: 1,
      settings: { ...ENGINE_DEFAULTS, protocolVersion },
      identity: { clientId: 'a', cleanStart },
      traffic: new Traffic(),
      slabs: { take: () => new Uint8Array(64) },
      allocate: (size) => new Uint8Array(size),
    },
    0,
  );
}

function accepted(fields: Partial<ConnackPacket>): ConnackPacket {
  return { type: 'connack', sessionPresent: false, reasonCode: 0, properties: {}, ...fields };
}

describe('what CONNACK grants', () => {
  it.each([
    [20, undefined, 20],
    [20, 5, 5],
    [0, 5, 5],
    [0, undefined, 65_535],
  ])(
    'with maxInflight %d and Receive Maximum %p is a window of %d',
    (maxInflight, receiveMaximum, window) => {
      const one = connecting(5, true);
      const answer = accepted({ properties: receiveMaximum === undefined ? {} : { receiveMaximum } });
      const negotiated = acceptConnack(one, answer, { ...ENGINE_DEFAULTS, maxInflight }, 0);
      expect(one.quota.limit).toBe(window);
      expect(one.negotiated).toBe(negotiated);
    },
  );

  it.each([
    [5, true, false, 'absent'],
    [5, false, true, 'present'],
    [4, false, true, 'present'],
    [4, false, false, 'absent'],
    [3, false, false, 'presumed'],
    [3, true, false, 'absent'],
  ] as const)(
    'on version %d, Clean Start %p, Session Present %p: the session is %s',
    (version, clean, present, is) => {
      const one = connecting(version, clean);
      const options = { ...ENGINE_DEFAULTS, protocolVersion: version };
      acceptConnack(one, accepted({ sessionPresent: present }), options, 0);
      expect(sessionPresence(one)).toBe(is);
    },
  );
});

const will = { topic: 'gone', payload: new Uint8Array(0), qos: 0, retain: false, properties: {} } as const;

function connectOf(credentials: Credentials) {
  const options = { ...ENGINE_DEFAULTS, will, properties: { topicAliasMaximum: 3 } };
  const session = { connectionNumber: 1, clientId: 'own', cleanStart: true };
  const connection = sendConnect(
    options,
    session,
    credentials,
    enginePorts(() => 0),
    0,
  );
  const packet = connection.outbox.take() as Uint8Array;
  const decoder = new Decoder({ protocolVersion: 5, receiver: 'server' });
  decoder.push(packet);
  return { connection, connect: decoder.next() };
}

describe('CONNECT', () => {
  it('is as the options have it', () => {
    const { connect } = connectOf({});
    expect(connect).toMatchObject({ clientId: 'own', cleanStart: true, will: { topic: 'gone' } });
    expect(connect).toMatchObject({ properties: { topicAliasMaximum: 3 } });
  });

  it('is as the application says for this attempt, which then holds for the connection', () => {
    const { connection, connect } = connectOf({
      clientId: 'asked',
      username: 'u',
      will: { ...will, topic: 'other' },
      properties: { requestProblemInformation: false },
    });
    expect(connect).toMatchObject({ clientId: 'asked', username: 'u', will: { topic: 'other' } });
    expect(connection.withoutProblemInformation).toBe(true);
    expect(connection.identity.clientId).toBe('asked');
    expect(connection.settings.properties).toEqual({ requestProblemInformation: false });
  });
});
