import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import type { Flushed } from '../../lib/transport/transport.ts';
import { certificates } from '../support/certificates.ts';
import { endWithTest, listening } from '../support/endings.ts';
import { hashOf, pattern, Recorder } from '../support/receivers.ts';
import { keepsTransportPromises, peerOf } from '../support/transport-promises.ts';
import { connected, dial, inOrder, serverAt, type TlsServer, written } from './tls-rig.ts';
import { describeWithOpenSsl as describe } from '../support/programs.ts';

const made = certificates();

endWithTest();

/** A relay between client and server that can send bytes to the client. */
async function between(server: TlsServer): Promise<{ near: TlsServer; client: () => Socket }> {
  const relay = await listening((client) => {
    const far = connect(server.port, '127.0.0.1');
    far.on('error', () => {});
    client.pipe(far).pipe(client);
    client.on('close', () => far.destroy());
  });
  return { near: { ...server, port: relay.port }, client: () => relay.sockets.at(-1) as Socket };
}

describe.each(['TLSv1.2', 'TLSv1.3'] as const)('%s', (version) => {
  keepsTransportPromises(async () => {
    const { server, tls } = await inOrder(await made(), { minVersion: version, maxVersion: version });
    const { transport, peer, recorder } = await connected(server, tls);
    const reset = (): unknown => server.sockets.at(-1)?.resetAndDestroy();
    return { transport, peer: peerOf(peer, reset), recorder };
  });
});

describe('bytes over TLS', () => {
  it.each([1, 300, 2_000_000])('are kept if %d of them arrive before open()', async (length) => {
    const { server, tls } = await inOrder(await made());
    const sent = pattern(length);
    server.server.on('secureConnection', (peer) => peer.end(sent));
    const transport = await dial(serverAt(server.port, tls));
    for (let i = 0; i < 20; i++) await turn();
    const recorder = new Recorder();
    transport.open(recorder);
    expect(await recorder.gone).toBeUndefined();
    expect(recorder.hash).toBe(hashOf([sent]));
  });

  it('arrive in order, in the memory of the receiver, and none is lost in pauses', async () => {
    const { server, tls } = await inOrder(await made());
    const { transport, peer, recorder } = await connected(server, tls);
    transport.open(recorder);
    const sent = pattern(4_000_000);
    peer.write(sent);
    for (let seen = 0; recorder.bytes < sent.length;) {
      await recorder.until(seen + 1);
      transport.pause();
      await turn();
      await turn();
      seen = recorder.bytes;
      for (let i = 0; i < 5; i++) await turn();
      // Bytes that were decrypted before may still arrive, but no more than TCP buffers.
      expect(recorder.bytes - seen).toBeLessThan(200_000);
      seen = recorder.bytes;
      transport.resume();
    }
    expect(recorder.hash).toBe(hashOf([sent]));
    // Only the first bytes were copied.
    expect(recorder.chunks).toBe(1);
    expect(recorder.log).toEqual([]);
  });

  it('stay with the server while the transport is paused', async () => {
    const { server, tls } = await inOrder(await made());
    const { transport, peer, recorder } = await connected(server, tls);
    transport.open(recorder);
    transport.pause();
    const sent = pattern(10_000_000);
    peer.write(sent);
    for (let i = 0; i < 50; i++) await turn();
    expect(recorder.bytes).toBeLessThan(1_000_000);
    transport.resume();
    await recorder.until(sent.length);
    expect(recorder.hash).toBe(hashOf([sent]));
  });

  it('are reported as accepted at once, although TLS reports late', async () => {
    const { server, tls } = await inOrder(await made());
    const { transport, peer, recorder } = await connected(server, tls);
    transport.open(recorder);
    peer.resume();
    const taken: Flushed[] = [];
    for (let i = 0; i < 20; i++) taken.push(await written(transport, pattern(100 + i)));
    expect(new Set(taken)).toEqual(new Set(['at-once']));
    // Also if they are written within `onDrain()`.
    taken.length = 0;
    await new Promise<void>((resolve) => {
      const next = (): void => transport.write(pattern(100), (_, how) => taken.push(how ?? 'at-once'));
      recorder.onDrained = () => {
        if (taken.length >= 5) resolve();
        else next();
      };
      next();
    });
    expect(new Set(taken)).toEqual(new Set(['at-once']));
  });

  it('are pending while the server does not read, and all arrive when it does', async () => {
    const { server, tls } = await inOrder(await made());
    const { transport, peer, recorder } = await connected(server, tls);
    transport.open(recorder);
    peer.pause();
    const piece = pattern(65_536);
    const taken: Promise<Flushed>[] = [];
    for (let i = 0; i < 300; i++) taken.push(written(transport, piece));
    for (let i = 0; i < 10; i++) await turn();
    expect(transport.bytesPending).toBeGreaterThan(0);
    const drained = new Promise<void>((resolve) => (recorder.onDrained = resolve));
    let read = 0;
    peer.on('data', (bytes: Buffer) => (read += bytes.length)).resume();
    await drained;
    expect(await Promise.all(taken)).toContain('later');
    transport.end();
    await once(peer, 'end');
    expect(read).toBe(taken.length * piece.length);
    peer.end();
    expect(await recorder.gone).toBeUndefined();
    expect(recorder.log.filter((entry) => entry === 'closed')).toHaveLength(1);
  });

  it('end with the error of the network', async () => {
    const { server, tls } = await inOrder(await made());
    const { transport, recorder } = await connected(server, tls);
    transport.open(recorder);
    for (const socket of server.sockets) socket.resetAndDestroy();
    expect(await recorder.gone).toMatchObject({ code: 'ECONNRESET' });
  });

  it('end with an error if the input is not TLS', async () => {
    const { server, tls } = await inOrder(await made());
    const { near, client } = await between(server);
    const { transport, recorder } = await connected(near, tls);
    transport.open(recorder);
    client().write('this is not TLS, is it?');
    expect(await recorder.gone).toMatchObject({ name: 'ConnectError', phase: 'tls' });
  });

  it('end with the error of a connection that breaks before open()', async () => {
    const { server, tls } = await inOrder(await made());
    const { transport, recorder } = await connected(server, tls);
    for (const socket of server.sockets) socket.resetAndDestroy();
    for (let i = 0; i < 20; i++) await turn();
    transport.open(recorder);
    expect(await recorder.gone).toMatchObject({ code: 'ECONNRESET' });
  });
});
