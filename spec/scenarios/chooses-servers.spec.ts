import { describe, expect, it } from '@jest/globals';
import type { AttemptContext, ClientOptions, Will } from '../../lib/index.ts';
import { errorOf, Stage, statusOf, watch } from './stage.ts';

const hostsOf = (stage: Stage): string[] => stage.targets.map(({ host, port }) => `${host}:${port}`);

describe('servers', () => {
  it('are tried in turn within an attempt, so that connect() succeeds if one of them is up', async () => {
    const stage = new Stage();
    stage.refusals.push(new Error('a is down'), new Error('b is down'));
    const client = stage.client({ servers: ['mqtt://b:1', 'mqtt://c', 'mqtt://a'] }, 'mqtt://a');
    const status = statusOf(client);
    const broker = await stage.connect(client);
    expect(hostsOf(stage)).toEqual(['a:1883', 'b:1', 'c:1883']);
    expect(status).toEqual(['connecting 0', 'connected']);
    expect(stage.log).toEqual([
      'debug: connecting (attempt 0)',
      'warn: no connection: a is down; the next server is tried',
      'warn: no connection: b is down; the next server is tried',
      'info: connected',
    ]);
    await stage.end(client, broker);
  });

  it('are all named if none of them is up', async () => {
    const stage = new Stage();
    stage.refusals.push(new Error('a is down'), new Error('b is down'));
    const client = stage.client({ servers: ['mqtt://b'] }, 'mqtt://a');
    expect(await errorOf(client.connect())).toMatchObject({
      code: 'ERR_MQTT_CONNECT',
      phase: 'dial',
      message: 'none of 2 servers: no connection: a is down; no connection: b is down',
    });
  });

  it('that send no CONNACK are left in time for the next one', async () => {
    const stage = new Stage();
    const client = stage.client({ servers: ['mqtt://b'], connectTimeout: 1_000 }, 'mqtt://a');
    const connecting = client.connect();
    await stage.network.next();
    await stage.clock.advance(500);
    const broker = await stage.network.next();
    await broker.accept();
    await stage.until(connecting);
    expect(stage.log).toContain(
      'warn: no connection within 500 ms: waited for CONNACK (connack); the next server is tried',
    );
    await stage.end(client, broker);
  });

  it('are tried from the first one after a lost connection and its delay', async () => {
    const stage = new Stage();
    const client = stage.client({ servers: ['mqtt://b'] }, 'mqtt://a');
    stage.refusals.push(new Error('a is down'));
    const broker = await stage.connect(client);
    const next = await stage.reconnect(broker);
    expect(hostsOf(stage)).toEqual(['a:1883', 'b:1883', 'a:1883']);
    await stage.end(client, next);
  });

  it('are not tried if connect() names a host', async () => {
    const stage = new Stage();
    const client = stage.client({ servers: ['mqtt://b'] }, 'mqtts://a');
    stage.refusals.push(new Error('it is down'));
    await errorOf(client.connect({ host: 'other' }));
    expect(stage.targets).toMatchObject([{ protocol: 'mqtts', host: 'other', port: 8_883 }]);
  });

  it('are replaced by configure(), whatever connect() or a server said before', async () => {
    const stage = new Stage();
    const client = stage.client({ protocolVersion: 5, followServerReference: true }, 'mqtt://a');
    stage.refusals.push(new Error('it is down'));
    await errorOf(client.connect({ host: 'other', localAddress: '127.0.0.2' }));
    client.configure({ servers: ['mqtt://b'], localAddress: '127.0.0.3' });
    stage.refusals.push(new Error('it is down'));
    const broker = await stage.connect(client);
    expect(stage.targets.slice(1)).toMatchObject([
      { host: 'a', localAddress: '127.0.0.3' },
      { host: 'b', localAddress: '127.0.0.3' },
    ]);
    await stage.end(client, broker);
  });

  it.each([
    [{ host: '' }, 'mqtt://a', 'host: expected a host name or an IP address, got an empty string'],
    [{ host: 'b:1883' }, 'mqtt://a', 'host: expected a host name or an IP address'],
    [{ host: '[::1]' }, 'mqtt://a', 'host: expected a host name or an IP address'],
    [{ host: 'b' }, 'mqtt+unix:///run/a', 'connect: expected neither host nor port with mqtt+unix:'],
    [{ port: 1 }, 'mqtt+unix:///run/a', 'connect: expected neither host nor port with mqtt+unix:'],
    [{ localAddress: '::1' }, 'mqtt+unix:///run/a', 'localAddress: expected none with mqtt+unix:'],
    [{ localAddress: '::1' }, 'mqtt://a', 'family: expected 6, the family of localAddress, got 4'],
  ])('from a function must be valid for connect() (%#)', async (given, url, message) => {
    const stage = new Stage();
    const client = stage.client(url === 'mqtt://a' ? { family: 4 } : {}, url);
    const error = await errorOf(client.connect({ keepAlive: 7, ...given }));
    expect([error.name, error.message]).toEqual(['TypeError', expect.stringContaining(message)]);
    const connecting = client.connect();
    const broker = await stage.network.next();
    expect((await broker.accept()).keepAlive).toBe(60);
    await stage.until(connecting);
    await stage.end(client, broker);
  });

  it('from a function must use TLS if `tls` requires it', async () => {
    const stage = new Stage();
    const client = stage.client({ tls: {}, servers: ['mqtt://b'] }, async () => 'mqtt://a');
    const connecting = client.connect();
    const broker = await stage.network.next();
    await broker.accept();
    await stage.until(connecting);
    expect(stage.targets).toMatchObject([{ host: 'b' }]);
    expect(stage.log).toContain(
      'warn: no url: tls: expected a URL that begins with mqtts: or wss:, got mqtt:; the next server is tried',
    );
    await stage.end(client, broker);
  });

  it.each([
    [{ servers: 'mqtt://b' }, 'servers: expected an array of URLs, got a string of 8 characters'],
    [{ servers: ['mqtt://me:secret@b:0'] }, 'url: expected a port of 1 to 65535, got 0'],
    [{ servers: [7] }, 'url: expected mqtt://'],
    [{ serverOrder: 'random' }, 'serverOrder: expected "listed" or "shuffled"'],
    [{ followServerReference: true }, 'followServerReference: expected none with protocolVersion 4'],
    [
      { protocolVersion: 5, followServerReference: 1 },
      'followServerReference: expected true or false, got 1',
    ],
    [{ tls: {} }, 'tls: expected a URL that begins with mqtts: or wss:, got mqtt:'],
  ])('are checked at once (%#)', (options, message) => {
    expect(() => new Stage().client(options as ClientOptions)).toThrow(message);
  });
});

describe('v5 U-4.11-a a Server Reference', () => {
  const MOVED = { reasonCode: 0x9d, properties: { serverReference: 'other:1884' } };

  it('is followed in the same attempt and for good if enabled', async () => {
    const stage = new Stage();
    const client = stage.client({ protocolVersion: 5, followServerReference: true }, 'mqtt://a');
    const connecting = client.connect();
    const first = await stage.network.next();
    await first.accept(MOVED);
    const second = await stage.network.next();
    await second.accept();
    await stage.until(connecting);
    const third = await stage.reconnect(second);
    expect(hostsOf(stage)).toEqual(['a:1883', 'other:1884', 'other:1884']);
    await stage.end(client, third);
  });

  it('is no longer followed once disabled, even if it was for good', async () => {
    const stage = new Stage();
    const client = stage.client({ protocolVersion: 5, followServerReference: true }, 'mqtt://a');
    const connecting = client.connect();
    await (await stage.network.next()).accept(MOVED);
    const second = await stage.network.next();
    await second.accept();
    await stage.until(connecting);
    client.configure({ followServerReference: false });
    const third = await stage.reconnect(second);
    expect(hostsOf(stage)).toEqual(['a:1883', 'other:1884', 'a:1883']);
    await stage.end(client, third);
  });

  it('is followed once: two servers that refer to each other cause no loop', async () => {
    const stage = new Stage();
    const client = stage.client({ protocolVersion: 5, followServerReference: true }, 'mqtt://a');
    const outcome = watch(client.connect());
    for (const _ of ['a', 'other']) {
      const broker = await stage.network.next();
      await broker.accept(MOVED);
    }
    await stage.clock.advance(0);
    expect(outcome()).toMatchObject({ error: { phase: 'connack', reasonCode: 0x9d } });
    expect(hostsOf(stage)).toEqual(['a:1883', 'other:1884']);
  });

  it('is not followed by default', async () => {
    const stage = new Stage();
    const client = stage.client({ protocolVersion: 5 }, 'mqtt://a');
    const outcome = watch(client.connect());
    await (await stage.network.next()).accept(MOVED);
    await stage.clock.advance(0);
    expect(outcome()).toMatchObject({ error: { phase: 'connack', reasonCode: 0x9d } });
  });
});

describe('functions called before every CONNECT', () => {
  it('peers P18 return new values each time, and receive the attempt number and the reason', async () => {
    const stage = new Stage();
    const asked: Omit<AttemptContext, 'signal'>[] = [];
    const client = stage.client(
      {
        clientId: ({ attempt }) => `client-${attempt}`,
        credentials: async ({ attempt, reason }) => {
          asked.push({ attempt, reason });
          return { username: 'u', password: `token ${asked.length}` };
        },
        will: async (): Promise<Will> => ({ topic: `gone/${asked.length}` }),
      },
      'mqtt://a',
    );
    const broker = await stage.connect(client);
    expect(client.clientId).toBe('client-0');
    broker.reset();
    stage.refusals.push(new Error('not yet'));
    const next = await stage.network.next();
    const connect = await next.accept();
    expect(connect).toMatchObject({ clientId: 'client-2', will: { topic: 'gone/3' } });
    expect(new TextDecoder().decode(connect.password)).toBe('token 3');
    expect(asked).toMatchObject([
      { attempt: 0, reason: undefined },
      { attempt: 1, reason: { code: 'ERR_MQTT_CONNECTION_LOST' } },
      { attempt: 2, reason: { code: 'ERR_MQTT_CONNECT', phase: 'dial' } },
    ]);
    await stage.end(client, next);
  });

  it('may return the URL: one that is signed for every attempt', async () => {
    const stage = new Stage();
    let n = 0;
    const client = stage.client({}, async () => `wss://me:pw@c/mqtt?signature=${++n}`);
    const broker = await stage.connect(client);
    const next = await stage.reconnect(broker);
    expect(stage.targets).toMatchObject([
      { protocol: 'wss', host: 'c', port: 443, path: '/mqtt?signature=1' },
      { protocol: 'wss', host: 'c', port: 443, path: '/mqtt?signature=2' },
    ]);
    await stage.end(client, next);
  });

  it.each(['url', 'clientId', 'credentials', 'will', 'properties'] as const)(
    'peers P20 are abandoned after connectTimeout: %s',
    async (name) => {
      const stage = new Stage();
      let given: AttemptContext | undefined;
      const never = (context: AttemptContext) => {
        given = context;
        return new Promise<never>(() => {});
      };
      const options = { protocolVersion: 5, connectTimeout: 1_000, [name]: never } as ClientOptions;
      const { url, ...rest } = options as ClientOptions & { url?: never };
      const client = stage.client(rest, url ?? 'mqtt://a');
      const error = errorOf(client.connect());
      await stage.clock.advance(1_000);
      expect(await error).toMatchObject({ phase: 'timeout', during: 'credentials' });
      expect(given?.signal.aborted).toBe(true);
      expect(stage.targets).toEqual([]);
    },
  );

  it.each(['url', 'clientId', 'credentials', 'will', 'properties'] as const)(
    'are named in the error if they throw: %s',
    async (name) => {
      const stage = new Stage();
      const thrown = () => Promise.reject(new Error('vault is sealed'));
      const { url, ...rest } = { protocolVersion: 5, [name]: thrown } as ClientOptions & { url?: never };
      const client = stage.client(rest, url ?? 'mqtt://a');
      expect(await errorOf(client.connect())).toMatchObject({
        phase: 'credentials',
        message: `no ${name}: vault is sealed`,
      });
    },
  );

  it('start a new session with a new Client Identifier, and subscriptions are sent again', async () => {
    const stage = new Stage();
    const ids = ['one', 'one', 'two'];
    const client = stage.client({
      clientId: () => ids.shift() as string,
      cleanStart: false,
      messageRetry: 0,
    });
    const broker = await stage.connect(client);
    await stage.subscribe(client, broker, 'a', { qos: 1 });
    const status = statusOf(client);
    const again = await stage.reconnect(broker, { sessionPresent: true });
    const other = await stage.reconnect(again, { sessionPresent: true });
    const { subscriptions } = await other.expect('subscribe');
    expect(subscriptions).toMatchObject([{ topicFilter: 'a' }]);
    expect(status.filter((event) => event === 'session-lost')).toHaveLength(1);
    await stage.end(client, other);
  });
});

describe('a transport of the application', () => {
  it('gets the target, and carries all bytes between client and server', async () => {
    const stage = new Stage();
    const client = stage.client(
      { transport: (target, signal) => (stage.targets.push(target), stage.network.dial(target, signal)) },
      'wss://c:7/x?y',
    );
    const broker = await stage.connect(client);
    expect(stage.targets).toMatchObject([{ protocol: 'wss', host: 'c', port: 7, path: '/x?y' }]);
    await stage.end(client, broker);
  });
});
