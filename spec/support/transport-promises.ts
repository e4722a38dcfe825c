import type { Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import type { Transport } from '../../lib/transport/transport.ts';
import { hashOf, pattern, pressUp, type Recorder } from './receivers.ts';

/*
 * The guarantees of every transport.
 */

/** The other end of a transport. */
export interface Peer {
  write(bytes: Uint8Array): unknown;
  /** Closes in order. */
  end(): unknown;
  destroy(): unknown;
  /** Resets the connection, as TCP can do. */
  reset(): unknown;
  pause(): unknown;
  resume(): unknown;
  /** Sets the listener for received bytes. */
  hear(listener: (bytes: Uint8Array) => void): unknown;
}

/** A transport before open(), its other end, and its receiver. */
export interface Ends {
  readonly transport: Transport;
  readonly peer: Peer;
  readonly recorder: Recorder;
}

/** A socket as the other end, which ends when the transport ends. */
export function peerOf(socket: Socket, reset = (): unknown => socket.resetAndDestroy()): Peer {
  socket.on('end', () => socket.end());
  return {
    write: (bytes) => socket.write(bytes),
    end: () => socket.end(),
    destroy: () => socket.destroy(),
    reset,
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    hear: (listener) => socket.on('data', listener).pause(),
  };
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await turn();
}

/** Specs for the transport that `connect` creates. */
export function keepsTransportPromises(connect: () => Promise<Ends>): void {
  describe('reading', () => {
    reading(connect);
  });
  describe('writing', () => {
    writing(connect);
  });
  describe('the end', () => {
    ending(connect);
    afterTheEnd(connect);
  });
}

function reading(connect: () => Promise<Ends>): void {
  it.each([1, 200, 255, 256, 257, 300_000, 2_000_000])(
    'begins with open(): %d earlier bytes are kept',
    async (length) => {
      const { transport, peer, recorder } = await connect();
      const sent = pattern(length);
      // After the other end has ended, everything that fits is on this side.
      peer.write(sent);
      peer.end();
      await turns(20);
      transport.open(recorder);
      expect(recorder.bytes).toBe(0);
      expect(await recorder.gone).toBeUndefined();
      expect(recorder.bytes).toBe(length);
      expect(recorder.hash).toBe(hashOf([sent]));
    },
  );
}

function writing(connect: () => Promise<Ends>): void {
  it('v5 MQTT-4.2-1, v4 MQTT-7.1.2-1 sends every byte in order to a slow reader, from slabs that are refilled when they are returned', async () => {
    const { transport, peer, recorder } = await connect();
    const pool: Uint8Array[] = Array.from({ length: 4 }, () => new Uint8Array(65_536));
    const total = 120;
    const expected: Uint8Array[] = [];
    recorder.onDrained = () => {
      while (expected.length < total && pool.length > 0 && transport.bytesPending === 0) {
        const slab = pool.pop() as Uint8Array;
        slab.set(pattern(slab.length, expected.length));
        expected.push(slab.slice());
        transport.write(slab, (bytes) => {
          bytes.fill(0xee);
          pool.push(bytes);
        });
      }
    };
    const received: Uint8Array[] = [];
    const all = new Promise<void>((resolve) => {
      let bytes = 0;
      peer.hear((piece) => {
        received.push(piece);
        bytes += piece.length;
        if (bytes === total * 65_536) resolve();
        peer.pause();
        setImmediate(() => peer.resume());
      });
    });
    peer.pause();
    transport.open(recorder);
    recorder.onDrained();
    for (let i = 0; i < 400 && (expected.length === total || transport.bytesPending === 0); i++) await turn();
    expect(transport.bytesPending).toBeGreaterThan(0);
    peer.resume();
    await all;
    expect(hashOf(received)).toBe(hashOf(expected));
    while (transport.bytesPending > 0) await turn();
    expect(new Set(recorder.log)).toEqual(new Set(['drained']));
    expect(pool).toHaveLength(4);
  });

  it('returns unflushed pieces later, each once and in order, and drains once at the end', async () => {
    const { transport, peer, recorder } = await connect();
    const back: number[] = [];
    const told: string[] = [];
    const drained = new Promise<void>((resolve) => {
      recorder.onDrained = () => {
        told.push(`drained with ${back.length} back and ${transport.bytesPending} held back`);
        resolve();
      };
    });
    peer.hear(() => {});
    peer.pause();
    transport.open(recorder);
    const pieces = Array.from({ length: 120 }, (_, i) => pattern(65_536, i));
    for (const [index, piece] of pieces.entries()) {
      transport.write(piece, (bytes) => {
        expect(bytes).toBe(piece);
        back.push(index);
      });
    }
    expect(back.length).toBeLessThan(pieces.length);
    expect(transport.bytesPending).toBeGreaterThan(0);
    peer.resume();
    await drained;
    await turn();
    expect(back).toEqual([...pieces.keys()]);
    expect(told).toEqual([`drained with ${pieces.length} back and 0 held back`]);
    expect(recorder.log).toEqual(['drained']);
  });
}

function ending(connect: () => Promise<Ends>): void {
  it('comes without an error when the peer closes in order', async () => {
    const { transport, peer, recorder } = await connect();
    transport.open(recorder);
    peer.write(pattern(3));
    peer.end();
    expect(await recorder.gone).toBeUndefined();
    expect(recorder.bytes).toBe(3);
    expect(recorder.log).toEqual(['closed']);
  });

  it('follows destroy(), also during a write, and every slab is returned', async () => {
    const { transport, peer, recorder } = await connect();
    peer.pause();
    transport.open(recorder);
    const given = pressUp(transport);
    transport.destroy();
    transport.destroy();
    expect(await recorder.gone).toBeUndefined();
    while (transport.bytesPending > 0) await turn();
    expect(new Set(given.values())).toEqual(new Set([1]));
    expect(recorder.log).toEqual(['closed']);
  });

  it('follows end(), after all unflushed bytes were sent', async () => {
    const { transport, peer, recorder } = await connect();
    const received: Uint8Array[] = [];
    peer.hear((bytes) => received.push(bytes));
    peer.pause();
    transport.open(recorder);
    const given = pressUp(transport);
    transport.end();
    transport.end();
    await turns(5);
    peer.resume();
    expect(await recorder.gone).toBeUndefined();
    expect(hashOf(received)).toBe(hashOf(given.keys()));
    expect(new Set(given.values())).toEqual(new Set([1]));
    expect(recorder.log.at(-1)).toBe('closed');
  });

  it.each(['end', 'destroy', 'reset'] as const)(
    'is reported to a receiver that opens a connection lost meanwhile (%s)',
    async (lose) => {
      const { transport, peer, recorder } = await connect();
      peer[lose]();
      await turns(10);
      transport.open(recorder);
      expect(recorder.log).toEqual([]);
      await recorder.gone;
      expect(recorder.log).toEqual(['closed']);
    },
  );
}

function afterTheEnd(connect: () => Promise<Ends>): void {
  it.each(['end', 'destroy'] as const)('is reported to a receiver that opens after %s()', async (way) => {
    for (const pause of [0, 1, 5]) {
      const { transport, recorder } = await connect();
      transport[way]();
      await turns(pause);
      transport.open(recorder);
      expect(recorder.log).toEqual([]);
      expect(await recorder.gone).toBeUndefined();
      expect(recorder.log).toEqual(['closed']);
    }
  });

  it.each(['end', 'destroy'] as const)('returns bytes written after %s() at once', async (way) => {
    const { transport, recorder } = await connect();
    transport.open(recorder);
    transport[way]();
    const piece = pattern(10);
    const back: Uint8Array[] = [];
    transport.write(piece, (bytes) => back.push(bytes));
    expect(back).toEqual([piece]);
    transport.destroy();
    await recorder.gone;
    transport.write(piece, (bytes) => back.push(bytes));
    expect(back).toEqual([piece, piece]);
    expect(recorder.log).toEqual(['closed']);
  });
}
