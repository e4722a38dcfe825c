import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { Client } from '../../lib/client/client.ts';
import type { Transport, TransportReceiver } from '../../lib/transport/transport.ts';
import { collectAllGarbage } from '../support/garbage.ts';

/** What one of many clients may hold, in bytes, its transport included. Measured: 13,000 of heap, 30 outside of it. */
const MOST_HEAP = 20_000;
const MOST_OUTSIDE = 200;
const CLIENTS = 500;

const CONNACK = Uint8Array.of(0x20, 2, 0, 0);

/** A transport in memory, to a server that accepts every connection and answers nothing else. */
class Accepting implements Transport {
  readonly bytesPending = 0;
  readonly #writes: { count: number };
  #receiver: TransportReceiver | undefined;

  constructor(writes: { count: number }) {
    this.#writes = writes;
  }

  open(receiver: TransportReceiver): void {
    this.#receiver = receiver;
  }

  write(bytes: Uint8Array, written: (bytes: Uint8Array) => void): void {
    this.#writes.count++;
    const isConnect = bytes[0] === 0x10;
    written(bytes);
    if (isConnect) queueMicrotask(() => this.#receiver?.onData(CONNACK.subarray()));
  }

  pause(): void {}

  resume(): void {}

  end(): void {
    this.destroy();
  }

  destroy(): void {
    const receiver = this.#receiver;
    this.#receiver = undefined;
    queueMicrotask(() => receiver?.onClose());
  }
}

async function memory(): Promise<{ readonly heap: number; readonly outside: number }> {
  await collectAllGarbage();
  const { heapUsed: heap, arrayBuffers: outside } = process.memoryUsage();
  return { heap, outside };
}

describe('many clients', () => {
  const writes = { count: 0 };
  const connected = async (count: number): Promise<Client[]> => {
    const transport = () => Promise.resolve(new Accepting(writes));
    const clients = Array.from({ length: count }, () => new Client('mqtt://server', { transport }));
    await Promise.all(clients.map((client) => client.connect()));
    return clients;
  };

  it('hold little memory while they do nothing, and write once each', async () => {
    // What is made once, and code that is compiled, does not count.
    const others = await connected(CLIENTS);
    const before = await memory();
    writes.count = 0;
    const clients = await connected(CLIENTS);
    const after = await memory();
    expect(writes.count).toBe(CLIENTS);
    expect((after.heap - before.heap) / CLIENTS).toBeLessThan(MOST_HEAP);
    expect((after.outside - before.outside) / CLIENTS).toBeLessThan(MOST_OUTSIDE);
    await Promise.all([...others, ...clients].map((client) => client.disconnect()));
  });

  it('that publish in the same turn hold little memory until it ends, and write once each', async () => {
    const clients = await connected(CLIENTS);
    const before = await memory();
    writes.count = 0;
    const published = clients.map((client) => client.publish('a', 'hello'));
    const { arrayBuffers } = process.memoryUsage();
    expect((arrayBuffers - before.outside) / CLIENTS).toBeLessThan(2_000);
    await Promise.all(published);
    await setImmediate();
    expect(writes.count).toBe(CLIENTS);
    await Promise.all(clients.map((client) => client.disconnect()));
  });
});
