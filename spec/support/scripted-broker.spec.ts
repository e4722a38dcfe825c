import { afterEach, describe, expect, it } from '@jest/globals';
import { Decoder, encode } from '../../lib/codec/codec.ts';
import type { EncodablePacket, Packet, ProtocolVersion } from '../../lib/codec/packets.ts';
import { dialTcp } from '../../lib/transport/tcp.ts';
import type { Dial, Transport } from '../../lib/transport/transport.ts';
import { FakeClock } from './fake-clock.ts';
import { leakGuard } from './leaks.ts';
import { utf8 } from './packets.ts';
import { type ScriptedNetwork, scriptedNetwork, scriptedServer } from './scripted-network.ts';

const cleanUp: (() => Promise<void> | void)[] = [];
const clocks: FakeClock[] = [];
afterEach(async () => {
  for (const clean of cleanUp.splice(0).toReversed()) await clean();
});
leakGuard(() => clocks.splice(0));

/** A minimal client that records what it receives. */
class Peer {
  readonly heard: (Packet | 'closed')[] = [];
  readonly #decoder: Decoder;
  readonly #version: ProtocolVersion;
  transport!: Transport;

  constructor(version: ProtocolVersion = 4) {
    this.#version = version;
    this.#decoder = new Decoder({ protocolVersion: version });
  }

  async dial(dial: Dial, port = 1883): Promise<this> {
    this.transport = await dial({ protocol: 'mqtt', host: '127.0.0.1', port }, new AbortController().signal);
    const memory = new Uint8Array(1000);
    this.transport.open({
      allocate: () => memory,
      onRead: (length) => this.#hear(memory.slice(0, length)),
      onData: (bytes) => this.#hear(bytes),
      onDrain: () => {},
      onClose: () => this.heard.push('closed'),
    });
    return this;
  }

  say(...packets: EncodablePacket[]): void {
    for (const packet of packets) this.transport.write(encode(packet, this.#version), () => {});
  }

  #hear(bytes: Uint8Array): void {
    this.#decoder.push(bytes);
    for (let packet = this.#decoder.next(); packet !== undefined; packet = this.#decoder.next())
      this.heard.push(packet);
  }
}

const CONNECT: EncodablePacket = { type: 'connect', clientId: 'c', cleanStart: true, keepAlive: 60 };
const PUBLISH: EncodablePacket = { type: 'publish', topic: 'a', payload: utf8('m') };

/** A peer and the broker at the other end of a connection in memory, after CONNECT and CONNACK. */
async function met(
  version: ProtocolVersion = 4,
): Promise<{ peer: Peer; clock: FakeClock; network: ScriptedNetwork }> {
  const clock = new FakeClock();
  clocks.push(clock);
  const network = scriptedNetwork(clock, { latency: 5 });
  const peer = new Peer(version);
  void peer.dial(network.dial);
  const broker = await network.next();
  await clock.advance(0);
  peer.say(CONNECT);
  expect(await broker.accept({ sessionPresent: true })).toMatchObject({ clientId: 'c' });
  await clock.run(() => peer.heard.length === 1);
  expect(peer.heard.splice(0)).toMatchObject([{ type: 'connack', sessionPresent: true, reasonCode: 0 }]);
  return { peer, clock, network };
}

describe('ScriptedBroker in memory', () => {
  it('expects packets in order, and advances the time to wait for them', async () => {
    const { peer, clock, network } = await met();
    const { broker } = network.connections[0]!;
    peer.say(PUBLISH, { type: 'pingreq' });
    const before = clock.now();
    expect(await broker.expect('publish', { topic: 'a', qos: 0 })).toMatchObject({ payload: utf8('m') });
    await broker.expect('pingreq');
    expect(clock.now()).toBe(before + 5);
    expect(broker.packets.map(({ type }) => type)).toEqual(['connect', 'publish', 'pingreq']);
  });

  it('rejects unexpected packets and fields', async () => {
    const { peer, network } = await met();
    const { broker } = network.connections[0]!;
    peer.say({ type: 'pingreq' }, PUBLISH);
    await expect(broker.expect('publish')).rejects.toThrow('toMatchObject');
    await expect(broker.expect('publish', { topic: 'b' })).rejects.toThrow('toMatchObject');
  });

  it('throws when nothing more can arrive', async () => {
    const { peer, clock, network } = await met();
    const { broker } = network.connections[0]!;
    await expect(broker.expect('publish')).rejects.toThrow('no wake is pending');
    peer.transport.destroy();
    await expect(broker.expect('publish')).rejects.toThrow('expected publish, got the end of the connection');
    await clock.advance(100);
  });

  it.each([4, 5] as const)('answers selected packets automatically, on version %d', async (version) => {
    const { peer, clock, network } = await met(version);
    const { broker } = network.connections[0]!;
    peer.say({ ...PUBLISH, qos: 1, packetId: 1 });
    await clock.advance(5);
    broker.answerAll();
    peer.say(
      { ...PUBLISH, qos: 2, packetId: 2 },
      PUBLISH,
      { type: 'pubrel', packetId: 2 },
      { type: 'pingreq' },
    );
    peer.say({ type: 'subscribe', packetId: 3, subscriptions: [{ topicFilter: 'a', qos: 2 }] });
    peer.say({ type: 'unsubscribe', packetId: 4, topicFilters: ['a', 'b'] });
    await clock.run(() => peer.heard.length === 6);
    expect(peer.heard).toMatchObject([
      { type: 'puback', packetId: 1 },
      { type: 'pubrec', packetId: 2 },
      { type: 'pubcomp', packetId: 2 },
      { type: 'pingresp' },
      { type: 'suback', packetId: 3, reasonCodes: [2] },
      { type: 'unsuback', packetId: 4, reasonCodes: version === 5 ? [0, 0] : [] },
    ]);
    expect(broker.unread).toEqual([]);
  });

  it('does not answer other packets', async () => {
    const { peer, clock, network } = await met();
    const { broker } = network.connections[0]!;
    broker.ackPublishes();
    peer.say({ ...PUBLISH, qos: 1, packetId: 1 }, { type: 'pingreq' });
    await clock.run(() => peer.heard.length === 1);
    expect(broker.unread).toEqual([{ type: 'pingreq' }]);
    await broker.expect('pingreq');
    expect(peer.heard).toMatchObject([{ type: 'puback', packetId: 1 }]);
  });

  it('discards everything as a black hole', async () => {
    const { peer, clock, network } = await met();
    const { broker } = network.connections[0]!;
    broker.answerAll();
    broker.blackhole();
    peer.say({ type: 'pingreq' });
    await clock.advance(60_000);
    expect(peer.heard).toEqual([]);
    expect(broker.packets).toHaveLength(1);
    expect(broker.isClosed).toBe(false);
  });

  it('rejects bytes that are not a packet', async () => {
    const { peer, network } = await met();
    const { broker } = network.connections[0]!;
    peer.transport.write(Uint8Array.of(0xc1, 0), () => {});
    await expect(broker.expect('pingreq')).rejects.toMatchObject({ name: 'ProtocolError' });
  });

  it('sends any bytes, closes and resets', async () => {
    const { peer, clock, network } = await met();
    const { broker } = network.connections[0]!;
    broker.sendBytes(Uint8Array.of(0xd0));
    broker.sendBytes(Uint8Array.of(0));
    broker.close();
    await clock.run(() => peer.heard.length === 2);
    expect(peer.heard).toEqual([{ type: 'pingresp' }, 'closed']);
    const other = new Peer();
    void other.dial(network.dial);
    const second = await network.next();
    await clock.advance(0);
    second.reset();
    expect(other.heard).toEqual(['closed']);
    expect(network.connections).toHaveLength(2);
  });

  it('detects the close of the client, and unexpected packets before it', async () => {
    const { peer, network } = await met();
    const { broker } = network.connections[0]!;
    peer.say({ type: 'disconnect' });
    peer.transport.end();
    await expect(broker.expectClose()).rejects.toThrow('toEqual');
    await broker.expect('disconnect');
    await broker.expectClose();
    expect(broker.isClosed).toBe(true);
  });
});

describe('ScriptedBroker over TCP', () => {
  it('serves real connections, whether they are opened before or after the wait for them', async () => {
    const server = await scriptedServer();
    cleanUp.push(() => server.close());
    expect(server.url).toBe(`mqtt://127.0.0.1:${server.port}`);
    const waited = server.next();
    for (const broker of [waited, undefined]) {
      const peer = await new Peer(5).dial(dialTcp, server.port);
      cleanUp.push(() => peer.transport.destroy());
      const end = await (broker ?? server.next());
      const accepting = end.accept();
      peer.say(CONNECT);
      await accepting;
      end.answerAll();
      peer.say({ type: 'pingreq' });
      peer.say({ type: 'disconnect', reasonCode: 4 });
      await end.expect('disconnect', { reasonCode: 4 });
      peer.transport.end();
      await end.expectClose();
      expect(end.protocolVersion).toBe(5);
    }
  });

  it('resets', async () => {
    const server = await scriptedServer();
    cleanUp.push(() => server.close());
    const peer = await new Peer().dial(dialTcp, server.port);
    const broker = await server.next();
    broker.reset();
    await broker.expectClose();
    while (peer.heard.length === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(peer.heard).toEqual(['closed']);
  });
});
