import { describe, expect, it } from '@jest/globals';
import { Progress, Segment, type SegmentMessage } from '../../lib/session/segment.ts';

/** A segment with two messages, and what its owner was told. */
function segmentOfTwo() {
  const told: string[] = [];
  const segment = new Segment(7, 2, {
    changed: () => told.push('changed'),
    ended: ({ publishOrder }) => told.push(`ended ${publishOrder}`),
  });
  return { segment, told };
}

function messageAt(publishOrder: number, packetId = 0): SegmentMessage {
  return { publishOrder, packetId, queuedBytes: 10 };
}

describe('Segment', () => {
  it('knows how far each of its messages is', () => {
    const { segment } = segmentOfTwo();
    segment.published(messageAt(8, 5));
    expect([segment.progressAt(7), segment.packetIdAt(7)]).toEqual([Progress.Waiting, 0]);
    expect([segment.progressAt(8), segment.packetIdAt(8)]).toEqual([Progress.Published, 5]);
    segment.released(messageAt(8, 5), 3);
    expect([segment.progressAt(8), segment.packetIdAt(8), segment.releaseAt(8)]).toEqual([
      Progress.Released,
      5,
      3,
    ]);
    segment.startedOver(messageAt(8));
    expect(segment.progressAt(8)).toBe(Progress.Waiting);
  });

  it('tells its owner of changes, and only of those', () => {
    const { segment, told } = segmentOfTwo();
    segment.startedOver(messageAt(7));
    expect(told).toEqual([]);
    segment.published(messageAt(7, 1));
    segment.published(messageAt(7, 1));
    expect(told).toEqual(['changed']);
  });

  it('counts each message that is over once', () => {
    const { segment, told } = segmentOfTwo();
    segment.ended(messageAt(8));
    segment.ended(messageAt(8));
    expect([segment.live, told]).toEqual([1, ['ended 8', 'changed']]);
  });

  it('takes over what a record says without a word', () => {
    const { segment, told } = segmentOfTwo();
    segment.restore(7, Progress.Released, 9, 4);
    segment.restore(8, Progress.Over, 0, 0);
    expect([segment.packetIdAt(7), segment.releaseAt(7), segment.live, told]).toEqual([9, 4, 1, []]);
  });
});
