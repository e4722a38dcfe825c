/**
 * The clients of the loopback bench, each in the usual style of its users. A contender publishes or receives a number
 * of messages and resolves when all are done. It runs in the child process.
 */
import { on, type EventEmitter } from 'node:events';
import type { connect as Connect, Message } from '../../lib/index.ts';
import type { IClientPublishOptions } from 'mqtt';

/** A measured job. `window`: maximum number of outstanding messages; 1 = each is awaited. */
export interface Scenario {
  readonly name: string;
  readonly direction: 'publish' | 'receive';
  readonly qos: 0 | 1 | 2;
  readonly payload: number;
  readonly window: number;
  /** How mqtt-await receives messages. */
  readonly intake: 'loop' | 'batches';
  readonly version: 4 | 5;
}

export type Style = 'ours' | 'callback' | 'promise';

export interface Contender {
  /** Publishes `count` messages. */
  publish(count: number): Promise<void>;
  /** Subscribes, and calls `count` with the number of received messages. */
  subscribe(count: (messages: number) => void): Promise<void>;
  /** Publishes one message with QoS 1 and waits for PUBACK. All earlier messages have been sent then. */
  tell(topic: string, payload: string): Promise<void>;
  end(): Promise<void>;
}

export const TOPIC = 'site/7/line/3/sensor/temperature';
const FILTER = 'site/#';

/** Keeps `window` calls outstanding until `count` calls were made. Resolves when all are done. */
function outstanding(
  count: number,
  window: number,
  call: (done: (error?: Error | null) => void) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let made = 0;
    let done = 0;
    let pumping = false;
    const pump = (): void => {
      // `done` may be called before `call` returns.
      if (pumping) return;
      pumping = true;
      while (made < count && made - done < window) {
        made++;
        call(finished);
      }
      pumping = false;
    };
    const finished = (error?: Error | null): void => {
      if (error) reject(error);
      else if (++done === count) resolve();
      else pump();
    };
    pump();
  });
}

/** The same for calls that return a promise; a window of 1 is a plain loop with `await`. */
async function promised(count: number, window: number, call: () => Promise<unknown>): Promise<void> {
  if (window === 1) {
    for (let i = 0; i < count; i++) await call();
    return;
  }
  await new Promise<void>((resolve, reject) => {
    let made = 0;
    let done = 0;
    const next = (): void => {
      made++;
      call().then(finished, reject);
    };
    const finished = (): void => {
      if (++done === count) resolve();
      else if (made < count) next();
    };
    while (made < Math.min(count, window)) next();
  });
}

async function consume(messages: AsyncIterable<Message>, count: (messages: number) => void): Promise<void> {
  for await (const message of messages) if (message.payload.length > 0) count(1);
}

async function consumeBatches(
  batches: AsyncIterable<readonly Message[]>,
  count: (messages: number) => void,
): Promise<void> {
  for await (const batch of batches) {
    let messages = 0;
    for (const message of batch) if (message.payload.length > 0) messages++;
    count(messages);
  }
}

/** Reports an error of a background loop. */
const fail = (error: unknown): void => {
  console.error(error);
  process.exitCode = 1;
};

/** mqtt-await, as published. */
export async function ours(url: string, scenario: Scenario, ca?: string): Promise<Contender> {
  // A variable, so that the compiler does not look for a built package.
  const name: string = 'mqtt-await';
  const { connect } = (await import(name)) as { connect: typeof Connect };
  const { qos, window, version } = scenario;
  const client = await connect(url, {
    maxInflight: Math.max(window, 20),
    protocolVersion: version,
    ...(ca !== undefined && { tls: { ca } }),
  });
  const payload = new Uint8Array(scenario.payload).fill(0x61);
  return {
    publish: (count) => promised(count, window, () => client.publish(TOPIC, payload, { qos })),
    async subscribe(count) {
      const subscription = await client.subscribe(FILTER, { qos });
      const loop =
        scenario.intake === 'loop'
          ? consume(subscription, count)
          : consumeBatches(subscription.batches(), count);
      loop.catch(fail);
    },
    tell: async (topic, text) => void (await client.publish(topic, text, { qos: 1 })),
    end: () => client.disconnect(),
  };
}

/** MQTT.js with callbacks and events, or with promises and `for await`. */
export async function theirs(
  url: string,
  scenario: Scenario,
  style: 'callback' | 'promise',
  ca?: string,
): Promise<Contender> {
  const { default: mqtt } = await import('mqtt');
  const { qos, window, version } = scenario;
  const client = await mqtt.connectAsync(url, {
    protocolVersion: version,
    reconnectPeriod: 0,
    ...(ca !== undefined && { ca }),
  });
  const payload = Buffer.alloc(scenario.payload, 0x61);
  const options: IClientPublishOptions = { qos };
  const call = (done: (error?: Error | null) => void): void =>
    void client.publish(TOPIC, payload, options, done);
  return {
    publish: (count) =>
      style === 'callback'
        ? outstanding(count, window, call)
        : promised(count, window, () => client.publishAsync(TOPIC, payload, options)),
    async subscribe(count) {
      await client.subscribeAsync(FILTER, { qos: qos === 2 ? 2 : qos });
      if (style === 'callback') {
        client.on('message', (_topic, bytes) => {
          if (bytes.length > 0) count(1);
        });
        return;
      }
      const loop = async (): Promise<void> => {
        for await (const [, bytes] of on(client as unknown as EventEmitter, 'message') as AsyncIterable<
          [string, Buffer]
        >)
          if (bytes.length > 0) count(1);
      };
      loop().catch(fail);
    },
    tell: async (topic, text) => void (await client.publishAsync(topic, text, { qos: 1 })),
    end: () => client.endAsync(true),
  };
}
