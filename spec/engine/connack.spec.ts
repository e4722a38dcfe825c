import { describe, expect, it } from '@jest/globals';
import { Connection } from '../../lib/connection/connection.ts';
import { Traffic } from '../../lib/connection/traffic.ts';
import { acceptConnack, sessionPresence } from '../../lib/engine/connack.ts';
import type { ConnackPacket, ProtocolVersion } from '../../lib/codec/packets.ts';
import { ENGINE_DEFAULTS } from '../support/engine-options.ts';

function connection(protocolVersion: ProtocolVersion, cleanStart: boolean): Connection {
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
      const one = connection(5, true);
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
      const one = connection(version, clean);
      const options = { ...ENGINE_DEFAULTS, protocolVersion: version };
      acceptConnack(one, accepted({ sessionPresent: present }), options, 0);
      expect(sessionPresence(one)).toBe(is);
    },
  );
});
