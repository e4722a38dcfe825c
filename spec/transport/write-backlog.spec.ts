import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { WriteBacklog } from '../../lib/transport/write-backlog.ts';
import type { Flushed } from '../../lib/transport/transport.ts';

/** A network that takes what it is given when it is told to. */
function sink(): { holding: WriteBacklog; room: { free: boolean }; take: () => void; heard: string[] } {
  const [heard, waiting]: [string[], (() => void)[]] = [[], []];
  const room = { free: false };
  const holding = new WriteBacklog({
    send: (_, done) => void waiting.push(done),
    isEmpty: () => room.free,
    onDrain: () => heard.push(`drained with ${holding.bytes}`),
  });
  return { holding, room, take: () => waiting.shift()?.(), heard };
}

const piece = (length: number): Uint8Array => new Uint8Array(length);

describe('Holding', () => {
  it('gives back at once what the network took, once, and is never drained', () => {
    const { holding, room, take, heard } = sink();
    room.free = true;
    const bytes = piece(3);
    holding.write(bytes, (back, taken) => heard.push(`${back === bytes} ${taken}`));
    take();
    expect(heard).toEqual(['true undefined']);
    expect(holding.bytes).toBe(0);
  });

  it('keeps what the network holds back until it has left, and is drained once all of it has', async () => {
    const { holding, take, heard } = sink();
    holding.write(piece(3), (_, taken) => heard.push(`first ${taken}`));
    holding.write(piece(4), (_, taken) => heard.push(`second ${taken}`));
    expect(holding.bytes).toBe(7);
    await turn();
    await turn();
    take();
    expect(holding.bytes).toBe(4);
    take();
    expect(heard).toEqual(['first later', 'second later', 'drained with 0']);
  });

  it('counts what it was given, though the owner of the bytes has transferred them away meanwhile', () => {
    const { holding, take, heard } = sink();
    const bytes = piece(3);
    holding.write(bytes, () => {});
    structuredClone(bytes.buffer, { transfer: [bytes.buffer as ArrayBuffer] });
    expect(holding.bytes).toBe(3);
    take();
    expect([holding.bytes, heard]).toEqual([0, ['drained with 0']]);
  });

  it('tells what was taken at once, but said late, from what had to wait', async () => {
    const { holding, take } = sink();
    const heard: (Flushed | undefined)[] = [];
    holding.write(piece(1), (_, taken) => heard.push(taken));
    await Promise.resolve().then(take);
    holding.write(piece(1), (_, taken) => heard.push(taken));
    await turn();
    await turn();
    take();
    expect(heard).toEqual(['at-once', 'later']);
  });

  it('is not drained while what is written on giving back waits in turn', () => {
    const { holding, take, heard } = sink();
    holding.write(piece(1), () => holding.write(piece(2), () => {}));
    take();
    expect(heard).toEqual([]);
    take();
    expect(heard).toEqual(['drained with 0']);
  });
});
