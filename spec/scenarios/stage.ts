import { Client } from '../../lib/client/client.ts';
import type { Message } from '../../lib/client/receive/message.ts';
import type { ClientOptions } from '../../lib/client/config/client-options.ts';
import type { ServerUrl } from '../../lib/client/config/endpoints.ts';
import type { StatusEvent } from '../../lib/client/status.ts';
import type { Subscription } from '../../lib/client/receive/subscription.ts';
import type { ConnackPacket } from '../../lib/codec/packets.ts';
import type { DialTarget } from '../../lib/transport/transport.ts';
import { FakeClock, settled } from '../support/fake-clock.ts';
import type { Link } from '../support/memory-transport.ts';
import type { ScriptedBroker } from '../support/scripted-broker.ts';
import { scriptedNetwork, type ScriptedNetwork } from '../support/scripted-network.ts';

/** Outcome of a promise, or `pending`. */
export type Outcome = { value: unknown } | { error: unknown } | 'pending';

/** ms after which something expected will not happen any more. */
const MOST_PATIENCE = 600_000;

/** A client, a fake clock, and a network in memory with a scripted broker at the other end. */
export class Stage {
  readonly clock: FakeClock = new FakeClock();
  readonly network: ScriptedNetwork;
  /** Dialled targets, oldest first. */
  readonly targets: DialTarget[] = [];
  /** Errors of the next attempts, oldest first. */
  readonly refusals: Error[] = [];
  /** The random number in [0, 1) of the clients. 0.5 means no jitter. */
  random = 0.5;
  /** Logged lines, with their level. */
  readonly log: string[] = [];

  constructor(link: Partial<Link> = {}) {
    this.network = scriptedNetwork(this.clock, link);
  }

  /** A client on this stage. */
  client<T = undefined>(options: ClientOptions<T> = {}, url: ServerUrl = 'mqtt://server'): Client<T> {
    const write = (level: string) => (line: string) => void this.log.push(`${level}: ${line}`);
    const logger = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
    return new Client<T>(
      url,
      { logger, ...options },
      {
        clock: this.clock,
        wallClock: () => this.clock.now(),
        random: () => this.random,
        dial: (target, { signal }) => {
          this.targets.push(target);
          const refusal = this.refusals.shift();
          return refusal === undefined ? this.network.dial(target, signal) : Promise.reject(refusal);
        },
      },
    );
  }

  /** A connected client, and the broker's end of its connection. */
  async online<T = undefined>(
    options: ClientOptions<T> = {},
    connack: Partial<ConnackPacket> = {},
  ): Promise<{ client: Client<T>; broker: ScriptedBroker }> {
    const client = this.client(options);
    return { client, broker: await this.connect(client, connack) };
  }

  async connect(client: Client<unknown>, connack: Partial<ConnackPacket> = {}): Promise<ScriptedBroker> {
    const connecting = client.connect();
    connecting.catch(() => {});
    const broker = await this.network.next();
    await broker.accept(connack);
    await this.until(connecting);
    return broker;
  }

  /** Breaks the connection and accepts the next one. Returns the broker's end of that. */
  async reconnect(broker: ScriptedBroker, connack: Partial<ConnackPacket> = {}): Promise<ScriptedBroker> {
    broker.reset();
    const next = await this.network.next();
    await next.accept(connack);
    await this.clock.advance(0);
    return next;
  }

  /** Subscribes and grants the requested QoS. With Subscription Identifiers each filter has its own packet. */
  async subscribe(
    client: Client<unknown>,
    broker: ScriptedBroker,
    ...args: Parameters<Client['subscribe']>
  ): Promise<Subscription> {
    const subscribing = client.subscribe(...args);
    const asked = [args[0]].flat().filter((one) => typeof one === 'string' || one.local !== true);
    for (let left = asked.length; left > 0;) {
      const { packetId, subscriptions } = await broker.expect('subscribe');
      broker.send({ type: 'suback', packetId, reasonCodes: subscriptions.map(({ qos }) => qos) });
      left -= subscriptions.length;
    }
    return this.until(subscribing);
  }

  /** Advances the clock until `promise` settles. */
  async until<T>(promise: PromiseLike<T>): Promise<T> {
    let over = false;
    const done = (): void => {
      over = true;
    };
    promise.then(done, done);
    const patience = this.clock.now() + MOST_PATIENCE;
    await this.clock.run(() => over || this.clock.now() > patience);
    if (!over) throw new Error(`expected an outcome within ${MOST_PATIENCE} ms, got none`);
    return promise;
  }

  /** Closes the client, with a server that closes at once. */
  async end(client: Client<unknown>, broker?: ScriptedBroker): Promise<void> {
    const ending = client.disconnect();
    await settled();
    broker?.close();
    await this.until(ending);
    // The network has to close, too.
    await this.clock.advance(0);
  }
}

/** The present outcome of `promise`. */
export function watch(promise: PromiseLike<unknown>): () => Outcome {
  let outcome: Outcome = 'pending';
  promise.then(
    (value) => (outcome = { value }),
    (error: unknown) => (outcome = { error }),
  );
  return () => outcome;
}

/** The error that `promise` rejects with. */
export async function errorOf<T extends Error = Error>(promise: PromiseLike<unknown>): Promise<T> {
  try {
    await promise;
  } catch (error) {
    return error as T;
  }
  throw new Error('expected a rejection, got none');
}

/** Reads the status to its end, as text. */
export function statusOf(client: Client<unknown>): string[] {
  const words: string[] = [];
  void (async () => {
    for await (const event of client.status()) words.push(inWords(event));
  })();
  return words;
}

/** Collects every event of `type`. */
export function eventsOf<Type extends StatusEvent['type']>(
  client: Client<unknown>,
  type: Type,
): Extract<StatusEvent, { type: Type }>[] {
  const events: Extract<StatusEvent, { type: Type }>[] = [];
  void (async () => {
    for await (const event of client.status())
      if (event.type === type) events.push(event as Extract<StatusEvent, { type: Type }>);
  })();
  return events;
}

function inWords(event: StatusEvent): string {
  switch (event.type) {
    case 'connecting':
      return `connecting ${event.attempt}`;
    case 'disconnected':
      return `disconnected, again in ${event.willRetryIn}`;
    default:
      return event.type;
  }
}

/** Collects the texts of a loop; `body` may be asynchronous. */
export function collect(
  messages: AsyncIterable<Message>,
  body: (message: Message) => unknown = () => {},
): { texts: string[]; done: Promise<void> } {
  const texts: string[] = [];
  const done = (async () => {
    for await (const one of messages) {
      texts.push(one.text());
      await body(one);
    }
  })();
  done.catch(() => {});
  return { texts, done };
}

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A PUBLISH of the server: QoS 1 with a Packet Identifier, else QoS 0. */
export function message(topic: string, text: string, packetId?: number) {
  return {
    type: 'publish' as const,
    topic,
    payload: bytes(text),
    ...(packetId !== undefined && { packetId, qos: 1 as const }),
  };
}
