import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Client, type DisconnectOptions } from '../../lib/client/client.ts';
import { connect } from '../../lib/client/connect.ts';
import { ClientLogger, type Logger } from '../../lib/client/logger.ts';
import { ClosedError, ConnectError, ConnectionLostError } from '../../lib/errors.ts';
import { collect, errorOf, message, Stage, statusOf, watch } from '../scenarios/stage.ts';
import { settled } from '../support/fake-clock.ts';
import { leakGuard } from '../support/leaks.ts';
import { scriptedServer, type ScriptedServer } from '../support/scripted-network.ts';

describe('new Client()', () => {
  it('checks everything and does nothing', () => {
    const client = new Client('mqtt://localhost');
    expect([client.state, client.negotiated, client.userData]).toEqual(['offline', undefined, undefined]);
    expect(client.clientId).toMatch(/^[0-9A-Za-z]{23}$/);
    expect(() => new Client('http://localhost')).toThrow(TypeError);
    expect(() => new Client('mqtt://localhost', { keepAlive: -1 })).toThrow(RangeError);
    expect(() => new Client('mqtt://localhost', null as never)).toThrow(TypeError);
    expect(() => new Client('mqtt://localhost', { clientID: 'x' } as never)).toThrow(/got clientID$/);
  });

  it('carries any userData', () => {
    for (const userData of [0, null, { a: 1 }, () => {}])
      expect(new Client('mqtt://localhost', { userData }).userData).toBe(userData);
  });

  it('takes user and password from the URL if the options have none', async () => {
    const stage = new Stage();
    const client = stage.client({}, 'mqtt://me:p%40ss@server:1999');
    const connecting = client.connect();
    const broker = await stage.network.next();
    const packet = await broker.accept();
    await stage.until(connecting);
    expect([packet.username, new TextDecoder().decode(packet.password)]).toEqual(['me', 'p@ss']);
    expect(stage.targets).toEqual([{ protocol: 'mqtt', host: 'server', port: 1_999 }]);
    await stage.end(client, broker);
    expect(stage.log.join()).not.toContain('p@ss');
  });

  it('adopts the identifier that the server assigns', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(
      { protocolVersion: 5, clientId: '' },
      { properties: { assignedClientIdentifier: 'assigned' } },
    );
    expect(client.clientId).toBe('assigned');
    const next = await stage.reconnect(broker);
    expect(next.packets[0]).toMatchObject({ clientId: 'assigned' });
    await stage.end(client, next);
  });
});

describe('the options of disconnect()', () => {
  it.each<[object, RegExp]>([
    [{ reasonCode: 4 }, /^disconnect: expected neither/],
    [{ properties: {} }, /^disconnect: expected neither/],
    [{ pending: 'drop' }, /^pending: /],
    [{ timeout: -1 }, /^timeout: /],
    [{ force: true }, /got force$/],
    [{ reasonCode: 1 }, /^reasonCode: /],
  ])('are checked, and nothing ends if one is wrong: %j', async (options, expected) => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    expect((await errorOf(client.disconnect(options))).message).toMatch(expected);
    expect(client.state).toBe('connected');
    await stage.end(client, broker);
  });

  it.each<[object, RegExp]>([
    [{ properties: { reasonString: 5 } }, /reasonString/],
    [{ properties: { userProperties: [['a']] } }, /userProperties/],
    [{ properties: { serverReference: 'x' } }, /got serverReference$/],
    [{ properties: { sessionExpiryInterval: 5 } }, /^properties.sessionExpiryInterval: expected 0/],
    [{ reasonCode: 0x8e }, /^reasonCode: /],
  ])('v5 MQTT-3.14.2-1, U-3.14.2-a are checked on 5.0: %j', async (options, expected) => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ protocolVersion: 5 });
    expect((await errorOf(client.disconnect(options))).message).toMatch(expected);
    expect(client.state).toBe('connected');
    await stage.end(client, broker);
    expect(client.state).toBe('closed');
  });

  it('are sent', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ protocolVersion: 5, sessionExpiryInterval: 60 });
    const options: DisconnectOptions = {
      reasonCode: 4,
      properties: { sessionExpiryInterval: 5, reasonString: 'bye', userProperties: [['k', 'v']] },
    };
    const ending = client.disconnect(options);
    const { reasonCode, properties } = await broker.expect('disconnect');
    expect({ reasonCode, properties }).toEqual(options);
    broker.close();
    await stage.until(ending);
  });

  it('bound the wait for the close', async () => {
    const stage = new Stage();
    const { client } = await stage.online();
    stage.network.connections[0]!.link.isFrozen = true;
    const outcome = watch(client.disconnect({ timeout: 300 }));
    await stage.clock.advance(299);
    expect(outcome()).toBe('pending');
    await stage.clock.advance(1);
    expect([outcome(), client.state, stage.clock.armed]).toEqual([{ value: undefined }, 'closed', 0]);
  });

  it('can end the waiting: the client ends all the same', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const controller = new AbortController();
    const ending = client.disconnect({ signal: controller.signal });
    controller.abort(new Error('enough'));
    expect((await errorOf(ending)).message).toBe('enough');
    await broker.expect('disconnect');
    broker.close();
    await stage.until(client.closed);
    expect((await errorOf(client.disconnect({ signal: controller.signal }))).message).toBe('enough');
  });

  it('are about the waiting alone: with a signal that is aborted already the client ends all the same', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const signal = AbortSignal.abort(new Error('no time'));
    expect((await errorOf(client.disconnect({ signal }))).message).toBe('no time');
    await broker.expect('disconnect');
    broker.close();
    await stage.until(client.closed);
    expect(client.state).toBe('closed');
  });

  it('that are wrong end nothing', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const signal = {} as AbortSignal;
    expect((await errorOf(client.disconnect({ signal }))).message).toMatch(
      /^signal: expected an AbortSignal/,
    );
    expect(client.state).toBe('connected');
    await stage.end(client, broker);
  });
});

describe('subscribe()', () => {
  it('can be iterated at once, before there is a connection', async () => {
    const stage = new Stage();
    const client = stage.client();
    const looping = collect(client.subscribe('a'));
    const broker = await stage.connect(client);
    const { packetId } = await broker.expect('subscribe');
    broker.send({ type: 'suback', packetId, reasonCodes: [0] }, message('a', '1'), message('a', '2'));
    await stage.clock.advance(0);
    expect(looping.texts).toEqual(['1', '2']);
    await stage.end(client, broker);
    await looping.done;
  });

  it('that fails is thrown in the loop, and is no unhandled rejection without a loop', async () => {
    const client = new Stage().client();
    void client.subscribe('a/#/b');
    await settled();
    await expect(collect(client.subscribe('a/#/b')).done).rejects.toThrow(TypeError);
  });
});

describe('a message that nobody subscribed to', () => {
  it('is acknowledged, so that it does not hold the window', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    broker.send(message('unknown', 'x', 3), message('unknown', 'y'));
    await broker.expect('puback', { packetId: 3 });
    await stage.end(client, broker);
    expect(stage.log).toContain('debug: a message without a matching subscription was discarded');
  });
});

describe('the end of a client', () => {
  it('by await using is drain()', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const publishing = client.publish('a', 'x', { qos: 1 });
    const ending = client[Symbol.asyncDispose]();
    const { packetId } = await broker.expect('publish');
    broker.send({ type: 'puback', packetId: packetId! });
    await broker.expect('disconnect');
    broker.close();
    await stage.until(ending);
    await expect(publishing).resolves.toMatchObject({ reasonCode: 0 });
    await stage.clock.advance(0);
    expect([client.state, stage.clock.armed]).toEqual(['closed', 0]);
  });

  it('by an error settles everything, with the error as the cause', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ reconnect: false });
    const events = statusOf(client);
    const subscription = await stage.subscribe(client, broker, 'a', { qos: 1 });
    const looping = collect(subscription);
    const pending = [
      client.publish('a', 'x', { qos: 1 }),
      client.subscribe('b'),
      client.unsubscribe('c'),
    ].map(watch);
    await settled();
    broker.reset();
    await stage.clock.advance(0);
    expect(pending.map((outcome) => outcome())).toMatchObject(
      pending.map(() => ({ error: { code: 'ERR_MQTT_CLOSED', cause: expect.any(ConnectionLostError) } })),
    );
    expect(pending[0]!()).toMatchObject({ error: { delivery: 'unknown', kept: true } });
    await expect(looping.done).rejects.toBeInstanceOf(ConnectionLostError);
    await expect(client.closed).rejects.toBeInstanceOf(ConnectionLostError);
    await expect(client.publish('a', 'x')).rejects.toBeInstanceOf(ClosedError);
    expect([events, client.state, stage.clock.armed]).toEqual([['closed'], 'closed', 0]);
  });
});

describe('a logger', () => {
  it('that throws takes nothing down, and hears neither payloads nor passwords', async () => {
    const stage = new Stage();
    const lines: string[] = [];
    const write = (line: string): void => {
      lines.push(line);
      throw new Error('disk full');
    };
    const logger = { debug: write, info: write, warn: write, error: write };
    const { client, broker } = await stage.online({ logger, username: 'u', password: 'hunter2' });
    await client.publish('a', 'top secret');
    const next = await stage.reconnect(broker);
    await stage.end(client, next);
    expect(lines.length).toBeGreaterThan(4);
    expect(lines.join()).not.toMatch(/hunter2|top secret/);
  });
});

describe('connect()', () => {
  let server: ScriptedServer;

  beforeEach(async () => {
    server = await scriptedServer();
  });

  afterEach(() => server.close());

  leakGuard();

  it('resolves with a client that is connected', async () => {
    const connecting = connect(server.url, { userData: 7 });
    const broker = await server.next();
    await broker.accept();
    const client = await connecting;
    expect([client.state, client.userData]).toEqual(['connected', 7]);
    const ending = client.disconnect();
    await broker.expect('disconnect');
    broker.close();
    await ending;
  });

  it('rejects with the error, and leaves nothing behind', async () => {
    const connecting = connect(server.url);
    connecting.catch(() => {});
    const broker = await server.next();
    await broker.accept({ reasonCode: 2 });
    await expect(connecting).rejects.toMatchObject({ phase: 'connack', reasonCode: 2 });
    await server.close();
    await expect(connect(server.url)).rejects.toBeInstanceOf(ConnectError);
    await expect(connect('mqtt://')).rejects.toBeInstanceOf(TypeError);
  });
});

describe('a log', () => {
  const LEVELS = ['debug', 'info', 'warn', 'error'] as const;

  function logger(write: (level: string, line: string, self: unknown) => unknown): Logger {
    const made: Record<string, unknown> = {};
    for (const level of LEVELS)
      made[level] = function (this: unknown, line: string) {
        return write(level, line, this);
      };
    return made as unknown as Logger;
  }

  it('passes every line on at its level, to a logger that may need its this', () => {
    const lines: unknown[] = [];
    const users = logger((level, line, self) => lines.push([level, line, self === users]));
    const log = new ClientLogger(users);
    for (const level of LEVELS) log[level](`said ${level}`);
    expect(lines).toEqual(LEVELS.map((level) => [level, `said ${level}`, true]));
  });

  it('says nothing without a logger', () => {
    expect(() => new ClientLogger(undefined).error('nobody')).not.toThrow();
  });

  it('survives a logger that throws, now or later', async () => {
    const throwing = new ClientLogger(
      logger(() => {
        throw new Error('disk full');
      }),
    );
    const rejecting = new ClientLogger(logger(() => Promise.reject(new Error('disk full'))));
    for (const log of [throwing, rejecting]) for (const level of LEVELS) log[level]('x');
    // An unhandled rejection would fail this spec here.
    await turn();
    expect(throwing).toBeInstanceOf(ClientLogger);
  });
});
