/** MQTT.js with callbacks and events, or with promises and `for await`. */
import { on, type EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import type { IClientPublishOptions } from 'mqtt';
import { check, fail, inTurn, withCallbacks, withPromises, type Peer, type PeerOptions } from './peer.ts';

export async function mqttjs({ url, ca, contender, workload, topics }: PeerOptions): Promise<Peer> {
  const { default: mqtt } = await import('mqtt');
  const { qos, window, version } = workload;
  const client = await mqtt.connectAsync(url, {
    protocolVersion: version,
    reconnectPeriod: 0,
    ...(ca !== undefined && { ca }),
  });
  if (contender === 'nodelay') (client.stream as Socket).setNoDelay(true);
  const payload = Buffer.alloc(workload.payload, 0x61);
  const next = inTurn(topics);
  const options: IClientPublishOptions = { qos };
  const call = (done: (error?: Error | null) => void): void =>
    void client.publish(next(), payload, options, done);
  return {
    publish: (count) =>
      contender === 'promise'
        ? withPromises(count, window, () => client.publishAsync(next(), payload, options))
        : withCallbacks(count, window, call),
    async subscribe(filters, count) {
      await client.subscribeAsync([...filters], { qos });
      if (contender !== 'promise') {
        client.on('message', (_topic, bytes) => {
          check(bytes, workload.payload);
          count(1);
        });
        return;
      }
      const loop = async (): Promise<void> => {
        const messages = on(client as unknown as EventEmitter, 'message') as AsyncIterable<[string, Buffer]>;
        for await (const [, bytes] of messages) {
          check(bytes, workload.payload);
          count(1);
        }
      };
      loop().catch(fail);
    },
    tell: async (topic, text) => void (await client.publishAsync(topic, text, { qos: 1 })),
    end: () => client.endAsync(true),
  };
}
