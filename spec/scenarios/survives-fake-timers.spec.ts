import { PassThrough } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { encode } from '../../lib/codec/codec.ts';
import { StreamTransport } from '../../lib/transport/stream.ts';
import { join } from '../support/bytes.ts';
import { settled } from '../support/fake-clock.ts';
import { collect, message, Stage, watch } from './stage.ts';

/*
 * Jest's default fake timers, which include process.nextTick, queueMicrotask and setImmediate. A test of an application
 * installs them while a client is connected, and removes them again.
 */

afterEach(() => {
  jest.useRealTimers();
});

/** Runs `body` with fake timers. */
async function withFakeTimers<T>(body: () => T | Promise<T>): Promise<T> {
  jest.useFakeTimers();
  try {
    return await body();
  } finally {
    jest.useRealTimers();
  }
}

describe('a client during and after fake timers', () => {
  it('publishes', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    broker.answer('publish');
    const outcome = await withFakeTimers(async () => {
      const during = watch(client.publish('a', 'during', { qos: 1 }));
      await stage.clock.advance(0);
      return during();
    });
    expect(outcome).toMatchObject({ value: { reasonCode: 0 } });
    await stage.until(client.publish('a', 'after', { qos: 1 }));
    expect(broker.packets.filter(({ type }) => type === 'publish')).toHaveLength(2);
    await stage.end(client, broker);
  });

  it('does not block the event loop in a loop that awaits each QoS 0 message', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    broker.answer('publish');
    const all = async (): Promise<string> => {
      for (let i = 0; i < 200; i++) await client.publish('a', 'x'.repeat(10_000));
      return 'published';
    };
    const outcome = await withFakeTimers(async () => {
      const during = watch(all());
      await stage.clock.advance(0);
      return during();
    });
    expect(outcome).toEqual({ value: 'published' });
    await stage.until(all());
    await stage.end(client, broker);
  });

  it('resumes reading after it yielded to the application', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ receiveMaximum: 2 });
    broker.answer('unsubscribe');
    const subscription = await stage.subscribe(client, broker, 'a', { qos: 1 });
    const { texts, done } = collect(subscription);
    await withFakeTimers(async () => {
      const burst = Array.from({ length: 9 }, (_, i) => encode(message('a', `${i}`, i + 1), 4));
      broker.sendBytes(join(...burst));
      await stage.clock.advance(0);
    });
    await stage.clock.advance(0);
    broker.send(message('a', 'last', 20));
    await stage.clock.advance(0);
    expect(texts).toEqual([...Array.from({ length: 9 }, (_, i) => `${i}`), 'last']);
    await stage.end(client, broker);
    await done;
  });

  it('connects and reconnects', async () => {
    const stage = new Stage();
    const client = stage.client();
    const broker = await withFakeTimers(() => stage.connect(client));
    await stage.end(client, broker);
    await stage.end(client, await stage.connect(client));
    expect(client.state).toBe('closed');
  });

  it('closes if its policy says so', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({
      reconnect: () => {
        void client.disconnect();
        return 1_000;
      },
    });
    await withFakeTimers(async () => {
      broker.reset();
      await stage.clock.advance(0);
    });
    await stage.clock.advance(0);
    expect(client.state).toBe('closed');
  });

  it('unsubscribes the filters of a subscription that could not be restored as a whole', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    await stage.subscribe(client, broker, ['a', 'b']);
    const next = await withFakeTimers(async () => {
      broker.reset();
      const restored = await stage.network.next();
      await restored.accept();
      const { packetId } = await restored.expect('subscribe');
      restored.send({ type: 'suback', packetId, reasonCodes: [0, 0x80] });
      await stage.clock.advance(0);
      return restored;
    });
    expect(await next.expect('unsubscribe')).toMatchObject({ topicFilters: ['a'] });
    await stage.end(client, next);
  });
});

describe('a transport that closes before it is opened', () => {
  it('reports that, even with fake timers', async () => {
    const stream = new PassThrough();
    const transport = new StreamTransport(stream);
    stream.destroy();
    await turn();
    let closed = 0;
    await withFakeTimers(async () => {
      transport.open({
        allocate: () => new Uint8Array(1),
        onRead() {},
        onData() {},
        onDrain() {},
        onClose: () => closed++,
      });
      await settled();
    });
    expect(closed).toBe(1);
  });
});
