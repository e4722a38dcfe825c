import { describe, expect, it } from '@jest/globals';
import type { ProtocolVersion } from '../../lib/codec/packets.ts';
import { ConnectError, ProtocolError } from '../../lib/errors.ts';
import { hex, join, varint } from '../support/bytes.ts';
import { brief, offline, online } from '../support/engines.ts';
import { connack, disconnect, pingresp, publish, puback, suback, utf8 } from '../support/packets.ts';
import type { Rig } from '../support/rig.ts';

/** One that has sent its CONNECT. */
function connecting(
  options: Parameters<typeof offline>[0] = {},
  onFailure: 'give up' | 'retry' = 'give up',
): Rig {
  const rig = offline(options);
  rig.engine.connect(onFailure, rig.now);
  rig.open();
  rig.effects.take();
  return rig;
}

function connectOf(rig: Rig): unknown {
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
    const rig = connecting();
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
    expect(connectOf(rig)).toMatchObject({ clientId: 'assigned', cleanStart: true });
  });

  it('takes user name and password anew for each attempt', () => {
    const rig = offline();
    rig.engine.connect('retry', rig.now);
    rig.engine.opened({ username: 'one' }, rig.now);
    expect(rig.sent()).toMatchObject([{ username: 'one' }]);
  });
});

describe('Clean Start', () => {
  it('is on every CONNECT where the session ends with the connection', () => {
    const rig = online();
    rig.engine.lost(undefined, rig.now);
    rig.advance(1_000);
    expect(connectOf(rig)).toMatchObject({ cleanStart: true });
  });

  it.each([true, 'first'] as const)(
    '%p is only on the first CONNECT where the session is to be kept (5.0)',
    (cleanStart) => {
      const rig = offline({ cleanStart, sessionExpiryInterval: 60 });
      rig.engine.connect('retry', rig.now);
      expect(connectOf(rig)).toMatchObject({ cleanStart: true });
      rig.engine.lost(undefined, rig.now);
      rig.advance(1_000);
      // No server has accepted it yet.
      expect(connectOf(rig)).toMatchObject({ cleanStart: true });
      rig.send(connack());
      rig.engine.lost(undefined, rig.now);
      rig.advance(1_000);
      expect(connectOf(rig)).toMatchObject({ cleanStart: false });
    },
  );

  it.each([3, 4] as const)(
    '"first" on version %d wipes the session, then begins the one to keep',
    (protocolVersion) => {
      const rig = connecting({ protocolVersion, cleanStart: 'first' });
      const { waiter } = rig.publish('a');
      rig.send(connack());
      expect(rig.effects.take()).toEqual(['retire', 'changed: connecting', 'dial 0, the same server']);
      expect(brief(rig.rest())).toEqual(['disconnect']);
      expect(connectOf(rig)).toMatchObject({ cleanStart: false });
      rig.send(connack());
      expect(rig.effects.take()).toEqual(['changed: connected']);
      expect(brief(rig.sent())).toEqual(['publish a 1']);
      rig.send(puback(1));
      expect(waiter.reasonCode).toBe(0);
      rig.engine.lost(undefined, rig.now);
      rig.advance(1_000);
      expect(connectOf(rig)).toMatchObject({ cleanStart: false });
    },
  );
});

describe('a refusal', () => {
  it.each<[ProtocolVersion, number, string]>([
    [3, 2, 'Identifier rejected'],
    [4, 5, 'Not authorized'],
    [5, 0x87, 'Not authorized'],
    [5, 0x9b, 'QoS not supported'],
  ])(
    'v%d MQTT-3.2.2-7, -5 of CONNACK %d fails with the code and sends nothing more',
    (protocolVersion, reasonCode, name) => {
      const rig = connecting({ protocolVersion });
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
    const rig = connecting();
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

  it('v5 MQTT-3.1.2-2 of a server that speaks only 3.1.1 is told as Unsupported Protocol Version', () => {
    const rig = connecting();
    rig.receive(hex`20 02 00 01`);
    expect(rig.effects.last('closed').error).toMatchObject({ reasonCode: 0x84 });
  });
});

describe('an answer that is none', () => {
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
      const rig = connecting(options);
      act(rig);
      expect(rig.effects.take()).toEqual(['hang up', 'changed: gaveUp']);
      expect(rig.rest()).toMatchObject([{ type: 'disconnect', reasonCode: expect.any(Number) }]);
      const { error } = rig.effects.last('gaveUp');
      expect(error).toMatchObject({ phase: 'connack', cause: expect.any(ProtocolError) });
    },
  );

  it('v4 MQTT-3.2.0-1, MQTT-4.8.0-1 closes without DISCONNECT on 3.1.1', () => {
    const rig = connecting({ protocolVersion: 4 });
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
    const rig = connecting();
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
    const rig = connecting({ protocolVersion });
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

  it('is one of more than 1 MiB', () => {
    const rig = connecting();
    rig.receive(join(hex`20`, varint(1_048_576 - 4)));
    expect(rig.engine.state).toBe('connecting');
    const other = connecting();
    other.receive(join(hex`20`, varint(1_048_576 - 3)));
    expect(other.engine.state).toBe('offline');
  });

  it('is none once CONNACK is accepted, in the same read too', () => {
    const large = publish({ payload: 'x'.repeat(2 * 1_048_576) });
    const rig = connecting();
    rig.send(connack(), large);
    rig.send(large);
    expect(rig.effects.delivered.map(({ text }) => text.length)).toEqual([2_097_152, 2_097_152]);
    expect(rig.engine.state).toBe('connected');
  });

  it('is one again on the next connection', () => {
    const rig = online();
    rig.engine.lost(undefined, rig.now);
    rig.advance(1_000);
    rig.open();
    rig.effects.take();
    rig.receive(header(0x20));
    expect(rig.effects.take()).toEqual(['hang up', 'changed: disconnected']);
  });

  it('is refused above a smaller maximumPacketSize', () => {
    const rig = connecting({ maximumPacketSize: 100 });
    rig.receive(join(hex`20`, varint(99)));
    expect(rig.effects.last('gaveUp').error.message).toContain('the Maximum Packet Size of 100');
  });
});

describe('connectTimeout', () => {
  it('v5 U-3.2.0-a, peers P20 ends an attempt in which CONNACK does not come', () => {
    const rig = connecting({ connectTimeout: 500 });
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
    const rig = connecting({}, 'retry');
    rig.engine.giveUp(error, rig.now);
    expect(rig.effects.take()).toEqual(['hang up', 'changed: gaveUp']);
    expect(rig.engine.state).toBe('offline');
  });

  it('ends the wait for the next attempt', () => {
    const rig = connecting({}, 'retry');
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
  it('is closed, and rejects connect() with what was wrong', () => {
    const rig = connecting();
    rig.engine.dialFailed(new ConnectError('dial', 'no connection: rain'), rig.now);
    expect(rig.effects.take()).toEqual(['hang up', 'changed: gaveUp']);
    expect(rig.engine.state).toBe('offline');
  });
});

describe('what comes when nothing is expected', () => {
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
    const rig = connecting();
    for (const byte of hex`20 03 00 00 00`) {
      const space = rig.engine.allocate();
      space[0] = byte;
      rig.engine.onRead(1);
      rig.read();
    }
    expect(rig.engine.state).toBe('connected');
  });
});
