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
function opened(memory: Uint8Array) {
  const { calls, ...rest } = receiver(memory);
  const readTarget = new ReadTarget();
  readTarget.attach(held(new Socket()));
  readTarget.open(rest);
  const onread = readTarget.options.onread as OnReadOpts;
  (onread.buffer as () => Uint8Array)();
  return { calls, read: onread.callback.bind(onread) };
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
