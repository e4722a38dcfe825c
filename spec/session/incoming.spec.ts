import assert from 'node:assert/strict';
import { beforeEach, describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { Arrival, Incoming, type Answers, type Receipt, ReceiptState } from '../../lib/session/incoming.ts';

const PAYLOAD = new Uint8Array([1]);

class Written implements Answers {
  pubacks: [packetId: number, reasonCode: number][] = [];
  pubrecs: [packetId: number, reasonCode: number][] = [];
  puback(packetId: number, reasonCode: number): void {
    this.pubacks.push([packetId, reasonCode]);
  }
  /** `waits`: PUBRECs wait for something else. */
  fate: 'written' | 'waits' = 'written';
  pubrec(packetId: number, reasonCode: number): 'written' | 'waits' {
    this.pubrecs.push([packetId, reasonCode]);
    return this.fate;
  }
}

let incoming: Incoming;
let written: Written;
const ids = (answers: [number, number][]) => answers.map(([packetId]) => packetId);

function open(packetId: number, qos: 1 | 2 = 1): Receipt {
  return incoming.open({ packetId, qos, topic: 'a' }, PAYLOAD, 2);
}

function settle(receipt: Receipt, reasonCode = 0): void {
  if (incoming.settle(receipt, reasonCode)) incoming.answer(written);
}

beforeEach(() => {
  incoming = new Incoming();
  incoming.connected(1);
  written = new Written();
});

describe('acknowledgements', () => {
  it('v5 MQTT-4.6.0-2, -3 leave in the order of receipt, per type, in whatever order messages are settled', () => {
    const message = fc.record({ qos: fc.constantFrom<1 | 2>(1, 2), copies: fc.integer({ min: 1, max: 3 }) });
    fc.assert(
      fc.property(
        fc.array(message, { maxLength: 30, size: 'max' }),
        fc.infiniteStream(fc.nat()),
        (messages, choices) => {
          incoming = new Incoming();
          incoming.connected(1);
          written = new Written();
          const receipts = messages.map(({ qos, copies }, i) => Object.assign(open(i + 1, qos), { copies }));
          const hands = receipts.flatMap((receipt) => Array.from({ length: receipt.copies }, () => receipt));
          let released = 0;
          while (hands.length > 0) {
            settle(hands.splice((choices.next().value as number) % hands.length, 1)[0] as Receipt);
            for (const [qos, answered] of [
              [1, ids(written.pubacks)],
              [2, ids(written.pubrecs)],
            ] as const) {
              const due = receipts.filter((r) => r.qos === qos);
              const held = due.findIndex((r) => hands.includes(r));
              assert.deepEqual(
                answered,
                due.slice(0, held < 0 ? due.length : held).map((r) => r.packetId),
              );
            }
            const pubrecs = ids(written.pubrecs);
            if (pubrecs.length > released && (choices.next().value as number) % 2 === 0)
              assert.ok(incoming.onPubrel(pubrecs[released++] as number));
            assert.equal(incoming.outstanding, messages.length - written.pubacks.length - released);
          }
          assert.equal(incoming.unsettled, 0);
        },
      ),
      { numRuns: 100 },
    );
  });

  it('carry the refusal of any copy', () => {
    const receipt = open(1);
    receipt.copies = 2;
    settle(receipt, 0x87);
    settle(receipt, 0);
    expect(written.pubacks).toEqual([[1, 0x87]]);
  });

  it('are written once, however often a message is settled', () => {
    const receipt = open(1);
    settle(receipt);
    settle(receipt);
    expect(written.pubacks).toEqual([[1, 0]]);
  });

  it('do not wait for a message that nobody will settle', () => {
    const receipt = open(1);
    incoming.release(receipt);
    incoming.answer(written);
    expect(ids(written.pubacks)).toEqual([1]);
  });

  it('skip abandoned messages', () => {
    open(1);
    const second = open(2);
    incoming.settle(second, 0);
    incoming.abandonAll();
    incoming.answer(written);
    expect(ids(written.pubacks)).toEqual([2]);
    expect(incoming.get(1)).toBeUndefined();
    expect(incoming.outstanding).toBe(0);
  });
});

describe('QoS 2', () => {
  it('v5 MQTT-4.3.3-10 is a repetition until PUBREL, with DUP or without', () => {
    const receipt = open(1, 2);
    settle(receipt);
    expect(incoming.classify(receipt, 2, true, true)).toBe(Arrival.Repeated);
    expect(incoming.classify(receipt, 2, false, false)).toBe(Arrival.Repeated);
    incoming.resendPubrec(receipt);
    incoming.answer(written);
    expect(ids(written.pubrecs)).toEqual([1, 1]);
    expect(incoming.outstanding).toBe(1);
  });

  it('v5 MQTT-4.3.3-12 frees its identifier with PUBREL', () => {
    settle(open(1, 2));
    expect(incoming.onPubrel(1)).toBe(true);
    expect(incoming.onPubrel(1)).toBe(false);
    expect(incoming.get(1)).toBeUndefined();
    expect(incoming.outstanding).toBe(0);
  });

  it('v5 MQTT-4.3.3-9 is over with a refusing PUBREC', () => {
    settle(open(1, 2), 0x80);
    expect(written.pubrecs).toEqual([[1, 0x80]]);
    expect(incoming.get(1)).toBeUndefined();
    expect(incoming.outstanding).toBe(0);
  });

  it('is not released by a PUBREL for a QoS 1 message', () => {
    open(1, 1);
    expect(incoming.onPubrel(1)).toBe(false);
    expect(incoming.get(1)).toBeDefined();
  });
});

describe('an identifier that is used again', () => {
  it('v5 MQTT-2.2.1-4 without DUP, while the first is unacknowledged on this connection, is a clash', () => {
    const one = open(1, 1);
    const two = open(2, 2);
    settle(two);
    expect(incoming.classify(one, 1, false, false)).toBe(Arrival.IdentifierInUse);
    expect(incoming.classify(two, 1, false, false)).toBe(Arrival.IdentifierInUse);
  });

  it('with DUP and the same message is a redelivery, and counted once', () => {
    const receipt = open(1);
    expect(incoming.classify(receipt, 1, true, true)).toBe(Arrival.Redelivery);
    incoming.matchRedelivery(receipt);
    expect(incoming.outstanding).toBe(1);
    settle(receipt);
    expect(ids(written.pubacks)).toEqual([1]);
  });

  it('with another message ends the old receipt', () => {
    const old = open(1);
    expect(incoming.classify(old, 1, true, false)).toBe(Arrival.New);
    expect(incoming.classify(old, 2, true, true)).toBe(Arrival.New);
    const fresh = open(1);
    expect(incoming.outstanding).toBe(1);
    settle(old);
    expect(written.pubacks).toEqual([]);
    settle(fresh);
    expect(ids(written.pubacks)).toEqual([1]);
  });

  it('on a later connection is new without DUP', () => {
    const receipt = open(1);
    incoming.connected(2);
    expect(incoming.classify(receipt, 1, false, false)).toBe(Arrival.New);
  });
});

describe('a new connection', () => {
  it('has no acknowledgement due until the server has sent a message again', () => {
    const receipt = open(1);
    incoming.connected(2);
    expect(incoming.outstanding).toBe(0);
    expect(incoming.settle(receipt, 0)).toBe(false);
    incoming.answer(written);
    expect(written.pubacks).toEqual([]);
    expect(receipt.state).toBe(ReceiptState.Settled);
    incoming.matchRedelivery(receipt);
    expect(incoming.outstanding).toBe(1);
    incoming.answer(written);
    expect(ids(written.pubacks)).toEqual([1]);
    expect(incoming.outstanding).toBe(0);
  });

  it('answers in the order of receipt there', () => {
    const [one, two] = [open(1), open(2)];
    incoming.connected(2);
    incoming.matchRedelivery(two);
    incoming.matchRedelivery(one);
    settle(one);
    expect(written.pubacks).toEqual([]);
    settle(two);
    expect(ids(written.pubacks)).toEqual([2, 1]);
  });

  it('remembers QoS 2 messages that were answered', () => {
    const receipt = open(1, 2);
    settle(receipt);
    incoming.connected(2);
    incoming.resendPubrec(receipt);
    incoming.answer(written);
    expect(ids(written.pubrecs)).toEqual([1, 1]);
    expect(incoming.outstanding).toBe(1);
    incoming.connected(3);
    expect(incoming.onPubrel(1)).toBe(true);
    expect(incoming.outstanding).toBe(0);
  });

  it('after a lost session has forgotten everything, and returns how many were unsettled', () => {
    const [one, two] = [open(1), open(2, 2)];
    settle(open(3, 2));
    incoming.connected(2);
    expect(incoming.discard()).toBe(2);
    expect([one.state, two.state]).toEqual([ReceiptState.Over, ReceiptState.Over]);
    expect([1, 2, 3].map((id) => incoming.get(id))).toEqual([undefined, undefined, undefined]);
    expect(incoming.onPubrel(3)).toBe(false);
  });
});

describe('a skipped message', () => {
  it('is not acknowledged on its connection, and delays no others', () => {
    const [first, second] = [open(1), open(2)];
    settle(second);
    expect(incoming.blocking(Infinity)).toEqual([first]);
    incoming.skip(first);
    expect(incoming.skipped).toBe(1);
    incoming.answer(written);
    settle(first);
    expect(ids(written.pubacks)).toEqual([2]);
    expect([incoming.outstanding, incoming.skipped, incoming.skippedSettled]).toEqual([1, 1, 1]);
  });

  it('that is only skippable is acknowledged as long as no acknowledgement waits', () => {
    const [first, second, third] = [open(1), open(2), open(3)];
    for (const one of [first, second, third]) one.isSkippable = true;
    settle(first);
    expect(ids(written.pubacks)).toEqual([1]);
    settle(third);
    expect(ids(written.pubacks)).toEqual([1, 3]);
    settle(second);
    expect([ids(written.pubacks), incoming.skipped]).toEqual([[1, 3], 1]);
  });

  it('is answered when it is sent again, if it was settled meanwhile', () => {
    const first = open(1);
    incoming.skip(first);
    settle(first);
    incoming.connected(2);
    incoming.matchRedelivery(first);
    incoming.answer(written);
    expect(ids(written.pubacks)).toEqual([1]);
    expect([incoming.outstanding, incoming.skipped]).toEqual([0, 0]);
  });

  it('that is sent again on the same connection gets a new place, and counts once', () => {
    const first = open(1);
    incoming.skip(first);
    incoming.matchRedelivery(first);
    expect([incoming.outstanding, incoming.skipped]).toEqual([1, 0]);
    settle(first);
    expect(ids(written.pubacks)).toEqual([1]);
    expect(incoming.outstanding).toBe(0);
  });

  it('is blocking only if it arrived before the place', () => {
    const first = open(1);
    const { place } = first;
    open(2);
    settle(open(3));
    expect(incoming.blocking(place)).toEqual([first]);
    expect(incoming.blocking(Infinity)).toHaveLength(2);
  });

  it('that is abandoned is a new one when it is sent again', () => {
    const first = open(1);
    incoming.abandon(first);
    incoming.abandon(first);
    expect([incoming.unsettled, incoming.unsettledBytes, incoming.get(1)]).toEqual([0, 0, undefined]);
    expect([incoming.outstanding, incoming.skipped]).toEqual([1, 1]);
    settle(first);
    expect(written.pubacks).toEqual([]);
  });

  it('is not acknowledged once the connection has ended, like all others', () => {
    const [first, second] = [open(1), open(2)];
    incoming.connectionLost();
    settle(first);
    incoming.skip(second);
    expect(incoming.skipped).toBe(0);
    incoming.answer(written);
    expect(written.pubacks).toEqual([]);
    expect(incoming.unsettled).toBe(1);
  });
});

describe('a QoS 2 message that the server sends again after PUBREC', () => {
  it('waits for an unsettled message before it, and shows that message as blocking', () => {
    const [first, second] = [open(1, 2), open(2, 2)];
    incoming.skip(first);
    settle(second);
    expect(ids(written.pubrecs)).toEqual([2]);
    incoming.connected(2);
    incoming.matchRedelivery(first);
    incoming.resendPubrec(second);
    // The server may repeat it on the same connection, too.
    incoming.resendPubrec(second);
    incoming.answer(written);
    expect([ids(written.pubrecs), incoming.blocking(Infinity)]).toEqual([[2], [first]]);
    incoming.skip(first);
    incoming.answer(written);
    expect([ids(written.pubrecs), incoming.onPubrel(2)]).toEqual([[2, 2], true]);
  });
});

describe('a refused QoS 2 message whose PUBREC waits', () => {
  it('is not forgotten before the PUBREC was written, so that it is not delivered again', () => {
    written.fate = 'waits';
    const receipt = open(1, 2);
    settle(receipt, 0x97);
    expect(incoming.get(1)).toBe(receipt);
    incoming.connected(2);
    expect(incoming.classify(receipt, 2, true, true)).toBe(Arrival.Redelivery);
    incoming.matchRedelivery(receipt);
    incoming.answer(written);
    incoming.refused(1);
    expect([written.pubrecs, incoming.get(1)]).toEqual([
      [
        [1, 0x97],
        [1, 0x97],
      ],
      undefined,
    ]);
  });
});

describe('a stalled message', () => {
  it('does not count, is still held, and can be settled', () => {
    const [first] = [open(1), open(2)];
    incoming.markStalled(first);
    incoming.markStalled(first);
    expect([incoming.counted, incoming.unsettled, incoming.unsettledBytes]).toEqual([1, 2, 4]);
    incoming.connected(2);
    expect([incoming.counted, incoming.unsettled]).toEqual([1, 2]);
    settle(first);
    incoming.markStalled(first);
    expect([incoming.counted, incoming.unsettled, incoming.unsettledBytes]).toEqual([1, 1, 2]);
  });

  it('does not count once it is skipped, forgotten or lost with its session', () => {
    const [first, second] = [open(1), open(2), open(3)];
    incoming.skip(first);
    expect(incoming.counted).toBe(2);
    incoming.abandon(second);
    expect([incoming.counted, incoming.unsettled]).toEqual([1, 2]);
    incoming.discard();
    expect([incoming.counted, incoming.unsettled]).toEqual([0, 0]);
  });

  it('is one of those that are unsettled on the connection, as long as it came there', () => {
    const [first, second, third] = [open(1), open(2, 2), open(3)];
    expect(incoming.unsettledOnConnection()).toEqual([first, third, second]);
    settle(first);
    incoming.skip(third);
    expect(incoming.unsettledOnConnection()).toEqual([second]);
  });
});
