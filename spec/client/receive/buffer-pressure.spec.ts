import { describe, expect, it } from '@jest/globals';
import { MessageBuffer } from '../../../lib/client/receive/message-buffer.ts';
import { BufferPressure } from '../../../lib/client/receive/buffer-pressure.ts';
import { messageOf } from './subscription-rig.ts';

function rig(limits: { messages?: number; bytes?: number; held?: number }) {
  const { messages = 100, bytes = 1_000, held = 10_000 } = limits;
  let rooms = 0;
  const pausing = new BufferPressure(held, () => void rooms++);
  const buffer = new MessageBuffer({ messages, bytes }, 'pause', pausing);
  const push = (size: number): string => buffer.push(messageOf(new Uint8Array(size), { topic: '' }));
  return { buffer, pausing, push, rooms: () => rooms };
}

describe('a buffer that pauses', () => {
  it('drops nothing, says that it is full at its limit of messages, and that there is room at half of it', () => {
    const { buffer, pausing, push, rooms } = rig({ messages: 4 });
    expect([1, 2, 3].map(() => push(1))).toEqual(['room', 'room', 'room']);
    expect([push(1), pausing.full]).toEqual(['full', 1]);
    expect([push(1), buffer.depth, buffer.dropped]).toEqual(['full', 5, 0]);
    buffer.shift();
    buffer.shift();
    expect([pausing.full, rooms()]).toEqual([1, 0]);
    buffer.shift();
    expect([pausing.full, rooms(), pausing.bytes]).toEqual([0, 1, 2]);
  });

  it('does the same at its limit of bytes', () => {
    const { buffer, pausing, push } = rig({ bytes: 100 });
    push(60);
    expect(pausing.full).toBe(0);
    push(60);
    expect([pausing.full, pausing.bytes]).toEqual([1, 120]);
    buffer.shift();
    expect(pausing.full).toBe(1);
    buffer.shift();
    expect([pausing.full, pausing.bytes]).toEqual([0, 0]);
  });

  it('counts for nothing once it is emptied at the end', () => {
    const { buffer, pausing, push, rooms } = rig({ messages: 1 });
    push(10);
    buffer.takeAll();
    expect([pausing.full, pausing.bytes, rooms()]).toEqual([0, 0, 1]);
  });

  it('drops the newest only beyond what may be held whatever is awaited', () => {
    const { buffer, pausing, push } = rig({ messages: 1, held: 100 });
    push(60);
    push(60);
    expect([pausing.isExhausted, buffer.dropped]).toEqual([true, 0]);
    push(60);
    expect([buffer.depth, buffer.dropped, pausing.bytes]).toEqual([2, 1, 120]);
  });
});
