import { describe, expect, it } from '@jest/globals';
import { QueueFullError } from '../../lib/errors.ts';
import { bytes, collect, message, Stage, statusOf, watch } from './stage.ts';

describe('paho: Client(client_id, clean_session, userdata, protocol)', () => {
  it.each([
    [3, 'MQTT 3.1'],
    [4, 'MQTT 3.1.1'],
    [5, 'MQTT 5.0'],
  ] as const)('protocolVersion %d speaks %s', async (protocolVersion, _name) => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ protocolVersion, clientId: 'me', userData: { a: 1 } });
    expect(broker.protocolVersion).toBe(protocolVersion);
    expect(broker.packets[0]).toMatchObject({ clientId: 'me', cleanStart: true });
    expect(client.userData).toEqual({ a: 1 });
    await stage.end(client, broker);
  });

  it('a client without an identifier gets a random one, and then has a clean session', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ clientId: '' });
    expect(broker.packets[0]).toMatchObject({ clientId: client.clientId, cleanStart: true });
    expect(client.clientId).toMatch(/^[0-9A-Za-z]{23}$/);
    expect(() => stage.client({ clientId: '', cleanStart: false })).toThrow(TypeError);
    await stage.end(client, broker);
  });

  it('cleanStart: false keeps subscriptions and queued messages at the server, and the client keeps its own', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ cleanStart: false, clientId: 'me' });
    const looping = collect(await stage.subscribe(client, broker, 'a', { qos: 1 }));
    const outcome = watch(client.publish('t', 'ours', { qos: 1 }));
    const { packetId } = await broker.expect('publish');
    const next = await stage.reconnect(broker, { sessionPresent: true });
    expect(next.packets[0]).toMatchObject({ cleanStart: false });
    await next.expect('publish', { packetId: packetId!, duplicate: true });
    next.send({ type: 'puback', packetId: packetId! }, message('a', 'was queued', 1));
    await next.expect('puback', { packetId: 1 });
    expect([outcome(), looping.texts]).toMatchObject([{ value: { reasonCode: 0 } }, ['was queued']]);
    await stage.end(client, next);
  });

  it('cleanStart: "first" discards once: on 3.x by a connection of its own', async () => {
    const stage = new Stage();
    const client = stage.client({ cleanStart: 'first', clientId: 'me' });
    const connecting = client.connect();
    const wiping = await stage.network.next();
    expect(await wiping.accept()).toMatchObject({ cleanStart: true });
    await wiping.expect('disconnect');
    const broker = await stage.network.next();
    expect(await broker.accept()).toMatchObject({ cleanStart: false });
    await stage.until(connecting);
    await stage.end(client, broker);
  });
});

describe('paho: reinitialise(...)', () => {
  it('resets the client, with the arguments of the constructor', async () => {
    const stage = new Stage();
    const client = stage.client({ clientId: 'one' });
    await client.reinitialise({ clientId: 'two' });
    expect([client.clientId, client.state]).toEqual(['two', 'offline']);
  });
});

describe('paho: disable_logger(), user_data_set()', () => {
  it('are configure({ logger: null }) and configure({ userData })', async () => {
    const stage = new Stage();
    const client = stage.client<string>({ userData: 'one' });
    client.configure({ logger: null, userData: 'two' });
    expect(client.userData).toBe('two');
    await client.disconnect();
    expect(stage.log).toEqual([]);
  });
});

describe('paho: max_inflight_messages_set(20)', () => {
  it.each([
    [{}, 20],
    [{ maxInflight: 3 }, 3],
  ])('%j allows %d unacknowledged messages with QoS > 0', async (options, window) => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ ...options, messageRetry: 0 });
    const published = Array.from({ length: 50 }, (_, n) =>
      client.publish('t', n, { qos: n % 2 === 0 ? 1 : 2 }),
    );
    await stage.clock.advance(100);
    expect(broker.packets.filter((packet) => packet.type === 'publish')).toHaveLength(window);
    broker.ackPublishes();
    await stage.until(Promise.all(published));
    await stage.end(client, broker);
  });
});

describe('paho: max_queued_messages_set(0)', () => {
  it('0 is no limit; beyond a limit the promises of further messages reject', async () => {
    const stage = new Stage();
    const [unlimited, limited] = [stage.client(), stage.client({ maxQueued: 2 })];
    const many = Array.from({ length: 5_000 }, () => watch(unlimited.publish('t', 'x', { qos: 1 })));
    const few = Array.from({ length: 3 }, () => watch(limited.publish('t', 'x', { qos: 1 })));
    await stage.clock.advance(0);
    expect(many.every((outcome) => outcome() === 'pending')).toBe(true);
    expect(few.map((outcome) => outcome())).toEqual([
      'pending',
      'pending',
      { error: expect.any(QueueFullError) },
    ]);
    await Promise.all([unlimited.disconnect(), limited.disconnect()]);
  });
});

describe('paho: message_retry_set(5)', () => {
  it.each([3, 4] as const)(
    'an unanswered message is sent again with DUP 1 (version %d)',
    async (protocolVersion) => {
      const stage = new Stage();
      const { client, broker } = await stage.online({ protocolVersion, messageRetry: 5_000, keepAlive: 0 });
      const outcome = watch(client.publish('t', 'x', { qos: 1 }));
      const { packetId } = await broker.expect('publish', { duplicate: false });
      await stage.clock.advance(4_999);
      expect(broker.unread).toEqual([]);
      await stage.clock.advance(1);
      await broker.expect('publish', { duplicate: true, packetId: packetId! });
      broker.send({ type: 'puback', packetId: packetId! });
      await stage.clock.advance(60_000);
      expect([outcome(), broker.unread]).toMatchObject([{ value: { reasonCode: 0 } }, []]);
      await stage.end(client, broker);
    },
  );

  it('0 is off', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ messageRetry: 0, keepAlive: 0 });
    client.publish('t', 'x', { qos: 1 }).catch(() => {});
    await broker.expect('publish');
    await stage.clock.advance(1_000_000);
    expect(broker.unread).toEqual([]);
    await stage.end(client, broker);
  });
});

describe('paho: enable_logger(logger)', () => {
  it('logs each event with its level', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const next = await stage.reconnect(broker);
    await stage.end(client, next);
    const levels = new Set(stage.log.map((line) => line.split(':', 1)[0]));
    expect(levels).toEqual(new Set(['debug', 'info', 'warn']));
  });
});

describe('paho: username_pw_set(username, password)', () => {
  it('sends them, or the result of a function for each attempt', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ username: 'u', password: 'p' });
    expect(broker.packets[0]).toMatchObject({ username: 'u', password: bytes('p') });
    await stage.end(client, broker);
    const tokens = ['first', 'second'];
    const fresh = await stage.online({ credentials: () => ({ username: 'u', password: tokens.shift()! }) });
    expect(fresh.broker.packets[0]).toMatchObject({ password: bytes('first') });
    const next = await stage.reconnect(fresh.broker);
    expect(next.packets[0]).toMatchObject({ password: bytes('second') });
    await stage.end(fresh.client, next);
  });
});

describe('paho: will_set(topic, payload=None, qos=0, retain=False)', () => {
  it.each([
    [{ topic: 'gone' }, { payload: bytes(''), qos: 0, retain: false }],
    [{ topic: 'gone', payload: null }, { payload: bytes('') }],
    [
      { topic: 'gone', payload: 12.5, qos: 1, retain: true } as const,
      { payload: bytes('12.5'), qos: 1, retain: true },
    ],
  ])('%j is sent in CONNECT', async (will, sent) => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ will });
    expect(broker.packets[0]).toMatchObject({ will: { topic: 'gone', ...sent } });
    await stage.end(client, broker);
  });

  it('throws on a wrong QoS or an empty topic', () => {
    const stage = new Stage();
    expect(() => stage.client({ will: { topic: 'gone', qos: 3 as never } })).toThrow(TypeError);
    expect(() => stage.client({ will: { topic: '' } })).toThrow(TypeError);
  });
});

describe('paho: reconnect_delay_set(1, 120)', () => {
  it('begins at 1 s, doubles up to 120 s, and is reset by CONNACK, not by a mere connection', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const events = statusOf(client);
    broker.reset();
    for (let n = 0; n < 9; n++) {
      const next = await stage.network.next();
      await next.expect('connect');
      next.close();
    }
    const last = await stage.network.next();
    await last.accept();
    await stage.clock.advance(6_000);
    last.reset();
    await stage.clock.advance(0);
    const delays = events
      .flatMap((event) => /in (\d+)/.exec(event)?.[1] ?? [])
      .map((ms) => Number(ms) / 1_000);
    expect(delays).toEqual([1, 2, 4, 8, 16, 32, 64, 120, 120, 120, 1]);
    await client.disconnect();
  });
});

describe('paho: connect(host, port=1883, keepalive=60, bind_address="")', () => {
  it('is the URL with its defaults, overridden by the arguments of connect()', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    expect(broker.packets[0]).toMatchObject({ keepAlive: 60 });
    await stage.end(client, broker);
    const connecting = client.connect({
      host: 'other',
      port: 2_000,
      keepAlive: 20,
      localAddress: '10.0.0.1',
    });
    const next = await stage.network.next();
    expect(await next.accept()).toMatchObject({ keepAlive: 20 });
    await stage.until(connecting);
    expect(stage.targets).toEqual([
      { protocol: 'mqtt', host: 'server', port: 1_883 },
      { protocol: 'mqtt', host: 'other', port: 2_000, localAddress: '10.0.0.1' },
    ]);
    await stage.end(client, next);
  });
});

describe('paho: on_connect', () => {
  it('is the resolution of connect(), and an event for each connection', async () => {
    const stage = new Stage();
    const client = stage.client();
    const events = statusOf(client);
    const broker = await stage.connect(client);
    const next = await stage.reconnect(broker);
    expect(events.filter((event) => event === 'connected')).toHaveLength(2);
    await stage.end(client, next);
  });
});

describe('paho: loop_forever()', () => {
  it('is await client.closed', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const forever = watch(client.closed);
    const next = await stage.reconnect(broker);
    await stage.clock.advance(1_000);
    expect(forever()).toBe('pending');
    await stage.end(client, next);
    await stage.clock.advance(0);
    expect(forever()).toEqual({ value: undefined });
  });
});

describe('paho: subscribe, on_message', () => {
  it('are subscribe() and for await', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const looping = collect(await stage.subscribe(client, broker, 'a/#', { qos: 1 }));
    broker.send(message('a/b', 'hello'));
    await stage.clock.advance(0);
    expect(looping.texts).toEqual(['hello']);
    await stage.end(client, broker);
  });
});

describe('paho: publish, wait_for_publish', () => {
  it('are await publish()', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    broker.ackPublishes();
    for (const qos of [0, 1, 2] as const)
      await expect(stage.until(client.publish('t', 'x', { qos }))).resolves.toMatchObject({ reasonCode: 0 });
    await stage.end(client, broker);
  });
});

describe('paho: disconnect', () => {
  it('is a DISCONNECT, after which the server does not publish the will', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ will: { topic: 'gone' } });
    await stage.end(client, broker);
    expect(broker.packets.at(-1)).toEqual({ type: 'disconnect', reasonCode: 0, properties: {} });
    expect(client.state).toBe('closed');
  });
});
