import { describe, expect, it } from '@jest/globals';
import { Replies, type Reply } from '../../../lib/client/request/replies.ts';

const reply = (payload: string): Reply => ({ topicName: 'r', payload, properties: undefined });

/** Handles a request, and keeps its reply until `until`. */
function handle(replies: Replies, request: string, payload: string, until: number, now = 0): void {
  expect(replies.begin(request, now)).toBe('new');
  replies.finish(request, reply(payload), until, now);
}

describe('kept replies', () => {
  it('are at most so many: the oldest goes first, and its request is new again', () => {
    const replies = new Replies({ replies: 3, bytes: 100_000 });
    for (const one of ['a', 'b', 'c', 'd']) handle(replies, one, one, 100);
    expect(replies.size).toBe(3);
    expect(['b', 'c', 'd'].map((one) => replies.begin(one, 0))).toEqual(['b', 'c', 'd'].map(reply));
    expect(replies.begin('a', 0)).toBe('new');
  });

  it('take at most so many bytes, and one that is larger by itself is not kept', () => {
    const replies = new Replies({ replies: 1_000, bytes: 10_000 });
    for (let i = 0; i < 100; i++) handle(replies, `request ${i}`, 'x'.repeat(1_000), 100);
    expect(replies.bytes).toBeLessThanOrEqual(10_000);
    expect(replies.size).toBeGreaterThan(5);
    const before = replies.size;
    handle(replies, 'large', 'x'.repeat(10_000), 100);
    expect([replies.size, replies.begin('large', 0)]).toEqual([before, 'new']);
  });

  it('are forgotten when they have expired, the room they took too', () => {
    const replies = new Replies({ replies: 1_000, bytes: 100_000 });
    for (let i = 0; i < 100; i++) handle(replies, `request ${i}`, 'x', 100);
    expect(replies.begin('request 1', 100)).toBe('new');
    handle(replies, 'later', 'x', 1_000, 500);
    expect(replies.size).toBe(1);
    replies.finish('request 1', reply('x'), 50, 60);
    expect(replies.size).toBe(1);
  });

  it('have none for a request that is being handled, or was finished without one', () => {
    const replies = new Replies();
    expect([replies.begin('a', 0), replies.begin('a', 0)]).toEqual(['new', 'repeated']);
    replies.finish('a', undefined, 100, 0);
    expect(replies.begin('a', 0)).toBe('repeated');
    replies.begin('b', 0);
    replies.forget('b');
    expect(replies.begin('b', 0)).toBe('new');
  });

  it('count the User Properties of a failure', () => {
    const replies = new Replies({ replies: 10, bytes: 1_000 });
    replies.begin('a', 0);
    const userProperties = [['code', 'x'.repeat(1_000)]] as const;
    replies.finish('a', { ...reply(''), properties: { userProperties } }, 100, 0);
    expect(replies.size).toBe(0);
  });
});
