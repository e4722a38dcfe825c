import { once } from 'node:events';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { ProtocolError } from '../../lib/errors.ts';
import type { Flushed } from '../../lib/transport/transport.ts';
import { dialWebSocket } from '../../lib/transport/websocket.ts';
import { closing, endWithTest } from '../support/endings.ts';
import { dialContext } from '../support/dial-contexts.ts';
import { ChunkRecorder, hashOf, pattern, pressUp } from '../support/receivers.ts';
import { keepsTransportPromises, type Peer } from '../support/transport-promises.ts';
import { connected, frame, rawlyConnected, switching, unmasked } from './websocket-rig.ts';

const BINARY = 2;
const CLOSE = 8;

endWithTest();

const turns = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await turn();
};

describe.each([false, true])('a WebSocket (compressed: %s)', (perMessageDeflate) => {
  keepsTransportPromises(async () => {
    const { transport, ws, request } = await connected({ perMessageDeflate }, { ws: { perMessageDeflate } });
    const peer: Peer = {
      write: (bytes) => ws.send(bytes),
      end: () => ws.close(),
      destroy: () => ws.terminate(),
      reset: () => request.socket.resetAndDestroy(),
      pause: () => ws.pause(),
      resume: () => ws.resume(),
      hear: (listener) => ws.on('message', listener),
    };
    return { transport, peer, recorder: new ChunkRecorder() };
  });
});

describe('v5 R8, v4 R8 reading', () => {
  it.each([false, true])(
    'delivers every byte in order, in memory that nobody writes to again (compressed: %s)',
    async (perMessageDeflate) => {
      const { transport, ws } = await connected({ perMessageDeflate }, { ws: { perMessageDeflate } });
      expect(ws.extensions).toBe(perMessageDeflate ? 'permessage-deflate' : '');
      const recorder = new ChunkRecorder();
      transport.open(recorder);
      // Small messages, many per read, and large ones, several reads each.
      const sent = Array.from({ length: 600 }, (_, i) => pattern(i % 50 === 0 ? 200_000 : 100 + i, i));
      for (const bytes of sent) ws.send(bytes);
      await recorder.until(sent.reduce((sum, { length }) => sum + length, 0));
      expect(recorder.hash).toBe(hashOf(sent));
      expect(recorder.log).toEqual([]);
    },
  );

  it('keeps bytes that arrive with the response of the handshake', async () => {
    const { transport } = await rawlyConnected(Buffer.concat([frame(BINARY, 'one'), frame(BINARY, 'two')]));
    await turns(5);
    const recorder = new ChunkRecorder();
    transport.open(recorder);
    await recorder.until(6);
    expect(recorder.text).toBe('onetwo');
  });

  it('v5 MQTT-6.0.0-2, v4 MQTT-6.0.0-2 reads frames as a stream of bytes, wherever they end', async () => {
    const { transport, peer } = await rawlyConnected();
    const recorder = new ChunkRecorder();
    transport.open(recorder);
    peer.write(frame(BINARY, 'se', false));
    await turns(3);
    // A ping may come between the parts of a message, and a message may be empty.
    peer.write(Buffer.concat([frame(9, ''), frame(0, 've', false), frame(0, 'ral'), frame(BINARY, '')]));
    await turns(3);
    for (const byte of Buffer.concat([frame(BINARY, ' pieces'), frame(BINARY, ' of it')])) {
      peer.write(Buffer.from([byte]));
      await turn();
    }
    await recorder.until(20);
    expect(recorder.text).toBe('several pieces of it');
  });

  it('v5 MQTT-6.0.0-1, v4 MQTT-6.0.0-1 closes on a text frame, and ignores everything behind it', async () => {
    const { transport, peer } = await rawlyConnected();
    const said: Buffer[] = [];
    peer.on('data', (bytes: Buffer) => said.push(bytes));
    const closed = closing(peer);
    const recorder = new ChunkRecorder();
    transport.open(recorder);
    peer.write(Buffer.concat([frame(BINARY, 'good'), frame(1, 'bad'), frame(BINARY, 'late')]));
    const error = await recorder.gone;
    expect(error).toBeInstanceOf(ProtocolError);
    expect(error).toMatchObject({
      message: 'expected binary frames from the server, got a text frame [MQTT-6.0.0-1]',
      statement: 'MQTT-6.0.0-1',
      reasonCode: 0x82,
    });
    expect(recorder.text).toBe('good');
    expect(recorder.log).toEqual(['closed']);
    await closed;
    expect(unmasked(Buffer.concat(said))).toMatchObject({
      opcode: CLOSE,
      payload: Buffer.from([1003 >> 8, 1003 & 0xff]),
    });
  });

  it.each([false, true])(
    'stops while it is paused, so that the server has to wait (compressed: %s)',
    async (perMessageDeflate) => {
      const { transport, ws } = await connected({ perMessageDeflate }, { ws: { perMessageDeflate } });
      const recorder = new ChunkRecorder();
      transport.open(recorder);
      transport.pause();
      const sent = Array.from({ length: 200 }, (_, i) => pattern(65_536, i));
      for (const bytes of sent) ws.send(bytes);
      let [before, bytes] = [-1, recorder.bytes];
      for (let still = 0; still < 20; [before, bytes] = [bytes, recorder.bytes]) {
        await turns(5);
        still = before === bytes ? still + 1 : 0;
      }
      expect(recorder.bytes).toBeLessThan(1_000_000);
      expect(ws.bufferedAmount).toBeGreaterThan(1_000_000);
      transport.resume();
      await recorder.until(200 * 65_536);
      expect(recorder.hash).toBe(hashOf(sent));
    },
  );

  it('answers pings, also after a pause', async () => {
    const { transport, ws } = await connected();
    transport.open(new ChunkRecorder());
    ws.ping('a');
    expect(String((await once(ws, 'pong'))[0])).toBe('a');
    transport.pause();
    ws.ping('b');
    await turns(5);
    transport.resume();
    expect(String((await once(ws, 'pong'))[0])).toBe('b');
  });

  it('delivers nothing after the receiver has destroyed the transport', async () => {
    const { transport, peer } = await rawlyConnected();
    const recorder = new ChunkRecorder();
    recorder.onBytes = () => transport.destroy();
    transport.open(recorder);
    peer.write(Buffer.concat([frame(BINARY, 'one'), frame(BINARY, 'two'), frame(1, 'three')]));
    expect(await recorder.gone).toBeUndefined();
    expect(recorder.text).toBe('one');
    expect(recorder.log).toEqual(['closed']);
  });

  it.each([false, true])(
    'closes on a message larger than maxPayload (compressed: %s)',
    async (perMessageDeflate) => {
      const { transport, ws } = await connected(
        { perMessageDeflate },
        { ws: { maxPayload: 100, perMessageDeflate } },
      );
      const recorder = new ChunkRecorder();
      transport.open(recorder);
      ws.send(new Uint8Array(100));
      await recorder.until(100);
      ws.send(new Uint8Array(101));
      expect(await recorder.gone).toMatchObject({
        message: 'websocket: Max payload size exceeded (WS_ERR_UNSUPPORTED_MESSAGE_LENGTH)',
      });
      expect(recorder.bytes).toBe(100);
    },
  );

  it('closes on a message that inflates to more than 16 MiB, by default', async () => {
    const { transport, ws } = await connected(
      { perMessageDeflate: true },
      { ws: { perMessageDeflate: true } },
    );
    const recorder = new ChunkRecorder();
    transport.open(recorder);
    ws.send(new Uint8Array(16 * 1_048_576 + 1));
    expect(await recorder.gone).toMatchObject({
      message: 'websocket: Max payload size exceeded (WS_ERR_UNSUPPORTED_MESSAGE_LENGTH)',
    });
    expect(recorder.bytes).toBe(0);
  });
});

describe('writing', () => {
  it('v5 MQTT-6.0.0-1, v4 MQTT-6.0.0-1 sends masked binary frames', async () => {
    const { transport, peer } = await rawlyConnected();
    transport.open(new ChunkRecorder());
    const said = once(peer, 'data') as Promise<[Buffer]>;
    transport.write(Buffer.from('hello'), () => {});
    const [bytes] = await said;
    expect(bytes.subarray(0, 2)).toEqual(Buffer.from([0x80 | BINARY, 0x80 | 5]));
    expect(unmasked(bytes).payload.toString()).toBe('hello');
  });

  it('gives bytes back at once if the network accepts them, and does not drain', async () => {
    const { transport, ws } = await connected();
    const recorder = new ChunkRecorder();
    transport.open(recorder);
    const received = once(ws, 'message');
    const back: unknown[] = [];
    const piece = pattern(1000);
    transport.write(piece, (bytes, taken) => back.push(bytes === piece, taken));
    expect(back).toEqual([true, undefined]);
    expect(transport.bytesPending).toBe(0);
    expect(hashOf([(await received)[0] as Buffer])).toBe(hashOf([piece]));
    await turn();
    expect(back).toHaveLength(2);
    expect(recorder.log).toEqual([]);
  });

  it('reports whether the network accepted the bytes at once or later, and does not count answers to pings', async () => {
    const line = new Line();
    const transport = await dialWebSocket(
      { protocol: 'wss', host: 'here', port: 443 },
      dialContext(),
      line as unknown as Socket,
    );
    const recorder = new ChunkRecorder();
    const back: (Flushed | undefined)[] = [];
    const write = (): void => transport.write(pattern(10), (_, taken) => back.push(taken));
    transport.open(recorder);
    await turn();
    write();
    expect(transport.bytesPending).toBe(10);
    line.push(frame(9, 'ping'));
    line.taken();
    await turns(2);
    expect(back).toEqual(['at-once']);
    // The answer to the ping is still pending and delays the next write, but it is not counted.
    expect(line.waiting).toBe(1);
    expect(transport.bytesPending).toBe(0);
    write();
    await turns(2);
    line.taken();
    await turn();
    expect(back).toEqual(['at-once']);
    line.taken();
    await turn();
    expect(back).toEqual(['at-once', 'later']);
    expect(recorder.log).toEqual(['drained', 'drained']);
    transport.destroy();
    await recorder.gone;
  });
});

describe('the end', () => {
  it.each([1000, 1001, undefined])('comes without an error when the server closes with %s', async (code) => {
    const { transport, ws } = await connected();
    const recorder = new ChunkRecorder();
    transport.open(recorder);
    ws.send(Buffer.from('bye'));
    ws.close(code);
    expect(await recorder.gone).toBeUndefined();
    expect(recorder.text).toBe('bye');
    expect(recorder.log).toEqual(['closed']);
  });

  it('comes with the reason of the server, also with a normal code', async () => {
    const { transport, ws } = await connected();
    const recorder = new ChunkRecorder();
    transport.open(recorder);
    ws.close(1001, 'maintenance');
    expect(await recorder.gone).toMatchObject({
      message: 'websocket: the server closed with 1001: maintenance',
    });
  });

  it.each<[string, (peer: Socket) => void, string]>([
    [
      'the server gives a reason',
      (peer) =>
        peer.end(
          frame(CLOSE, Buffer.concat([Buffer.from([1008 >> 8, 1008 & 0xff]), Buffer.from('token expired')])),
        ),
      'websocket: the server closed with 1008: token expired',
    ],
    [
      'the server uses a private code',
      (peer) => peer.end(frame(CLOSE, Buffer.from([4000 >> 8, 4000 & 0xff]))),
      'websocket: the server closed with 4000',
    ],
    [
      'there is no close frame',
      (peer) => peer.end(),
      'websocket: the connection ended without a close frame (1006)',
    ],
    ['the connection is reset', (peer) => peer.resetAndDestroy(), 'read ECONNRESET'],
    [
      'a frame is invalid',
      (peer) => peer.write(frame(3, 'x')),
      'websocket: Invalid WebSocket frame: invalid opcode 3 (WS_ERR_INVALID_OPCODE)',
    ],
    [
      'a frame of the server is masked',
      (peer) => peer.write(Buffer.from([0x82, 0x81, 1, 2, 3, 4, 5])),
      'websocket: Invalid WebSocket frame: MASK must be clear (WS_ERR_UNEXPECTED_MASK)',
    ],
  ])('comes with an error when %s', async (_, act, message) => {
    const { transport, peer } = await rawlyConnected();
    const recorder = new ChunkRecorder();
    transport.open(recorder);
    act(peer);
    expect(await recorder.gone).toMatchObject({ message });
    await turns(3);
    expect(recorder.log).toEqual(['closed']);
  });

  it('comes with the converted error of the stream', async () => {
    const line = new Line();
    const transport = await dialWebSocket(
      { protocol: 'wss', host: 'here', port: 443 },
      dialContext(),
      line as unknown as Socket,
      (error) => `because of ${String(error)}`,
    );
    const recorder = new ChunkRecorder();
    transport.open(recorder);
    line.destroy(new Error('rain'));
    expect(await recorder.gone).toBe('because of Error: rain');
  });

  it.each(['resets', 'closes'])(
    'gives every slab back when the server %s while bytes are pending',
    async (way) => {
      const { transport, peer } = await rawlyConnected();
      peer.pause();
      const recorder = new ChunkRecorder();
      transport.open(recorder);
      const given = pressUp(transport);
      if (way === 'resets') peer.resetAndDestroy();
      else peer.destroy();
      expect(await recorder.gone).toBeDefined();
      await turns(3);
      expect(new Set(given.values())).toEqual(new Set([1]));
      expect(recorder.log).toEqual(['closed']);
    },
  );

  it.each([false, true])(
    'comes after end() has sent all pending bytes and the close frame (compressed: %s)',
    async (perMessageDeflate) => {
      const { transport, ws } = await connected({ perMessageDeflate }, { ws: { perMessageDeflate } });
      ws.pause();
      const received: Buffer[] = [];
      ws.on('message', (data: Buffer) => received.push(data));
      const closed = once(ws, 'close');
      const recorder = new ChunkRecorder();
      transport.open(recorder);
      const given = pressUp(transport);
      transport.end();
      transport.end();
      await turns(5);
      ws.resume();
      expect(await recorder.gone).toBeUndefined();
      expect((await closed)[0]).toBe(1000);
      expect(hashOf(received)).toBe(hashOf(given.keys()));
      expect(new Set(given.values())).toEqual(new Set([1]));
      expect(recorder.log.at(-1)).toBe('closed');
    },
  );

  it('continues to read after end() until the server closes too', async () => {
    const { transport, peer } = await rawlyConnected();
    const recorder = new ChunkRecorder();
    transport.open(recorder);
    transport.end();
    await once(peer, 'data');
    peer.end(Buffer.concat([frame(BINARY, 'last words'), frame(CLOSE, '')]));
    expect(await recorder.gone).toBeUndefined();
    expect(recorder.text).toBe('last words');
  });

  it('comes without an error after end(), also without a close frame of the server', async () => {
    const { transport, peer } = await rawlyConnected();
    const recorder = new ChunkRecorder();
    transport.open(recorder);
    peer.once('data', () => peer.end());
    transport.end();
    expect(await recorder.gone).toBeUndefined();
    expect(recorder.log).toEqual(['closed']);
  });

  it('comes with destroy() if the server does not answer the close frame', async () => {
    const { transport, peer } = await rawlyConnected();
    const recorder = new ChunkRecorder();
    transport.open(recorder);
    transport.end();
    await once(peer, 'data');
    transport.destroy();
    expect(await recorder.gone).toBeUndefined();
    expect(recorder.log).toEqual(['closed']);
  });

  it.each(['destroy', 'write'] as const)(
    'comes with %s() if the server has sent a close frame but does not close',
    async (way) => {
      const { transport, peer } = await rawlyConnected();
      const recorder = new ChunkRecorder();
      transport.open(recorder);
      const answered = once(peer, 'data');
      peer.write(frame(CLOSE, ''));
      await answered;
      const back: unknown[] = [];
      if (way === 'destroy') transport.destroy();
      else transport.write(pattern(10), (bytes) => back.push(bytes.length));
      expect(back).toEqual(way === 'write' ? [10] : []);
      expect(await recorder.gone).toBeUndefined();
      expect(recorder.log).toEqual(['closed']);
    },
  );
});

/** A stream that completes each write when the spec calls `taken()`. It answers the handshake. */
class Line extends Duplex {
  readonly #taking: (() => void)[] = [];

  /** Writes that are not complete yet. */
  get waiting(): number {
    return this.#taking.length;
  }

  taken(): void {
    this.#taking.shift()?.();
  }

  setNoDelay(): void {}

  override _read(): void {}

  override _write(chunk: Buffer, _: string, done: () => void): void {
    const head = chunk.toString('latin1');
    if (!head.startsWith('GET ')) {
      this.#taking.push(done);
      return;
    }
    this.push(switching(head));
    done();
  }
}
