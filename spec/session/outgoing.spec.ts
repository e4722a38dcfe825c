import assert from 'node:assert/strict';
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { NO_PROPERTIES, type QoS } from '../../lib/codec/packets.ts';
import { ClosedError } from '../../lib/errors.ts';
import { Exchange, Stage } from '../../lib/session/exchange.ts';
import { Outgoing } from '../../lib/session/outgoing.ts';
import { Queue } from '../../lib/session/queue.ts';
import { Ring } from '../../lib/session/ring.ts';
import { utf8 } from '../support/packets.ts';
import { Waiter } from '../support/recorder.ts';

describe('Exchange', () => {
  function begun(payload: Uint8Array | string = 'm'): { exchange: Exchange; waiter: Waiter } {
    const exchange = new Exchange('a', payload, 1, false, undefined);
    const waiter = new Waiter();
    exchange.waiter = waiter;
    return { exchange, waiter };
  }

  it('tells its waiter once, however often it ends', () => {
    const { exchange, waiter } = begun();
    exchange.settle(0x10, NO_PROPERTIES);
    exchange.settle(0, NO_PROPERTIES);
    exchange.fail(new ClosedError('late'));
    exchange.end(new ClosedError('later'));
    expect(waiter).toMatchObject({ told: 1, reasonCode: 0x10, error: undefined });
    expect(exchange.stage).toBe(Stage.Over);
  });

  it('goes on after its promise alone has failed', () => {
    const { exchange, waiter } = begun();
    exchange.stage = Stage.Published;
    exchange.fail(new ClosedError('closed'));
    expect(waiter.error).toBeInstanceOf(ClosedError);
    expect(exchange.stage).toBe(Stage.Published);
    exchange.settle(0, NO_PROPERTIES);
    expect(waiter.told).toBe(1);
  });

  it('is over after it has ended without an acknowledgement', () => {
    const { exchange, waiter } = begun();
    exchange.end(new ClosedError('closed'));
    expect(waiter.told).toBe(1);
    expect(exchange.stage).toBe(Stage.Over);
  });

  it('keeps a copy of a payload that its caller gets back', () => {
    const payload = utf8('before');
    const { exchange } = begun(payload);
    exchange.copyPayload();
    payload.fill(0);
    expect(exchange.payload).toEqual(utf8('before'));
    const text = begun('text').exchange;
    text.copyPayload();
    expect(text.payload).toBe('text');
  });

  it('drops its Topic Alias without changing the properties of its caller', () => {
    const properties = { topicAlias: 1, contentType: 'text' };
    const exchange = new Exchange('a', '', 1, false, properties);
    exchange.dropTopicAlias();
    expect(exchange.properties).toEqual({ contentType: 'text' });
    expect(properties.topicAlias).toBe(1);
  });
});

describe('Outgoing', () => {
  function begun(outgoing: Outgoing, packetId: number, writtenAt = packetId, connectionNumber = 1): Exchange {
    const exchange = new Exchange('a', '', 2, false, undefined);
    Object.assign(exchange, { packetId, publishOrder: packetId });
    outgoing.written(exchange, connectionNumber, writtenAt);
    outgoing.begin(exchange);
    return exchange;
  }

  function resent(outgoing: Outgoing): number[] {
    const ids: number[] = [];
    for (let e = outgoing.nextResend; e !== undefined; e = outgoing.nextResend) {
      ids.push(e.packetId);
      outgoing.resent();
    }
    return ids;
  }

  it('v5 MQTT-4.6.0-1 sends PUBLISH again in the order of first transmission, except exchanges that are over', () => {
    const outgoing = new Outgoing();
    const [, second] = [1, 2, 3, 4].map((id) => begun(outgoing, id));
    outgoing.end(second as Exchange);
    outgoing.rewind();
    expect(resent(outgoing)).toEqual([1, 3, 4]);
    expect(outgoing.size).toBe(3);
    expect(outgoing.get(2)).toBeUndefined();
    expect(second?.stage).toBe(Stage.Over);
  });

  it('v5 MQTT-4.6.0-4, MQTT-4.3.3-6 sends PUBREL again in the order of the PUBRECs, and never their PUBLISH', () => {
    const outgoing = new Outgoing();
    const [first, second, third] = [1, 2, 3].map((id) => begun(outgoing, id)) as [
      Exchange,
      Exchange,
      Exchange,
    ];
    outgoing.release(third);
    outgoing.release(first);
    outgoing.rewind();
    expect(Array.from(outgoing.released(), ({ packetId }) => packetId)).toEqual([3, 1]);
    expect(resent(outgoing)).toEqual([2]);
    outgoing.end(third);
    outgoing.end(second);
    expect(outgoing.all()).toEqual([first]);
  });

  it('goes on with the next exchange when the one to send again ends or is released', () => {
    const outgoing = new Outgoing();
    const [first, second] = [1, 2, 3].map((id) => begun(outgoing, id)) as [Exchange, Exchange];
    outgoing.rewind();
    outgoing.end(first);
    expect(outgoing.nextResend).toBe(second);
    outgoing.release(second);
    expect(outgoing.nextResend?.packetId).toBe(3);
    outgoing.pause();
    expect(outgoing.nextResend).toBeUndefined();
  });

  it('finds the exchange that has waited longest on a connection, ignoring older connections', () => {
    const outgoing = new Outgoing();
    const first = begun(outgoing, 1, 100, 1);
    const second = begun(outgoing, 2, 200, 2);
    const third = begun(outgoing, 3, 300, 2);
    expect(outgoing.oldest(1)).toBe(first);
    expect(outgoing.oldest(2)).toBe(second);
    outgoing.release(second);
    expect(outgoing.oldest(2)).toBe(second);
    outgoing.written(second, 2, 400);
    expect(outgoing.oldest(2)).toBe(third);
    expect(outgoing.oldest(3)).toBeUndefined();
  });

  it('takeAll() returns all in call order, in any stage', () => {
    const outgoing = new Outgoing();
    const all = [5, 3, 9].map((id) => begun(outgoing, id));
    outgoing.release(all[2] as Exchange);
    outgoing.rewind();
    expect(outgoing.takeAll().map(({ packetId }) => packetId)).toEqual([3, 5, 9]);
    expect(outgoing.size).toBe(0);
    expect(outgoing.nextResend).toBeUndefined();
    expect([...outgoing.released()]).toEqual([]);
  });

  it('v5 MQTT-4.3.3-10 notes the Packet Identifier of QoS 2 that is given up, until the session is lost', () => {
    const outgoing = new Outgoing();
    const [one, two] = [5, 3].map((id) => begun(outgoing, id)) as [Exchange, Exchange];
    for (const exchange of [one, two]) outgoing.giveUp(exchange);
    expect([outgoing.size, one.stage]).toEqual([0, Stage.Over]);
    expect([5, 5, 4].map((id) => outgoing.orphanedIds.take(id))).toEqual([true, false, false]);
    outgoing.takeAll();
    expect(outgoing.orphanedIds.take(3)).toBe(false);
  });
});

describe('Queue', () => {
  function messageOf(size = 1, qos: QoS = 1): Exchange {
    return new Exchange('a', 'x'.repeat(size), qos, false, undefined);
  }

  const step = fc.tuple(
    fc.constantFrom('push', 'push', 'shift', 'withdraw', 'withdraw', 'putBack'),
    fc.nat(30),
    fc.constantFrom<QoS>(0, 1, 2),
  );

  it('is first in, first out, and counts correctly, whatever is withdrawn or put back', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400, size: 'max' }), (script) => {
        const queue = new Queue();
        let model: Exchange[] = [];
        const wrong: unknown[] = [];
        for (const [at, [what, number, qos]] of script.entries()) {
          if (what === 'push') {
            const exchange = messageOf(number, qos);
            queue.push(exchange);
            model.push(exchange);
          } else if (what === 'shift') {
            const head = model.shift();
            if (queue.peek() !== head || queue.shift() !== head) wrong.push([at, what]);
            if (head !== undefined) head.stage = Stage.Published;
          } else if (what === 'withdraw' && model.length > 0) {
            const [gone] = model.splice(number % model.length, 1) as [Exchange];
            queue.withdraw(gone);
            queue.withdraw(gone);
            if (gone.stage !== Stage.Over) wrong.push([at, what]);
          } else if (what === 'putBack') {
            const back = [messageOf(number, qos), messageOf(1, qos)];
            queue.putBack(back);
            model = [...back, ...model];
          }
          const bytes = model.reduce((sum, { payload }) => sum + 1 + payload.length, 0);
          const qos0 = model.filter((m) => m.qos === 0).length;
          if (queue.messages !== model.length || queue.bytes !== bytes || queue.qos0 !== qos0)
            wrong.push([at, what, queue.messages, queue.bytes, queue.qos0]);
        }
        expect(wrong).toEqual([]);
        expect([...queue]).toEqual(model);
      }),
      { numRuns: 50 },
    );
  });

  it('frees the memory of many withdrawn messages', () => {
    const queue = new Queue();
    const all = Array.from({ length: 1_000 }, () => messageOf());
    for (const exchange of all) queue.push(exchange);
    for (const exchange of all.slice(1)) queue.withdraw(exchange);
    expect(queue.messages).toBe(1);
    expect([...queue]).toEqual([all[0]]);
    expect(queue.shift()).toBe(all[0]);
    expect(queue.shift()).toBeUndefined();
  });

  it('has room up to its limits, and without limits for everything', () => {
    const queue = new Queue();
    queue.push(messageOf(10));
    expect(queue.hasRoomFor(messageOf(10), { messages: 0, bytes: 0 })).toBe(true);
    expect(queue.hasRoomFor(messageOf(), { messages: 2, bytes: 0 })).toBe(true);
    expect(queue.hasRoomFor(messageOf(), { messages: 1, bytes: 0 })).toBe(false);
    expect(queue.hasRoomFor(messageOf(9), { messages: 0, bytes: 21 })).toBe(true);
    expect(queue.hasRoomFor(messageOf(10), { messages: 0, bytes: 21 })).toBe(false);
  });

  it('knows a message that would not fit into an empty queue', () => {
    const queue = new Queue();
    queue.push(messageOf(15));
    expect(queue.fits(messageOf(19), { messages: 1, bytes: 20 })).toBe(true);
    expect(queue.fits(messageOf(20), { messages: 1, bytes: 20 })).toBe(false);
    expect(queue.fits(messageOf(21), { messages: 1, bytes: 0 })).toBe(true);
  });

  it('counts bytes as UTF-8', () => {
    const queue = new Queue();
    queue.push(new Exchange('a', 'ü€', 1, false, undefined));
    queue.push(new Exchange('a', new Uint8Array(4), 1, false, undefined));
    // Each with a topic of one.
    expect(queue.bytes).toBe(11);
    const userProperties = [['name', 'value']] as const;
    queue.push(new Exchange('topic', '', 1, false, { contentType: 'text', userProperties }));
    expect(queue.bytes).toBeGreaterThanOrEqual(11 + 5 + 4 + 9);
  });

  it('frees the memory of many withdrawn waiters, and admits the others in order', () => {
    const queue = new Queue();
    queue.push(messageOf());
    const all = Array.from({ length: 1_000 }, (_, n) => messageOf(1, n === 500 ? 0 : 1));
    for (const exchange of all) queue.addWaiter(exchange);
    expect([queue.messages, queue.waiters, queue.qos0]).toEqual([1, 1_000, 1]);
    const [first, middle, last] = [all[0], all[500], all[999]] as [Exchange, Exchange, Exchange];
    for (const exchange of all) if (![first, middle, last].includes(exchange)) queue.withdraw(exchange);
    queue.admitWaiters({ messages: 3, bytes: 0 }, (exchange) => queue.push(exchange));
    expect([queue.messages, queue.waiters, queue.qos0]).toEqual([3, 1, 1]);
    expect([...queue].slice(1)).toEqual([first, middle]);
    expect(queue.takeWaiters()).toEqual([last]);
    expect(queue.waiters).toBe(0);
  });
});

describe('Ring', () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.constant('push' as const) },
    { weight: 3, arbitrary: fc.constant('shift' as const) },
    fc.constantFrom('unshift' as const, 'filter' as const, 'removeFirst' as const),
    { weight: 1, arbitrary: fc.constantFrom('takeAll' as const, 'clear' as const) },
  );

  it('behaves like an array', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300, size: 'max' }), (steps) => {
        const ring = new Ring<number>();
        let model: number[] = [];
        for (const [i, what] of steps.entries()) {
          if (what === 'push') {
            ring.push(i);
            model.push(i);
          } else if (what === 'unshift') {
            ring.unshift(i);
            model.unshift(i);
          } else if (what === 'shift') assert.equal(ring.shift(), model.shift());
          else if (what === 'filter') {
            ring.filter((n) => n % 3 > 0);
            model = model.filter((n) => n % 3 > 0);
          } else if (what === 'removeFirst') {
            const at = model.findIndex((n) => n % 5 === 0);
            assert.equal(
              ring.removeFirst((n) => n % 5 === 0),
              at < 0 ? undefined : model.splice(at, 1)[0],
            );
          } else if (what === 'takeAll') assert.deepEqual(ring.takeAll(), model.splice(0));
          else {
            ring.clear();
            model = [];
          }
          assert.equal(ring.length, model.length);
          assert.equal(ring.peek(), model[0]);
          assert.deepEqual([...ring], model);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('keeps the order over many times its capacity', () => {
    const ring = new Ring<number>();
    for (let i = 0; i < 1_000; i++) ring.push(i);
    expect(Array.from({ length: 1_000 }, () => ring.shift())).toEqual(
      Array.from({ length: 1_000 }, (_, i) => i),
    );
    expect(ring.shift()).toBeUndefined();
    expect(ring.length).toBe(0);
  });
});
