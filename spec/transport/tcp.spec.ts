import { getEventListeners, once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { dialTcp } from '../../lib/transport/tcp.ts';
import type { DialTarget, Transport } from '../../lib/transport/transport.ts';
import { endWithTest, held, type Listening, startServer } from '../support/endings.ts';
import { hashOf, pattern, pressUp, Recorder } from '../support/receivers.ts';
import { keepsTransportPromises, peerOf } from '../support/transport-promises.ts';

endWithTest();

/** A server on a free port that reads only when asked to. */
async function listen(): Promise<Listening & { readonly target: DialTarget }> {
  const started = await startServer(createServer({ pauseOnConnect: true, allowHalfOpen: true }));
  return { ...started, target: { protocol: 'mqtt', host: '127.0.0.1', port: started.port } };
}

/** A transport and the socket at its other end. */
async function connected(): Promise<{ transport: Transport; peer: Socket }> {
  const { server, target } = await listen();
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const transport = held(await dialTcp(target, new AbortController().signal));
  return { transport, peer: (await accepted)[0] };
}

describe('dialTcp', () => {
  it('rejects with the error of the network when nobody listens', async () => {
    const { close, target } = await listen();
    await close();
    const { signal } = new AbortController();
    await expect(dialTcp(target, signal)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  it('reports the error of every address', async () => {
    const { close, target } = await listen();
    await close();
    const dialing = dialTcp({ ...target, host: 'localhost' }, new AbortController().signal);
    await expect(dialing).rejects.toMatchObject({ message: expect.stringMatching(/ECONNREFUSED .*:\d+/) });
  });

  it('takes large writes, as the system takes of them what it has room for', async () => {
    const { transport } = await connected();
    expect(transport.largestWrite).toBe(16 * 1_048_576);
  });

  it('rejects when the name of the host does not exist', async () => {
    const target: DialTarget = { protocol: 'mqtt', host: 'no-such-host.invalid', port: 1883 };
    await expect(dialTcp(target, new AbortController().signal)).rejects.toMatchObject({
      code: expect.stringMatching(/^E/),
      syscall: 'getaddrinfo',
    });
  });

  it('rejects with the reason of a signal that is aborted already, and does not start', async () => {
    const { server, target } = await listen();
    const reason = new Error('not today');
    await expect(dialTcp(target, AbortSignal.abort(reason))).rejects.toBe(reason);
    await turn();
    expect(await connectionsOf(server)).toBe(0);
  });

  it.each(['127.0.0.1', 'localhost'])(
    'leaves nothing of an aborted attempt to connect to %s',
    async (host) => {
      const { server, sockets, target } = await listen();
      const aborting = new AbortController();
      const dialing = dialTcp({ ...target, host }, aborting.signal);
      const reason = new Error('changed my mind');
      aborting.abort(reason);
      await expect(dialing).rejects.toBe(reason);
      expect(getEventListeners(aborting.signal, 'abort')).toHaveLength(0);
      for (const socket of sockets) socket.destroy();
      await turn();
      expect(await connectionsOf(server)).toBe(0);
    },
  );

  it('is not affected by the signal once it is connected', async () => {
    const { server, target } = await listen();
    const accepted = once(server, 'connection') as Promise<[Socket]>;
    const aborting = new AbortController();
    const transport = held(await dialTcp(target, aborting.signal));
    expect(getEventListeners(aborting.signal, 'abort')).toHaveLength(0);
    aborting.abort();
    const [peer] = await accepted;
    const recorder = new Recorder();
    transport.open(recorder);
    peer.write(pattern(10));
    await recorder.until(10);
    expect(recorder.log).toEqual([]);
  });

  it('connects from localAddress', async () => {
    const { server, target } = await listen();
    const accepted = once(server, 'connection') as Promise<[Socket]>;
    held(await dialTcp({ ...target, localAddress: '127.0.0.2' }, new AbortController().signal));
    expect((await accepted)[0].remoteAddress).toBe('127.0.0.2');
  });

  it('rejects an invalid localAddress', async () => {
    const { target } = await listen();
    const dialing = dialTcp({ ...target, localAddress: 'here' }, new AbortController().signal);
    await expect(dialing).rejects.toMatchObject({ code: 'ERR_INVALID_IP_ADDRESS' });
  });
});

const connectionsOf = (server: Server): Promise<number> =>
  new Promise((resolve, reject) => {
    server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
  });

describe('TCP', () => {
  keepsTransportPromises(async () => {
    const { transport, peer } = await connected();
    return { transport, peer: peerOf(peer), recorder: new Recorder() };
  });
});

describe('reading', () => {
  it('delivers every byte in order, whatever happens to the memory afterwards', async () => {
    const { transport, peer } = await connected();
    const recorder = new Recorder();
    transport.open(recorder);
    const sent = pattern(8_000_000);
    peer.write(sent);
    await recorder.until(sent.length);
    expect(recorder.hash).toBe(hashOf([sent]));
    expect(recorder.log).toEqual([]);
  });

  it('delivers nothing after the receiver has destroyed the transport', async () => {
    const { transport, peer } = await connected();
    const recorder = new Recorder();
    let isDestroyed = false;
    recorder.onBytes = () => {
      transport.destroy();
      isDestroyed = true;
    };
    const allocate = recorder.allocate.bind(recorder);
    recorder.allocate = () => {
      if (isDestroyed) recorder.log.push('allocate');
      return allocate();
    };
    transport.open(recorder);
    peer.write(pattern(1_000_000));
    await recorder.gone;
    expect(recorder.bytes).toBeLessThanOrEqual(10_000);
    expect(recorder.log).toEqual(['closed']);
  });
});

describe('writing', () => {
  it('gives bytes back at once if the network accepts them, and does not drain', async () => {
    const { transport, peer } = await connected();
    const recorder = new Recorder();
    transport.open(recorder);
    const piece = pattern(1000);
    const back: Uint8Array[] = [];
    transport.write(piece, (bytes) => back.push(bytes));
    expect(back).toHaveLength(1);
    expect(back[0]).toBe(piece);
    expect(transport.bytesPending).toBe(0);
    const [received] = (await once(peer.resume(), 'data')) as [Uint8Array];
    expect(hashOf([received])).toBe(hashOf([piece]));
    await turn();
    expect(back).toHaveLength(1);
    expect(recorder.log).toEqual([]);
  });
});

describe('small packets', () => {
  it('do not wait for acknowledgements of previous ones', async () => {
    const { transport, peer } = await connected();
    const recorder = new Recorder();
    transport.open(recorder);
    peer.setNoDelay(true);
    let pending = 0;
    peer.on('data', (chunk: Uint8Array) => {
      pending += chunk.length;
      if (pending >= 2) peer.write(pattern(1));
      pending %= 2;
    });
    peer.resume();
    const begin = performance.now();
    for (let round = 1; round <= 100; round++) {
      // Nagle's algorithm would hold the second one back until the first is acknowledged, some 40 ms later.
      transport.write(pattern(1), () => {});
      transport.write(pattern(1), () => {});
      await recorder.until(round);
    }
    expect(performance.now() - begin).toBeLessThan(2000);
  });
});

describe('the end', () => {
  it('comes when the peer stops sending, although it would still read', async () => {
    const { transport, peer } = await connected();
    const recorder = new Recorder();
    transport.open(recorder);
    const given = pressUp(transport);
    peer.end();
    expect(await recorder.gone).toBeUndefined();
    await turn();
    expect(new Set(given.values())).toEqual(new Set([1]));
    expect(recorder.log).toEqual(['closed']);
  });

  it('comes once with the error of the network when the peer resets, and gives every slab back', async () => {
    const { transport, peer } = await connected();
    const recorder = new Recorder();
    transport.open(recorder);
    const given = pressUp(transport);
    peer.resetAndDestroy();
    expect(await recorder.gone).toMatchObject({ code: expect.stringMatching(/^(ECONNRESET|EPIPE)$/) });
    await turn();
    expect(new Set(given.values())).toEqual(new Set([1]));
    expect(recorder.log).toEqual(['closed']);
  });
});
