import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { dialTcp } from '../../lib/transport/tcp.ts';
import type { Transport } from '../../lib/transport/transport.ts';
import { endWithTest, held, startServer } from '../support/endings.ts';
import { pattern, Recorder } from '../support/receivers.ts';

endWithTest();

/** A transport that reads into `recorder`, and the socket at its other end. */
async function connected(recorder: Recorder): Promise<{ transport: Transport; peer: Socket }> {
  const { server, port } = await startServer(createServer({ pauseOnConnect: true }));
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const target = { protocol: 'mqtt', host: '127.0.0.1', port } as const;
  const transport = held(await dialTcp(target, new AbortController().signal));
  const [peer] = await accepted;
  transport.open(recorder);
  return { transport, peer };
}

describe('a paused TCP transport', () => {
  it('delivers nothing, not even the end, until it is resumed', async () => {
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

  it('can be destroyed and then delivers nothing', async () => {
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
