import { describe, expect, it } from '@jest/globals';
import type { TransportReceiver } from '../../lib/transport/transport.ts';
import { FakeClock } from './fake-clock.ts';
import { memoryPair, type MemoryEnd } from './memory-transport.ts';

/** A receiver that records its calls, with the time. */
class Log implements TransportReceiver {
  readonly entries: string[] = [];
  readonly #clock: FakeClock;
  readonly #memory = new Uint8Array(8);

  constructor(clock: FakeClock, end: MemoryEnd) {
    this.#clock = clock;
    end.open(this);
  }

  allocate(): Uint8Array {
    return this.#memory;
  }

  onRead(length: number): void {
    this.#note(new TextDecoder().decode(this.#memory.subarray(0, length)));
  }

  onData(): void {
    throw new Error('expected reads into space() only');
  }

  onDrain(): void {
    this.#note('drained');
  }

  onClose(error?: unknown): void {
    this.#note(error === undefined ? 'closed' : `closed: ${error as string}`);
  }

  #note(text: string): void {
    this.entries.push(`${this.#clock.now()} ${text}`);
  }
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const nothing = (): void => {};

describe('a connection in memory', () => {
  it('delivers bytes in both directions, in order, after the latency, in reads no larger than the memory for them', async () => {
    const clock = new FakeClock(0);
    const { client, server } = memoryPair(clock, { latency: 20 });
    const [clientLog, serverLog] = [new Log(clock, client), new Log(clock, server)];
    client.write(bytes('0123456789'), nothing);
    client.write(bytes('abc'), nothing);
    server.write(bytes('back'), nothing);
    await clock.advance(19);
    expect([clientLog.entries, serverLog.entries]).toEqual([[], []]);
    await clock.advance(1);
    expect(serverLog.entries).toEqual(['20 01234567', '20 89', '20 abc']);
    expect(clientLog.entries).toEqual(['20 back']);
    expect(clock.armed).toBe(0);
  });

  it('splits the stream as requested', async () => {
    const clock = new FakeClock(0);
    const lengths = [1, 3, 2];
    const { client, server } = memoryPair(clock, { chunks: () => lengths.shift() ?? 5 });
    const log = new Log(clock, server);
    client.write(bytes('0123456789'), nothing);
    await clock.advance(0);
    expect(log.entries).toEqual(['0 0', '0 123', '0 45', '0 6789']);
  });

  it('keeps bytes that arrive before open()', async () => {
    const clock = new FakeClock(0);
    const { client, server } = memoryPair(clock);
    client.write(bytes('early'), nothing);
    await clock.advance(10);
    const log = new Log(clock, server);
    await clock.advance(0);
    expect(log.entries).toEqual(['10 early']);
  });

  it('returns memory at once while it has room; later changes to that memory do not reach the peer', async () => {
    const clock = new FakeClock(0);
    const { client, server } = memoryPair(clock, { room: 4 });
    const [, log] = [new Log(clock, client), new Log(clock, server)];
    const slab = bytes('good');
    client.write(slab, (back) => back.fill(0x58));
    expect(slab).toEqual(bytes('XXXX'));
    expect(client.bytesPending).toBe(0);
    await clock.advance(0);
    expect(log.entries).toEqual(['0 good']);
  });

  it('keeps bytes beyond its room, uncopied, until they have arrived, and then drains', async () => {
    const clock = new FakeClock(0);
    const { client, server } = memoryPair(clock, { room: 4, latency: 5 });
    const [clientLog, serverLog] = [new Log(clock, client), new Log(clock, server)];
    const back: string[] = [];
    const [first, second, third] = [bytes('1111'), bytes('2222'), bytes('3')];
    for (const piece of [first, second, third]) client.write(piece, () => back.push(`${clock.now()}`));
    expect(back).toEqual(['0']);
    expect(client.bytesPending).toBe(5);
    second.fill(0x58); // still held back: this must show
    await clock.advance(5);
    expect(serverLog.entries).toEqual(['5 1111', '5 XXXX', '5 3']);
    expect(back).toEqual(['0', '5', '5']);
    expect(clientLog.entries).toEqual(['5 drained']);
    expect(client.bytesPending).toBe(0);
  });

  it('delivers nothing while frozen, and fills up', async () => {
    const clock = new FakeClock(0);
    const { client, server, link } = memoryPair(clock, { room: 4 });
    const log = new Log(clock, server);
    link.isFrozen = true;
    client.write(bytes('1111'), nothing);
    client.write(bytes('2222'), nothing);
    client.end();
    await clock.advance(1000);
    expect(log.entries).toEqual([]);
    expect(client.bytesPending).toBe(4);
    link.isFrozen = false;
    client.move();
    await clock.advance(0);
    expect(log.entries).toEqual(['1000 1111', '1000 2222', '1000 closed']);
  });

  it('delivers nothing while paused; afterwards everything, and the end', async () => {
    const clock = new FakeClock(0);
    const { client, server } = memoryPair(clock, { latency: 5, room: 4 });
    const [clientLog, serverLog] = [new Log(clock, client), new Log(clock, server)];
    client.write(bytes('1111'), nothing);
    client.write(bytes('2222'), nothing);
    // One piece is in transit when the other end stops reading.
    await clock.advance(2);
    server.pause();
    server.pause();
    client.end();
    server.write(bytes('back'), nothing);
    await clock.advance(100);
    expect([serverLog.entries, clientLog.entries, client.bytesPending]).toEqual([[], ['7 back'], 4]);
    server.resume();
    server.resume();
    await clock.advance(10);
    expect(serverLog.entries).toEqual(['102 1111', '102 2222', '107 closed']);
    expect(clock.armed).toBe(0);
  });

  it('can be paused in the middle of a read', async () => {
    const clock = new FakeClock(0);
    const { client, server } = memoryPair(clock);
    const log = new Log(clock, server);
    const filled = log.onRead.bind(log);
    log.onRead = (length) => {
      filled(length);
      server.pause();
    };
    client.write(bytes('0123456789'), nothing);
    await clock.advance(5);
    expect(log.entries).toEqual(['0 01234567']);
    server.resume();
    await clock.advance(0);
    expect(log.entries).toEqual(['0 01234567', '5 89']);
  });

  it('closes both ends when everything written before end() has arrived', async () => {
    const clock = new FakeClock(0);
    const { client, server } = memoryPair(clock, { latency: 10, room: 0 });
    const [clientLog, serverLog] = [new Log(clock, client), new Log(clock, server)];
    client.write(bytes('bye'), nothing);
    client.end();
    client.end();
    await clock.advance(100);
    expect(serverLog.entries).toEqual(['10 bye', '20 closed']);
    expect(clientLog.entries).toEqual(['20 closed']);
    expect(clock.armed).toBe(0);
  });

  it('loses only unflushed bytes when destroyed', async () => {
    const clock = new FakeClock(0);
    const { client, server } = memoryPair(clock, { latency: 10, room: 4 });
    const [clientLog, serverLog] = [new Log(clock, client), new Log(clock, server)];
    const back: string[] = [];
    client.write(bytes('sent'), () => back.push('sent'));
    client.write(bytes('lost'), () => back.push('lost'));
    client.destroy();
    client.destroy();
    client.write(bytes('late'), () => back.push('late'));
    expect(back).toEqual(['sent', 'lost', 'late']);
    expect(clientLog.entries).toEqual([]);
    await clock.advance(100);
    expect(clientLog.entries).toEqual(['0 closed']);
    expect(serverLog.entries).toEqual(['10 sent', '20 closed']);
  });

  it('closes both ends with an error when dropped, and returns unflushed memory', async () => {
    const clock = new FakeClock(0);
    const { client, server } = memoryPair(clock, { latency: 10, room: 0 });
    const [clientLog, serverLog] = [new Log(clock, client), new Log(clock, server)];
    const back: string[] = [];
    client.write(bytes('lost'), () => back.push('lost'));
    client.drop('reset');
    client.drop('reset');
    expect(back).toEqual(['lost']);
    await clock.advance(100);
    expect(clientLog.entries).toEqual(['0 closed: reset']);
    expect(serverLog.entries).toEqual(['0 closed: reset']);
    const late = memoryPair(clock).client;
    late.drop();
    expect(new Log(clock, late).entries).toEqual([]);
  });
});
