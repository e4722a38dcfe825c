import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { afterEach, expect, it } from '@jest/globals';
import { Decoder, encode } from '../../lib/codec/codec.ts';
import type { EncodablePacket, Packet, ProtocolVersion } from '../../lib/codec/packets.ts';
import { leakGuard } from './leaks.ts';
import { type Mosquitto, type MosquittoOptions, startMosquitto } from './mosquitto.ts';
import { freePort } from './ports.ts';
import { type MosquittoSub, subscribeWithMosquitto } from './mosquitto-sub.ts';
import { utf8 } from './packets.ts';
import { describeWithMosquitto } from './programs.ts';

const brokers: Mosquitto[] = [];
const subscribers: MosquittoSub[] = [];
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const subscriber of subscribers.splice(0)) await subscriber.stop();
  for (const broker of brokers.splice(0)) await broker.stop();
});
leakGuard();

async function start(options?: MosquittoOptions): Promise<Mosquitto> {
  const broker = await startMosquitto(options);
  brokers.push(broker);
  return broker;
}

/** Sends packets to a broker, and returns the last of a number of answers. */
async function talk(
  broker: Mosquitto,
  version: ProtocolVersion,
  say: EncodablePacket[],
  answers: number,
): Promise<Packet> {
  const socket = connect(broker.port, '127.0.0.1');
  sockets.push(socket);
  const decoder = new Decoder({ protocolVersion: version });
  for (const packet of say) socket.write(encode(packet, version));
  for (let count = 0; ;) {
    const packet = decoder.next();
    if (packet === undefined) decoder.push((await once(socket, 'data'))[0] as Buffer);
    else if (++count === answers) return packet;
  }
}

const CONNECT: EncodablePacket = { type: 'connect', clientId: 'c', cleanStart: true, keepAlive: 60 };
const publish = (text: string, fields: { retain?: boolean } = {}): EncodablePacket => ({
  type: 'publish',
  topic: 'some topic/1',
  payload: utf8(text),
  qos: 1,
  packetId: 1,
  ...fields,
});

describeWithMosquitto('startMosquitto', () => {
  it('starts a broker on a free port that supports every version', async () => {
    const broker = await start();
    expect(broker.url).toBe(`mqtt://127.0.0.1:${broker.port}`);
    for (const version of [3, 4, 5] as const) {
      expect(await talk(broker, version, [CONNECT], 1)).toMatchObject({ type: 'connack', reasonCode: 0 });
    }
  });

  it('starts it with the given configuration, on the given port', async () => {
    const port = await freePort();
    const broker = await start({ port, config: ['max_keepalive 10'] });
    expect(broker.port).toBe(port);
    expect(await talk(broker, 5, [CONNECT], 1)).toMatchObject({ properties: { serverKeepAlive: 10 } });
  });

  it('rejects with the log of a broker that does not start, and leaves nothing behind', async () => {
    await expect(startMosquitto({ config: ['no_such_option 1'] })).rejects.toThrow(/no_such_option/);
    const mine = `mqtt-await-mosquitto-${process.pid}-`;
    expect(readdirSync(tmpdir()).filter((name) => name.startsWith(mine))).toEqual([]);
  });

  it.each([
    [true, 'keeps'],
    [false, 'forgets'],
  ])('with persistence %s %s what it had when it is restarted', async (persistence) => {
    const broker = await start({ persistence });
    const { port } = broker;
    await talk(broker, 4, [CONNECT, publish('kept', { retain: true })], 2);
    await broker.restart();
    expect(broker.port).toBe(port);
    const subscribe: EncodablePacket = {
      type: 'subscribe',
      packetId: 2,
      subscriptions: [{ topicFilter: '#', qos: 0 }],
    };
    const pingreq: EncodablePacket = { type: 'pingreq' };
    const third = await talk(broker, 4, [CONNECT, subscribe, pingreq], 3);
    expect(third).toMatchObject(
      persistence ? { type: 'publish', payload: utf8('kept'), retain: true } : { type: 'pingresp' },
    );
  });

  it('is gone when killed, and back when started', async () => {
    const broker = await start();
    await broker.kill('SIGKILL');
    await broker.kill('SIGKILL');
    await expect(once(connect(broker.port, '127.0.0.1'), 'connect')).rejects.toMatchObject({
      code: 'ECONNREFUSED',
    });
    await broker.start();
    expect(await talk(broker, 4, [CONNECT], 1)).toMatchObject({ type: 'connack' });
  });
});

describeWithMosquitto('subscribeWithMosquitto', () => {
  it.each([3, 4, 5] as const)('collects the messages of another client, on version %d', async (version) => {
    const broker = await start();
    const subscriber = await subscribeWithMosquitto(broker, {
      topicFilter: 'some topic/+',
      qos: 1,
      version,
      count: 2,
    });
    subscribers.push(subscriber);
    await talk(
      broker,
      4,
      [CONNECT, publish('one\ntwo ü'), { ...publish(''), packetId: 2 } as EncodablePacket],
      3,
    );
    expect(await subscriber.done).toEqual([
      {
        topic: 'some topic/1',
        qos: 1,
        retain: false,
        payload: Buffer.from('one\ntwo ü'),
        text: 'one\ntwo ü',
      },
      { topic: 'some topic/1', qos: 1, retain: false, payload: Buffer.alloc(0), text: '' },
    ]);
  });

  it('returns the messages so far when stopped', async () => {
    const broker = await start();
    const subscriber = await subscribeWithMosquitto(broker, { topicFilter: '#' });
    await subscriber.stop();
    await subscriber.stop();
    expect(await subscriber.done).toEqual([]);
    expect(subscriber.messages).toEqual([]);
  });

  it('rejects a filter that the broker refuses', async () => {
    const broker = await start();
    await expect(subscribeWithMosquitto(broker, { topicFilter: 'a/#/b', count: 1 })).rejects.toThrow(
      'expected mosquitto_sub to receive 1 messages, got 0',
    );
  });
});
