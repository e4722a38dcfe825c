import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { encode } from '../../lib/codec/codec.ts';
import { transportOver } from '../../lib/transport/stream.ts';
import { ChunkTransport } from '../support/chunk-transport.ts';
import { settled } from '../support/fake-clock.ts';
import { collect, eventsOf, message, Stage } from './stage.ts';

/*
 * Transports of the application, while reading is stopped.
 */

const WINDOW = 10;
const COUNT = 500;
const OPTIONS = { receiveMaximum: WINDOW, keepAlive: 0, reconnect: false } as const;
const ALL = Array.from({ length: COUNT }, (_, n) => String(n));
const backlog = ALL.map((text, n) => message('a', text, n + 1));

/** A client over `transport` with a subscription that is not read yet. */
async function online(transport: ChunkTransport, options: object = {}) {
  const stage = new Stage();
  const client = stage.client({ ...OPTIONS, ...options, transport: async () => transport });
  client.closed.catch(() => {});
  await client.connect();
  return { client, subscription: await client.subscribe('a', { qos: 1 }), stage };
}

describe('a transport that delivers chunks after pause()', () => {
  it('is tolerated: chunks wait, and none is lost or reordered', async () => {
    const transport = new ChunkTransport(4, 'ignores');
    const { client, subscription } = await online(transport);
    for (const one of backlog) transport.send(one);
    await settled();
    expect([subscription.depth, client.stats().reading, transport.isPaused]).toEqual([
      WINDOW,
      'stopped',
      true,
    ]);
    const looping = collect(subscription);
    while (looping.texts.length < COUNT) await settled();
    expect([looping.texts, transport.isPaused]).toEqual([ALL, false]);
    await client.disconnect();
  });

  it.each([
    ['large', 1_048_576, 128],
    // Each chunk is charged with its minimum cost.
    ['tiny', 1, 32_768],
  ] as const)('is closed after 128 MiB of %s chunks', async (_, size, most) => {
    const transport = new ChunkTransport(4, 'ignores');
    const { client, stage } = await online(transport);
    transport.send(...backlog);
    await settled();
    expect(client.stats().reading).toBe('stopped');
    const chunk = encode(message('b', 'x'.repeat(size)), 4);
    for (let n = 0; n < most - 1; n++) transport.bring(chunk);
    expect(client.state).toBe('connected');
    for (let n = 0; n < 2; n++) transport.bring(chunk);
    expect([client.state, transport.isClosed]).toEqual(['closed', true]);
    await expect(client.closed).rejects.toMatchObject({
      code: 'ERR_MQTT_CONNECTION_LOST',
      message: 'the connection was lost: transport: it has brought more than 128 MiB after pause()',
    });
    expect(stage.clock.armed).toBe(0);
  });

  it('is closed then, and in a clean session a late loop gets all earlier messages', async () => {
    const transport = new ChunkTransport(4, 'ignores');
    const { client, subscription } = await online(transport);
    let sent = 0;
    for (; client.state === 'connected' && sent < 60_000; sent++)
      transport.send(message('a', String(sent), sent + 1));
    expect([client.state, sent > 32_768]).toEqual(['closed', true]);
    const looping = collect(subscription);
    await looping.done.catch(() => {});
    expect(looping.texts).toEqual(Array.from({ length: sent }, (_, n) => String(n)));
  });
});

describe('transportOver()', () => {
  /** Both ends of a connection in memory, each a Duplex that buffers what the other one has not read. */
  function duplexPair(): [Duplex, Duplex] {
    const ends: Duplex[] = [];
    const make = (other: () => Duplex): Duplex => {
      let taken = (): void => {};
      return new Duplex({
        read: () => (other() as Duplex & { taken(): void }).taken(),
        write(chunk: Uint8Array, _encoding, done) {
          if (other().push(chunk)) done();
          else taken = done;
        },
        final(done) {
          other().push(null);
          done();
        },
        construct(done) {
          Object.assign(this, {
            taken: () => {
              const then = taken;
              taken = () => {};
              then();
            },
          });
          done();
        },
      });
    };
    ends.push(
      make(() => ends[1]!),
      make(() => ends[0]!),
    );
    return [ends[0]!, ends[1]!];
  }

  /** A server at its end of the connection. */
  function serverAt(stream: Duplex): ChunkTransport {
    const server = new ChunkTransport();
    server.open({
      allocate: () => new Uint8Array(1),
      onRead: () => {},
      onData: (bytes) => void stream.write(bytes),
      onDrain: () => {},
      onClose: () => {},
    });
    stream.on('data', (bytes: Uint8Array) => server.write(bytes, () => {}));
    return server;
  }

  it('reads nothing from the stream while reading is stopped: the server has to wait, and loses nothing', async () => {
    const [ours, theirs] = duplexPair();
    const server = serverAt(theirs);
    const client = new Stage().client({ ...OPTIONS, transport: async () => transportOver(ours) });
    await client.connect();
    const subscription = await client.subscribe('a', { qos: 1 });
    const large = 'x'.repeat(10_000);
    for (const one of backlog) server.send({ ...one, payload: Buffer.from(`${one.packetId! - 1} ${large}`) });
    await settled();
    expect([subscription.depth, client.stats().reading]).toEqual([WINDOW, 'stopped']);
    const { writableLength } = theirs;
    for (let n = 0; n < 20; n++) await turn();
    expect(theirs.writableLength).toBe(writableLength);
    expect(writableLength).toBeGreaterThan(COUNT * 9_000);
    expect(ours.readableLength).toBeLessThan(200_000);
    const looping = collect(subscription);
    while (looping.texts.length < COUNT) await settled();
    expect(looping.texts.map((text) => text.split(' ')[0])).toEqual(ALL);
    const ended = once(theirs, 'end');
    const ending = client.disconnect();
    await ended;
    theirs.end();
    await ending;
  });

  it('delivers all messages before the end of a stream that ended while reading was stopped', async () => {
    const [ours, theirs] = duplexPair();
    const server = serverAt(theirs);
    const client = new Stage().client({ ...OPTIONS, transport: async () => transportOver(ours) });
    client.closed.catch(() => {});
    const overflows = eventsOf(client, 'overflow');
    await client.connect();
    const subscription = await client.subscribe('a', { qos: 1 });
    for (const one of backlog) server.send(one);
    theirs.end();
    for (let n = 0; n < 20; n++) await turn();
    expect([client.state, client.stats().reading]).toEqual(['connected', 'stopped']);
    const looping = collect(subscription);
    await looping.done.catch(() => {});
    expect([looping.texts, overflows, client.state]).toEqual([ALL, [], 'closed']);
  });
});
