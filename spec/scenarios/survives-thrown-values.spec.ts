import { Duplex } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import { ConnectError, transportOver, type ClientOptions } from '../../lib/index.ts';
import { settled } from '../support/fake-clock.ts';
import { THROWN } from '../support/thrown.ts';
import { errorOf, message, Stage } from './stage.ts';

describe.each(Object.entries(THROWN))('%s', (_, make) => {
  const thrower = (): never => {
    throw make();
  };
  const rejecter = (): Promise<never> => Promise.reject(make());

  it('thrown by the reconnect policy: the default delay applies, and it is logged', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ reconnect: thrower });
    broker.reset();
    await stage.clock.advance(0);
    expect(client.state).toBe('waiting');
    expect(stage.log).toContainEqual(expect.stringMatching(/^error: reconnect\.policy threw/));
    const next = await stage.network.next();
    await next.accept();
    await stage.end(client, next);
  });

  it.each<[string, ClientOptions]>([
    ['credentials', { credentials: thrower }],
    ['credentials', { credentials: rejecter }],
    ['clientId', { clientId: thrower }],
    ['will', { will: rejecter }],
    ['properties', { properties: thrower, protocolVersion: 5 }],
    ['connection', { transport: thrower }],
    ['connection', { transport: rejecter }],
  ])('thrown by the function for %s: the attempt fails', async (what, options) => {
    const client = new Stage().client(options);
    expect(await errorOf(client.connect())).toMatchObject({
      code: 'ERR_MQTT_CONNECT',
      message: expect.stringContaining(`no ${what}`),
    });
    expect(client.state).toBe('offline');
  });

  it('thrown by the function for the URL: the attempt fails', async () => {
    expect(await errorOf(new Stage().client({}, rejecter).connect())).toMatchObject({
      code: 'ERR_MQTT_CONNECT',
    });
  });

  it('returned instead of a transport: the attempt fails', async () => {
    const client = new Stage().client({ transport: async () => make() as never });
    expect(await errorOf(client.connect())).toMatchObject({ code: 'ERR_MQTT_CONNECT', phase: 'dial' });
  });

  it('thrown by open() of a transport: the attempt fails', async () => {
    const transport = {
      bytesPending: 0,
      open: thrower,
      write: (piece: Uint8Array, written: (piece: Uint8Array) => void) => written(piece),
      pause() {},
      resume() {},
      end() {},
      destroy() {},
    };
    const client = new Stage().client({ transport: async () => transport });
    expect(await errorOf(client.connect())).toMatchObject({ code: 'ERR_MQTT_CONNECT' });
  });

  it('as the error of the stream of a transport: the attempt fails', async () => {
    const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
    const client = new Stage().client({ transport: async () => transportOver(stream) });
    const failed = errorOf(client.connect());
    await settled();
    stream.emit('error', make());
    expect(await failed).toMatchObject({ code: 'ERR_MQTT_CONNECT', phase: 'connack' });
  });

  it('as the error of onClose() of a transport: the client reconnects', async () => {
    const stage = new Stage();
    const client = stage.client({
      async transport(target, signal) {
        const transport = await stage.network.dial(target, signal);
        const open = transport.open.bind(transport);
        transport.open = (receiver) =>
          open({
            allocate: () => receiver.allocate(),
            onRead: (length) => receiver.onRead(length),
            onData: (chunk) => receiver.onData(chunk),
            onDrain: () => receiver.onDrain(),
            onClose: () => receiver.onClose(make()),
          });
        return transport;
      },
    });
    const broker = await stage.connect(client);
    broker.reset();
    await stage.clock.advance(0);
    expect(client.state).toBe('waiting');
    const next = await stage.network.next();
    await next.accept();
    await stage.end(client, next);
  });

  it('thrown by the logger: the client continues', async () => {
    const stage = new Stage();
    const logger = { debug: thrower, info: rejecter, warn: thrower, error: rejecter };
    const { client, broker } = await stage.online({ logger });
    expect(client.state).toBe('connected');
    await stage.end(client, broker);
  });

  it('thrown by a handler: forEach() rejects with it', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const subscription = await stage.subscribe(client, broker, 'a');
    let thrown: unknown;
    const outcome = subscription
      .forEach(() => {
        thrown = make();
        throw thrown;
      })
      .then(
        () => 'resolved',
        (error: unknown) => (Object.is(error, thrown) ? 'rejected with it' : error),
      );
    broker.answer('unsubscribe');
    broker.send(message('a', 'x', 1));
    expect(await stage.until(outcome)).toBe('rejected with it');
    await stage.end(client, broker);
  });

  it('as the reason of a signal: the call rejects with it', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const controller = new AbortController();
    const { signal } = controller;
    const reason = make();
    const calls = [
      client.publish('a', 'x', { qos: 1, signal }),
      client.subscribe('b', { signal }),
      client.reconnect({ signal }),
    ].map((call) =>
      call.then(
        () => 'resolved',
        (error: unknown) => Object.is(error, signal.reason),
      ),
    );
    controller.abort(reason);
    expect(await Promise.all(calls)).toEqual([true, true, true]);
    broker.close();
    await stage.end(client, await stage.network.next());
  });

  it('thrown by a source of publishMany() after its loop ended: it is logged', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    let fail: () => void = () => {};
    const source = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise<never>((_resolve, reject) => (fail = () => reject(make()))),
        return: rejecter,
      }),
    };
    const leaving = new AbortController();
    const loop = client.publishMany(source, { signal: leaving.signal })[Symbol.asyncIterator]();
    const next = errorOf(loop.next());
    await settled();
    leaving.abort(new Error('enough'));
    expect((await next).message).toBe('enough');
    fail();
    await settled();
    expect(stage.log).toContainEqual(expect.stringMatching(/^warn: publishMany: the source failed/));
    await stage.end(client, broker);
  });
});

describe('a ConnectError of a transport', () => {
  it.each([
    ['with a reasonCode that is not a number', { reasonCode: null }],
    ['with a phase without a text', { phase: Object.create(null) }],
    ['with a message without a text', { message: Object.create(null) }],
  ])('and %s breaks nothing', async (_, fields) => {
    const client = new Stage().client({
      transport: () => Promise.reject(Object.assign(new ConnectError('dial', 'no line'), fields)),
    });
    expect(await errorOf(client.connect())).toMatchObject({ code: 'ERR_MQTT_CONNECT' });
    expect([client.state, Object.values(client.stats().failures)]).toEqual(['offline', [1]]);
  });
});
