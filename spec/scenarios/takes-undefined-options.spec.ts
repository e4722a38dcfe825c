import { describe, expect, it } from '@jest/globals';
import { toSettings } from '../../lib/client/config/settings.ts';
import type { ClientOptions } from '../../lib/client/config/client-options.ts';
import type { ConfigurableOptions } from '../../lib/client/config/client-options.ts';
import type { FilterOptions } from '../../lib/client/receive/subscribe-options.ts';
import { Decoder } from '../../lib/codec/codec.ts';
import { message, Stage } from './stage.ts';

/*
 * Options often come from a configuration in which they may be undefined. An undefined option is the same as a missing
 * one.
 */

type Undefined<T> = { readonly [Key in keyof T]?: undefined };

/** Every option of a client. */
const NO_OPTIONS: { readonly [Key in keyof ClientOptions]-?: undefined } = {
  protocolVersion: undefined,
  cleanStart: undefined,
  sessionExpiryInterval: undefined,
  keepAlive: undefined,
  userData: undefined,
  maxInflight: undefined,
  topicAlias: undefined,
  maxQueued: undefined,
  maxQueuedBytes: undefined,
  onQueueFull: undefined,
  store: undefined,
  storeQos0: undefined,
  queueQos0Offline: undefined,
  onSessionLost: undefined,
  messageRetry: undefined,
  ackTimeout: undefined,
  requestTimeout: undefined,
  connectTimeout: undefined,
  pingTimeout: undefined,
  reconnect: undefined,
  receiveMaximum: undefined,
  receiveBuffer: undefined,
  ackStallTimeout: undefined,
  unmatched: undefined,
  maximumPacketSize: undefined,
  maxFiltersPerPacket: undefined,
  resubscribe: undefined,
  logger: undefined,
  servers: undefined,
  serverOrder: undefined,
  followServerReference: undefined,
  tls: undefined,
  ws: undefined,
  proxy: undefined,
  transport: undefined,
  localAddress: undefined,
  localPort: undefined,
  family: undefined,
  noDelay: undefined,
  tcpKeepAlive: undefined,
  clientId: undefined,
  username: undefined,
  password: undefined,
  credentials: undefined,
  authentication: undefined,
  will: undefined,
  properties: undefined,
};
const NO_RECONNECT = {
  minDelay: undefined,
  maxDelay: undefined,
  factor: undefined,
  jitter: undefined,
  maxAttempts: undefined,
  policy: undefined,
  retryInitial: undefined,
};
const NO_WS = { path: undefined, headers: undefined, maxPayload: undefined, perMessageDeflate: undefined };
const NO_TLS: Undefined<NonNullable<ClientOptions['tls']>> = {
  ca: undefined,
  caFile: undefined,
  cert: undefined,
  certFile: undefined,
  key: undefined,
  keyFile: undefined,
  pfx: undefined,
  pfxFile: undefined,
  passphrase: undefined,
  rejectUnauthorized: undefined,
  verifyHostname: undefined,
  minVersion: undefined,
  maxVersion: undefined,
  ciphers: undefined,
  alpn: undefined,
  servername: undefined,
  secureContext: undefined,
  pskCallback: undefined,
};
const NO_PROPERTIES = {
  topicAliasMaximum: undefined,
  requestResponseInformation: undefined,
  requestProblemInformation: undefined,
  userProperties: undefined,
};
const NO_MESSAGE_PROPERTIES = {
  payloadFormatIndicator: undefined,
  messageExpiryInterval: undefined,
  topicAlias: undefined,
  responseTopic: undefined,
  correlationData: undefined,
  userProperties: undefined,
  contentType: undefined,
};

const NO_CHANGES: Undefined<ConfigurableOptions> = {
  keepAlive: undefined,
  will: undefined,
  maxInflight: undefined,
  reconnect: undefined,
  tls: undefined,
  servers: undefined,
};

/** Settings without functions, which are created for each client. */
const settingsOf = (url: string, options: ClientOptions): unknown =>
  JSON.parse(JSON.stringify(toSettings(url, options, () => 0.5)));

describe('an undefined option of a client', () => {
  it('is the same as a missing one', () => {
    expect(settingsOf('mqtt://server', NO_OPTIONS)).toEqual(settingsOf('mqtt://server', {}));
  });

  it('is the same as a missing one on MQTT 5.0', () => {
    const nested = {
      ...NO_OPTIONS,
      protocolVersion: 5,
      reconnect: NO_RECONNECT,
      properties: NO_PROPERTIES,
      will: { topic: 'gone', payload: undefined, qos: undefined, retain: undefined, properties: undefined },
    } as const;
    expect(settingsOf('mqtt://server', nested)).toEqual(
      settingsOf('mqtt://server', { protocolVersion: 5, will: { topic: 'gone' } }),
    );
  });

  it('is the same as a missing one for TLS, WebSocket and proxies', () => {
    const proxy = 'http://proxy:8080';
    expect(
      settingsOf('wss://server', {
        tls: NO_TLS,
        ws: NO_WS,
        proxy: { url: proxy, headers: undefined, tls: undefined },
      }),
    ).toEqual(settingsOf('wss://server', { tls: {}, ws: {}, proxy }));
  });

  it('is the same as a missing one with a transport of the application', () => {
    const transport = () => Promise.reject(new Error('not dialled'));
    const settings = settingsOf('ws://server', { ...NO_OPTIONS, transport, ws: NO_WS });
    expect(settings).toEqual(settingsOf('ws://server', { transport, ws: {} }));
  });

  it('is the same as a missing one for the decoder', () => {
    const decoder = new Decoder({
      protocolVersion: undefined,
      receiver: undefined,
      maximumPacketSize: undefined,
    });
    expect(decoder.protocolVersion).toBe(new Decoder().protocolVersion);
  });
});

describe('an undefined option of a call', () => {
  it('is the same as a missing one', async () => {
    const stage = new Stage();
    const client = stage.client({ protocolVersion: 5, clientId: 'me' });
    const connecting = client.connect({
      host: undefined,
      port: undefined,
      keepAlive: undefined,
      localAddress: undefined,
      retry: undefined,
      signal: undefined,
      timeout: undefined,
    });
    const broker = await stage.network.next();
    expect(await broker.accept()).toMatchObject({ keepAlive: 60 });
    await stage.until(connecting);
    expect(stage.targets).toEqual([expect.objectContaining({ host: 'server', port: 1883 })]);

    const none = { signal: undefined, timeout: undefined };
    const filter: FilterOptions = {
      topicFilter: 'a',
      qos: undefined,
      noLocal: undefined,
      retainAsPublished: undefined,
      retainHandling: undefined,
    };
    const subscription = await stage.subscribe(client, broker, [filter], {
      ...none,
      qos: 1,
      noLocal: undefined,
      retainAsPublished: undefined,
      retainHandling: undefined,
      ack: undefined,
      buffer: { messages: undefined, bytes: undefined },
      overflow: undefined,
      partial: undefined,
      properties: { userProperties: undefined },
    });
    expect(subscription.granted).toEqual([1]);

    await client.publish('a', 'x', {
      ...none,
      qos: undefined,
      retain: undefined,
      properties: NO_MESSAGE_PROPERTIES,
    });
    expect(await broker.expect('publish')).toMatchObject({
      topic: 'a',
      qos: 0,
      retain: false,
      properties: {},
    });
    const publication = {
      topic: 'b',
      payload: 'x',
      qos: undefined,
      retain: undefined,
      properties: undefined,
    };
    for await (const outcome of client.publishMany([publication], {
      ...none,
      qos: undefined,
      retain: undefined,
    }))
      expect(outcome.error).toBeUndefined();
    expect(await broker.expect('publish')).toMatchObject({ topic: 'b', qos: 0, retain: false });

    broker.send(message('a', 'first'), message('a', 'second'), message('a', 'third'));
    expect((await stage.until(subscription.receive(none))).text()).toBe('first');
    const texts: string[] = [];
    const loop = subscription.forEach((one) => texts.push(one.text()), {
      ...none,
      concurrency: undefined,
      onError: undefined,
    });
    await stage.clock.advance(0);
    expect(texts).toEqual(['second', 'third']);

    client.configure({ ...NO_CHANGES, logger: undefined });
    const ending = client.disconnect({
      ...none,
      reasonCode: undefined,
      properties: { sessionExpiryInterval: undefined, reasonString: undefined, userProperties: undefined },
      pending: undefined,
    });
    expect(await broker.expect('disconnect')).toMatchObject({ reasonCode: 0, properties: {} });
    broker.close();
    await stage.until(ending);
    await loop;
  });
});
