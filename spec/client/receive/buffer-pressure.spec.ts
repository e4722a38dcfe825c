import { describe, expect, it } from '@jest/globals';
import { MessageBuffer } from '../../../lib/client/receive/message-buffer.ts';
import { BufferPressure } from '../../../lib/client/receive/buffer-pressure.ts';
import { messageOf } from './subscription-rig.ts';

function rig(limits: { messages?: number; bytes?: number; held?: number }) {
  const { messages = 100, bytes = 1_000, held = 10_000 } = limits;
  let rooms = 0;
  const pressure = new BufferPressure(held);
  pressure.add(() => void rooms++);
  const buffer = new MessageBuffer({ messages, bytes }, 'pause', pressure);
  const push = (size: number): string => buffer.push(messageOf(new Uint8Array(size), { topic: '' }));
  return { buffer, pressure, push, rooms: () => rooms };
}

describe('a buffer that pauses', () => {
  it('drops nothing, says that it is full at its limit of messages, and that there is room at half of it', () => {
    const { buffer, pressure, push, rooms } = rig({ messages: 4 });
    expect([1, 2, 3].map(() => push(1))).toEqual(['room', 'room', 'room']);
    expect([push(1), pressure.full]).toEqual(['full', 1]);
    expect([push(1), buffer.depth, buffer.dropped]).toEqual(['full', 5, 0]);
    buffer.shift();
    buffer.shift();
    expect([pressure.full, rooms()]).toEqual([1, 0]);
    buffer.shift();
    expect([pressure.full, rooms(), pressure.bytes]).toEqual([0, 1, 2]);
  });

  it('does the same at its limit of bytes', () => {
    const { buffer, pressure, push } = rig({ bytes: 100 });
    push(60);
    expect(pressure.full).toBe(0);
    push(60);
    expect([pressure.full, pressure.bytes]).toEqual([1, 120]);
    buffer.shift();
    expect(pressure.full).toBe(1);
    buffer.shift();
    expect([pressure.full, pressure.bytes]).toEqual([0, 0]);
  });

  it('does not count once it is emptied at the end', () => {
    const { buffer, pressure, push, rooms } = rig({ messages: 1 });
    push(10);
    buffer.takeAll();
    expect([pressure.full, pressure.bytes, rooms()]).toEqual([0, 0, 1]);
  });

  it('drops the newest only beyond receiveBuffer', () => {
    const { buffer, pressure, push } = rig({ messages: 1, held: 100 });
    push(60);
    push(60);
    expect([pressure.isExhausted, buffer.dropped]).toEqual([true, 0]);
    push(60);
    expect([buffer.depth, buffer.dropped, pressure.bytes]).toEqual([2, 1, 120]);
  });
});
