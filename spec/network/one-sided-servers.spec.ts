import type { Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { Decoder, encode, type EncodablePacket, type Packet } from '../../lib/codec/codec.ts';
import type { ClientOptions, Subscription } from '../../lib/index.ts';
import { listening } from '../support/endings.ts';
import { memoryInUse } from '../support/garbage.ts';
import { webSocketServer } from '../transport/websocket-rig.ts';
import { type Actor, actor, endActors, inTime } from './actors.ts';

/*
 * Servers that flood a slow reader and then violate the protocol.
 */

endActors();

const MIB = 1_048_576;
const PATIENCE = 10_000;
/** Seconds and ms. */
const KEEP_ALIVE = 1;
const INTERVAL = 1_000 * KEEP_ALIVE;
/** Tolerance for a busy machine, in ms. */
const LEEWAY = 400;

/** Answers CONNECT and one SUBSCRIBE, sends `flood` right after SUBACK, and answers nothing else. */
function serve(version: 4 | 5, flood: Uint8Array, write: (bytes: Uint8Array) => void) {
  const received: Packet[] = [];
  const decoder = new Decoder({ protocolVersion: version, receiver: 'server' });
  const answer = (packet: EncodablePacket): void => write(encode(packet, version));
  const take = (chunk: Uint8Array): void => {
    decoder.push(new Uint8Array(chunk));
    for (let packet = decoder.next(); packet !== undefined; packet = decoder.next()) {
      received.push(packet);
      if (packet.type === 'connect') answer({ type: 'connack' });
      if (packet.type !== 'subscribe') continue;
      answer({ type: 'suback', packetId: packet.packetId, reasonCodes: [1] });
      write(flood);
    }
  };
  return { received, take };
}

/** Numbered messages of QoS 1. Packet Identifiers are reused, as a server may do after PUBACK. */
function numbered(count: number, version: 4 | 5): Uint8Array {
  return Buffer.concat(
    Array.from({ length: count }, (_, n) =>
      encode(
        {
          type: 'publish',
          topic: 'a',
          payload: Buffer.from(String(n)),
          qos: 1,
          packetId: (n % 20_000) + 1,
        },
        version,
      ),
    ),
  );
}

/** A client, its subscription, and the server side of the connection. */
interface Scene extends Actor {
  readonly subscription: Subscription;
  readonly socket: Socket;
  readonly received: readonly Packet[];
}

async function over(
  version: 4 | 5,
  flood: Uint8Array,
  options: ClientOptions = {},
  allowHalfOpen = false,
): Promise<Scene> {
  const sockets: Socket[] = [];
  const all: Packet[][] = [];
  const { port, server } = await listening((socket) => {
    sockets.push(socket);
    const { received, take } = serve(version, flood, (bytes) => void socket.write(bytes));
    all.push(received);
    socket.on('data', take);
  });
  Object.assign(server, { allowHalfOpen });
  const one = await actor(`mqtt://127.0.0.1:${port}`, {
    protocolVersion: version,
    keepAlive: KEEP_ALIVE,
    reconnect: false,
    messageRetry: 0,
    ...options,
  });
  const subscription = await one.client.subscribe('a', { qos: 1 });
  return { ...one, subscription, socket: sockets[0]!, received: all[0]! };
}

const ms = (): number => performance.now();

/** Waits until the client stops reading. */
const stopped = async ({ client }: Actor): Promise<void> => {
  const late = ms() + PATIENCE;
  while (client.stats().reading !== 'stopped') {
    if (ms() > late) throw new Error(`expected no reading, got ${JSON.stringify(client.stats())}`);
    await pause(5);
  }
};

/** Reads `subscription` until it ends. */
async function readAll(subscription: Subscription): Promise<readonly string[]> {
  const texts: string[] = [];
  try {
    for await (const message of subscription) texts.push(message.text());
  } catch {
    // Only the end matters.
  }
  return texts;
}

/** Resolves when the client has closed, with the time and the reason. */
async function end({ client }: Actor): Promise<{ readonly at: number; readonly why: string }> {
  const why = await inTime(
    client.closed.then(
      () => 'in order',
      (error: unknown) => String(error),
    ),
    PATIENCE,
    () => JSON.stringify(client.stats()),
  );
  return { at: ms(), why };
}

const texts = (count: number): string[] => Array.from({ length: count }, (_, n) => String(n));

describe('a server that floods a slow reader and answers nothing else', () => {
  it('loses nothing of 50,000 messages, costs little memory, and is left within 1.5 x Keep Alive of its last packet', async () => {
    const COUNT = 50_000;
    const floods = ([4, 5] as const).map((version) => ({ version, flood: numbered(COUNT, version) }));
    const before = await memoryInUse();
    const scenes = await Promise.all(floods.map(({ version, flood }) => over(version, flood)));
    await Promise.all(scenes.map(stopped));
    const first = await memoryInUse();
    for (let n = 0; n < 6; n++) {
      await pause(INTERVAL / 4);
      for (const { client } of scenes)
        expect([client.state, client.stats().reading]).toEqual(['connected', 'stopped']);
    }
    expect(Math.max(first, await memoryInUse()) - before).toBeLessThan(20 * MIB);
    await Promise.all(
      scenes.map(async (scene) => {
        // In 1.5 Keep Alives the client sends three PINGREQs; the last may be under way.
        expect(scene.received.filter(({ type }) => type === 'pingreq').length).toBeGreaterThanOrEqual(2);
        let [last, count] = [0, 0];
        const reading = (async () => {
          for await (const message of scene.subscription) {
            if (Number(message.text()) === count) count++;
            last = ms();
          }
        })();
        const { at, why } = await end(scene);
        await reading.catch(() => {});
        expect(why).toContain('the server did not answer PINGREQ in time');
        expect([count, scene.client.stats().overflowed]).toEqual([COUNT, 0]);
        expect(at - last).toBeGreaterThan(INTERVAL / 4);
        expect(at - last).toBeLessThan(1.5 * INTERVAL + LEEWAY);
      }),
    );
  });
});

describe('a server that ends the connection while reading is stopped', () => {
  const COUNT = 3_000;
  const small = numbered(COUNT, 4);

  /** Ends the connection of a client that has stopped reading. */
  async function expectNotice(leave: (socket: Socket) => void): Promise<void> {
    const scene = await over(4, small);
    await stopped(scene);
    const left = ms();
    leave(scene.socket);
    const { at } = await end(scene);
    expect(at - left).toBeLessThan(INTERVAL + LEEWAY);
    const seen = await readAll(scene.subscription);
    expect(seen.length).toBeGreaterThanOrEqual(1_024);
    expect(seen).toEqual(texts(seen.length));
  }

  async function expectHalfClose(): Promise<void> {
    const scene = await over(4, small, {}, true);
    await stopped(scene);
    scene.socket.end();
    await pause(1.1 * INTERVAL);
    expect([scene.client.state, scene.client.stats().reading]).toEqual(['connected', 'stopped']);
    const begun = ms();
    const reading = readAll(scene.subscription);
    const { at, why } = await end(scene);
    expect(at - begun).toBeLessThan(INTERVAL / 2 + LEEWAY);
    expect(why).toContain('the connection was lost');
    expect(await reading).toEqual(texts(COUNT));
  }

  // The cases need real time, so they run at the same time.
  it('by a reset or a close is noticed within Keep Alive, and messages received before are still delivered; by a half-close is noticed when reading resumes, and all messages before it are delivered', async () => {
    expect.assertions(10);
    await Promise.all([
      expectNotice((socket) => void socket.resetAndDestroy()),
      expectNotice((socket) => void socket.end(() => socket.destroy())),
      expectHalfClose(),
    ]);
  });
});

describe('a WebSocket that the server ends while reading is stopped', () => {
  const COUNT = 3_000;
  const flood = numbered(COUNT, 4);

  async function overWebSocket() {
    const { port, accepted } = await webSocketServer();
    const connecting = actor(`ws://127.0.0.1:${port}`, {
      keepAlive: KEEP_ALIVE,
      reconnect: false,
      messageRetry: 0,
    });
    const { ws } = await accepted();
    const { received, take } = serve(4, flood, (bytes) => {
      for (let at = 0; at < bytes.length; at += 1_000) ws.send(bytes.subarray(at, at + 1_000));
    });
    ws.on('message', (data) => take(data as Uint8Array));
    const one = await connecting;
    const subscription = await one.client.subscribe('a', { qos: 1 });
    const scene = { ...one, subscription, received, ws };
    await stopped(scene);
    return scene;
  }

  async function expectTermination(): Promise<void> {
    const scene = await overWebSocket();
    const left = ms();
    scene.ws.terminate();
    const { at } = await end(scene);
    expect(at - left).toBeLessThan(INTERVAL + LEEWAY);
    const seen = await readAll(scene.subscription);
    expect(seen).toEqual(texts(seen.length));
  }

  async function expectClose(): Promise<void> {
    const scene = await overWebSocket();
    scene.ws.close(1001);
    await pause(INTERVAL);
    expect([scene.client.state, scene.client.stats().reading]).toEqual(['connected', 'stopped']);
    const begun = ms();
    const reading = readAll(scene.subscription);
    const { at } = await end(scene);
    expect(at - begun).toBeLessThan(INTERVAL / 2 + LEEWAY);
    expect(await reading).toEqual(texts(COUNT));
  }

  it('without a close frame is noticed within Keep Alive; with a close frame is noticed when reading resumes, and all messages before it are delivered', async () => {
    expect.assertions(5);
    await Promise.all([expectTermination(), expectClose()]);
  });
});
