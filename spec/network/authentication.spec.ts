import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { scramSha256 } from '../../docs/examples/support/scram-sha-256.ts';
import { startScramServer, storeUser } from '../../docs/examples/support/scram-server.ts';
import { Client, connect, type Authentication, type ClientOptions } from '../../lib/index.ts';
import { buildAuthPlugin, type MosquittoPlugin } from '../support/mosquitto-plugin.ts';
import { atEnd } from '../support/endings.ts';
import { describeWithMosquittoPlugins } from '../support/programs.ts';
import { endActors, mosquitto, SOON } from './actors.ts';

/*
 * Enhanced authentication with a plugin of Mosquitto, whose method TEST has two rounds
 * (spec/support/mosquitto-auth-plugin.c), and with the SCRAM server of the example.
 */

endActors();

const RIGHT: Readonly<Record<string, string>> = { one: 'answer one', two: 'answer two' };

/** Answers by a table that a spec can change, and records what the server has sent. */
class TestMethod {
  answers = RIGHT;
  readonly heard: string[] = [];

  authentication(method = 'TEST'): Authentication {
    const text = (data: Uint8Array | undefined): string => Buffer.from(data ?? []).toString();
    return {
      method,
      start: () => 'hello',
      continue: async (data) => {
        this.heard.push(text(data));
        return this.answers[text(data)];
      },
      finish: (data) => void this.heard.push(text(data)),
    };
  }
}

describeWithMosquittoPlugins('enhanced authentication', () => {
  let plugin: MosquittoPlugin;
  beforeAll(async () => {
    plugin = await buildAuthPlugin();
  });
  afterAll(() => plugin.remove());

  async function meet(
    test: TestMethod,
    options: ClientOptions & { readonly method?: string } = {},
  ): Promise<Client> {
    const { method, ...more } = options;
    const { url } = await mosquitto({ config: [plugin.config] });
    const authentication = test.authentication(method);
    const client = new Client(url, { protocolVersion: 5, authentication, reconnect: SOON, ...more });
    atEnd(() => client.disconnect());
    return client;
  }

  it('connects after two rounds, and authenticates again while messages go on', async () => {
    const test = new TestMethod();
    const client = await meet(test, { clientId: 'meter-7' });
    await client.connect();
    expect(test.heard).toEqual(['one', 'two', 'proof']);
    const subscription = await client.subscribe('a', { qos: 1 });
    const again = Promise.all([client.reauthenticate(), client.reauthenticate()]);
    await Promise.all(Array.from({ length: 20 }, (_, n) => client.publish('a', n, { qos: 1 })));
    await again;
    expect(test.heard.slice(3)).toEqual(['one', 'two', 'proof']);
    for (let n = 0; n < 20; n++) expect((await subscription.receive({ timeout: 5_000 })).text()).toBe(`${n}`);
    await client.reauthenticate();
    expect(client.stats().failures).toEqual({});
  });

  it('authenticates on every reconnect', async () => {
    const test = new TestMethod();
    const client = await meet(test);
    await client.connect();
    await client.reconnect();
    expect(test.heard).toEqual(['one', 'two', 'proof', 'one', 'two', 'proof']);
  });

  it('is refused after a wrong answer', async () => {
    const test = new TestMethod();
    test.answers = { one: 'wrong' };
    const client = await meet(test);
    await expect(client.connect()).rejects.toMatchObject({ phase: 'connack', reasonCode: 0x87 });
    expect(client.state).toBe('offline');
    test.answers = RIGHT;
    await client.connect();
  });

  it('a method that the server does not know is final', async () => {
    const client = await meet(new TestMethod(), { method: 'OTHER' });
    await expect(client.connect()).rejects.toMatchObject({ phase: 'connack', reasonCode: 0x8c });
    expect(client.state).toBe('closed');
  });

  it('a wrong answer in a re-authentication rejects, and the next connection authenticates', async () => {
    const test = new TestMethod();
    const client = await meet(test, { reconnect: { ...SOON, policy: () => 5 } });
    await client.connect();
    test.answers = { one: 'answer one', two: 'wrong' };
    const again = client.reauthenticate();
    await expect(again).rejects.toMatchObject({ code: 'ERR_MQTT_CONNECTION_LOST', reasonCode: 0x87 });
    test.answers = RIGHT;
    await client.publish('a', 'x', { qos: 1, timeout: 5_000 });
    expect(client.state).toBe('connected');
  });
});

describe('SCRAM-SHA-256', () => {
  it('connects and authenticates again; a wrong password and an impostor are refused', async () => {
    const user = await storeUser('pencil');
    await using server = await startScramServer(user);
    {
      await using client = await connect(server.url, {
        protocolVersion: 5,
        authentication: scramSha256('user', 'pencil'),
      });
      await client.reauthenticate();
      expect(await client.publish('a', 'x', { qos: 1 })).toMatchObject({ reasonCode: 0 });
    }
    const attempt = (url: string, password: string): Promise<Client> =>
      connect(url, { protocolVersion: 5, authentication: scramSha256('user', password) });
    await expect(attempt(server.url, 'pen')).rejects.toMatchObject({ phase: 'connack', reasonCode: 0x87 });
    await using impostor = await startScramServer(user, 'v=AAAA');
    await expect(attempt(impostor.url, 'pencil')).rejects.toMatchObject({
      phase: 'authentication',
      reasonCode: 0x87,
    });
  });
});
