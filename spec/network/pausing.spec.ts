import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import { dialTcp } from '../../lib/transport/tcp.ts';
import type { Receiver, Transport } from '../../lib/transport/transport.ts';
import { leakGuard } from '../support/leaks.ts';

const ending: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of ending.splice(0).toReversed()) await end();
});

leakGuard();

/** Bytes that differ wherever they are cut. */
const pattern = (length: number): Uint8Array => Uint8Array.from({ length }, (_, n) => (n * n) >> 3);

/** What a transport brought. */
class Recorder implements Receiver {
  readonly pieces: Uint8Array[] = [];
  onBytes: () => void = () => {};
  readonly gone: Promise<unknown>;
  closed: (error?: unknown) => void = () => {};
  #memory = new Uint8Array(0);

  constructor() {
    this.gone = new Promise((resolve) => (this.closed = resolve));
  }

  get bytes(): number {
    return this.pieces.reduce((sum, piece) => sum + piece.length, 0);
  }

  space(): Uint8Array {
    return (this.#memory = new Uint8Array(10_000));
  }

  filled(length: number): void {
    this.chunk(this.#memory.subarray(0, length));
  }

  chunk(bytes: Uint8Array): void {
    this.pieces.push(bytes);
    this.onBytes();
  }

  drained(): void {}
}

/** A transport that brings what it reads to `recorder`, and the socket at its other end. */
async function connected(recorder: Recorder): Promise<{ transport: Transport; peer: Socket }> {
  const server = createServer({ pauseOnConnect: true });
  ending.push(() => new Promise((resolve) => server.close(resolve)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const { port } = server.address() as AddressInfo;
  const target = { protocol: 'mqtt', host: '127.0.0.1', port } as const;
  const transport = await dialTcp(target, new AbortController().signal);
  const [peer] = await accepted;
  ending.push(
    () => peer.destroy(),
    () => transport.destroy(),
  );
  transport.open(recorder);
  return { transport, peer };
}

describe('a TCP transport that is paused', () => {
  it('brings nothing, not even the end, and afterwards all of it', async () => {
    const recorder = new Recorder();
    const { transport, peer } = await connected(recorder);
    const sent = pattern(400_000);
    let stoodStill = 0;
    recorder.onBytes = () => {
      transport.pause();
      transport.pause();
      const { length } = recorder.pieces;
      void (async () => {
        for (let i = 0; i < 5; i++) await turn();
        if (recorder.pieces.length === length) stoodStill++;
        transport.resume();
        transport.resume();
      })();
    };
    peer.end(sent);
    expect(await recorder.gone).toBeUndefined();
    expect(stoodStill).toBe(recorder.pieces.length);
    expect(Buffer.compare(Buffer.concat(recorder.pieces), sent)).toBe(0);
  });

  it('still sends', async () => {
    const recorder = new Recorder();
    const { transport, peer } = await connected(recorder);
    const paused = new Promise<void>((resolve) => {
      recorder.onBytes = () => {
        transport.pause();
        resolve();
      };
    });
    peer.write('x');
    await paused;
    transport.write(pattern(10), () => {});
    const arrived = once(peer, 'data') as Promise<[Uint8Array]>;
    peer.resume();
    expect(Buffer.compare((await arrived)[0], pattern(10))).toBe(0);
  });

  it('may be destroyed, and brings nothing more', async () => {
    const recorder = new Recorder();
    const { transport, peer } = await connected(recorder);
    const paused = new Promise<void>((resolve) => {
      recorder.onBytes = () => {
        transport.pause();
        resolve();
      };
    });
    peer.write(pattern(100_000));
    await paused;
    const { bytes } = recorder;
    transport.destroy();
    transport.resume();
    expect(await recorder.gone).toBeUndefined();
    expect(recorder.bytes).toBe(bytes);
  });
});
