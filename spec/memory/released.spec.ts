import { describe, expect, it } from '@jest/globals';
import { encode } from '../../lib/codec/codec.ts';
import { Framer } from '../../lib/codec/framer.ts';
import type { QoS } from '../../lib/codec/packets.ts';
import { Stage } from '../scenarios/stage.ts';
import { collectAllGarbage, countInMemory } from '../support/garbage.ts';

/*
 * The client releases memory that it no longer needs: a payload may be large, and the next message may never come.
 */

describe('the memory of a payload', () => {
  it('is freed when its promise has settled, with each QoS, small and large', async () => {
    const stage = new Stage({ room: 10_000_000 });
    const { client, broker } = await stage.online();
    broker.ackPublishes();
    const publish = async (qos: QoS, size: number): Promise<WeakRef<object>> => {
      const payload = new Uint8Array(size);
      await stage.until(client.publish('a', payload, { qos }));
      return new WeakRef(payload);
    };
    const memories: WeakRef<object>[] = [];
    for (const qos of [0, 1, 2] as const)
      for (const size of [100, 1_000_000]) memories.push(await publish(qos, size));
    expect(await countInMemory(memories)).toBe(0);
    await stage.end(client, broker);
  });

  it('is freed if the message is rejected', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ protocolVersion: 5 }, { properties: { maximumQoS: 0 } });
    const publish = async (): Promise<WeakRef<object>> => {
      const payload = new Uint8Array(1_000_000);
      const properties = { payloadFormatIndicator: 1, topicAlias: 9 } as const;
      await client.publish('a', payload, { properties }).catch(() => {});
      return new WeakRef(payload);
    };
    expect(await countInMemory([await publish()])).toBe(0);
    await stage.end(client, broker);
  });

  it('is freed if its call was aborted in the queue, even while earlier messages still wait', async () => {
    const stage = new Stage();
    const client = stage.client();
    client.publish('a', 'before').catch(() => {});
    const publish = async (): Promise<WeakRef<object>> => {
      const controller = new AbortController();
      const payload = new Uint8Array(1_000);
      const publishing = client.publish('a', payload, { qos: 1, signal: controller.signal });
      controller.abort();
      await publishing.catch(() => {});
      return new WeakRef(payload);
    };
    expect(await countInMemory([await publish()])).toBe(0);
    await stage.end(client);
  });
});

describe('the memory of properties', () => {
  it('is freed once the message is written', async () => {
    const stage = new Stage({ room: 10_000_000 });
    const { client, broker } = await stage.online({ protocolVersion: 5 });
    const publish = async (): Promise<WeakRef<object>> => {
      const correlationData = new Uint8Array(60_000);
      await stage.until(client.publish('a', 'x', { properties: { correlationData } }));
      return new WeakRef(correlationData);
    };
    expect(await countInMemory([await publish()])).toBe(0);
    await stage.end(client, broker);
  });
});

describe('the memory of very large encoded properties', () => {
  it('is freed once they are written', async () => {
    const stage = new Stage({ room: 100_000_000 });
    const { client, broker } = await stage.online({ protocolVersion: 5 });
    const inUse = async (): Promise<number> => {
      await collectAllGarbage();
      return process.memoryUsage().arrayBuffers;
    };
    broker.ackPublishes();
    await stage.until(client.publish('a', 'x', { qos: 1 }));
    const before = await inUse();
    const userProperties = Array.from({ length: 17 }, () => ['k', 'v'.repeat(60_000)] as const);
    await stage.until(client.publish('a', 'x', { qos: 1, properties: { userProperties } }));
    // The broker keeps what it has read.
    broker.packets.splice(0);
    await stage.until(client.publish('a', 'x', { qos: 1 }));
    expect((await inUse()) - before).toBeLessThan(500_000);
    await stage.end(client, broker);
  });
});

describe('the memory of a large received message', () => {
  it.each([
    ['awaited', 4],
    ['in a buffer', 4],
    ['with properties', 5],
  ] as const)('is freed once the application is done with it: %s', async (how, protocolVersion) => {
    const stage = new Stage({ room: 10_000_000 });
    const { client, broker } = await stage.online({ protocolVersion });
    const subscription = await stage.subscribe(client, broker, 'a', { qos: 1 });
    const payload = new Uint8Array(3_000_000);
    const receive = async (): Promise<WeakRef<object>> => {
      const receiving = how === 'in a buffer' ? undefined : subscription.receive();
      const properties = { ...(protocolVersion === 5 && { contentType: 'x' }) };
      broker.send({ type: 'publish', topic: 'a', payload, qos: 1, packetId: 1, properties });
      await stage.clock.advance(0);
      const message = await (receiving ?? subscription.receive());
      return new WeakRef(message.payload.buffer);
    };
    const memory = await receive();
    await broker.expect('puback');
    // The next bytes of the connection replace the last ones.
    broker.send({ type: 'pingresp' });
    await stage.clock.advance(0);
    expect(await countInMemory([memory])).toBe(0);
    await stage.end(client, broker);
  });

  it('is freed when the next one has come, if it came in chunks as over WebSocket', async () => {
    const slabs: WeakRef<object>[] = [];
    const allocate = (size: number): Uint8Array => {
      const slab = new Uint8Array(size);
      if (size > 1_000_000) slabs.push(new WeakRef(slab));
      return slab;
    };
    const framer = new Framer({ protocolVersion: 4, allocate });
    const packet = encode({ type: 'publish', topic: 'a', payload: new Uint8Array(3_000_000) }, 4);
    for (let at = 0; at < packet.length; at += 500_000) {
      framer.push(packet.subarray(at, at + 500_000));
      framer.next();
    }
    framer.push(encode({ type: 'pingresp' }, 4));
    expect([framer.next(), slabs.length > 0]).toEqual([true, true]);
    expect(await countInMemory(slabs)).toBe(0);
  });
});
