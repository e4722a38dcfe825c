import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { BufferPressure } from '../../../lib/client/receive/buffer-pressure.ts';
import { MessageBuffer, type Overflow } from '../../../lib/client/receive/message-buffer.ts';
import { OverflowReports } from '../../../lib/client/receive/overflow-reports.ts';
import { PayloadRetention } from '../../../lib/client/receive/payload-retention.ts';
import type { Subscription } from '../../../lib/client/receive/subscription.ts';
import type { Receipt } from '../../../lib/session/incoming.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { messageOf, receiptOf } from './subscription-rig.ts';

const encoder = new TextEncoder();

/** Puts a message in that points into `memory`: QoS 1, to be settled, or QoS 0, that can be let go. */
function put(
  buffer: MessageBuffer,
  payload: Uint8Array,
  memory = payload,
  qos: 0 | 1 = 0,
  topic = 't',
): Receipt {
  const receipt = receiptOf(1, 1, topic, payload);
  const mine = qos === 1 ? receipt : undefined;
  buffer.push(messageOf(payload, { topic, qos, bytes: memory }, mine));
  return receipt;
}

const unlimited = new BufferPressure(1_000_000);

/** `bytes`: the topic of one character counts as well. */
function bufferOf(overflow: Overflow, messages = 10_000, bytes = 1_000_000): MessageBuffer {
  return new MessageBuffer({ messages, bytes }, overflow, unlimited);
}

function take(buffer: MessageBuffer): string[] {
  return buffer.takeAll().map((message) => message.text());
}

const say = (buffer: MessageBuffer, text: string, qos: 0 | 1 = 0, topic = 't') =>
  put(buffer, encoder.encode(text), undefined, qos, topic);

describe('a buffer', () => {
  it('keeps the order of arrival, and puts messages back at the front', () => {
    const buffer = bufferOf('drop-oldest');
    for (const text of ['a', 'b', 'c']) say(buffer, text, text === 'b' ? 1 : 0);
    const [a, b] = [buffer.shift(), buffer.shift()];
    expect([a?.text(), b?.text(), buffer.depth]).toEqual(['a', 'b', 1]);
    buffer.putBack(b!.again());
    buffer.putBack(a!);
    expect(buffer.depth).toBe(3);
    expect(take(buffer)).toEqual(['a', 'b', 'c']);
    expect([buffer.shift(), buffer.depth, buffer.dropped]).toEqual([undefined, 0, 0]);
  });
});

describe('a buffer whose session is lost', () => {
  it.each([
    ['drop-oldest', ['c', 'd', 'e'], 2],
    ['drop-newest', ['a', 'b', 'c'], 2],
    ['latest-per-topic', ['c', 'd', 'e'], 2],
  ] as const)('applies its limits to the messages that wait: %s', (overflow, left, dropped) => {
    const buffer = bufferOf(overflow, 3);
    for (const text of ['a', 'b', 'c', 'd', 'e']) say(buffer, text, 1);
    expect(buffer.depth).toBe(5);
    buffer.release(() => true);
    expect([buffer.depth, buffer.dropped]).toEqual([3, dropped]);
    expect([...buffer.values()].some((message) => message.unsettled)).toBe(false);
    expect(take(buffer)).toEqual(left);
  });
});

describe('a buffer that is full', () => {
  it.each([
    ['drop-oldest', ['c', 'd', 'e']],
    ['drop-newest', ['a', 'b', 'c']],
    ['latest-per-topic', ['c', 'd', 'e']],
  ] as const)('of messages drops: %s', (overflow, left) => {
    const buffer = bufferOf(overflow, 3);
    for (const text of ['a', 'b', 'c', 'd', 'e']) say(buffer, text, 0, text);
    expect([buffer.depth, buffer.dropped]).toEqual([3, 2]);
    expect(take(buffer)).toEqual(left);
  });

  it.each([
    ['drop-oldest', ['ccc', 'dd']],
    ['drop-newest', ['aaa', 'dd']],
  ] as const)('of bytes drops: %s', (overflow, left) => {
    const buffer = bufferOf(overflow, 100, 7);
    for (const text of ['aaa', 'bbb', 'ccc', 'dd']) say(buffer, text);
    expect(buffer.dropped).toBe(2);
    expect(take(buffer)).toEqual(left);
  });

  it('drops a message larger than the limit, and all before it that could make room', () => {
    const oldest = bufferOf('drop-oldest', 100, 6);
    for (const text of ['aa', 'much too long', 'b']) say(oldest, text);
    expect(oldest.dropped).toBe(2);
    expect(take(oldest)).toEqual(['b']);
    const newest = bufferOf('drop-newest', 100, 6);
    for (const text of ['aa', 'much too long', 'b']) say(newest, text);
    expect(take(newest)).toEqual(['aa', 'b']);
  });

  it('never drops an unsettled message, and does not count it', () => {
    const buffer = bufferOf('drop-oldest', 2, 4);
    for (const text of ['A', 'a', 'B', 'b', 'C', 'c', 'D']) say(buffer, text, text < 'a' ? 1 : 0);
    expect([buffer.depth, buffer.dropped]).toEqual([6, 1]);
    expect(take(buffer)).toEqual(['A', 'B', 'b', 'C', 'c', 'D']);
  });

  it('has room again when messages were taken', () => {
    const buffer = bufferOf('drop-newest', 2);
    for (const text of ['a', 'b']) say(buffer, text);
    buffer.shift();
    say(buffer, 'c');
    expect([take(buffer), buffer.dropped]).toEqual([['b', 'c'], 0]);
    for (const text of ['d', 'e', 'f']) say(buffer, text);
    expect([take(buffer), buffer.dropped]).toEqual([['d', 'e'], 1]);
  });
});

describe('a buffer that pauses', () => {
  function rig(limits: { messages?: number; bytes?: number; held?: number }) {
    const { messages = 100, bytes = 1_000, held = 10_000 } = limits;
    let rooms = 0;
    const pressure = new BufferPressure(held);
    pressure.add(() => void rooms++);
    const buffer = new MessageBuffer({ messages, bytes }, 'pause', pressure);
    const push = (size: number): string => buffer.push(messageOf(new Uint8Array(size), { topic: '' }));
    return { buffer, pressure, push, rooms: () => rooms };
  }

  it('drops nothing, says that it is full at its limit of messages, and that there is room at half of it', () => {
    const { buffer, pressure, push, rooms } = rig({ messages: 4 });
    expect([1, 2, 3].map(() => push(1))).toEqual(['room', 'room', 'room']);
    expect([push(1), pressure.full]).toEqual(['full', 1]);
    expect([push(1), buffer.depth, buffer.dropped]).toEqual(['full', 5, 0]);
    buffer.shift();
    buffer.shift();
    expect([pressure.full, rooms()]).toEqual([1, 0]);
    buffer.shift();
    expect([pressure.full, rooms(), pressure.bytes]).toEqual([0, 1, 2]);
  });

  it('does the same at its limit of bytes', () => {
    const { buffer, pressure, push } = rig({ bytes: 100 });
    push(60);
    expect(pressure.full).toBe(0);
    push(60);
    expect([pressure.full, pressure.bytes]).toEqual([1, 120]);
    buffer.shift();
    expect(pressure.full).toBe(1);
    buffer.shift();
    expect([pressure.full, pressure.bytes]).toEqual([0, 0]);
  });

  it('does not count once it is emptied at the end', () => {
    const { buffer, pressure, push, rooms } = rig({ messages: 1 });
    push(10);
    buffer.takeAll();
    expect([pressure.full, pressure.bytes, rooms()]).toEqual([0, 0, 1]);
  });

  it('drops the newest only beyond receiveBuffer', () => {
    const { buffer, pressure, push } = rig({ messages: 1, held: 100 });
    push(60);
    push(60);
    expect([pressure.isExhausted, buffer.dropped]).toEqual([true, 0]);
    push(60);
    expect([buffer.depth, buffer.dropped, pressure.bytes]).toEqual([2, 1, 120]);
  });
});

describe('latest-per-topic', () => {
  it('keeps one message of each topic, the newest, at the end', () => {
    const buffer = bufferOf('latest-per-topic');
    for (const [topic, text] of ['x1', 'y1', 'x2', 'z1', 'y2'].map((one) => [one[0]!, one] as const))
      say(buffer, text, 0, topic);
    expect(buffer.dropped).toBe(2);
    expect(take(buffer)).toEqual(['x2', 'z1', 'y2']);
  });

  it('replaces no unsettled message', () => {
    const buffer = bufferOf('latest-per-topic');
    say(buffer, 'owed', 1);
    say(buffer, 'a');
    say(buffer, 'b');
    expect(take(buffer)).toEqual(['owed', 'b']);
  });

  it('keeps only the memory of waiting messages alive', () => {
    const buffer = bufferOf('latest-per-topic');
    for (let n = 0; n < 50; n++) {
      const memory = new Uint8Array(65_536);
      for (let at = 0; at < 20_000; at += 1_000)
        put(buffer, memory.subarray(at, at + 1_000), memory, 0, 'busy');
      put(buffer, memory.subarray(30_000, 30_010), memory, 0, `rare ${n}`);
    }
    const alive = new Set(buffer.takeAll().map((message) => message.payload.buffer));
    const bytes = [...alive].reduce((sum, memory) => sum + memory.byteLength, 0);
    expect(bytes).toBeLessThan(65_536);
  });
});

describe('a payload that waits', () => {
  const SLAB = 65_536;
  const newSlab = (): Uint8Array => new Uint8Array(SLAB).fill(7);

  it('is copied if it is small compared to its memory, and the receipt has the copy', () => {
    const buffer = bufferOf('drop-oldest');
    const slab = newSlab();
    const receipt = put(buffer, slab.subarray(10, 20), slab, 1);
    const message = buffer.shift();
    expect(message?.payload.buffer.byteLength).toBe(10);
    expect(receipt.payload).toBe(message?.payload);
  });

  it('stays a view if it is large compared to its memory, or a sixteenth of that waits already', () => {
    const buffer = bufferOf('drop-oldest');
    const slab = newSlab();
    put(buffer, slab.subarray(0, 4_096), slab);
    expect(buffer.shift()?.payload.buffer).toBe(slab.buffer);
    const other = newSlab();
    for (let at = 0; at < 10_000; at += 1_000) put(buffer, other.subarray(at, at + 1_000), other);
    const where = buffer.takeAll().map((message) => message.payload.buffer === other.buffer);
    expect(where).toEqual([false, false, false, false, false, true, true, true, true, true]);
  });

  it('keeps at most sixteen times its size alive, except for the memory at either end', () => {
    const step = fc.record({
      size: fc.integer({ min: 0, max: 9_000 }),
      take: fc.integer({ min: 0, max: 2 }),
      isNew: fc.boolean(),
      qos: fc.constantFrom(0 as const, 1 as const),
    });
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 200 }),
        fc.constantFrom('drop-oldest', 'drop-newest'),
        fc.constantFrom(0 as const, 1 as const, undefined),
        (steps, overflow, only) => {
          const buffer = bufferOf(overflow, 50, 40_000);
          let slab = newSlab();
          let at = 0;
          const waiting = (): Uint8Array[] => {
            const all = buffer.takeAll();
            for (const message of all.toReversed()) buffer.putBack(message);
            return all.map((message) => message.payload);
          };
          for (const { size, take: taken, isNew, qos } of steps) {
            if (isNew || at + size > slab.length) [slab, at] = [newSlab(), 0];
            put(buffer, slab.subarray(at, at + size), slab, only ?? (overflow === 'drop-newest' ? qos : 0));
            at += size;
            for (let n = 0; n < taken; n++) buffer.shift();
            const payloads = waiting();
            const alive = new Set(payloads.map((payload) => payload.buffer));
            const bytes = [...alive].reduce((sum, one) => sum + one.byteLength, 0);
            const used = payloads.reduce((sum, payload) => sum + payload.byteLength, 0);
            expect(bytes).toBeLessThanOrEqual(16 * used + 2 * SLAB);
          }
        },
      ),
    );
  });

  it('keeps at most sixteen times its size alive, and never changes', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ slab: fc.nat(3), size: fc.nat(3_000) }), { maxLength: 60 }),
        fc.constantFrom('in-order' as const, 'scattered' as const),
        (payloads, what) => {
          const keeping = new PayloadRetention(what);
          let [slab, memory] = [-1, new Uint8Array(0)];
          let changed = 0;
          let [waits, pinned] = [0, new Set<ArrayBufferLike>()];
          for (const one of payloads) {
            if (one.slab !== slab) [slab, memory] = [one.slab, new Uint8Array(SLAB).fill(one.slab)];
            const payload = memory.subarray(0, one.size);
            const kept = keeping.retain(payload, memory);
            if (Buffer.compare(kept, payload) !== 0) changed++;
            waits += one.size;
            pinned.add(kept.buffer);
          }
          expect(changed).toBe(0);
          const alive = [...pinned].reduce((sum, { byteLength }) => sum + byteLength, 0);
          expect(alive).toBeLessThanOrEqual(17 * waits);
        },
      ),
    );
  });

  it('is copied if it is small and messages are not taken in order, however many there are', () => {
    const keeping = new PayloadRetention('scattered');
    const memory = new Uint8Array(SLAB);
    const sizes = Array.from({ length: SLAB / 64 }, (_, i) => {
      const kept = keeping.retain(memory.subarray(i * 64, (i + 1) * 64), memory);
      return kept.buffer.byteLength;
    });
    expect(sizes.filter((size) => size !== 64)).toEqual([]);
    expect(keeping.retain(memory.subarray(0, SLAB / 16), memory).buffer).toBe(memory.buffer);
  });
});

describe('an unsettled message that waits', () => {
  it('can be dropped once it is released', () => {
    const buffer = bufferOf('drop-oldest', 2);
    const receipts = ['a', 'b', 'c'].map((text) => say(buffer, text, 1));
    say(buffer, 'd');
    expect([buffer.depth, buffer.dropped]).toEqual([4, 0]);
    expect(buffer.release((message) => message.text() !== 'c')).toEqual(receipts.slice(0, 2));
    expect([buffer.depth, buffer.dropped]).toEqual([3, 1]);
    expect(buffer.release(() => true)).toEqual(receipts.slice(2));
    expect(take(buffer)).toEqual(['c', 'd']);
  });
});

describe('dropped messages', () => {
  function rig() {
    const clock = new FakeClock();
    const told: [string, number][] = [];
    const [a, b] = [
      { name: 'a', dropped: 0 },
      { name: 'b', dropped: 0 },
    ];
    const overflows = new OverflowReports(clock, {
      report(event) {
        if (event.type !== 'overflow') throw new Error(event.type);
        told.push([(event.subscription as unknown as typeof a).name, event.dropped]);
      },
    });
    const drop = (one: typeof a): void => {
      one.dropped++;
      overflows.dropped(one as unknown as Subscription);
    };
    return { clock, told, overflows, a, b, drop };
  }

  it('are reported at once, then once a second and subscription with the number so far', async () => {
    const { clock, told, a, b, drop } = rig();
    for (let i = 0; i < 1_000; i++) drop(a);
    drop(b);
    expect(told).toEqual([
      ['a', 1],
      ['b', 1],
    ]);
    await clock.advance(999);
    expect(told).toHaveLength(2);
    await clock.advance(1);
    expect(told.slice(2)).toEqual([['a', 1_000]]);
    drop(a);
    drop(b);
    expect(told.slice(3)).toEqual([['b', 2]]);
    await clock.advance(1_000);
    expect(told.slice(4)).toEqual([['a', 1_001]]);
    await clock.advance(2_000);
    expect([told.length, clock.armed]).toEqual([5, 0]);
  });

  it('leave no timer when the client has ended', async () => {
    const { clock, told, overflows, a, drop } = rig();
    drop(a);
    drop(a);
    overflows.stop();
    expect(clock.armed).toBe(0);
    await clock.advance(5_000);
    expect(told).toEqual([['a', 1]]);
  });
});
