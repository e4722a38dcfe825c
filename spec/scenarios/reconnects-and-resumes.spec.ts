import { describe, expect, it } from '@jest/globals';
import { ConnectionLostError } from '../../lib/errors.ts';
import { collect, message, Stage, statusOf, watch } from './stage.ts';

const KEEP = { cleanStart: false, clientId: 'me', messageRetry: 0 } as const;
const found = { sessionPresent: true };

describe('if the server still has the session', () => {
  it('unacknowledged messages are sent again in order with DUP 1, and the promises settle', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(KEEP);
    const outcomes = ['1', '2', '3'].map((text, n) =>
      watch(client.publish(`t/${text}`, text, { qos: n === 1 ? 2 : 1 })),
    );
    const ids = [];
    for (let n = 0; n < 3; n++) ids.push((await broker.expect('publish', { duplicate: false })).packetId!);
    const next = await stage.reconnect(broker, found);
    expect(outcomes.map((outcome) => outcome())).toEqual(['pending', 'pending', 'pending']);
    for (let n = 0; n < 3; n++)
      await next.expect('publish', { packetId: ids[n]!, duplicate: true, topic: `t/${n + 1}` });
    next.send(
      { type: 'puback', packetId: ids[0]! },
      { type: 'pubrec', packetId: ids[1]! },
      { type: 'puback', packetId: ids[2]! },
    );
    await next.expect('pubrel', { packetId: ids[1]! });
    next.send({ type: 'pubcomp', packetId: ids[1]! });
    await stage.clock.advance(0);
    expect(outcomes.map((outcome) => outcome())).toMatchObject(
      outcomes.map(() => ({ value: { reasonCode: 0 } })),
    );
    await stage.end(client, next);
  });

  it('an unanswered PUBREL is sent again, and its PUBLISH is not', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(KEEP);
    const outcome = watch(client.publish('t', 'x', { qos: 2 }));
    const { packetId } = await broker.expect('publish');
    broker.send({ type: 'pubrec', packetId: packetId! });
    await broker.expect('pubrel');
    const next = await stage.reconnect(broker, found);
    await next.expect('pubrel', { packetId: packetId! });
    next.send({ type: 'pubcomp', packetId: packetId! });
    await stage.clock.advance(0);
    expect(outcome()).toMatchObject({ value: { reasonCode: 0 } });
    await stage.end(client, next);
    expect(next.packets.map((packet) => packet.type)).toEqual(['connect', 'pubrel', 'disconnect']);
  });

  it('subscriptions remain, and no SUBSCRIBE is sent', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(KEEP);
    const events = statusOf(client);
    const looping = collect(await stage.subscribe(client, broker, 'a', { qos: 1 }));
    const next = await stage.reconnect(broker, found);
    next.send(message('a', 'still there', 5));
    await next.expect('puback', { packetId: 5 });
    expect(looping.texts).toEqual(['still there']);
    expect(events).toEqual(['disconnected, again in 1000', 'connecting 1', 'connected']);
    await stage.end(client, next);
  });

  it('a message that comes again while it is being processed is delivered once and acknowledged on the new connection', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(KEEP);
    const subscription = await stage.subscribe(client, broker, 'a', { qos: 1 });
    let finish = (): void => {};
    const looping = collect(subscription, () => new Promise<void>((resolve) => (finish = resolve)));
    broker.send(message('a', 'slow', 5));
    await stage.clock.advance(0);
    const next = await stage.reconnect(broker, found);
    finish();
    await stage.clock.advance(0);
    expect(next.packets.map((packet) => packet.type)).toEqual(['connect']);
    next.send({ ...message('a', 'slow', 5), duplicate: true });
    await next.expect('puback', { packetId: 5 });
    expect(looping.texts).toEqual(['slow']);
    await stage.end(client, next);
  });
});

describe('if the server has lost the session', () => {
  it('unacknowledged messages are published as new, after the subscriptions are restored, and status() reports both', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(KEEP);
    const events = statusOf(client);
    await stage.subscribe(client, broker, ['a', 'b'], { qos: 1 });
    const outcome = watch(client.publish('t', 'x', { qos: 1 }));
    await broker.expect('publish', { duplicate: false });
    const next = await stage.reconnect(broker, { sessionPresent: false });
    const { packetId, subscriptions } = await next.expect('subscribe');
    expect(subscriptions).toEqual([
      { topicFilter: 'a', qos: 1 },
      { topicFilter: 'b', qos: 1 },
    ]);
    next.send({ type: 'suback', packetId, reasonCodes: [1, 1] });
    const again = await next.expect('publish', { duplicate: false });
    next.send({ type: 'puback', packetId: again.packetId! });
    await stage.clock.advance(0);
    expect(outcome()).toMatchObject({ value: { reasonCode: 0 } });
    expect(events.slice(-2)).toEqual(['connected', 'session-lost']);
    await stage.end(client, next);
  });

  it('acknowledging a message of the lost session has no effect', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(KEEP);
    const subscription = await stage.subscribe(client, broker, 'a', { qos: 1, ack: 'manual' });
    broker.send(message('a', 'old', 5));
    const old = await stage.until(subscription.receive());
    const next = await stage.reconnect(broker, { sessionPresent: false });
    next.answer('subscribe');
    next.send(message('a', 'new', 5));
    const fresh = await stage.until(subscription.receive());
    old.ack();
    await stage.clock.advance(0);
    expect(next.packets.map((packet) => packet.type)).toEqual(['connect', 'subscribe']);
    fresh.ack();
    await next.expect('puback', { packetId: 5 });
    await stage.end(client, next);
  });

  it('QoS 2 is sent again as new, or rejected on request', async () => {
    for (const onSessionLost of ['resend', 'reject'] as const) {
      const stage = new Stage();
      const { client, broker } = await stage.online({ ...KEEP, onSessionLost });
      const outcome = watch(client.publish('t', 'x', { qos: 2 }));
      const { packetId } = await broker.expect('publish');
      broker.send({ type: 'pubrec', packetId: packetId! });
      await broker.expect('pubrel');
      const next = await stage.reconnect(broker, { sessionPresent: false });
      const fate = { reject: { error: { delivery: 'unknown', kept: false } }, resend: 'pending' };
      expect([outcome()]).toMatchObject([fate[onSessionLost]]);
      if (onSessionLost === 'resend') await next.expect('publish', { duplicate: false, qos: 2 });
      await stage.end(client, next);
    }
  });
});

describe('without a connection', () => {
  it('calls wait for the next one, in order, including QoS 0', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(KEEP);
    broker.reset();
    await stage.clock.advance(0);
    const outcomes = [0, 1, 2, 0, 1].map((qos, n) =>
      watch(client.publish('t', n, { qos: qos as 0 | 1 | 2 })),
    );
    const subscribed = watch(client.subscribe('a'));
    await stage.clock.advance(500);
    expect([...outcomes, subscribed].every((outcome) => outcome() === 'pending')).toBe(true);
    const next = await stage.network.next();
    next.ackPublishes();
    next.answer('subscribe');
    await next.accept(found);
    await stage.clock.advance(0);
    const sent = next.packets.filter((packet) => packet.type === 'publish');
    expect(sent.map(({ payload }) => new TextDecoder().decode(payload))).toEqual(['0', '1', '2', '3', '4']);
    expect([...outcomes, subscribed].some((outcome) => outcome() === 'pending')).toBe(false);
    await stage.end(client, next);
  });

  it('time-outs continue to run', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(KEEP);
    broker.reset();
    await stage.clock.advance(0);
    const outcome = watch(client.publish('t', 'x', { qos: 1, timeout: 200 }));
    await stage.clock.advance(200);
    expect(outcome()).toMatchObject({
      error: { code: 'ERR_MQTT_TIMEOUT', delivery: 'not-sent', kept: false },
    });
    await client.disconnect();
    expect(stage.clock.armed).toBe(0);
  });

  it('the delays grow from minDelay to maxDelay, and start again with the next CONNACK', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ reconnect: { minDelay: 100, maxDelay: 1_000 } });
    await stage.clock.advance(6_000);
    const events = statusOf(client);
    for (let n = 0; n < 5; n++) stage.refusals.push(new Error('ECONNREFUSED'));
    const next = await stage.reconnect(broker);
    await stage.clock.advance(6_000);
    const last = await stage.reconnect(next);
    const delays = events.flatMap((event) => /in (\d+)/.exec(event)?.[1] ?? []);
    expect(delays).toEqual(['100', '200', '400', '800', '1000', '1000', '100']);
    await stage.end(client, last);
  });

  it('reconnect: false closes the client when its connection is lost', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ reconnect: false });
    broker.close();
    await stage.clock.advance(0);
    await expect(client.closed).rejects.toBeInstanceOf(ConnectionLostError);
    expect([client.state, stage.clock.armed]).toEqual(['closed', 0]);
  });
});
