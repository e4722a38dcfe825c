import { describe, expect, it } from '@jest/globals';
import type { Consumer, Failure, MessageWaiter } from '../../../lib/client/receive/consumer.ts';
import { Consumers } from '../../../lib/client/receive/consumers.ts';
import { messageOf } from './subscription-rig.ts';

function waiter(log: unknown[]): MessageWaiter {
  return {
    take: () => void log.push('take'),
    end: () => void log.push('end'),
    fail: (error) => void log.push(error),
  };
}

describe('the consumers of a subscription', () => {
  it('are awaited while a request waits and no message is in hand', () => {
    const consumers = new Consumers();
    expect([consumers.isEmpty, consumers.isAwaited]).toEqual([true, false]);
    const one = waiter([]);
    consumers.request(one);
    expect([consumers.isEmpty, consumers.isAwaited, consumers.size]).toEqual([false, true, 0]);
    const message = messageOf(Uint8Array.of(1));
    const consumer: Consumer = { held: [message], finish: () => {} };
    consumers.add(consumer);
    expect([consumers.isAwaited, consumers.held()]).toEqual([false, [message]]);
    consumers.remove(consumer);
    consumers.request(one);
    consumers.withdraw(one);
    expect([consumers.isEmpty, consumers.shiftWaiter()]).toEqual([true, undefined]);
  });

  it('finish and flush one by one, and their requests end or fail', () => {
    const consumers = new Consumers();
    const log: unknown[] = [];
    const finished: (Failure | undefined)[] = [];
    consumers.add({
      held: [],
      finish: (error) => void finished.push(error),
      flush: () => void log.push('flush'),
    });
    consumers.add({ held: [], finish: (error) => void finished.push(error) });
    consumers.flush();
    consumers.request(waiter(log));
    consumers.endWaiters(undefined);
    const reason = new Error('gone');
    consumers.request(waiter(log));
    consumers.endWaiters({ reason });
    consumers.finish({ reason });
    expect([log, finished]).toEqual([
      ['flush', 'end', reason],
      [{ reason }, { reason }],
    ]);
  });
});
