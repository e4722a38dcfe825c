import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { endWithTest } from '../support/endings.ts';
import { ChunkRecorder } from '../support/receivers.ts';
import { connected, frame, rawlyConnected } from './websocket-rig.ts';

const CONTINUATION = 0;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;

endWithTest();

const turns = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await turn();
};

describe('a connection to a server that does not read', () => {
  /** Sends `frames` until the connection ends. Returns its error. */
  async function flooded(...frames: readonly Buffer[]): Promise<unknown> {
    const { transport, peer } = await rawlyConnected();
    const recorder = new ChunkRecorder();
    transport.open(recorder);
    const block = Buffer.concat(frames);
    const flood = (): void => {
      while (peer.writable && peer.write(block));
    };
    peer.pause();
    peer.on('drain', flood);
    peer.on('error', () => {});
    flood();
    return recorder.gone;
  }

  it('is closed when 60 answers to pings are waiting', async () => {
    expect(
      await flooded(...Array.from({ length: 1_000 }, () => frame(PING, Buffer.alloc(125)))),
    ).toMatchObject({
      message: 'websocket: the connection ended without a close frame (1006)',
    });
  });

  it('is closed at the 16,385th fragment of one message', async () => {
    const first = frame(BINARY, 'x', false);
    const more = Array.from({ length: 16_384 }, () => frame(CONTINUATION, 'x', false));
    expect(await flooded(first, ...more)).toMatchObject({
      message: expect.stringContaining('Too many message fragments'),
    });
  });

  it('has these limits in every version of ws that can be installed', () => {
    const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
    // 8.22 answers pings without a limit, 8.20 takes fragments without one.
    expect(JSON.parse(manifest)).toMatchObject({ dependencies: { ws: '^8.23.0' } });
  });
});

describe('the close reason of a server', () => {
  it('contains no terminal commands and no line breaks', async () => {
    const { transport, peer } = await rawlyConnected();
    const recorder = new ChunkRecorder();
    transport.open(recorder);
    peer.end(
      frame(CLOSE, Buffer.concat([Buffer.from([1008 >> 8, 1008 & 0xff]), Buffer.from('no\n\x1b[2Jway')])),
    );
    expect(await recorder.gone).toMatchObject({
      message: 'websocket: the server closed with 1008: no??[2Jway',
    });
  });
});

describe('a WebSocket with compression', () => {
  it('sends short writes at once, also before the end', async () => {
    const { transport, ws } = await connected(
      { perMessageDeflate: true },
      { ws: { perMessageDeflate: true } },
    );
    const recorder = new ChunkRecorder();
    transport.open(recorder);
    const heard = once(ws, 'message');
    const last = Buffer.from('e00181', 'hex');
    transport.write(last, () => {});
    transport.destroy();
    expect((await heard)[0]).toEqual(last);
    await recorder.gone;
  });

  it('compresses long writes', async () => {
    const { transport, stream, ws } = await connected(
      { perMessageDeflate: true },
      { ws: { perMessageDeflate: true } },
    );
    const heard = once(ws, 'message');
    const before = stream.bytesWritten;
    transport.open(new ChunkRecorder());
    transport.write(Buffer.alloc(100_000), () => {});
    expect((await heard)[0]).toHaveLength(100_000);
    expect(stream.bytesWritten - before).toBeLessThan(1_000);
  });
});

describe('a large message on a slow link', () => {
  it.each([
    ['one frame', [Buffer.from([0x82, 126, 1, 0]), ...Array.from({ length: 8 }, () => Buffer.alloc(32, 1))]],
    ['fragments', Array.from({ length: 8 }, (_, i) => frame(i === 0 ? 2 : 0, Buffer.alloc(32, 1), i === 7))],
  ])('reports a sign of life for each part: %s', async (_, parts) => {
    const { transport, peer } = await rawlyConnected();
    const recorder = new ChunkRecorder();
    transport.open(recorder);
    for (const part of parts) {
      const known = recorder.pieces.length;
      peer.write(part);
      while (recorder.pieces.length === known) await turn();
    }
    expect(recorder.pieces.map(({ length }) => length)).toEqual([...parts.slice(1).map(() => 0), 256]);
  });

  it('is not confused with pings or complete messages', async () => {
    const { transport, peer } = await rawlyConnected();
    const recorder = new ChunkRecorder();
    transport.open(recorder);
    const answered = once(peer, 'data');
    peer.write(frame(9, 'there?'));
    await answered;
    peer.write(frame(2, 'here'));
    await recorder.until(4);
    await turns(3);
    expect(recorder.pieces).toHaveLength(1);
  });
});
