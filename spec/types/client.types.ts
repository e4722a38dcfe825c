/*
 * What the types of the package promise: compiled, never run.
 */

import { Duplex } from 'node:stream';
import { expectTypeOf } from 'expect-type';
import {
  type BatchesOptions,
  Client,
  connect,
  ConnectError,
  transportOver,
  type AttemptContext,
  type ClientStats,
  type MqttClient,
  type Subscribing,
  type WillProperties,
  type Will,
  type WebSocketOptions,
  type TlsOptions,
  type SocketOptions,
  type ReconnectOptions,
  type PublishManyOptions,
  type Publication,
  type ProxyOptions,
  type OtherConnectProperties,
  type ForEachOptions,
  type FilterOptions,
  type DisconnectOptions,
  type Credentials,
  type ConfigurableOptions,
  type CallOptions,
  type ClientOptions,
  type ClientState,
  type ConnectErrorOptions,
  type Dial,
  type Connack,
  type ConnectOptions,
  type DrainReport,
  type Message,
  type Payload,
  type PublishOptions,
  type PublishProperties,
  type PublishResult,
  type QoS,
  RequestError,
  type RequestCounts,
  type RequestManyOptions,
  type RequestOptions,
  type ReplyOptions,
  type ServeOptions,
  type Service,
  type ServiceRequest,
  type StatusEvent,
  type SubscribeOptions,
  type Subscription,
  type UnsubscribeOptions,
  type UnsubscribeResult,
} from '../../lib/index.ts';
import type { DecoderOptions } from '../../lib/codec/codec.ts';

export async function userDataIsTyped(): Promise<void> {
  expectTypeOf(new Client('mqtt://h').userData).toEqualTypeOf<undefined>();
  expectTypeOf(new Client('mqtt://h', { userData: { a: 1 } }).userData).toEqualTypeOf<{ a: number }>();
  expectTypeOf(new Client<string>(new URL('mqtt://h'), { userData: 'x' }).userData).toEqualTypeOf<string>();
  expectTypeOf(await connect('mqtt://h', { userData: 7 })).toEqualTypeOf<Client<number>>();
  expectTypeOf(connect('mqtt://h')).toEqualTypeOf<Promise<Client>>();
  // @ts-expect-error -- not of the type that was named
  void new Client<string>('mqtt://h', { userData: 7 });
}

export function whatIsAskedForMayBeAFunction(client: Client): void {
  const answer = async ({ attempt, reason, signal }: AttemptContext) => [attempt, reason, signal] as const;
  void ({
    clientId: async () => 'meter-7',
    credentials: async (context) => ({ username: 'meter-7', password: `${(await answer(context))[0]}` }),
    will: () => undefined,
    properties: () => ({ userProperties: [['build', '7']] }),
    servers: ['mqtts://b', new URL('wss://c'), async () => 'mqtts://d', () => new URL('mqtts://e')],
    serverOrder: 'shuffled',
    tls: { passphrase: async () => 'secret' },
    ws: { headers: async (defaults) => ({ ...defaults, Authorization: 'Bearer token' }) },
  } satisfies ClientOptions);
  void ({ will: async ({ attempt }) => ({ topic: 'gone', payload: attempt }) } satisfies ClientOptions);
  const dial: Dial = async ({ host, port, path = '', localAddress = '' }, signal) =>
    transportOver(new Duplex({ signal, highWaterMark: `${host}:${port}${path}${localAddress}`.length }));
  expectTypeOf(
    connect(async ({ attempt }) => `wss://c/?${attempt}`, { userData: 7, transport: dial }),
  ).toEqualTypeOf<Promise<Client<number>>>();
  client.configure({
    will: undefined,
    tls: undefined,
    servers: undefined,
    transport: undefined,
    logger: null,
  });
  client.configure({ will: () => ({ topic: 'gone' }), servers: [() => 'mqtt://b'], proxy: 'environment' });
  void new ConnectError('dial', 'no tunnel', { status: 407 } satisfies ConnectErrorOptions);
  // @ts-expect-error -- not a URL
  void new Client(async () => 7);
  // @ts-expect-error -- a stream is not a transport: transportOver() makes one of it
  void ({ transport: async () => new Duplex() } satisfies ClientOptions);
}

export async function subscribeIsBothAPromiseAndAnIterable(client: Client): Promise<void> {
  const subscribing = client.subscribe('a');
  expectTypeOf(subscribing).toEqualTypeOf<Subscribing>();
  expectTypeOf(subscribing).toExtend<Promise<Subscription> & AsyncIterable<Message>>();
  expectTypeOf(await subscribing).toEqualTypeOf<Subscription>();
  for await (const message of client.subscribe(['a', { topicFilter: 'b', qos: 1 }])) {
    expectTypeOf(message).toEqualTypeOf<Message>();
    break;
  }
  for await (const message of await subscribing) expectTypeOf(message).toEqualTypeOf<Message>();
  for await (const batch of (await subscribing).batches({ max: 5, linger: 50 }))
    expectTypeOf(batch).toEqualTypeOf<readonly Message[]>();
  expectTypeOf<BatchesOptions>().toEqualTypeOf<{
    readonly max?: number | undefined;
    readonly linger?: number | undefined;
  }>();
  // @ts-expect-error -- ms, as a number
  void (await subscribing).batches({ linger: '50 ms' });
  // @ts-expect-error -- a Topic Filter has to be there
  client.subscribe([{ qos: 1 }]).catch(() => {});
}

export function subscriptionsCanBeUsed(subscription: Subscription): void {
  expectTypeOf(subscription).toExtend<AsyncIterable<Message> & AsyncDisposable>();
  expectTypeOf(subscription.topicFilters).toEqualTypeOf<readonly string[]>();
  expectTypeOf(subscription.granted).toEqualTypeOf<readonly number[]>();
  expectTypeOf(subscription.receive({ timeout: 5 })).toEqualTypeOf<Promise<Message>>();
  expectTypeOf(subscription.stop()).toEqualTypeOf<Promise<void>>();
  expectTypeOf(subscription.unsubscribe()).toEqualTypeOf<Promise<void>>();
  expectTypeOf(subscription.forEach(async () => {}, { concurrency: 5, onError: 'reject' })).toEqualTypeOf<
    Promise<void>
  >();
  // @ts-expect-error -- what was granted is for reading
  subscription.granted = [];
}

export function messagesAreTyped(message: Message): void {
  expectTypeOf(message.topic).toEqualTypeOf<string>();
  expectTypeOf(message.payload).toEqualTypeOf<Uint8Array>();
  expectTypeOf(message.qos).toEqualTypeOf<QoS>();
  expectTypeOf(message.properties).toEqualTypeOf<PublishProperties>();
  expectTypeOf(message.json()).toBeUnknown();
  expectTypeOf(message.json<{ a: 1 }>()).toEqualTypeOf<{ a: 1 }>();
  expectTypeOf(message.ack()).toBeVoid();
}

export async function outcomesAreToldApart(client: Client): Promise<void> {
  const publications = [{ topic: 'a', payload: '', id: 7 }];
  for await (const outcome of client.publishMany(publications)) {
    expectTypeOf(outcome.publication.id).toEqualTypeOf<number>();
    expectTypeOf(outcome.status).toEqualTypeOf<'published' | 'failed'>();
    if (outcome.status === 'published') {
      expectTypeOf(outcome.result).toEqualTypeOf<PublishResult>();
      expectTypeOf(outcome.error).toEqualTypeOf<undefined>();
    } else {
      expectTypeOf(outcome.result).toEqualTypeOf<undefined>();
      expectTypeOf(outcome.error).toBeUnknown();
    }
  }
  for await (const { status, result, error } of client.publishMany(publications)) {
    if (status === 'failed') expectTypeOf(error).toBeUnknown();
    else expectTypeOf(result).toEqualTypeOf<PublishResult>();
  }
}

export function payloadsAreWhatTheyAre(client: Client): void {
  expectTypeOf<
    string | Uint8Array | ArrayBuffer | ArrayBufferView | number | null
  >().toEqualTypeOf<Payload>();
  expectTypeOf<Buffer>().toExtend<Payload>();
  expectTypeOf<object>().not.toExtend<Payload>();
  expectTypeOf<undefined>().not.toExtend<Payload>();
  expectTypeOf(client.publish('a', null, { qos: 1 })).toEqualTypeOf<Promise<PublishResult>>();
  // @ts-expect-error -- an object would have to be made text first
  client.publish('a', { value: 1 }).catch(() => {});
  // @ts-expect-error -- there is no QoS 3
  client.publish('a', '', { qos: 3 }).catch(() => {});
}

export function optionsAreChecked(): void {
  expectTypeOf<ClientOptions['protocolVersion']>().toEqualTypeOf<3 | 4 | 5 | undefined>();
  expectTypeOf<ClientOptions['cleanStart']>().toEqualTypeOf<boolean | 'first' | undefined>();
  expectTypeOf<keyof ConnectOptions>().toEqualTypeOf<
    'host' | 'port' | 'keepAlive' | 'localAddress' | 'retry' | 'signal' | 'timeout'
  >();
  expectTypeOf<NonNullable<PublishOptions['properties']>>().not.toHaveProperty('subscriptionIdentifiers');
  expectTypeOf<SubscribeOptions['ack']>().toEqualTypeOf<'processed' | 'received' | 'manual' | undefined>();
  expectTypeOf<typeof console>().toExtend<NonNullable<ClientOptions['logger']>>();
  // @ts-expect-error -- misspelt
  void ({ keepalive: 5 } satisfies ClientOptions);
  // @ts-expect-error -- seconds are a number
  void ({ keepAlive: '5' } satisfies ClientOptions);
}

const NOTHING: PublishProperties = {};

/** What an application's tests make in place of what comes from a server: literals, without a cast. */
export async function testDoublesAreLiterals(): Promise<void> {
  const message: Message = {
    topic: 'sensors/7/temperature',
    payload: new TextEncoder().encode('21.5'),
    qos: 1,
    retain: false,
    duplicate: false,
    properties: NOTHING,
    text: () => '21.5',
    json: <T>() => 21.5 as T,
    copy: () => new Uint8Array(4),
    ack() {},
    reject() {},
  };
  async function* messages(): AsyncGenerator<Message> {
    yield message;
  }
  const subscription: Subscription = {
    topicFilters: ['sensors/+/temperature'],
    granted: [1],
    results: [],
    depth: 0,
    dropped: 0,
    receive: async () => message,
    async *batches() {
      yield [message];
    },
    async forEach(handler) {
      await handler(message);
    },
    async stop() {},
    async unsubscribe() {},
    [Symbol.asyncIterator]: messages,
    async [Symbol.asyncDispose]() {},
  };
  const subscribing: Subscribing = Object.assign(Promise.resolve(subscription), {
    [Symbol.asyncIterator]: messages,
  });
  const published: unknown[] = [];
  const client: Pick<MqttClient, 'publish' | 'subscribe'> = {
    async publish(...args) {
      published.push(args);
      return { reasonCode: 0, properties: NOTHING };
    },
    subscribe: () => subscribing,
  };
  expectTypeOf(await client.subscribe('a')).toEqualTypeOf<Subscription>();
}

export async function requestsAndServicesAreTyped(client: Client): Promise<void> {
  const many = {
    until: { stall: 300, count: 50 },
    timeout: 2_000,
    onError: 'skip',
  } satisfies RequestManyOptions;
  expectTypeOf(client.request('a', '[1,2]', { qos: 1, timeout: 5_000 })).toEqualTypeOf<Promise<Message>>();
  expectTypeOf(client.requestMany('a', null, many)).toEqualTypeOf<AsyncIterable<Message>>();
  const service = await client.serve('calc/+', { share: 'calc', qos: 1, duplicates: 'answer-again' });
  expectTypeOf(service).toEqualTypeOf<Service>();
  expectTypeOf(service).toExtend<AsyncIterable<ServiceRequest> & AsyncDisposable>();
  for await (const request of service) {
    expectTypeOf(request).toExtend<Message>();
    expectTypeOf(request.expired).toBeBoolean();
    expectTypeOf(request.reply(1, { properties: { contentType: 'a/b' } })).toEqualTypeOf<Promise<void>>();
    expectTypeOf(request.fail('out-of-range', 'b is above 100')).toEqualTypeOf<Promise<void>>();
  }
  await service.forEach(async (request) => request.json<number[]>().length, { concurrency: 8 });
  await service.forEach(() => {});
  await service.forEach((request) => request.fail('no'));
  // @ts-expect-error -- an object is no payload: JSON.stringify() makes one of it
  await service.forEach(() => ({ sum: 3 }));
  // @ts-expect-error -- a request is never retained
  await client.request('a', '', { retain: true });
  // @ts-expect-error -- the client sets it
  await client.request('a', '', { properties: { correlationData: Uint8Array.of(1) } });
  const error = new RequestError('out-of-range', 'b is above 100');
  expectTypeOf(error.code).toExtend<string>();
  expectTypeOf(error.remote).toBeBoolean();
  expectTypeOf(error.reasonCode).toEqualTypeOf<number | undefined>();
  expectTypeOf(client.stats().requests).toEqualTypeOf<RequestCounts>();
}

/** A test double of the whole client. */
export class ClientDouble implements MqttClient<string> {
  readonly state = 'connected';
  readonly clientId = 'double';
  readonly negotiated = undefined;
  readonly closed: Promise<void> = Promise.resolve();
  readonly userData = 'double';
  connect(): Promise<Connack> {
    return Promise.resolve({ sessionPresent: false, reasonCode: 0, properties: {} });
  }
  configure(): void {}
  reconnect(): Promise<Connack> {
    return this.connect();
  }
  async reauthenticate(): Promise<void> {}
  async disconnect(): Promise<void> {}
  async reinitialise(): Promise<void> {}
  async drain(): Promise<DrainReport> {
    return { undelivered: 0, unacknowledged: 0 };
  }
  async publish(): Promise<PublishResult> {
    return { reasonCode: 0, properties: NOTHING };
  }
  async *publishMany(): AsyncGenerator<never> {}
  subscribe(): Subscribing {
    throw new Error('not in this test');
  }
  async unsubscribe(): Promise<UnsubscribeResult> {
    return { reasonCodes: [], results: [] };
  }
  async request(): Promise<Message> {
    throw new Error('not in this test');
  }
  async *requestMany(): AsyncGenerator<never> {}
  async serve(): Promise<Service> {
    throw new Error('not in this test');
  }
  async *status(): AsyncGenerator<StatusEvent> {}
  stats(): ClientStats {
    throw new Error('not in this test');
  }
  async [Symbol.asyncDispose](): Promise<void> {}
}

export function whatTakesAClientTakesAnInterface(client: Client<string>): void {
  const take = (given: MqttClient<string>): string => given.userData;
  take(client);
  take(new ClientDouble());
  expectTypeOf<keyof MqttClient>().toEqualTypeOf<keyof Client>();
}

/** The optional keys of T, all of them undefined. */
type AllUndefined<T> = { [Key in keyof T as object extends Pick<T, Key> ? Key : never]: undefined };

export function optionsMayBeUndefined(): void {
  // With exactOptionalPropertyTypes, too: what is passed on may be undefined, which is the same as not given.
  expectTypeOf<AllUndefined<ClientOptions<string>>>().toExtend<Partial<ClientOptions<string>>>();
  expectTypeOf<AllUndefined<ConfigurableOptions>>().toExtend<ConfigurableOptions>();
  expectTypeOf<AllUndefined<ReconnectOptions>>().toExtend<ReconnectOptions>();
  expectTypeOf<AllUndefined<Credentials>>().toExtend<Credentials>();
  expectTypeOf<AllUndefined<Will>>().toExtend<Partial<Will>>();
  expectTypeOf<AllUndefined<WillProperties>>().toExtend<WillProperties>();
  expectTypeOf<AllUndefined<OtherConnectProperties>>().toExtend<OtherConnectProperties>();
  expectTypeOf<AllUndefined<TlsOptions>>().toExtend<TlsOptions>();
  expectTypeOf<AllUndefined<WebSocketOptions>>().toExtend<WebSocketOptions>();
  expectTypeOf<AllUndefined<ProxyOptions>>().toExtend<Partial<ProxyOptions>>();
  expectTypeOf<AllUndefined<SocketOptions>>().toExtend<SocketOptions>();
  expectTypeOf<AllUndefined<RequestOptions>>().toExtend<RequestOptions>();
  expectTypeOf<AllUndefined<RequestManyOptions>>().toExtend<RequestManyOptions>();
  expectTypeOf<AllUndefined<ServeOptions>>().toExtend<ServeOptions>();
  expectTypeOf<AllUndefined<ReplyOptions>>().toExtend<ReplyOptions>();
  expectTypeOf<AllUndefined<ConnectOptions>>().toExtend<ConnectOptions>();
  expectTypeOf<AllUndefined<DisconnectOptions>>().toExtend<DisconnectOptions>();
  expectTypeOf<AllUndefined<NonNullable<DisconnectOptions['properties']>>>().toExtend<
    NonNullable<DisconnectOptions['properties']>
  >();
  expectTypeOf<AllUndefined<PublishOptions>>().toExtend<PublishOptions>();
  expectTypeOf<AllUndefined<PublishProperties>>().toExtend<PublishProperties>();
  expectTypeOf<AllUndefined<Publication>>().toExtend<Partial<Publication>>();
  expectTypeOf<AllUndefined<PublishManyOptions>>().toExtend<PublishManyOptions>();
  expectTypeOf<AllUndefined<SubscribeOptions>>().toExtend<SubscribeOptions>();
  expectTypeOf<AllUndefined<NonNullable<SubscribeOptions['buffer']>>>().toExtend<
    NonNullable<SubscribeOptions['buffer']>
  >();
  expectTypeOf<AllUndefined<NonNullable<SubscribeOptions['properties']>>>().toExtend<
    NonNullable<SubscribeOptions['properties']>
  >();
  expectTypeOf<AllUndefined<UnsubscribeOptions>>().toExtend<UnsubscribeOptions>();
  expectTypeOf<AllUndefined<FilterOptions>>().toExtend<Partial<FilterOptions>>();
  expectTypeOf<AllUndefined<ForEachOptions>>().toExtend<ForEachOptions>();
  expectTypeOf<AllUndefined<CallOptions>>().toExtend<CallOptions>();
  expectTypeOf<{ max: undefined }>().toExtend<NonNullable<Parameters<Subscription['batches']>[0]>>();
  expectTypeOf<AllUndefined<DecoderOptions>>().toExtend<DecoderOptions>();
}

export async function theClientIsWhatTheDocumentationSays(client: Client): Promise<void> {
  expectTypeOf(client).toExtend<AsyncDisposable>();
  expectTypeOf(client.state).toEqualTypeOf<ClientState>();
  expectTypeOf(client.closed).toEqualTypeOf<Promise<void>>();
  expectTypeOf(client.connect()).toEqualTypeOf<Promise<Connack>>();
  expectTypeOf(client.drain()).toEqualTypeOf<Promise<DrainReport>>();
  expectTypeOf(client.unsubscribe(['a'])).toEqualTypeOf<Promise<UnsubscribeResult>>();
  for await (const event of client.status()) {
    expectTypeOf(event).toEqualTypeOf<StatusEvent>();
    if (event.type === 'disconnected') expectTypeOf(event.willRetryIn).toEqualTypeOf<number>();
    // @ts-expect-error -- only what is disconnected will be retried
    if (event.type === 'connected') void event.willRetryIn;
  }
}
