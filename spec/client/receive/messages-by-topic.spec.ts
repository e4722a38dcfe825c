import assert from 'node:assert/strict';
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { BufferPressure } from '../../../lib/client/receive/buffer-pressure.ts';
import { MessageBuffer } from '../../../lib/client/receive/message-buffer.ts';
import { MessagesByTopic } from '../../../lib/client/receive/messages-by-topic.ts';
import type { ReceivedMessage } from '../../../lib/client/receive/received-message.ts';
import { messageOf, receiptOf } from './subscription-rig.ts';

const LIMIT = 4;

function made(topic: string, qos: 0 | 1): ReceivedMessage {
  const payload = new Uint8Array(1);
  const receipt = qos === 1 ? receiptOf(1, 1, topic, payload) : undefined;
  return messageOf(payload, { topic, qos }, receipt);
}

/** The same buffer, as simple as possible: an array that is searched each time. */
class Model {
  waiting: ReceivedMessage[] = [];
  dropped = 0;

  push(message: ReceivedMessage): void {
    if (!message.unsettled) this.#drop((one) => one.topic === message.topic);
    this.#admit(message);
  }

  release(): void {
    for (const one of this.waiting.splice(0)) this.#admit(one);
  }

  #admit(message: ReceivedMessage): void {
    this.waiting.push(message);
    if (message.unsettled) return;
    while (this.waiting.filter((one) => !one.unsettled).length > LIMIT) this.#drop(() => true);
  }

  #drop(isMeant: (message: ReceivedMessage) => boolean): void {
    const at = this.waiting.findIndex((one) => !one.unsettled && isMeant(one));
    if (at < 0) return;
    this.waiting.splice(at, 1);
    this.dropped++;
  }
}

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      topic: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
      qos: fc.constantFrom(0, 1),
    }),
  },
  { weight: 3, arbitrary: fc.constantFrom('shift' as const, 'put back' as const) },
  { weight: 1, arbitrary: fc.constantFrom('release' as const, 'take all' as const) },
);

describe('a buffer with latest-per-topic', () => {
  it('replaces and drops the same messages as a search through all of them', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80, size: 'max' }), (steps) => {
        const limits = { messages: LIMIT, bytes: 1_000 };
        const buffer = new MessageBuffer(limits, 'latest-per-topic', new BufferPressure(1_000));
        const model = new Model();
        let inHand: ReceivedMessage | undefined;
        for (const what of steps) {
          if (what === 'shift') {
            inHand = model.waiting.shift();
            assert.equal(buffer.shift(), inHand);
          } else if (what === 'put back') {
            if (inHand !== undefined) {
              buffer.putBack(inHand);
              model.waiting.unshift(inHand);
            }
            inHand = undefined;
          } else if (what === 'release') {
            buffer.release(() => true);
            model.release();
          } else if (what === 'take all') {
            assert.deepEqual(buffer.takeAll(), model.waiting.splice(0));
          } else {
            const next = made(what.topic, what.qos);
            buffer.push(next);
            model.push(next);
          }
          assert.deepEqual([buffer.depth, buffer.dropped], [model.waiting.length, model.dropped]);
        }
        const left = [...buffer.values()];
        assert.ok(left.every((one, i) => one === model.waiting[i]));
      }),
      { numRuns: 200 },
    );
  });
});

describe('MessagesByTopic', () => {
  it('looks at no other message to replace one of a thousand', () => {
    const messages = new MessagesByTopic();
    let looks = 0;
    for (let i = 0; i < 1_000; i++) {
      const waiting = made(`t${i}`, 0);
      Object.defineProperty(waiting, 'topic', {
        get() {
          looks++;
          return `t${i}`;
        },
      });
      messages.push(waiting);
    }
    looks = 0;
    expect(messages.removeOldest('t700')?.topic).toBe('t700');
    expect(looks).toBeLessThan(5);
    expect(messages.length).toBe(999);
  });
});
