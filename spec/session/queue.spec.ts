import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { Exchange, Stage } from '../../lib/session/exchange.ts';
import { Queue } from '../../lib/session/queue.ts';
import type { QoS } from '../../lib/codec/packets.ts';

function message(size = 1, qos: QoS = 1): Exchange {
  return new Exchange('a', 'x'.repeat(size), qos, false, undefined);
}

const step = fc.tuple(
  fc.constantFrom('push', 'push', 'shift', 'withdraw', 'withdraw', 'putBack'),
  fc.nat(30),
  fc.constantFrom<QoS>(0, 1, 2),
);

describe('Queue', () => {
  it('is first in, first out, and counts correctly, whatever is withdrawn or put back', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400, size: 'max' }), (script) => {
        const queue = new Queue();
        let model: Exchange[] = [];
        const wrong: unknown[] = [];
        for (const [at, [what, number, qos]] of script.entries()) {
          if (what === 'push') {
            const exchange = message(number, qos);
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
            const back = [message(number, qos), message(1, qos)];
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
    const all = Array.from({ length: 1_000 }, () => message());
    for (const exchange of all) queue.push(exchange);
    for (const exchange of all.slice(1)) queue.withdraw(exchange);
    expect(queue.messages).toBe(1);
    expect([...queue]).toEqual([all[0]]);
    expect(queue.shift()).toBe(all[0]);
    expect(queue.shift()).toBeUndefined();
  });

  it('has room up to its limits, and without limits for everything', () => {
    const queue = new Queue();
    queue.push(message(10));
    expect(queue.hasRoomFor(message(10), { messages: 0, bytes: 0 })).toBe(true);
    expect(queue.hasRoomFor(message(), { messages: 2, bytes: 0 })).toBe(true);
    expect(queue.hasRoomFor(message(), { messages: 1, bytes: 0 })).toBe(false);
    expect(queue.hasRoomFor(message(9), { messages: 0, bytes: 21 })).toBe(true);
    expect(queue.hasRoomFor(message(10), { messages: 0, bytes: 21 })).toBe(false);
  });

  it('knows a message that would not fit into an empty queue', () => {
    const queue = new Queue();
    queue.push(message(15));
    expect(queue.fits(message(19), { messages: 1, bytes: 20 })).toBe(true);
    expect(queue.fits(message(20), { messages: 1, bytes: 20 })).toBe(false);
    expect(queue.fits(message(21), { messages: 1, bytes: 0 })).toBe(true);
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
    queue.push(message());
    const all = Array.from({ length: 1_000 }, (_, n) => message(1, n === 500 ? 0 : 1));
    for (const exchange of all) queue.addWaiter(exchange);
    expect([queue.messages, queue.waiters, queue.qos0]).toEqual([1, 1_000, 1]);
    const [first, middle, last] = [all[0], all[500], all[999]] as [Exchange, Exchange, Exchange];
    for (const exchange of all) if (![first, middle, last].includes(exchange)) queue.withdraw(exchange);
    queue.admitWaiters({ messages: 3, bytes: 0 });
    expect([queue.messages, queue.waiters, queue.qos0]).toEqual([3, 1, 1]);
    expect([...queue].slice(1)).toEqual([first, middle]);
    expect(queue.takeWaiters()).toEqual([last]);
    expect(queue.waiters).toBe(0);
  });
});
