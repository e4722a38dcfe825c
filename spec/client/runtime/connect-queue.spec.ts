import { describe, expect, it } from '@jest/globals';
import { ConnectQueue } from '../../../lib/client/runtime/connect-queue.ts';
import { settled } from '../../support/fake-clock.ts';

/** An operation that goes on until it is told to end. */
function operation(log: string[], name: string) {
  let end: (how?: Error) => void = () => {};
  const run = (signal: AbortSignal): Promise<string> => {
    log.push(`${name} begins`);
    signal.addEventListener('abort', () => log.push(`${name} is told: ${String(signal.reason)}`));
    return new Promise((resolve, reject) => {
      end = (how) => (how === undefined ? resolve(name) : reject(how));
    });
  };
  return { run, end: (how?: Error) => end(how) };
}

describe('the control lane', () => {
  it('lets one operation run at a time, in the order of the calls', async () => {
    const lane = new ConnectQueue();
    const log: string[] = [];
    const [a, b, c] = ['a', 'b', 'c'].map((name) => operation(log, name));
    const results = [a, b, c].map((one) => lane.run(one!.run));
    await settled();
    expect(log).toEqual(['a begins']);
    a!.end();
    await expect(results[0]).resolves.toBe('a');
    await settled();
    expect(log).toEqual(['a begins', 'b begins']);
    b!.end(new Error('b failed'));
    await expect(results[1]).rejects.toThrow('b failed');
    await settled();
    c!.end();
    await expect(results[2]).resolves.toBe('c');
  });

  it('aborted: what runs is told, what waits never begins, and what comes later is not concerned', async () => {
    const lane = new ConnectQueue();
    const log: string[] = [];
    const [a, b, c] = ['a', 'b', 'c'].map((name) => operation(log, name));
    const running = lane.run(a!.run);
    const waiting = lane.run(b!.run);
    waiting.catch(() => {});
    await settled();
    lane.abort(new Error('disconnect'));
    const later = lane.run(c!.run);
    await settled();
    expect(log).toEqual(['a begins', 'a is told: Error: disconnect']);
    a!.end(new Error('a was aborted'));
    await expect(running).rejects.toThrow('a was aborted');
    await expect(waiting).rejects.toThrow('disconnect');
    await settled();
    expect(log.at(-1)).toBe('c begins');
    c!.end();
    await expect(later).resolves.toBe('c');
    expect(log).not.toContain('b begins');
  });

  it('aborted while nothing runs is as good as new', async () => {
    const lane = new ConnectQueue();
    lane.abort(new Error('nothing to end'));
    await expect(lane.run(() => Promise.resolve(7))).resolves.toBe(7);
  });
});
