import { Duplex } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import type { Client, ClientOptions, Transport } from '../../lib/index.ts';
import { settled } from '../support/fake-clock.ts';
import { errorOf, Stage, watch } from './stage.ts';

describe('a function that is called before CONNECT', () => {
  it.each([null, 0, '', false])('is rejected at once if it returns %j instead of a Will', async (will) => {
    const client = new Stage().client({ will: () => will as never });
    expect(await errorOf(client.connect())).toMatchObject({
      phase: 'credentials',
      message: expect.stringMatching(/^no will: will: expected an object, got /),
    });
  });

  it('has its signal aborted when another one has failed', async () => {
    let signal: AbortSignal | undefined;
    const client = new Stage().client({
      will: (context) => new Promise<never>(() => ({ signal } = context)),
      credentials: () => Promise.reject(new Error('vault is sealed')),
    });
    await errorOf(client.connect());
    expect(signal?.aborted).toBe(true);
  });

  it('is not called if the URL came too late', async () => {
    const stage = new Stage();
    let asked = 0;
    let come: (url: string) => void = () => {};
    const client = stage.client(
      { connectTimeout: 100, credentials: () => ({ username: `${++asked}` }) },
      () => new Promise<string>((resolve) => (come = resolve)),
    );
    const outcome = watch(client.connect());
    await stage.clock.advance(100);
    come('mqtt://late');
    await settled();
    expect([asked, stage.targets]).toEqual([0, []]);
    expect(outcome()).toMatchObject({ error: { phase: 'timeout' } });
  });

  it('whose URL came too late gives no credentials to the server of a Server Reference', async () => {
    const stage = new Stage();
    let come: (url: string) => void = () => {};
    const client = stage.client(
      { protocolVersion: 5, followServerReference: true, connectTimeout: 1_000, servers: ['mqtt://b'] },
      () => new Promise<string>((resolve) => (come = resolve)),
    );
    const connecting = client.connect();
    await stage.clock.advance(500);
    const b = await stage.network.next();
    come('wss://me:secret@a/x');
    await settled();
    await b.accept({ reasonCode: 0x9c, properties: { serverReference: 'c' } });
    const c = await stage.network.next();
    const { username } = await c.accept();
    await stage.until(connecting);
    expect([username, stage.targets.map(({ protocol }) => protocol)]).toEqual([undefined, ['mqtt', 'mqtt']]);
    await stage.end(client, c);
  });

  it('may throw anything', async () => {
    const bare: unknown = Object.create(null);
    const thrower = (): never => {
      throw bare;
    };
    for (const options of [{ credentials: thrower }, { transport: thrower }] as ClientOptions[])
      expect(await errorOf(new Stage().client(options).connect())).toMatchObject({
        code: 'ERR_MQTT_CONNECT',
        message: expect.stringContaining('an error without a readable message'),
      });
  });
});

describe('a transport of the application', () => {
  it.each([undefined, null, 7, {}, new Duplex()])(
    'that is no transport is rejected and breaks nothing (%#)',
    async (given) => {
      const stage = new Stage();
      const client = stage.client({ transport: async () => given as never });
      expect(await errorOf(client.connect())).toMatchObject({
        phase: 'dial',
        message: expect.stringContaining(
          'transport: expected a Transport, such as transportOver(stream) returns',
        ),
      });
      expect([client.state, stage.clock.armed]).toEqual(['offline', 0]);
      if (given instanceof Duplex) expect(given.destroyed).toBe(true);
    },
  );

  it('that cannot be opened fails its attempt, and is closed', async () => {
    const stage = new Stage();
    const did: string[] = [];
    const transport: Transport = {
      bytesPending: 0,
      open() {
        throw new Error('the line is dead');
      },
      write: (bytes, written) => written(bytes),
      pause() {},
      resume() {},
      end() {},
      destroy: () => void did.push('destroyed'),
    };
    const client = stage.client({ transport: async () => transport });
    expect(await errorOf(client.connect())).toMatchObject({
      phase: 'dial',
      message: 'no connection: the line is dead',
    });
    expect([did, client.state, stage.clock.armed]).toEqual([['destroyed'], 'offline', 0]);
  });

  it('gets local and remote address, and nothing else', async () => {
    const stage = new Stage();
    const client = stage.client({
      localAddress: '127.0.0.2',
      transport: (target, signal) => (stage.targets.push(target), stage.network.dial(target, signal)),
    });
    const broker = await stage.connect(client);
    expect(stage.targets).toEqual([
      { protocol: 'mqtt', host: 'server', port: 1_883, localAddress: '127.0.0.2' },
    ]);
    await stage.end(client, broker);
  });
});

describe('a logger that closes the client', () => {
  it('during the warning about an answer: nothing is written after DISCONNECT', async () => {
    const stage = new Stage();
    const client: Client = stage.client({
      maxInflight: 1,
      logger: { debug() {}, info() {}, error() {}, warn: () => void client.disconnect() },
    });
    const broker = await stage.connect(client);
    const answered = client.publish('a', 'x', { qos: 2 });
    const kept = errorOf(client.publish('b', 'x', { qos: 2 }));
    await broker.expect('publish', { topic: 'a', packetId: 1 });
    broker.send({ type: 'puback', packetId: 1 });
    // The logger is called after the whole answer was processed: the next message has its place in the window.
    await broker.expect('publish', { topic: 'b' });
    await broker.expect('disconnect');
    await broker.expectClose();
    expect(await answered).toMatchObject({ reasonCode: 0 });
    expect(await kept).toMatchObject({ code: 'ERR_MQTT_CLOSED', kept: true });
    await stage.end(client, broker);
  });

  it.each(['connecting (attempt 0)', 'the next server is tried'])(
    'leaves nothing behind: on %j',
    async (when) => {
      const stage = new Stage();
      stage.refusals.push(new Error('a is down'));
      const look = (line: string) => void (line.includes(when) && client.disconnect());
      const logger = { debug: look, info: look, warn: look, error: look };
      const client: Client = stage.client({ servers: ['mqtt://b'], logger }, 'mqtt://a');
      expect(await errorOf(client.connect())).toMatchObject({ code: 'ERR_MQTT_CLOSED' });
      await stage.clock.advance(0);
      expect(stage.targets.map(({ host }) => host)).not.toContain('b');
      expect([client.state, stage.clock.armed]).toEqual(['closed', 0]);
    },
  );
});
