import { describe, expect, it, jest } from '@jest/globals';
import { ClientSubscription } from '../../../lib/client/receive/client-subscription.ts';
import { settled } from '../../support/fake-clock.ts';
import { collect, message, Stage, watch } from '../../scenarios/stage.ts';

describe('drain()', () => {
  it('waits for the message in hand and those buffered behind it, and disconnects', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const subscription = await stage.subscribe(client, broker, 'a', { qos: 1 });
    let finish = (): void => {};
    const looping = collect(subscription, () => new Promise<void>((resolve) => (finish = resolve)));
    broker.send(message('a', '1', 1), message('a', '2', 2));
    await stage.clock.advance(0);
    const draining = client.drain();
    const outcome = watch(draining);
    await settled();
    expect([looping.texts, outcome()]).toEqual([['1'], 'pending']);
    finish();
    await broker.expect('puback', { packetId: 1 });
    expect([looping.texts, outcome()]).toEqual([['1', '2'], 'pending']);
    finish();
    await broker.expect('puback', { packetId: 2 });
    await broker.expect('disconnect');
    broker.close();
    await expect(stage.until(draining)).resolves.toEqual({ undelivered: 0, unacknowledged: 0 });
    await looping.done;
    expect(client.state).toBe('closed');
  });

  it.each([0, 1] as const)(
    'in the body of a loop does not wait for the message in hand, once that is settled (QoS %d)',
    async (qos) => {
      const stage = new Stage();
      const { client, broker } = await stage.online();
      const subscription = await stage.subscribe(client, broker, 'a', { qos });
      const looping = collect(subscription, async (one) => {
        one.ack();
        await client.drain();
      });
      broker.send(message('a', '1', qos === 1 ? 1 : undefined));
      if (qos === 1) await broker.expect('puback', { packetId: 1 });
      await broker.expect('disconnect');
      broker.close();
      const before = stage.clock.now();
      await stage.until(looping.done);
      expect([looping.texts, client.state, stage.clock.now() - before]).toEqual([['1'], 'closed', 0]);
    },
  );

  it('counts the QoS 0 that comes meanwhile', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    collect(await stage.subscribe(client, broker, 'a'), () => new Promise(() => {}));
    broker.send(message('a', '1'));
    await stage.clock.advance(0);
    const draining = client.drain({ timeout: 100 });
    broker.send(message('a', '2'), message('a', '3'));
    await stage.clock.advance(50);
    expect(client.stats().discarded).toBe(2);
    await stage.clock.advance(50);
    broker.close();
    await stage.until(draining);
  });

  it('waits for handlers of forEach()', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const subscription = await stage.subscribe(client, broker, 'a', { qos: 1 });
    let finish = (): void => {};
    const running = subscription.forEach(() => new Promise<void>((resolve) => (finish = resolve)));
    broker.send(message('a', '1', 1));
    await stage.clock.advance(0);
    const outcome = watch(client.drain());
    await stage.clock.advance(1_000);
    expect(outcome()).toBe('pending');
    finish();
    await broker.expect('puback', { packetId: 1 });
    await broker.expect('disconnect');
    broker.close();
    await stage.until(running);
    await stage.clock.advance(0);
    expect(outcome()).toEqual({ value: { undelivered: 0, unacknowledged: 0 } });
  });

  it.each([0, 1] as const)(
    'in a persistent session ends as soon as the last loop is left (QoS %d)',
    async (qos) => {
      const stage = new Stage();
      const { client, broker } = await stage.online({ clientId: 'me', cleanStart: false });
      const subscription = await stage.subscribe(client, broker, 'a', { qos });
      const iterator = subscription[Symbol.asyncIterator]();
      const first = iterator.next();
      broker.send(message('a', '1', qos === 1 ? 1 : undefined));
      await stage.until(first);
      const draining = client.drain();
      const before = stage.clock.now();
      await settled();
      await iterator.return?.();
      await broker.expect('disconnect');
      broker.close();
      await expect(stage.until(draining)).resolves.toEqual({ undelivered: qos, unacknowledged: 0 });
      expect(stage.clock.now() - before).toBe(0);
    },
  );

  it('does not wait for a batch to be filled', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const subscription = await stage.subscribe(client, broker, 'a', { qos: 1 });
    const batches = subscription.batches({ max: 2, linger: 60_000 });
    const sizes: number[] = [];
    const looping = (async () => {
      for await (const batch of batches) sizes.push(batch.length);
    })();
    await settled();
    broker.send(message('a', '1', 1));
    await stage.clock.advance(0);
    const before = stage.clock.now();
    const draining = client.drain();
    await broker.expect('puback', { packetId: 1 });
    await broker.expect('disconnect');
    broker.close();
    await expect(stage.until(draining)).resolves.toEqual({ undelivered: 0, unacknowledged: 0 });
    await looping;
    expect([sizes, stage.clock.now() - before]).toEqual([[1], 0]);
  });

  it('hands out nothing that comes meanwhile: it stays with the server', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const subscription = await stage.subscribe(client, broker, 'a', { qos: 1 });
    const looping = collect(subscription);
    await settled();
    client.publish('b', 'x', { qos: 1 }).catch(() => {});
    const { packetId } = await broker.expect('publish');
    const outcome = watch(client.drain());
    broker.send(message('a', 'late', 7), message('a', 'late, too'));
    await stage.clock.advance(0);
    expect([looping.texts, outcome()]).toEqual([[], 'pending']);
    broker.send({ type: 'puback', packetId: packetId! });
    await broker.expect('disconnect');
    await stage.clock.advance(0);
    expect(outcome()).not.toBe('pending');
    expect(broker.packets.map((packet) => packet.type)).not.toContain('puback');
  });

  it('waits for what was published, until its time is over, and says what is left', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const published = [1, 2, 3].map((n) => watch(client.publish('a', n, { qos: 1 })));
    const first = await broker.expect('publish');
    broker.send({ type: 'puback', packetId: first.packetId! });
    const draining = client.drain({ timeout: 700 });
    const outcome = watch(draining);
    await stage.clock.advance(699);
    expect(outcome()).toBe('pending');
    await stage.clock.advance(1);
    broker.close();
    await expect(stage.until(draining)).resolves.toEqual({ undelivered: 0, unacknowledged: 2 });
    expect(published.map((one) => one())).toMatchObject([
      { value: { reasonCode: 0 } },
      { error: { delivery: 'unknown', kept: true } },
      { error: { delivery: 'unknown', kept: true } },
    ]);
  });

  it('does not wait for what nobody reads, but counts it', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    await stage.subscribe(client, broker, 'a');
    broker.send(message('a', '1'), message('a', '2'));
    await stage.clock.advance(0);
    const draining = client.drain();
    await broker.expect('disconnect');
    broker.close();
    await expect(stage.until(draining)).resolves.toEqual({ undelivered: 2, unacknowledged: 0 });
  });

  it('does not wait for a connection', async () => {
    const client = new Stage().client();
    const outcome = watch(client.publish('a', 'x', { qos: 1 }));
    await expect(client.drain()).resolves.toEqual({ undelivered: 0, unacknowledged: 1 });
    expect(outcome()).toMatchObject({ error: { delivery: 'not-sent', kept: true } });
    await expect(client.drain()).resolves.toMatchObject({ undelivered: 0 });
  });

  it('waits five seconds where it is not said otherwise', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    client.publish('a', 'x', { qos: 1 }).catch(() => {});
    await broker.expect('publish');
    const draining = client.drain();
    await stage.clock.advance(4_999);
    expect(client.state).toBe('connected');
    await stage.clock.advance(1);
    expect(client.state).not.toBe('connected');
    await stage.until(draining);
    await stage.clock.advance(0);
    expect(stage.clock.armed).toBe(0);
  });

  it('that is aborted does not disconnect; each caller has bounds of his own', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    client.publish('a', 'x', { qos: 1 }).catch(() => {});
    const { packetId } = await broker.expect('publish');
    const aborting = new AbortController();
    const reason = new Error('not now');
    const [leaving, staying] = [client.drain({ signal: aborting.signal }), client.drain({ timeout: 60_000 })];
    const outcome = watch(staying);
    aborting.abort(reason);
    await expect(leaving).rejects.toBe(reason);
    await settled();
    expect([outcome(), client.state]).toEqual(['pending', 'connected']);
    broker.send({ type: 'puback', packetId: packetId! });
    await broker.expect('disconnect');
    broker.close();
    await expect(stage.until(staying)).resolves.toEqual({ undelivered: 0, unacknowledged: 0 });
  });

  it('that is called off hands out what came meanwhile, in its order', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const looping = collect(await stage.subscribe(client, broker, 'a', { qos: 1 }));
    client.publish('b', 'x', { qos: 1 }).catch(() => {});
    await broker.expect('publish');
    const aborting = new AbortController();
    const draining = watch(client.drain({ signal: aborting.signal }));
    broker.send(message('a', '1', 1), { ...message('a', '2', 2), retain: true }, message('a', 'let go'));
    await stage.clock.advance(0);
    expect(looping.texts).toEqual([]);
    aborting.abort(new Error('go on'));
    broker.send(message('a', '3', 3));
    for (const packetId of [1, 2, 3]) await broker.expect('puback', { packetId });
    expect([looping.texts, draining()]).toMatchObject([['1', '2', '3'], { error: { message: 'go on' } }]);
    await stage.end(client, broker);
  });

  it('ends with the client, whoever ends that', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const subscription = await stage.subscribe(client, broker, 'a');
    const looping = collect(subscription, () => new Promise(() => {}));
    broker.send(message('a', 'never finished'));
    await stage.clock.advance(0);
    const draining = watch(client.drain({ timeout: 60_000 }));
    await stage.end(client, broker);
    await settled();
    expect([draining() === 'pending', looping.texts, stage.clock.armed]).toEqual([
      false,
      ['never finished'],
      0,
    ]);
  });

  it('checks its options', async () => {
    const client = new Stage().client();
    for (const wrong of [{ timeout: -1 }, { signal: 1 }, { patience: 5 }])
      await expect(client.drain(wrong as object)).rejects.toThrow(/expected/);
    expect(client.state).toBe('offline');
  });

  it('reports what is held, and does not wait for it', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ cleanStart: false, clientId: 'me' });
    broker.send({ type: 'publish', topic: 'nobody', payload: new Uint8Array(1), qos: 1, packetId: 1 });
    await stage.clock.advance(1);
    const report = client.drain();
    await broker.expect('disconnect');
    broker.close();
    expect(await stage.until(report)).toEqual({ undelivered: 1, unacknowledged: 0 });
  });
});

describe('drain() with many subscriptions', () => {
  it('looks at each of them a few times, however often something moves', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const count = 300;
    broker.answer('subscribe', 'unsubscribe');
    const finish: (() => void)[] = [];
    const all = Array.from({ length: count }, (_, n) =>
      collect(client.subscribe(`a/${n}`), () => new Promise<void>((resolve) => finish.push(resolve))),
    );
    await stage.clock.advance(0);
    broker.send(...all.map((_, n) => message(`a/${n}`, `${n}`)));
    await stage.clock.advance(0);
    expect(finish).toHaveLength(count);
    const looks = jest.spyOn(ClientSubscription.prototype, 'busy', 'get');
    try {
      const draining = client.drain();
      for (const done of finish) {
        done();
        await settled();
      }
      await broker.expect('disconnect');
      broker.close();
      await expect(stage.until(draining)).resolves.toEqual({ undelivered: 0, unacknowledged: 0 });
      expect(looks.mock.calls.length).toBeLessThan(20 * count);
    } finally {
      looks.mockRestore();
    }
  });

  it('waits for a loop that begins while others end', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const [first, second] = [
      await stage.subscribe(client, broker, 'a'),
      await stage.subscribe(client, broker, 'b'),
    ];
    let finish = (): void => {};
    const body = () => new Promise<void>((resolve) => (finish = resolve));
    broker.send(message('a', '1'), message('b', '2'));
    await stage.clock.advance(0);
    const one = collect(second, body);
    await settled();
    const outcome = watch(client.drain());
    const other = collect(first, body);
    const finishOne = finish;
    await settled();
    finishOne();
    await settled();
    expect([one.texts, other.texts, outcome()]).toEqual([['2'], ['1'], 'pending']);
    finish();
    await broker.expect('disconnect');
    await stage.end(client, broker);
  });
});
