import { once } from 'node:events';
import { type OnReadOpts, Socket } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { ReadTarget } from '../../lib/transport/read-target.ts';
import type { TransportReceiver } from '../../lib/transport/transport.ts';
import { endWithTest, held, listening } from '../support/endings.ts';

endWithTest();

/** A receiver that records what it is called with. Each read goes into `memory`. */
function receiver(memory: Uint8Array): TransportReceiver & { readonly calls: string[] } {
  const calls: string[] = [];
  return {
    calls,
    allocate: () => memory,
    onRead: (length) => void calls.push(`onRead ${length}`),
    onData: (bytes) => void calls.push(`onData ${Buffer.from(bytes).toString()}`),
    onDrain: () => {},
    onClose: () => {},
  };
}

/** An open target whose receiver offers `memory`. `read` is what the runtime calls after a read. */
function small(memory: Uint8Array) {
  const { calls, ...rest } = receiver(memory);
  const readTarget = new ReadTarget();
  readTarget.attach(held(new Socket()));
  readTarget.open(rest);
  const onread = readTarget.options.onread as OnReadOpts;
  const next = onread.buffer as () => Uint8Array;
  return { calls, next, read: onread.callback.bind(onread) };
}

/** The same after a read that has filled the shared memory. */
function opened(memory: Uint8Array) {
  const { calls, next, read } = small(memory);
  const shared = next();
  read(shared.length, shared);
  calls.length = 0;
  next();
  return { calls, read };
}

describe('a read target', () => {
  it('keeps what the socket reads before there is a receiver', async () => {
    const { port } = await listening((peer) => peer.end('hello'));
    const readTarget = new ReadTarget();
    const socket = readTarget.attach(held(new Socket(readTarget.options)));
    socket.connect(port, '127.0.0.1');
    await once(socket, 'end');
    const { calls, ...rest } = receiver(new Uint8Array(16));
    readTarget.open(rest);
    expect(calls).toEqual(['onData hello']);
  });

  it('copies what the runtime has read before there is a receiver', () => {
    const readTarget = new ReadTarget();
    const foreign = Buffer.from('early');
    (readTarget.options.onread as OnReadOpts).callback(5, foreign);
    foreign.fill(0);
    const { calls, ...rest } = receiver(new Uint8Array(16));
    readTarget.open(rest);
    expect(calls).toEqual(['onData early']);
  });

  it('copies what the runtime has read into memory of its own', () => {
    const { calls, read } = opened(new Uint8Array(64).fill(0x2a));
    const foreign = Buffer.from('hello, and the rest');
    read(5, foreign);
    foreign.fill(0);
    expect(calls).toEqual(['onData hello']);
  });

  it('shares the memory of small reads with all others, and copies out of it', () => {
    const [one, other] = [small(new Uint8Array(64)), small(new Uint8Array(64))];
    const shared = one.next();
    expect(other.next()).toBe(shared);
    shared.set(Buffer.from('hello'));
    one.read(5, shared);
    shared.set(Buffer.from('world'));
    other.read(5, shared);
    expect([one.calls, other.calls]).toEqual([['onData hello'], ['onData world']]);
    expect(one.next()).toBe(shared);
  });

  it('uses memory of the receiver once a read has filled the shared memory', () => {
    const memory = new Uint8Array(64);
    const { calls, next, read } = small(memory);
    const shared = next();
    read(shared.length - 1, shared);
    expect(next()).toBe(shared);
    read(shared.length, shared);
    expect(next()).toBe(memory);
    read(5, memory);
    expect(next()).toBe(memory);
    expect(calls).toEqual([expect.stringMatching(/^onData/), expect.stringMatching(/^onData/), 'onRead 5']);
  });

  it('reports a read into another view of the allocated memory', () => {
    const memory = new Uint8Array(64);
    const { calls, read } = opened(memory);
    read(5, Buffer.from(memory.buffer, memory.byteOffset, memory.length));
    expect(calls).toEqual(['onRead 5']);
  });

  it('copies what the runtime has read behind the allocated memory, or beyond its end', () => {
    const memory = new TextEncoder().encode('12345678hello');
    const { calls, read } = opened(memory.subarray(0, 4));
    read(5, memory.subarray(8));
    read(5, memory);
    expect(calls).toEqual(['onData hello', 'onData 12345']);
  });
});
