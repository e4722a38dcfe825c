import { describe, expect, it } from '@jest/globals';
import { Decoder } from '../../lib/codec/codec.ts';
import type { ConnackPacket, ProtocolVersion } from '../../lib/codec/packets.ts';
import { acceptConnack, sendConnect, sessionPresence } from '../../lib/engine/connack.ts';
import type { Credentials } from '../../lib/engine/options.ts';
import { ConnectError, ProtocolError } from '../../lib/errors.ts';
import { hex, join, varint } from '../support/bytes.ts';
import { newConnection } from '../support/connections.ts';
import { ENGINE_DEFAULTS, enginePorts } from '../support/engine-options.ts';
import { brief, offline, online } from '../support/engines.ts';
import { connack, disconnect, pingresp, puback, publish, suback, utf8 } from '../support/packets.ts';
import type { Rig } from '../support/rig.ts';

/** One that has sent its CONNECT. */
function dialedWith(
  options: Parameters<typeof offline>[0] = {},
  onFailure: 'give up' | 'retry' = 'give up',
): Rig {
  const rig = offline(options);
  rig.engine.connect(onFailure, rig.now);
  rig.open();
  rig.effects.take();
  return rig;
}

function connectSentBy(rig: Rig): unknown {
  return rig.open()[0];
}

describe('connect', () => {
  it('dials once, however often it is asked', () => {
    const rig = offline();
    rig.engine.connect('give up', rig.now);
    rig.engine.connect('give up', rig.now);
    expect(rig.effects.take()).toEqual(['changed: connecting', 'dial 0']);
    expect(rig.engine.state).toBe('dialing');
  });

  it.each([3, 4, 5] as const)('v%d MQTT-3.1.0-1, -2 sends CONNECT first and once', (protocolVersion) => {
    const rig = offline({ protocolVersion });
    rig.publish('early', { qos: 0 });
    rig.ask('subscribe', 'a');
    rig.engine.connect('give up', rig.now);
    expect(rig.sent()).toEqual([]);
    rig.engine.flushRequests(rig.now);
    expect(brief(rig.open())).toEqual(['connect']);
    rig.engine.flushRequests(rig.now);
    rig.engine.opened({}, rig.now);
    expect(rig.sent()).toEqual([]);
    rig.send(connack());
    expect(brief(rig.sent())).toEqual(['subscribe 1', 'publish early']);
  });

  it('reports what was granted', () => {
    const rig = dialedWith();
    rig.send(connack({ receiveMaximum: 5 }));
    expect(rig.effects.take()).toEqual(['changed: connected']);
    expect(rig.effects.last('connected').negotiated.receiveMaximum).toBe(5);
    expect(rig.engine.negotiated?.receiveMaximum).toBe(5);
    expect(rig.engine.state).toBe('connected');
    expect(rig.engine.nextTimeout()).toBe(Infinity);
  });

  it('v5 MQTT-3.1.3-7 adopts an Assigned Client Identifier, for reconnects too', () => {
    const rig = online({ clientId: '' }, connack({ assignedClientIdentifier: 'assigned' }));
    expect(rig.engine.clientId).toBe('assigned');
    rig.engine.lost(undefined, rig.now);
    rig.advance(1_000);
    expect(connectSentBy(rig)).toMatchObject({ clientId: 'assigned', cleanStart: true });
  });

  it('takes user name and password anew for each attempt', () => {
    const rig = offline();
    rig.engine.connect('retry', rig.now);
    rig.engine.opened({ username: 'one' }, rig.now);
    expect(rig.sent()).toMatchObject([{ username: 'one' }]);
  });
});

describe('Clean Start', () => {
  it('is on every CONNECT if the session ends with the connection', () => {
    const rig = online();
    rig.engine.lost(undefined, rig.now);
    rig.advance(1_000);
    expect(connectSentBy(rig)).toMatchObject({ cleanStart: true });
  });

  it.each([true, 'first'] as const)(
    '%p is only on the first CONNECT if the session is to be kept (5.0)',
    (cleanStart) => {
      const rig = offline({ cleanStart, sessionExpiryInterval: 60 });
      rig.engine.connect('retry', rig.now);
      expect(connectSentBy(rig)).toMatchObject({ cleanStart: true });
      rig.engine.lost(undefined, rig.now);
      rig.advance(1_000);
      // No server has accepted it yet.
      expect(connectSentBy(rig)).toMatchObject({ cleanStart: true });
      rig.send(connack());
      rig.engine.lost(undefined, rig.now);
      rig.advance(1_000);
      expect(connectSentBy(rig)).toMatchObject({ cleanStart: false });
    },
  );

  it.each([3, 4] as const)(
    '"first" on version %d wipes the session, then begins the one to keep',
    (protocolVersion) => {
      const rig = dialedWith({ protocolVersion, cleanStart: 'first' });
      const { waiter } = rig.publish('a');
      rig.send(connack());
      expect(rig.effects.take()).toEqual(['retire', 'changed: connecting', 'dial 0, the same server']);
      expect(brief(rig.rest())).toEqual(['disconnect']);
      expect(connectSentBy(rig)).toMatchObject({ cleanStart: false });
      rig.send(connack());
      expect(rig.effects.take()).toEqual(['changed: connected']);
      expect(brief(rig.sent())).toEqual(['publish a 1']);
      rig.send(puback(1));
      expect(waiter.reasonCode).toBe(0);
      rig.engine.lost(undefined, rig.now);
      rig.advance(1_000);
      expect(connectSentBy(rig)).toMatchObject({ cleanStart: false });
    },
  );
});

describe('a refusal', () => {
  it.each<[string, ProtocolVersion, number, string]>([
    ['v3 R3', 3, 2, 'Identifier rejected'],
    ['v4 MQTT-3.2.2-5, R3', 4, 5, 'Not authorized'],
    ['v5 MQTT-3.2.2-7', 5, 0x87, 'Not authorized'],
    ['v5 MQTT-3.2.2-7, -12', 5, 0x9b, 'QoS not supported'],
  ])(
    '%s (%d) of CONNACK %d fails with the code and sends nothing more',
    (_, protocolVersion, reasonCode, name) => {
      const rig = dialedWith({ protocolVersion });
      rig.send(connack({ reasonCode }));
      expect(rig.effects.take()).toEqual(['hang up', 'changed: closed']);
      expect(rig.rest()).toEqual([]);
      const { error } = rig.effects.last('closed');
      expect(error).toBeInstanceOf(ConnectError);
      expect(error).toMatchObject({ phase: 'connack', reasonCode, message: expect.stringContaining(name) });
      expect(rig.engine.state).toBe('closed');
      expect(rig.engine.nextTimeout()).toBe(Infinity);
    },
  );

  it('that is not final gives a first attempt up', () => {
    const rig = dialedWith();
    rig.send(connack({ reasonCode: 0x88, reasonString: 'tomorrow' }));
    expect(rig.effects.take()).toEqual(['hang up', 'changed: gaveUp']);
    expect(rig.effects.last('gaveUp').error).toMatchObject({
      reasonCode: 0x88,
      message: expect.stringContaining('tomorrow'),
    });
    expect(rig.engine.state).toBe('offline');
    rig.engine.connect('give up', rig.now);
    expect(rig.engine.state).toBe('dialing');
  });

  it('v5 MQTT-3.1.2-2 of a server that speaks only 3.1.1 is reported as Unsupported Protocol Version', () => {
    const rig = dialedWith();
    rig.receive(hex`20 02 00 01`);
    expect(rig.effects.last('closed').error).toMatchObject({ reasonCode: 0x84 });
  });
});

describe('an invalid answer to CONNECT', () => {
  const cases: [string, (rig: Rig) => void, Parameters<typeof offline>[0]?][] = [
    [
      'v5 MQTT-3.2.2-2 Session Present after Clean Start',
      (rig) => rig.send(connack({ sessionPresent: true })),
    ],
    [
      'v5 MQTT-3.2.2-4 Session Present without a session here',
      (rig) => rig.send(connack({ sessionPresent: true, assignedClientIdentifier: 'x' })),
      { clientId: '', cleanStart: false },
    ],
    ['v5 MQTT-3.2.2-16 no Assigned Client Identifier', (rig) => rig.send(connack()), { clientId: '' }],
    ['v5 MQTT-3.2.0-1 a PUBLISH', (rig) => rig.send(publish())],
    ['v5 MQTT-3.2.0-1 a SUBACK', (rig) => rig.send(suback(1, 0))],
    ['v5 MQTT-3.2.0-1 a PINGRESP', (rig) => rig.send(pingresp)],
    ['v5 MQTT-3.14.0-1 a DISCONNECT', (rig) => rig.send(disconnect(0x8b))],
    ['v5 MQTT-4.12.0-6 an AUTH', (rig) => rig.receive(hex`f0 06 18 04 15 00 01 58`)],
    ['what no MQTT server says', (rig) => rig.receive(utf8(`HTTP/1.1 400 Bad Request${'\r\n'.repeat(40)}`))],
  ];
  it.each(cases.map(([name, act, options = {}]) => [name, act, options] as const))(
    '%s closes with a DISCONNECT and fails the attempt',
    (_, act, options) => {
      const rig = dialedWith(options);
      act(rig);
      expect(rig.effects.take()).toEqual(['hang up', 'changed: gaveUp']);
      expect(rig.rest()).toMatchObject([{ type: 'disconnect', reasonCode: expect.any(Number) }]);
      const { error } = rig.effects.last('gaveUp');
      expect(error).toMatchObject({ phase: 'connack', cause: expect.any(ProtocolError) });
    },
  );

  it('v4 MQTT-3.2.0-1, MQTT-4.8.0-1 closes without DISCONNECT on 3.1.1', () => {
    const rig = dialedWith({ protocolVersion: 4 });
    rig.send(publish());
    expect(rig.effects.take()).toEqual(['hang up', 'changed: gaveUp']);
    expect(rig.rest()).toEqual([]);
  });

  it('v5 MQTT-3.2.0-2 a second CONNACK ends the connection', () => {
    const rig = online();
    rig.send(connack());
    expect(rig.effects.take()).toEqual(['hang up', 'changed: disconnected']);
    expect(brief(rig.rest())).toEqual(['disconnect 0x82']);
    expect(rig.effects.last('disconnected').error).toMatchObject({ statement: 'MQTT-3.2.0-2' });
  });

  it('peers P20, P1 the peer closing before CONNACK fails the attempt', () => {
    const rig = dialedWith();
    const cause = new Error('ECONNRESET');
    rig.engine.lost(cause, rig.now);
    expect(rig.effects.take()).toEqual(['changed: gaveUp']);
    expect(rig.effects.last('gaveUp').error).toMatchObject({ phase: 'connack', cause });
    expect(rig.engine.nextTimeout()).toBe(Infinity);
  });
});

describe('a large packet before CONNACK', () => {
  /** The fixed header of a packet whose Remaining Length is 250 MiB. */
  const header = (first: number): Uint8Array => join(Uint8Array.of(first), varint(250 * 1_048_576));

  it.each<[ProtocolVersion, string, number, string[]]>([
    [5, 'CONNACK', 0x20, ['disconnect 0x95']],
    [5, 'AUTH', 0xf0, ['disconnect 0x95']],
    [4, 'CONNACK', 0x20, []],
    [3, 'CONNACK', 0x20, []],
  ])('v%d ends the attempt with the fixed header: %s of 250 MiB', (protocolVersion, _, first, farewell) => {
    const rig = dialedWith({ protocolVersion });
    rig.receive(header(first).subarray(0, 4));
    expect(rig.engine.state).toBe('connecting');
    rig.receive(header(first).subarray(4));
    expect(rig.effects.take()).toEqual(['hang up', 'changed: gaveUp']);
    expect(brief(rig.rest())).toEqual(farewell);
    const { error } = rig.effects.last('gaveUp');
    expect(error).toMatchObject({
      phase: 'connack',
      message: expect.stringContaining('a packet of 262144005 bytes arrived before CONNACK'),
      cause: { name: 'ProtocolError', reasonCode: 0x95 },
    });
  });

  it('is a packet of more than 1 MiB', () => {
    const rig = dialedWith();
    rig.receive(join(hex`20`, varint(1_048_576 - 4)));
    expect(rig.engine.state).toBe('connecting');
    const other = dialedWith();
    other.receive(join(hex`20`, varint(1_048_576 - 3)));
    expect(other.engine.state).toBe('offline');
  });

  it('is allowed once CONNACK is accepted, in the same read too', () => {
    const large = publish({ payload: 'x'.repeat(2 * 1_048_576) });
    const rig = dialedWith();
    rig.send(connack(), large);
    rig.send(large);
    expect(rig.effects.delivered.map(({ text }) => text.length)).toEqual([2_097_152, 2_097_152]);
    expect(rig.engine.state).toBe('connected');
  });

  it('is refused again on the next connection', () => {
    const rig = online();
    rig.engine.lost(undefined, rig.now);
    rig.advance(1_000);
    rig.open();
    rig.effects.take();
    rig.receive(header(0x20));
    expect(rig.effects.take()).toEqual(['hang up', 'changed: disconnected']);
  });

  it('is refused above a smaller maximumPacketSize', () => {
    const rig = dialedWith({ maximumPacketSize: 100 });
    rig.receive(join(hex`20`, varint(99)));
    expect(rig.effects.last('gaveUp').error.message).toContain('the Maximum Packet Size of 100');
  });
});

describe('connectTimeout', () => {
  it('v5 U-3.2.0-a, peers P20 ends an attempt in which CONNACK does not come', () => {
    const rig = dialedWith({ connectTimeout: 500 });
    rig.advance(499);
    expect(rig.effects.take()).toEqual([]);
    rig.advance(1);
    expect(rig.effects.take()).toEqual(['hang up', 'changed: gaveUp']);
    expect(rig.effects.last('gaveUp').error).toMatchObject({ phase: 'timeout' });
  });

  it('counts dialing as well, and starts anew with each attempt', () => {
    const rig = offline({ connectTimeout: 500 });
    rig.engine.connect('retry', rig.now);
    rig.advance(500);
    expect(rig.effects.take()).toEqual(['changed: connecting', 'dial 0', 'hang up', 'changed: disconnected']);
    rig.advance(1_000);
    expect(rig.effects.take()).toEqual(['changed: connecting', 'dial 1']);
    rig.advance(499);
    expect(rig.engine.state).toBe('dialing');
    rig.advance(1);
    expect(rig.engine.state).toBe('waiting');
  });

  it('is over with CONNACK', () => {
    const rig = online({ connectTimeout: 500 });
    rig.advance(10_000);
    expect(rig.engine.state).toBe('connected');
  });
});

describe('giving up', () => {
  const error = new ConnectError('timeout', 'enough');

  it('ends an attempt under way', () => {
    const rig = dialedWith({}, 'retry');
    rig.engine.giveUp(error, rig.now);
    expect(rig.effects.take()).toEqual(['hang up', 'changed: gaveUp']);
    expect(rig.engine.state).toBe('offline');
  });

  it('ends the wait for the next attempt', () => {
    const rig = dialedWith({}, 'retry');
    rig.engine.lost(undefined, rig.now);
    rig.engine.giveUp(error, rig.now);
    expect(rig.effects.take()).toEqual(['changed: disconnected', 'changed: gaveUp']);
    expect(rig.engine.state).toBe('offline');
    expect(rig.engine.nextTimeout()).toBe(Infinity);
  });

  it('comes too late for a connection that is up', () => {
    const rig = online();
    rig.engine.giveUp(error, rig.now);
    expect(rig.effects.take()).toEqual([]);
    rig.engine.lost(undefined, rig.now);
    expect(rig.engine.state).toBe('waiting');
  });
});

describe('a connection that breaks as it is opened', () => {
  it('is closed, and rejects connect() with the cause', () => {
    const rig = dialedWith();
    rig.engine.dialFailed(new ConnectError('dial', 'no connection: rain'), rig.now);
    expect(rig.effects.take()).toEqual(['hang up', 'changed: gaveUp']);
    expect(rig.engine.state).toBe('offline');
  });
});

describe('input without a connection', () => {
  it('changes nothing', () => {
    const rig = offline();
    rig.receive(hex`20 03 00 00 00`);
    rig.engine.lost(undefined, rig.now);
    rig.engine.opened({}, rig.now);
    rig.engine.dialFailed(new ConnectError('dial', 'x'), rig.now);
    rig.engine.flushed(new Uint8Array(1), true, rig.now);
    rig.engine.handleTimeout(rig.now);
    rig.engine.giveUp(new ConnectError('timeout', 'x'), rig.now);
    rig.engine.onRead(0);
    expect([rig.engine.read(rig.now), rig.engine.mayRead]).toEqual(['all', true]);
    expect(rig.engine.allocate()).toHaveLength(0);
    expect(rig.sent()).toEqual([]);
    expect(rig.effects.take()).toEqual([]);
    expect(rig.engine.state).toBe('offline');
  });

  it('v4 U4-2.2.3-a, v5 U-2.1.4-a reads a CONNACK that comes byte by byte, in memory of its own or ours', () => {
    const rig = dialedWith();
    for (const byte of hex`20 03 00 00 00`) {
      const space = rig.engine.allocate();
      space[0] = byte;
      rig.engine.onRead(1);
      rig.read();
    }
    expect(rig.engine.state).toBe('connected');
  });
});

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
      const one = newConnection();
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
      const one = newConnection({ protocolVersion: version }, { cleanStart: clean });
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
