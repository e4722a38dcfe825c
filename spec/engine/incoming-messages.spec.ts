import { describe, expect, it } from '@jest/globals';
import type { QoS } from '../../lib/codec/packets.ts';
import { Traffic } from '../../lib/connection/traffic.ts';
import { isFull, isUnclaimed } from '../../lib/engine/delivery.ts';
import { ProtocolError } from '../../lib/errors.ts';
import { type Receipt, ReceiptState } from '../../lib/session/incoming.ts';
import { brief, online, withSession } from '../support/engines.ts';
import { connack, publish, pubrel } from '../support/packets.ts';
import type { Rig } from '../support/rig.ts';

const PRESENT = connack({ sessionPresent: true });

function settle(rig: Rig, receipt: Receipt, reasonCode = 0): string[] {
  rig.engine.settle(receipt, reasonCode, rig.now);
  return brief(rig.sent());
}

/** Receives messages 1, 2, 3 … of the given QoS. Returns their receipts. */
function received(rig: Rig, ...all: QoS[]): Receipt[] {
  rig.send(...all.map((qos, i) => publish({ qos, packetId: i + 1, payload: `${i + 1}` })));
  return rig.effects.delivered.slice(-all.length).map(({ receipt }) => receipt as Receipt);
}

/** How the connection was closed: with which Reason Code, for which statement. */
function closing(rig: Rig): unknown {
  expect(rig.effects.take()).toEqual(['hang up', 'changed: disconnected']);
  const [packet] = rig.rest();
  const { error } = rig.effects.last('disconnected');
  return [
    packet?.type === 'disconnect' && packet.reasonCode,
    error instanceof ProtocolError && error.statement,
  ];
}

describe('a message', () => {
  it('QoS 0 is delivered, and nothing is owed', () => {
    const rig = online();
    rig.send(publish({ topic: 't', payload: 'hello' }));
    expect(rig.effects.delivered).toEqual([
      { topic: 't', text: 'hello', qos: 0, duplicate: false, packetId: 0, receipt: undefined },
    ]);
    expect(rig.sent()).toEqual([]);
  });

  it('v5 MQTT-4.3.2-4, peers P10 QoS 1 is acknowledged when it is settled, not before', () => {
    const rig = online();
    const [receipt] = received(rig, 1) as [Receipt];
    expect(rig.sent()).toEqual([]);
    expect(settle(rig, receipt)).toEqual(['puback 1']);
    expect(rig.engine.settle(receipt, 0, rig.now)).toBe(false);
  });

  it('v5 MQTT-4.3.3-8, -11 QoS 2 is answered with PUBREC when it is settled, PUBREL at once', () => {
    const rig = online();
    const [receipt] = received(rig, 2) as [Receipt];
    expect(settle(rig, receipt)).toEqual(['pubrec 1']);
    rig.send(pubrel(1));
    expect(brief(rig.sent())).toEqual(['pubcomp 1']);
  });

  it('is acknowledged at once where nobody will settle it', () => {
    const rig = online();
    rig.effects.onReceipt = () => 'acknowledge';
    rig.send(publish({ packetId: 1 }), publish({ packetId: 2, qos: 2 }));
    expect(brief(rig.sent())).toEqual(['puback 1', 'pubrec 2']);
  });

  it('is acknowledged when all its copies are settled', () => {
    const rig = online();
    rig.effects.onReceipt = (receipt) => {
      receipt.copies = 2;
      return 'taken';
    };
    const [receipt] = received(rig, 1) as [Receipt];
    expect(settle(rig, receipt)).toEqual([]);
    expect(settle(rig, receipt)).toEqual(['puback 1']);
  });

  it('carries the Reason Code it is rejected with (5.0)', () => {
    const rig = online();
    const [one, two] = received(rig, 1, 2) as [Receipt, Receipt];
    expect(settle(rig, one, 0x83)).toEqual(['puback 1 0x83']);
    expect(settle(rig, two, 0x80)).toEqual(['pubrec 2 0x80']);
    // [MQTT-4.3.3-9] The identifier names a new message next.
    rig.send(publish({ packetId: 2, qos: 2, payload: 'new' }));
    expect(rig.effects.texts.at(-1)).toBe('new');
  });

  it('v5 MQTT-4.6.0-2, -3 acknowledgements leave in the order of receipt, per type', () => {
    const rig = online();
    const [one, two, three, four] = received(rig, 1, 2, 1, 2) as [Receipt, Receipt, Receipt, Receipt];
    expect(settle(rig, four)).toEqual([]);
    expect(settle(rig, three)).toEqual([]);
    expect(settle(rig, one)).toEqual(['puback 1', 'puback 3']);
    expect(settle(rig, two)).toEqual(['pubrec 2', 'pubrec 4']);
  });

  it('keeps its payload whatever is received after it', () => {
    const rig = online();
    const space = rig.engine.allocate();
    const bytes = Uint8Array.of(0x32, 6, 0, 1, 0x61, 0, 1, 0);
    space.set(bytes);
    rig.engine.onRead(bytes.length);
    rig.read();
    const { payload } = rig.effects.receipt;
    const before = payload.slice();
    for (let i = 0; i < 100; i++) {
      const more = rig.engine.allocate();
      const ping = Uint8Array.of(0xd0, 0);
      more.set(ping);
      rig.engine.onRead(2);
      rig.read();
    }
    expect(payload).toEqual(before);
  });
});

describe('on the same connection', () => {
  it('v5 MQTT-4.3.2-5 an identifier is free again after PUBACK, whatever DUP says', () => {
    const rig = online();
    const [receipt] = received(rig, 1) as [Receipt];
    settle(rig, receipt);
    rig.send(publish({ packetId: 1, payload: '1', duplicate: true }));
    expect(rig.effects.texts).toEqual(['1', '1']);
  });

  it('v5 MQTT-4.3.3-10, peers P27 QoS 2 is never delivered twice before PUBREL', () => {
    const rig = online();
    const [receipt] = received(rig, 2) as [Receipt];
    settle(rig, receipt);
    rig.send(publish({ packetId: 1, qos: 2, payload: '1', duplicate: true }));
    rig.send(publish({ packetId: 1, qos: 2, payload: 'else' }));
    expect(brief(rig.sent())).toEqual(['pubrec 1', 'pubrec 1']);
    expect(rig.effects.texts).toEqual(['1']);
    rig.send(pubrel(1), publish({ packetId: 1, qos: 2, payload: 'new' }));
    expect(rig.effects.texts).toEqual(['1', 'new']);
  });

  it('v3 V31-8 a retry of the server is answered once, and counted once', () => {
    const rig = online({ receiveMaximum: 1 });
    const [receipt] = received(rig, 1) as [Receipt];
    rig.send(publish({ packetId: 1, payload: '1', duplicate: true }));
    expect(rig.effects.texts).toEqual(['1']);
    expect(settle(rig, receipt)).toEqual(['puback 1']);
  });

  it('v5 MQTT-2.2.1-4 an identifier in use without DUP is a Protocol Error', () => {
    const rig = online();
    received(rig, 1);
    rig.send(publish({ packetId: 1, payload: 'else' }));
    expect(closing(rig)).toEqual([0x82, 'MQTT-2.2.1-4']);
    expect(rig.effects.texts).toEqual(['1']);
  });

  it.each([
    ['v5 MQTT-3.3.4-9', 5],
    ['3.1.1:', 4],
    ['3.1:', 3],
  ] as const)(
    '%s what comes beyond Receive Maximum is held back by not reading, and is no Protocol Error',
    (_, protocolVersion) => {
      const rig = online({ protocolVersion, receiveMaximum: 2 });
      const [one, two] = received(rig, 1, 2) as [Receipt, Receipt];
      rig.send(publish({ packetId: 3, payload: '3' }));
      expect([rig.engine.state, rig.effects.texts]).toEqual(['connected', ['1', '2']]);
      settle(rig, one);
      rig.read();
      expect(rig.effects.texts).toEqual(['1', '2', '3']);
      settle(rig, two);
    },
  );

  it('v5 MQTT-3.3.4-9 QoS 2 counts until PUBCOMP, QoS 0 never: what is beyond is counted and told once', () => {
    const traffic = new Traffic();
    const rig = online({ receiveMaximum: 1 }, connack(), { traffic });
    const [receipt] = received(rig, 2) as [Receipt];
    settle(rig, receipt);
    rig.send(publish(), pubrel(1), publish({ packetId: 2, qos: 2 }));
    expect(traffic.beyondReceiveMaximum).toBe(0);
    expect(rig.effects.take()).not.toContain('changed: tolerated');
    settle(rig, rig.effects.receipt);
    rig.send(publish({ packetId: 3 }));
    settle(rig, rig.effects.receipt);
    rig.send(publish({ packetId: 4 }));
    expect(traffic.beyondReceiveMaximum).toBe(2);
    expect(rig.effects.take().filter((one) => one === 'changed: tolerated')).toHaveLength(1);
    expect(rig.engine.state).toBe('connected');
  });
});

describe('when the server sends again on a new connection', () => {
  it('peers P11 ties the message to the copy in hand, delivers nothing twice, and answers when that is settled', () => {
    const rig = withSession();
    const [one, two] = received(rig, 1, 2) as [Receipt, Receipt];
    expect(rig.resume(PRESENT)).toEqual([]);
    rig.send(
      publish({ packetId: 1, payload: '1', duplicate: true }),
      publish({ packetId: 2, qos: 2, payload: '2', duplicate: true }),
    );
    expect(rig.effects.texts).toEqual(['1', '2']);
    expect(settle(rig, one)).toEqual(['puback 1']);
    expect(settle(rig, two)).toEqual(['pubrec 2']);
  });

  it('peers P11 answers at once what was finished during the outage', () => {
    const rig = withSession();
    const [one, two] = received(rig, 1, 2) as [Receipt, Receipt];
    rig.engine.lost(undefined, rig.now);
    expect(rig.engine.settle(one, 0, rig.now)).toBe(false);
    rig.engine.settle(two, 0, rig.now);
    expect(rig.reconnect(PRESENT)).toEqual([]);
    rig.send(
      publish({ packetId: 1, payload: '1', duplicate: true }),
      publish({ packetId: 2, qos: 2, payload: '2', duplicate: true }),
    );
    expect(brief(rig.sent())).toEqual(['puback 1', 'pubrec 2']);
    expect(rig.effects.texts).toEqual(['1', '2']);
  });

  it('writes nothing for what the server has not sent again', () => {
    const rig = withSession();
    const [one, two] = received(rig, 1, 1) as [Receipt, Receipt];
    rig.resume(PRESENT);
    expect(settle(rig, one)).toEqual([]);
    rig.send(publish({ packetId: 2, payload: '2', duplicate: true }));
    expect(settle(rig, two)).toEqual(['puback 2']);
  });

  it('v5 MQTT-4.3.3-10, peers P27 answers QoS 2 that had its PUBREC, and delivers it no second time', () => {
    const rig = withSession();
    const [receipt] = received(rig, 2) as [Receipt];
    settle(rig, receipt);
    rig.resume(PRESENT);
    rig.send(publish({ packetId: 1, qos: 2, payload: '1', duplicate: true }), pubrel(1));
    expect(brief(rig.sent())).toEqual(['pubrec 1', 'pubcomp 1']);
    expect(rig.effects.texts).toEqual(['1']);
  });

  it('takes another message under the same identifier for a new one, and the old token is void', () => {
    const rig = withSession();
    const [old] = received(rig, 1) as [Receipt];
    rig.resume(PRESENT);
    rig.send(publish({ packetId: 1, payload: 'other', duplicate: true }));
    expect(rig.effects.texts).toEqual(['1', 'other']);
    expect(settle(rig, old)).toEqual([]);
    expect(settle(rig, rig.effects.receipt)).toEqual(['puback 1']);
  });

  it('v5 MQTT-3.2.2-5 voids every token, and the memory of QoS 2, with Session Present 0', () => {
    const rig = withSession();
    const [one, two, three] = received(rig, 1, 2, 2) as [Receipt, Receipt, Receipt];
    settle(rig, two);
    rig.resume(connack());
    expect(rig.effects.last('sessionLost').unsettled).toBe(2);
    expect([one.state, three.state]).toEqual([ReceiptState.Over, ReceiptState.Over]);
    rig.send(publish({ packetId: 2, qos: 2, payload: 'new', duplicate: true }));
    expect(rig.effects.texts.at(-1)).toBe('new');
    expect(settle(rig, one)).toEqual([]);
    rig.send(pubrel(3));
    expect(brief(rig.sent())).toEqual(['pubcomp 3 0x92']);
  });

  it('v5 U-3.6.2-a, peers P23 answers a PUBREL for what an earlier process received', () => {
    const five = withSession({}, PRESENT);
    five.send(pubrel(9));
    expect(brief(five.sent())).toEqual(['pubcomp 9 0x92']);
    const four = online({ protocolVersion: 4, cleanStart: false }, PRESENT);
    four.send(pubrel(9));
    expect(brief(four.sent())).toEqual(['pubcomp 9']);
  });
});

describe('Topic Aliases of the server', () => {
  const alias = (topicAlias: number, topic = ''): ReturnType<typeof publish> =>
    publish({ topic, properties: { topicAlias } });

  it('v5 U-3.3.4-a, peers P26 are replaced by their topic, which never reaches the application empty', () => {
    const rig = online({ properties: { topicAliasMaximum: 2 } });
    rig.send(alias(2, 'a'), alias(2), alias(2, 'b'), alias(2));
    expect(rig.effects.delivered.map(({ topic }) => topic)).toEqual(['a', 'a', 'b', 'b']);
  });

  it('v5 MQTT-3.1.2-26, MQTT-3.3.2-11 above our maximum close with 0x94', () => {
    const rig = online({ properties: { topicAliasMaximum: 2 } });
    rig.send(alias(3, 'a'));
    expect(closing(rig)).toEqual([0x94, 'MQTT-3.1.2-26']);
  });

  it('v5 MQTT-3.1.2-27 close with 0x94 where we take none', () => {
    const rig = online();
    rig.send(alias(1, 'a'));
    expect(closing(rig)).toEqual([0x94, 'MQTT-3.1.2-27']);
  });

  it('v5 MQTT-3.3.2-7 are forgotten with the connection: one that stands for nothing closes with 0x82', () => {
    const rig = withSession({ properties: { topicAliasMaximum: 2 } });
    rig.send(alias(1, 'a'));
    rig.resume(PRESENT);
    rig.effects.take();
    rig.send(alias(1));
    expect(closing(rig)).toEqual([0x82, '3.3.4']);
  });
});

describe('Maximum Packet Size of ours', () => {
  it.each([
    ['v5 MQTT-3.1.2-24', 5],
    ['3.1.1:', 4],
    ['3.1:', 3],
  ] as const)('%s a larger packet closes the connection before it has come', (_, protocolVersion) => {
    const rig = online({ protocolVersion, maximumPacketSize: 100 });
    rig.receive(Uint8Array.of(0x30, 0xff, 0x7f));
    expect(rig.effects.take()).toEqual(['hang up', 'changed: disconnected']);
    expect(brief(rig.rest())).toEqual(protocolVersion === 5 ? ['disconnect 0x95'] : []);
  });
});

describe('the result of a delivery', () => {
  it.each([
    ['taken', false, false],
    ['taken-full', false, true],
    ['acknowledge', true, false],
    ['acknowledge-full', true, true],
  ] as const)('%s: unclaimed %p, full %p', (delivery, unclaimed, full) => {
    expect([isUnclaimed(delivery), isFull(delivery)]).toEqual([unclaimed, full]);
  });
});
