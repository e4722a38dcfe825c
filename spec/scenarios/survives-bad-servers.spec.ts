import { describe, expect, it } from '@jest/globals';
import type { ConnectError } from '../../lib/errors.ts';
import { hex } from '../support/bytes.ts';
import { errorOf, Stage, statusOf, watch } from './stage.ts';

/** Outcome of a first attempt with a server that does this. */
async function attempt(
  stage: Stage,
  act: (broker: Awaited<ReturnType<Stage['network']['next']>>) => unknown,
  options = {},
) {
  const client = stage.client(options);
  const connecting = client.connect();
  connecting.catch(() => {});
  const broker = await stage.network.next();
  await broker.expect('connect');
  act(broker);
  const error = await errorOf<ConnectError>(stage.until(connecting));
  await stage.clock.advance(0);
  return { client, broker, error };
}

describe('instead of a CONNACK', () => {
  it.each([
    ['garbage', hex`48 54 54 50 2f 31 2e 31 20 34 30 30`],
    ['a PUBLISH', hex`30 03 00 01 61`],
    ['a CONNACK with an undefined flag', hex`20 02 02 00`],
    ['an endless length', hex`20 ff ff ff ff ff`],
    ['a CONNACK with Session Present after Clean Start', hex`20 02 01 00`],
  ])('%s rejects connect() and closes', async (_what, bytes) => {
    const stage = new Stage();
    const { client, broker, error } = await attempt(stage, (one) => one.sendBytes(bytes));
    expect([error.name, error.phase]).toEqual(['ConnectError', 'connack']);
    expect([client.state, broker.isClosed, stage.clock.armed]).toEqual(['offline', true, 0]);
  });

  it('a close rejects connect()', async () => {
    const stage = new Stage();
    for (const act of ['close', 'reset'] as const) {
      const { error, client } = await attempt(stage, (broker) => broker[act]());
      expect([error.phase, client.state]).toEqual(['connack', 'offline']);
    }
    expect(stage.clock.armed).toBe(0);
  });

  it('silence rejects connect() after connectTimeout', async () => {
    const stage = new Stage();
    const began = stage.clock.now();
    const { error, client, broker } = await attempt(stage, (one) => one.blackhole(), {
      connectTimeout: 4_000,
    });
    expect([error.phase, stage.clock.now() - began]).toEqual(['timeout', 4_000]);
    expect([client.state, broker.isClosed, stage.clock.armed]).toEqual(['offline', true, 0]);
  });

  it.each([
    [4, 1, 'Unacceptable protocol version'],
    [4, 2, 'Identifier rejected'],
    [4, 3, 'Server unavailable'],
    [4, 4, 'Bad user name or password'],
    [5, 0x88, 'Server unavailable'],
    [5, 0x87, 'Not authorized'],
  ] as const)(
    'a refusal rejects connect() with its code (version %d, code %d)',
    async (protocolVersion, reasonCode, words) => {
      const stage = new Stage();
      const refuse = (broker: { send: (packet: { type: 'connack'; reasonCode: number }) => void }) =>
        broker.send({ type: 'connack', reasonCode });
      const { error } = await attempt(stage, refuse, { protocolVersion });
      expect([error.phase, error.reasonCode]).toEqual(['connack', reasonCode]);
      expect(error.message).toContain(words);
      expect(stage.clock.armed).toBe(0);
    },
  );
});

describe('on an established connection', () => {
  it.each([
    ['an undefined packet type', hex`00 00`],
    ['a packet of wrong length', hex`40 01 00`],
    ['a second CONNACK', hex`20 02 00 00`],
    ['a packet that only a client sends', hex`82 05 00 01 00 00 00`],
    ['an unexpected acknowledgement', hex`90 03 00 07 00`],
    ['a PUBLISH with a wildcard in its topic', hex`30 03 00 01 23`],
    ['a PUBLISH with QoS 3', hex`36 05 00 01 61 00 01`],
    ['a length of five bytes', hex`30 ff ff ff ff 7f`],
  ])('%s closes it; the client reconnects, and nothing is lost', async (_what, bytes) => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ cleanStart: false, clientId: 'me' });
    const events = statusOf(client);
    const outcome = watch(client.publish('t', 'x', { qos: 1 }));
    await broker.expect('publish');
    broker.sendBytes(bytes);
    const next = await stage.network.next();
    expect(broker.isClosed).toBe(true);
    next.ackPublishes();
    await next.accept({ sessionPresent: true });
    await stage.clock.advance(0);
    expect(outcome()).toMatchObject({ value: { reasonCode: 0 } });
    expect(events[0]).toMatch(/^disconnected/);
    await stage.end(client, next);
    expect(stage.clock.armed).toBe(0);
  });

  it('a protocol error is reported to the server on 5.0', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ protocolVersion: 5, maximumPacketSize: 100 });
    broker.sendBytes(hex`30 80 01`);
    expect(await broker.expect('disconnect')).toMatchObject({ reasonCode: 0x95 });
    const next = await stage.network.next();
    await next.accept();
    await stage.clock.advance(0);
    await stage.end(client, next);
  });
});
