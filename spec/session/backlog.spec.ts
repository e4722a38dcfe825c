import { describe, expect, it } from '@jest/globals';
import { Backlog } from '../../lib/session/backlog.ts';
import { Exchange, Stage } from '../../lib/session/exchange.ts';
import { Queue } from '../../lib/session/queue.ts';
import { keyOf } from '../../lib/session/records.ts';
import { Segment } from '../../lib/session/segment.ts';
import { SMALL } from '../support/journal-rig.ts';
import { Waiter } from '../support/recorder.ts';

const OWNER = { changed() {}, ended() {} };

/** A backlog behind a queue with `queued` messages. */
function backlogBehind(queued: number) {
  const queue = new Queue();
  const backlog = new Backlog(queue, SMALL);
  for (let i = 0; i < queued; i++) queue.push(new Exchange('a', 'x', 1, false, undefined));
  /** The message at `place`, as the journal adds it. */
  const add = (place: number): Exchange => {
    const exchange = new Exchange('a', 'payload', 1, false, undefined);
    exchange.publishOrder = place;
    exchange.waiter = new Waiter();
    queue.reserve(exchange);
    backlog.begin(new Segment(place, 1, OWNER));
    backlog.add(exchange);
    return exchange;
  };
  return { queue, backlog, add };
}

describe('Backlog', () => {
  it('has room in memory for a page, and for one segment of any size', () => {
    const segment = new Segment(1, 2, OWNER);
    expect(backlogBehind(2).backlog.hasRoomFor(segment, 10)).toBe(true);
    expect(backlogBehind(3).backlog.hasRoomFor(segment, 10)).toBe(false);
    expect(backlogBehind(1).backlog.hasRoomFor(segment, SMALL.pageBytes)).toBe(false);
    expect(backlogBehind(0).backlog.hasRoomFor(segment, SMALL.pageBytes + 1)).toBe(true);
  });

  it('keeps the order: behind what waits in the store, everything waits there', () => {
    const { backlog, add } = backlogBehind(0);
    add(1);
    expect(backlog.hasRoomFor(new Segment(2, 1, OWNER), 1)).toBe(false);
    backlog.beginReading(1);
    backlog.take(1, 8);
    expect(backlog.hasRoomFor(new Segment(2, 1, OWNER), 1)).toBe(false);
    backlog.rangeRead(true);
    expect(backlog.hasRoomFor(new Segment(2, 1, OWNER), 1)).toBe(true);
  });

  it('counts as queued, and keeps no payload', () => {
    const { backlog, queue, add } = backlogBehind(0);
    const exchange = add(1);
    expect([queue.reserved, queue.reservedBytes]).toEqual([1, 8]);
    expect([exchange.stage, exchange.payload]).toEqual([Stage.Stored, '']);
    expect(backlog.take(1, 8)).toBe(exchange);
    expect([queue.reserved, queue.reservedBytes, backlog.isEmpty]).toEqual([0, 0, true]);
  });

  it('is read on when half a page is left, one range at a time, up to what is stored', () => {
    const full = backlogBehind(3);
    full.add(4);
    expect(full.backlog.nextRange(9)).toBeUndefined();
    const { backlog, add } = backlogBehind(2);
    add(4);
    expect(backlog.nextRange(9)).toEqual({ after: keyOf('m/', 3), before: keyOf('m/', 10), limit: 2 });
    expect(backlog.nextRange(9)).toBeUndefined();
    backlog.readUpTo(5);
    backlog.rangeRead(false);
    expect(backlog.nextRange(9)?.after).toBe(keyOf('m/', 5));
  });

  it('does not wait for messages that the store has lost, but for those that came after the reading began', () => {
    const { backlog, queue, add } = backlogBehind(0);
    add(1);
    add(2);
    backlog.nextRange(2);
    add(3);
    expect(backlog.rangeRead(false)).toEqual({ messages: 0, bytes: 0 });
    backlog.nextRange(3);
    add(4);
    expect(backlog.rangeRead(true)).toEqual({ messages: 3, bytes: 24 });
    expect([backlog.isEmpty, queue.reserved, queue.reservedBytes]).toEqual([false, 1, 8]);
  });

  it('knows who waits for its messages, and which were withdrawn', () => {
    const { backlog, add } = backlogBehind(0);
    const [first, second] = [add(1), add(2)];
    backlog.withdraw(first);
    expect([...backlog.awaited()]).toEqual([second]);
    expect([backlog.takeWithdrawn(1), backlog.takeWithdrawn(1), backlog.takeWithdrawn(2)]).toEqual([
      true,
      false,
      false,
    ]);
  });

  it('leaves the messages to the store when it is cleared', () => {
    const { backlog, queue, add } = backlogBehind(1);
    add(2);
    backlog.clear();
    expect([backlog.isEmpty, queue.reserved, queue.reservedBytes, queue.messages]).toEqual([true, 0, 0, 1]);
  });
});
