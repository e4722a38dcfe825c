import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { WriteBacklog } from '../../lib/transport/write-backlog.ts';
import type { Flushed } from '../../lib/transport/transport.ts';

/** A sink that accepts bytes when `take()` is called. */
function sink(): { backlog: WriteBacklog; room: { free: boolean }; take: () => void; heard: string[] } {
  const [heard, waiting]: [string[], (() => void)[]] = [[], []];
  const room = { free: false };
  const backlog = new WriteBacklog({
    send: (_, done) => void waiting.push(done),
    isEmpty: () => room.free,
    onDrain: () => heard.push(`drained with ${backlog.bytes}`),
  });
  return { backlog, room, take: () => waiting.shift()?.(), heard };
}

const piece = (length: number): Uint8Array => new Uint8Array(length);

describe('WriteBacklog', () => {
  it('gives bytes back at once if the network accepts them, and does not drain', () => {
    const { backlog, room, take, heard } = sink();
    room.free = true;
    const bytes = piece(3);
    backlog.write(bytes, (back, taken) => heard.push(`${back === bytes} ${taken}`));
    take();
    expect(heard).toEqual(['true undefined']);
    expect(backlog.bytes).toBe(0);
  });

  it('counts pending bytes until they have left, and drains when all have', async () => {
    const { backlog, take, heard } = sink();
    backlog.write(piece(3), (_, taken) => heard.push(`first ${taken}`));
    backlog.write(piece(4), (_, taken) => heard.push(`second ${taken}`));
    expect(backlog.bytes).toBe(7);
    await turn();
    await turn();
    take();
    expect(backlog.bytes).toBe(4);
    take();
    expect(heard).toEqual(['first later', 'second later', 'drained with 0']);
  });

  it('counts the original length, even if the owner transfers the memory away', () => {
    const { backlog, take, heard } = sink();
    const bytes = piece(3);
    backlog.write(bytes, () => {});
    structuredClone(bytes.buffer, { transfer: [bytes.buffer as ArrayBuffer] });
    expect(backlog.bytes).toBe(3);
    take();
    expect([backlog.bytes, heard]).toEqual([0, ['drained with 0']]);
  });

  it('reports whether the network accepted the bytes at once or later', async () => {
    const { backlog, take } = sink();
    const heard: (Flushed | undefined)[] = [];
    backlog.write(piece(1), (_, taken) => heard.push(taken));
    await Promise.resolve().then(take);
    backlog.write(piece(1), (_, taken) => heard.push(taken));
    await turn();
    await turn();
    take();
    expect(heard).toEqual(['at-once', 'later']);
  });

  it('does not drain while bytes that were written in the callback are pending', () => {
    const { backlog, take, heard } = sink();
    backlog.write(piece(1), () => backlog.write(piece(2), () => {}));
    take();
    expect(heard).toEqual([]);
    take();
    expect(heard).toEqual(['drained with 0']);
  });
});
