import assert from 'node:assert/strict';
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import type { QoS } from '../../lib/codec/packets.ts';
import { ConnectionLostError, PublishError, QueueFullError } from '../../lib/errors.ts';
import { brief, offline, online, withSession } from '../support/engines.ts';
import { connack, puback, pubcomp, pubrec, suback } from '../support/packets.ts';

describe('publish', () => {
  it('QoS 0 is done when it was copied into the output', () => {
    const rig = online();
    const { waiter } = rig.publish('a', { qos: 0 });
    expect(waiter).toMatchObject({ told: 1, reasonCode: 0 });
    expect(brief(rig.sent())).toEqual(['publish a']);
    expect(rig.engine.counts.pending).toBe(0);
  });

  it('v5 MQTT-4.3.2-2, -3 QoS 1 is done with PUBACK', () => {
    const rig = online();
    const { waiter } = rig.publish('a');
    expect(rig.sent()).toMatchObject([{ type: 'publish', qos: 1, duplicate: false, packetId: 1 }]);
    expect(waiter.told).toBe(0);
    expect(rig.engine.counts.pending).toBe(1);
    rig.send(puback(1));
    expect(waiter).toMatchObject({ told: 1, reasonCode: 0 });
    expect(rig.engine.counts.pending).toBe(0);
  });

  it('v5 MQTT-4.3.3-2, -4 QoS 2 is done with PUBCOMP', () => {
    const rig = online();
    const { waiter } = rig.publish('a', { qos: 2 });
    expect(rig.sent()).toMatchObject([{ type: 'publish', qos: 2, duplicate: false, packetId: 1 }]);
    rig.send(pubrec(1));
    expect(brief(rig.sent())).toEqual(['pubrel 1']);
    expect(waiter.told).toBe(0);
    rig.send(pubcomp(1));
    expect(waiter).toMatchObject({ told: 1, reasonCode: 0 });
  });

  it('v5 U-2.4-b succeeds with "No matching subscribers"', () => {
    const rig = online();
    const [one, two] = [rig.publish('a'), rig.publish('b', { qos: 2 })];
    rig.send(puback(1, 0x10), pubrec(2, 0x10), pubcomp(2));
    expect([one.waiter.reasonCode, two.waiter.reasonCode]).toEqual([0x10, 0]);
  });

  it('v5 U-4.13.2-a, peers P25 a refused message fails alone, with the properties of the acknowledgement', () => {
    const rig = online();
    const [refused, next] = [rig.publish('a'), rig.publish('b')];
    rig.sent();
    rig.send(puback(1, 0x97, { reasonString: 'enough' }), puback(2));
    expect(refused.waiter).toMatchObject({
      told: 1,
      reasonCode: 0x97,
      properties: { reasonString: 'enough' },
    });
    expect(next.waiter.reasonCode).toBe(0);
    expect(rig.effects.take()).toEqual([]);
  });

  it('v5 U-4.3.3-a, peers P25 a refusing PUBREC ends the exchange without PUBREL', () => {
    const rig = online({ maxInflight: 1 });
    const { waiter } = rig.publish('a', { qos: 2 });
    rig.publish('b');
    rig.sent();
    rig.send(pubrec(1, 0x87));
    expect(waiter).toMatchObject({ told: 1, reasonCode: 0x87 });
    expect(brief(rig.sent())).toEqual(['publish b 2']);
  });

  it('hot: writes QoS 0 at once if no QoS 0 waits', () => {
    const rig = online();
    const message = { topicName: 'a', payload: 'm', qos: 0, retain: false, properties: undefined } as const;
    expect(rig.engine.publishNow(message)).toBe(true);
    expect(rig.engine.publishNow({ ...message, payload: 'x'.repeat(20_000) })).toBe(false);
    expect(rig.engine.publishNow({ ...message, retain: true })).toBe(true);
    expect(brief(rig.sent())).toEqual(['publish a', 'publish a']);
    rig.engine.lost(undefined, rig.now);
    expect(rig.engine.publishNow(message)).toBe(false);
  });
});

describe('the window', () => {
  it.each([
    [3, undefined, 3],
    [20, 2, 2],
    [0, 4, 4],
    [5, 10, 5],
  ])(
    'v5 MQTT-3.3.4-7, MQTT-4.9.0-2, peers P6 with maxInflight %p and Receive Maximum %p is %p',
    (maxInflight, receiveMaximum, expected) => {
      const rig = online({ maxInflight }, connack(receiveMaximum === undefined ? {} : { receiveMaximum }));
      for (let i = 0; i < 12; i++) rig.publish('a', { qos: i % 2 === 0 ? 1 : 2 });
      expect(rig.sent()).toHaveLength(expected);
      rig.send(puback(1));
      expect(rig.sent()).toHaveLength(1);
      rig.send(pubrec(2));
      expect(brief(rig.sent())).toEqual(['pubrel 2']);
      rig.send(pubcomp(2));
      expect(rig.sent()).toHaveLength(1);
    },
  );

  it('v5 MQTT-4.9.0-3, MQTT-3.3.4-8 delays only QoS 1 and 2', () => {
    const rig = online({ maxInflight: 1 });
    rig.publish('one');
    rig.publish('two');
    rig.publish('zero', { qos: 0 });
    rig.request('subscribe', 'f');
    expect(brief(rig.sent())).toEqual(['publish one 1', 'publish zero', 'subscribe 2']);
  });

  it('is never exceeded, leaks nothing, and keeps call order, in whatever order acknowledgements come', () => {
    const qos = fc.constantFrom<QoS>(1, 2);
    fc.assert(
      fc.property(
        fc.array(qos, { maxLength: 40, size: 'max' }),
        fc.integer({ min: 1, max: 6 }),
        fc.infiniteStream(fc.nat()),
        (all, maxInflight, choices) => {
          const rig = online({ maxInflight });
          const publications = all.map((q, i) => rig.publish(`${i}`, { qos: q }));
          const due: { id: number; qos: QoS; released: boolean }[] = [];
          const order: string[] = [];
          for (;;) {
            for (const packet of rig.sent()) {
              if (packet.type !== 'publish') continue;
              order.push(packet.topic);
              due.push({ id: packet.packetId as number, qos: packet.qos, released: false });
            }
            assert.ok(due.length <= maxInflight);
            if (due.length === 0) break;
            const next = due[(choices.next().value as number) % due.length] as (typeof due)[0];
            if (next.qos === 2 && !next.released) {
              rig.send(pubrec(next.id));
              next.released = true;
            } else {
              rig.send(next.qos === 1 ? puback(next.id) : pubcomp(next.id));
              due.splice(due.indexOf(next), 1);
            }
          }
          assert.deepEqual(
            order,
            all.map((_, i) => `${i}`),
          );
          for (const { waiter } of publications) assert.equal(waiter.told, 1);
          assert.equal(rig.engine.counts.pending, 0);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('does not move for acknowledgements of unknown Packet Identifiers', () => {
    const rig = online({ maxInflight: 1 });
    rig.publish('a');
    rig.publish('b');
    rig.sent();
    rig.send(puback(9), pubcomp(9));
    expect(rig.sent()).toEqual([]);
  });

  it('gives a SUBSCRIBE the first freed Packet Identifier after all were in use', () => {
    const rig = online({ maxInflight: 0 });
    for (let i = 0; i < 65_535; i++) rig.publish('a', { payload: '' });
    rig.sent();
    const waiter = rig.request('subscribe', 'f');
    expect(rig.sent()).toEqual([]);
    rig.send(puback(40_000));
    expect(brief(rig.sent())).toEqual(['subscribe 40000']);
    rig.send(suback(40_000, 1));
    expect(waiter.reasonCodes).toEqual([1]);
  });
});

describe('the queue', () => {
  it('keeps messages that are published without a connection, QoS 0 included, and sends them in call order', () => {
    const rig = offline();
    const all = [1, 0, 2, 0, 1].map((qos, i) => rig.publish(`${i}`, { qos: qos as QoS }));
    expect(rig.engine.counts.pending).toBe(5);
    rig.engine.connect('give up', rig.now);
    rig.open();
    rig.send(connack());
    expect(brief(rig.sent())).toEqual([
      'publish 0 1',
      'publish 1',
      'publish 2 2',
      'publish 3',
      'publish 4 3',
    ]);
    expect(all.map(({ waiter }) => waiter.told)).toEqual([0, 1, 0, 1, 0]);
  });

  it('refuses QoS 0 without a connection if queueQos0Offline is false', () => {
    const rig = offline({ queueQos0Offline: false });
    const { exchange, waiter } = rig.publish('a', { qos: 0 });
    expect(waiter.error).toBeInstanceOf(ConnectionLostError);
    expect(waiter.error).toMatchObject({ delivery: 'not-sent', kept: false });
    expect(rig.engine.withdraw(exchange)).toBe(false);
    expect(rig.engine.counts.pending).toBe(0);
  });

  it('peers P14 refuses messages above its limits', () => {
    const rig = offline({ queueLimits: { messages: 2, bytes: 10 } });
    const [first, second] = [rig.publish('a', { payload: '1234' }), rig.publish('b', { payload: '1234567' })];
    rig.publish('c', { payload: '' });
    const fourth = rig.publish('d', { payload: '' });
    expect(first.waiter.told).toBe(0);
    expect(second.waiter.error).toBeInstanceOf(QueueFullError);
    expect(fourth.waiter.error).toMatchObject({ delivery: 'not-sent', kept: false });
    expect(rig.engine.counts.pending).toBe(2);
    // Too late: it is over.
    expect(rig.engine.withdraw(second.exchange)).toBe(false);
    expect(rig.engine.counts.pending).toBe(2);
  });

  it('drops the oldest messages with onQueueFull: drop-oldest, as many as necessary', () => {
    const rig = offline({ queueLimits: { messages: 3, bytes: 10 }, onQueueFull: 'drop-oldest' });
    const [one, two] = [rig.publish('a', { payload: '1234' }), rig.publish('b', { payload: '1234' })];
    const three = rig.publish('c', { payload: '12345678' });
    expect([one.waiter.error, two.waiter.error]).toEqual([
      expect.any(QueueFullError),
      expect.any(QueueFullError),
    ]);
    expect(three.waiter.told).toBe(0);
    expect(rig.engine.counts.pending).toBe(1);
  });

  it('rejects a dropped message as unknown if it was sent in a session that was lost', () => {
    const options = {
      maxInflight: 2,
      queueLimits: { messages: 1, bytes: 0 },
      onQueueFull: 'drop-oldest',
    } as const;
    const rig = withSession(options);
    const [one, two] = [rig.publish('a'), rig.publish('b')];
    rig.sent();
    rig.engine.lost(undefined, rig.now);
    expect(brief(rig.reconnect(connack({ receiveMaximum: 1 })))).toEqual(['publish a 3']);
    rig.publish('c');
    expect(two.waiter.error).toMatchObject({ code: 'ERR_MQTT_QUEUE_FULL', delivery: 'unknown', kept: false });
    expect(one.waiter.told).toBe(0);
  });

  it('drops nothing for a message that would not fit into an empty queue', () => {
    const rig = offline({ queueLimits: { messages: 3, bytes: 10 }, onQueueFull: 'drop-oldest' });
    const small = rig.publish('a', { payload: '1234' });
    const huge = rig.publish('b', { payload: 'x'.repeat(11) });
    expect(huge.waiter.error).toBeInstanceOf(QueueFullError);
    expect(small.waiter.told).toBe(0);
  });

  it('makes callers wait for room with onQueueFull: wait', () => {
    const rig = offline({ queueLimits: { messages: 1, bytes: 0 }, onQueueFull: 'wait' });
    const all = [rig.publish('a'), rig.publish('b'), rig.publish('c')];
    expect(rig.engine.withdraw((all[1] as (typeof all)[0]).exchange)).toBe(false);
    rig.engine.connect('give up', rig.now);
    rig.open();
    rig.send(connack());
    expect(brief(rig.sent())).toEqual(['publish a 1', 'publish c 2']);
  });

  it('admits waiters in call order, as far as there is room', () => {
    const rig = offline({ queueLimits: { messages: 2, bytes: 6 }, onQueueFull: 'wait' });
    rig.publish('a', { payload: '123' });
    const large = rig.publish('b', { payload: '12345' });
    // It would fit now, but it is not its turn.
    const small = rig.publish('c', { payload: '1', qos: 0 });
    expect(rig.engine.counts).toMatchObject({ pending: 3, queued: { messages: 1, bytes: 4 } });
    Object.assign(rig.options, { queueLimits: { messages: 2, bytes: 10 } });
    rig.engine.reconfigured(rig.now);
    expect(rig.engine.counts).toMatchObject({ pending: 3, queued: { messages: 2, bytes: 10 } });
    rig.engine.withdraw(large.exchange);
    expect(rig.engine.counts).toMatchObject({ pending: 2, queued: { messages: 2, bytes: 6 } });
    expect(small.waiter.told).toBe(0);
  });

  it('refuses a message that would wait for room for ever', () => {
    const rig = offline({ queueLimits: { messages: 0, bytes: 6 }, onQueueFull: 'wait' });
    const huge = rig.publish('a', { payload: '123456' });
    expect(huge.waiter.error).toBeInstanceOf(QueueFullError);
    rig.publish('b', { payload: '12345' });
    expect(rig.publish('c', { payload: '123456' }).waiter.error).toBeInstanceOf(QueueFullError);
    expect(rig.engine.counts.pending).toBe(1);
  });

  it('disconnect() keeps the messages in the queue, and not the waiters', () => {
    const rig = offline({ queueLimits: { messages: 1, bytes: 0 }, onQueueFull: 'wait' });
    const all = [rig.publish('a'), rig.publish('b'), rig.publish('c')];
    rig.disconnect();
    expect(all.map(({ waiter }) => waiter.error)).toMatchObject([
      { delivery: 'not-sent', kept: true },
      { delivery: 'not-sent', kept: false },
      { delivery: 'not-sent', kept: false },
    ]);
    expect(rig.engine.counts.pending).toBe(1);
  });

  it('drops a message whose caller no longer waits', () => {
    const rig = online({ maxInflight: 1 });
    rig.publish('a');
    const { exchange, waiter } = rig.publish('b');
    rig.publish('c');
    expect(rig.engine.withdraw(exchange)).toBe(false);
    rig.sent();
    rig.send(puback(1));
    expect(brief(rig.sent())).toEqual(['publish c 2']);
    expect(waiter.told).toBe(0);
  });

  it('sends a message again from a copy of its payload after its caller left', () => {
    const rig = withSession();
    const payload = new Uint8Array([1, 2, 3]);
    const { exchange, waiter } = rig.publish('a', { payload });
    rig.sent();
    expect(rig.engine.withdraw(exchange)).toBe(true);
    payload.fill(0);
    expect(rig.resume()).toMatchObject([{ duplicate: true, payload: new Uint8Array([1, 2, 3]) }]);
    rig.send(puback(1));
    expect(waiter.told).toBe(0);
    expect(rig.engine.counts.pending).toBe(0);
  });

  it('queues messages while 1 MiB of output is pending, and goes on once it has left', () => {
    const rig = online();
    const payload = 'x'.repeat(10_000);
    for (let i = 0; i < 200; i++) rig.publish('a', { qos: 0, payload });
    const last = rig.publish('last', { qos: 0 });
    expect(last.waiter.told).toBe(0);
    expect(rig.engine.outputSize).toBeLessThan(1_048_576 + 70_000);
    const sent = brief(rig.sent());
    expect(sent).toHaveLength(201);
    expect(sent.at(-1)).toBe('publish last');
    expect(last.waiter.told).toBe(1);
  });
});

describe('a message with a Message Expiry Interval', () => {
  const expiring = (messageExpiryInterval: number, qos: 0 | 1 = 1) => ({
    qos,
    properties: { messageExpiryInterval },
  });

  it('v5 R1 peers P14 is not sent after it expired in the queue, and otherwise has its waiting time subtracted', () => {
    const rig = offline();
    const expired = [rig.publish('a', expiring(10)), rig.publish('b', expiring(10, 0))];
    rig.publish('c', expiring(11));
    rig.publish('d');
    rig.advance(10_999);
    rig.engine.connect('give up', rig.now);
    rig.open();
    rig.send(connack());
    expect(rig.sent()).toMatchObject([
      { topic: 'c', packetId: 2, properties: { messageExpiryInterval: 1 } },
      { topic: 'd', packetId: 3, properties: {} },
    ]);
    for (const { waiter } of expired)
      expect(waiter.error).toMatchObject({ name: 'TimeoutError', delivery: 'not-sent', kept: false });
    expect(rig.engine.counts.pending).toBe(2);
  });

  it('v5 MQTT-4.3.3-7 does not expire once it was sent', () => {
    const rig = withSession();
    rig.publish('a', expiring(5));
    rig.sent();
    rig.advance(9_000);
    expect(rig.resume()).toMatchObject([{ topic: 'a', properties: { messageExpiryInterval: 5 } }]);
    rig.advance(9_000);
    expect(rig.resume(connack())).toMatchObject([{ topic: 'a', properties: { messageExpiryInterval: 5 } }]);
  });
});

describe('a message that cannot be encoded', () => {
  it('peers P5 fails alone when its turn comes, and does not stop the messages behind it', () => {
    const rig = offline();
    const bad = rig.publish('a', { payload: '\ud800' });
    const wild = rig.publish('a/#');
    const good = rig.publish('b');
    rig.engine.connect('give up', rig.now);
    rig.open();
    rig.send(connack());
    expect(brief(rig.sent())).toHaveLength(1);
    expect([bad.waiter.error, wild.waiter.error]).toEqual([
      expect.any(PublishError),
      expect.any(PublishError),
    ]);
    expect(wild.waiter.error).toMatchObject({ delivery: 'not-sent', kept: false, reasonCode: 0x90 });
    expect(good.waiter.told).toBe(0);
    expect(rig.engine.state).toBe('connected');
  });
});
