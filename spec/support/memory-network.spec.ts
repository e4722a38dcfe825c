import { describe, expect, it } from '@jest/globals';
import { FakeClock } from './fake-clock.ts';
import { memoryDial } from './memory-network.ts';
import type { MemoryEnd } from './memory-transport.ts';

describe('memoryDial', () => {
  const target = { protocol: 'mqtt', host: 'memory', port: 1883 } as const;

  it('connects after the latency, and passes the other end to the server', async () => {
    const clock = new FakeClock(0);
    const accepted: MemoryEnd[] = [];
    const dial = memoryDial(clock, (server) => accepted.push(server), { latency: 30 });
    let client: unknown;
    void dial(target, new AbortController().signal).then((end) => (client = end));
    await clock.advance(29);
    expect([client, accepted.length]).toEqual([undefined, 0]);
    await clock.advance(1);
    expect([client === undefined, accepted.length]).toEqual([false, 1]);
  });

  it('rejects with the reason of the signal, before or during the attempt, and leaves no wake', async () => {
    const clock = new FakeClock(0);
    const dial = memoryDial(clock, () => expect('not').toBe('reached'), { latency: 30 });
    const reason = new Error('no more');
    await expect(dial(target, AbortSignal.abort(reason))).rejects.toBe(reason);
    const aborting = new AbortController();
    const dialing = dial(target, aborting.signal);
    aborting.abort(reason);
    await expect(dialing).rejects.toBe(reason);
    expect(clock.armed).toBe(0);
  });
});
