import { describe, expect, it } from '@jest/globals';
import type { QoS } from '../../../lib/codec/packets.ts';
import type { Receipt } from '../../../lib/session/incoming.ts';
import { messageOf, NO_SETTLER, receiptOf } from './subscription-rig.ts';

const encoder = new TextEncoder();

function received(payload: Uint8Array | string, options: { qos?: QoS; canReject?: boolean } = {}) {
  const { qos = 1, canReject = true } = options;
  const bytes = typeof payload === 'string' ? encoder.encode(payload) : payload;
  const receipt = qos === 0 ? undefined : receiptOf(7, qos, 'a/b', bytes);
  const settled: [Receipt, number][] = [];
  const settler = {
    ...NO_SETTLER,
    canReject,
    settle: (one: Receipt, code: number) => void settled.push([one, code]),
  };
  const message = messageOf(bytes, { topic: 'a/b', qos, retain: true }, receipt, settler);
  return { message, receipt, codes: () => settled.map(([, code]) => code), settled };
}

describe('the content of a message', () => {
  it('is text, with U+FFFD for ill-formed parts', () => {
    expect(received('21,5 °C').message.text()).toBe('21,5 °C');
    expect(received('').message.text()).toBe('');
    expect(received(Uint8Array.of(0x61, 0xff, 0x62)).message.text()).toBe('a\ufffdb');
    expect(received('\ufeffa').message.text()).toBe('\ufeffa');
  });

  it('is JSON, or a SyntaxError', () => {
    expect(received('{"a":[1,null]}').message.json<{ a: unknown[] }>().a).toEqual([1, null]);
    expect(() => received('{').message.json()).toThrow(SyntaxError);
    expect(() => received('').message.json()).toThrow(SyntaxError);
  });

  it('is a view, and copy() is independent of it', () => {
    const memory = Uint8Array.of(0, 1, 2, 3);
    const { message } = received(memory.subarray(1, 3));
    const copy = message.copy();
    expect(message.payload.buffer).toBe(memory.buffer);
    memory.fill(9);
    expect([copy, copy.buffer.byteLength]).toEqual([Uint8Array.of(1, 2), 2]);
    expect(message.payload).toEqual(Uint8Array.of(9, 9));
  });
});

describe('a message with QoS 1 or 2', () => {
  it.each([1, 2] as const)('is settled once, by the first call (QoS %d)', (qos) => {
    const { message, receipt, settled } = received('a', { qos });
    expect(message.unsettled).toBe(true);
    message.ack();
    message.ack();
    message.reject(0x80);
    expect(settled).toEqual([[receipt, 0]]);
    expect(message.unsettled).toBe(false);
  });

  it.each([0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99])('can be refused with %d on 5.0', (code) => {
    const { message, codes } = received('a');
    message.reject(code);
    message.ack();
    expect(codes()).toEqual([code]);
  });

  it.each([0, 0x10, 0x7f, 0x81, 0x92, 256, -1, 1.5, Number.NaN])('cannot be refused with %d', (code) => {
    const { message, codes } = received('a');
    expect(() => message.reject(code)).toThrow(RangeError);
    expect([codes(), message.unsettled]).toEqual([[], true]);
  });

  it('cannot be refused on 3.1 and 3.1.1, and can be acknowledged then', () => {
    const { message, codes } = received('a', { canReject: false });
    expect(() => message.reject(0x80)).toThrow(TypeError);
    message.ack();
    expect(codes()).toEqual([0]);
  });

  it('passes to the next consumer as a duplicate, and the first can no longer settle it', () => {
    const { message, receipt, settled } = received('a');
    const again = message.again();
    message.ack();
    expect(settled).toEqual([]);
    expect(again).toMatchObject({ topic: 'a/b', qos: 1, retain: true, duplicate: true });
    expect(again.payload).toBe(message.payload);
    again.reject(0x97);
    expect(settled).toEqual([[receipt, 0x97]]);
  });
});

describe('a message with QoS 0', () => {
  it('has nothing to settle, on no version', () => {
    for (const canReject of [true, false]) {
      const { message, codes } = received('a', { qos: 0, canReject });
      message.ack();
      message.reject(0x80);
      expect([message.unsettled, codes()]).toEqual([false, []]);
    }
  });
});
