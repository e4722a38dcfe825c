import { describe, expect, it } from '@jest/globals';
import { Status, type StatusEvent } from '../../lib/client/status.ts';
import { ConnectionLostError } from '../../lib/errors.ts';
import { Stage } from '../scenarios/stage.ts';

describe('the status', () => {
  const connecting = (attempt: number): StatusEvent => ({ type: 'connecting', attempt });
  const closed: StatusEvent = { type: 'closed' };

  async function all(events: AsyncIterable<StatusEvent>): Promise<StatusEvent[]> {
    const read: StatusEvent[] = [];
    for await (const event of events) read.push(event);
    return read;
  }

  it('gives every reader all events since it began to read, and ends after closed', async () => {
    const status = new Status();
    const early = all(status.read());
    status.report(connecting(0));
    const late = all(status.read());
    const lost = {
      type: 'disconnected',
      reason: new ConnectionLostError('lost'),
      willRetryIn: 5,
      flapping: false,
    } as const;
    status.report(lost);
    status.report(closed);
    await expect(early).resolves.toEqual([connecting(0), lost, closed]);
    await expect(late).resolves.toEqual([lost, closed]);
  });

  it('can be read later: what waits is read even after the end', async () => {
    const status = new Status();
    const reader = status.read();
    status.report(connecting(0));
    status.report(closed);
    await expect(all(reader)).resolves.toEqual([connecting(0), closed]);
  });

  it('keeps only the newest events if nobody reads', async () => {
    const status = new Status();
    const reader = status.read();
    for (let i = 0; i < 1_000; i++) status.report(connecting(i));
    status.report(closed);
    const kept = await all(reader);
    expect(kept).toHaveLength(256);
    expect([kept[0], kept.at(-1)]).toEqual([connecting(1_000 - 255), closed]);
  });

  it('stops only for the loop that breaks', async () => {
    const status = new Status();
    const staying = all(status.read());
    const read: StatusEvent[] = [];
    const leaving = (async () => {
      for await (const event of status.read()) {
        read.push(event);
        if (read.length === 2) break;
      }
    })();
    for (let i = 0; i < 3; i++) status.report(connecting(i));
    await leaving;
    status.report(connecting(3));
    status.report(closed);
    expect(read).toEqual([connecting(0), connecting(1)]);
    await expect(staying).resolves.toHaveLength(5);
  });

  it('answers calls of next() that wait in their order, and ends all of them', async () => {
    const status = new Status();
    const reader = status.read()[Symbol.asyncIterator]();
    const asked = [reader.next(), reader.next(), reader.next()];
    status.report(connecting(0));
    status.report(closed);
    await expect(Promise.all(asked)).resolves.toEqual([
      { value: connecting(0), done: false },
      { value: closed, done: false },
      { value: undefined, done: true },
    ]);
    await expect(reader.next()).resolves.toEqual({ value: undefined, done: true });
  });

  it('can be left while it is waited for: every next() that waits ends', async () => {
    const status = new Status();
    const staying = all(status.read());
    const [one, other] = [status.read()[Symbol.asyncIterator](), status.read()[Symbol.asyncIterator]()];
    const asked = [one.next(), one.next(), other.next()];
    const error = new Error('no more');
    await one.return?.();
    await expect(other.throw?.(error)).rejects.toBe(error);
    status.report(closed);
    const end = { value: undefined, done: true };
    await expect(Promise.all(asked)).resolves.toEqual([end, end, end]);
    await expect(Promise.all([one.next(), other.next()])).resolves.toEqual([end, end]);
    await expect(staying).resolves.toEqual([closed]);
  });

  it('of a client that connects again is a new one', async () => {
    const status = new Status();
    const first = all(status.read());
    status.report(closed);
    const second = all(status.read());
    status.report(connecting(0));
    status.report(closed);
    await expect(first).resolves.toEqual([closed]);
    await expect(second).resolves.toEqual([connecting(0), closed]);
  });
});

describe('stats()', () => {
  const bytes = (text: string) => new TextEncoder().encode(text);

  it('of a client that was never connected is all zero', () => {
    const { stats } = { stats: new Stage().client().stats() };
    expect(stats).toEqual({
      pending: 0,
      inFlight: 0,
      window: 0,
      queued: { messages: 0, bytes: 0 },
      stored: { messages: 0, bytes: 0, failed: 0 },
      unsettled: { messages: 0, bytes: 0 },
      skipped: 0,
      held: 0,
      discarded: 0,
      overflowed: 0,
      beyondReceiveMaximum: 0,
      reading: 'on',
      requests: { pending: 0, unexpected: 0, refused: 0, repeated: 0 },
      subscriptions: [],
      failures: {},
      bytes: { sent: 0, received: 0 },
      packets: { sent: 0, received: 0 },
      roundTrip: { count: 0, mean: 0, max: 0 },
      maxTimerLag: 0,
      lastError: undefined,
      inStateFor: 0,
    });
  });

  it('tells for how long the client has been in its present state', async () => {
    const stage = new Stage();
    const client = stage.client({ clientId: 'c' });
    const since = (): unknown[] => [client.state, client.stats().inStateFor];
    await stage.clock.advance(70);
    expect(since()).toEqual(['offline', 70]);
    const broker = await stage.connect(client);
    await stage.clock.advance(300);
    expect(since()).toEqual(['connected', 300]);
    broker.reset();
    await stage.clock.advance(200);
    expect(since()).toEqual(['waiting', 200]);
    const next = await stage.network.next();
    await stage.clock.advance(20);
    expect(since()).toEqual(['connecting', 20]);
    await next.accept();
    await stage.clock.advance(10);
    expect(since()).toEqual(['connected', 10]);
    await stage.end(client, next);
    await stage.clock.advance(40);
    expect(since()).toEqual(['closed', 40]);
  });

  it('tells the last error that ended a connection or an attempt, also after the next one has succeeded', async () => {
    const stage = new Stage();
    const refusal = new Error('out of order');
    stage.refusals.push(refusal);
    const client = stage.client({ protocolVersion: 5 });
    await client.connect().catch(() => {});
    expect(client.stats().lastError).toMatchObject({ phase: 'dial', cause: refusal });
    const broker = await stage.connect(client);
    broker.send({ type: 'disconnect', reasonCode: 0x8b });
    const next = await stage.network.next();
    await next.accept();
    await stage.clock.advance(0);
    expect([client.state, client.stats().lastError]).toMatchObject(['connected', { reasonCode: 0x8b }]);
    next.send({ type: 'disconnect', reasonCode: 0x8e });
    await stage.until(client.closed.catch(() => {}));
    expect(client.stats()).toMatchObject({ lastError: { reasonCode: 0x8e }, failures: expect.any(Object) });
    expect(client.stats().lastError).toBe(await client.closed.catch((error: unknown) => error));
  });

  it('counts bytes and packets both ways, as the wire does', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ clientId: 'c' });
    // CONNECT of 15 bytes, CONNACK of 4.
    expect(client.stats()).toMatchObject({
      bytes: { sent: 15, received: 4 },
      packets: { sent: 1, received: 1 },
    });
    await client.publish('a/b', 'hi');
    broker.answerAll();
    await stage.until(client.publish('a/b', 'hi', { qos: 2 }));
    // PUBLISH 9 and 11, PUBREL 4; PUBREC and PUBCOMP 4 each.
    expect(client.stats()).toMatchObject({
      bytes: { sent: 15 + 9 + 11 + 4, received: 4 + 4 + 4 },
      packets: { sent: 4, received: 3 },
    });
    await stage.end(client, broker);
  });

  it('tells how long acknowledgements take', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    for (const ms of [10, 30]) {
      const publishing = client.publish('a', 'x', { qos: 1 });
      const { packetId = 0 } = await broker.expect('publish');
      await stage.clock.advance(ms);
      broker.send({ type: 'puback', packetId });
      await stage.until(publishing);
    }
    expect(client.stats().roundTrip).toEqual({ count: 2, mean: 20, max: 30 });
    await stage.end(client, broker);
  });

  it('counts messages in subscriptions, dropped ones and held ones', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ cleanStart: false, clientId: 'c' });
    const subscription = await stage.subscribe(client, broker, 'a', { qos: 1, buffer: { messages: 2 } });
    const send = (topic: string, packetId?: number): void =>
      broker.send({
        type: 'publish',
        topic,
        payload: bytes('x'),
        ...(packetId === undefined ? {} : { qos: 1, packetId }),
      });
    for (let i = 0; i < 3; i++) send('a');
    send('a', 1);
    send('b', 2);
    send('b');
    await stage.clock.advance(1);
    expect(client.stats()).toMatchObject({
      unsettled: { messages: 2, bytes: 4 },
      held: 1,
      discarded: 1,
      subscriptions: [{ topicFilters: ['a'], depth: 3, dropped: 1 }],
    });
    expect(subscription.depth).toBe(3);
    await stage.end(client, broker);
  });

  it('counts failures by their cause', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    stage.refusals.push(new Error('no route'));
    const next = await stage.reconnect(broker);
    expect(client.stats().failures).toEqual({ ERR_MQTT_CONNECTION_LOST: 1, 'ERR_MQTT_CONNECT dial': 1 });
    await stage.end(client, next);
  });
});
