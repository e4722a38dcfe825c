import { AsyncResource } from 'node:async_hooks';
import PQueue from 'p-queue';
import { bound, checkCall, type CallOptions } from './calls.ts';
import { integer, oneOf } from './checks.ts';
import type { Clock } from './clock.ts';
import type { Message } from './message.ts';
import type { Subscription } from './subscription.ts';

/** How `forEach()` works through messages. */
export interface ForEachOptions extends CallOptions {
  /** Handlers at work at once. @default 1 */
  readonly concurrency?: number;
  /**
   * What a handler that throws does: `stop` leaves its message unsettled and rejects `forEach()` with the error,
   * `acknowledge` settles the message as if it had been processed, `reject` refuses it with 0x80 (5.0). @default "stop"
   */
  readonly onError?: 'stop' | 'acknowledge' | 'reject';
}

/** Why a run ends early. */
interface Halt {
  readonly reason: unknown;
}

/** Handlers with bounded concurrency over a subscription; each message is settled when its handler has finished. */
export async function forEachMessage(
  subscription: Subscription,
  handler: (message: Message) => unknown,
  options: ForEachOptions,
  clock: Clock,
): Promise<void> {
  checkCall(options);
  const onError = oneOf('onError', options.onError ?? 'stop', ['stop', 'acknowledge', 'reject']);
  const concurrency = integer('concurrency', options.concurrency ?? 1, 1);
  const queue = new PQueue({ concurrency });
  const run = AsyncResource.bind(handler);
  const unfinished = new Set<Message>();
  let halt: Halt | undefined = undefined;
  let wakeReader: (() => void) | undefined = undefined;
  const stop = (reason: unknown): void => {
    halt ??= { reason };
    wakeReader?.();
  };
  const done = bound(options, clock, 'forEach', stop);

  const work = async (message: Message): Promise<void> => {
    try {
      await run(message);
      message.ack();
    } catch (error) {
      if (onError === 'stop') {
        stop(error);
        return;
      }
      if (onError === 'reject') message.reject(0x80);
      else message.ack();
    }
    unfinished.delete(message);
  };

  try {
    for (;;) {
      await queue.onSizeLessThan(1);
      // oxlint-disable-next-line typescript/no-unnecessary-condition -- set by `stop`, which runs in between
      if (halt !== undefined) break;
      const message = await new Promise<Message | undefined>((resolve, reject) => {
        wakeReader = () => {
          subscription.withdraw(taker);
          resolve(undefined);
        };
        const taker = { take: resolve, end: () => resolve(undefined), fail: reject };
        subscription.request(taker);
      });
      wakeReader = undefined;
      if (message === undefined) break;
      unfinished.add(message);
      // The task catches everything: its promise cannot reject.
      void queue.add(() => work(message));
    }
    await queue.onIdle();
  } finally {
    done();
    // What was not finished is for the next who asks, in its old order.
    for (const message of [...unfinished].toReversed()) subscription.giveBack(message);
  }
  // oxlint-disable-next-line typescript/no-unnecessary-condition -- set by `stop`
  if (halt !== undefined) throw (halt as Halt).reason;
}
