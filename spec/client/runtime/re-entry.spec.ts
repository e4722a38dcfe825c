import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Engine } from '../../../lib/engine/engine.ts';
import type { Client, ClientOptions, Transport } from '../../../lib/index.ts';
import { message, Stage } from '../../scenarios/stage.ts';

/** Calls of the engine that began while another one was running. */
let reentries: string[] = [];
let restore: () => void = () => {};

/** Has every method and property of the engine report that it is used while the engine runs. */
function watchEngine(): () => void {
  const prototype = Engine.prototype as object;
  const before = Object.getOwnPropertyDescriptors(prototype);
  const running = new WeakSet<object>();
  const watched = (name: string, call: (this: object, ...args: never[]) => unknown) =>
    function (this: object, ...args: never[]): unknown {
      if (running.has(this)) {
        reentries.push(name);
        throw new Error(`the engine was re-entered by ${name}`);
      }
      running.add(this);
      try {
        return Reflect.apply(call, this, args);
      } finally {
        running.delete(this);
      }
    };
  for (const [name, property] of Object.entries(before)) {
    // Deliveries may say what becomes of a receipt.
    if (name === 'constructor' || name === 'acknowledgements') continue;
    const key = property.get === undefined ? 'value' : 'get';
    Object.defineProperty(prototype, name, { [key]: watched(name, property[key] as never) });
  }
  return () => Object.defineProperties(prototype, before);
}

beforeAll(() => {
  restore = watchEngine();
});
beforeEach(() => {
  reentries = [];
});
afterAll(() => restore());

/** Sent by reference, and more than a connection takes at once. */
const MEDIUM = new Uint8Array(20_000);
const LARGE = new Uint8Array(100_000);

/** What an application may call, wherever it is called from. None of it may throw. */
const CALLS: Readonly<Record<string, (client: Client) => unknown>> = {
  connect: (client) => client.connect(),
  disconnect: (client) => client.disconnect(),
  reconnect: (client) => client.reconnect(),
  publish: (client) =>
    Promise.all(([0, 1, 2] as const).map((qos) => client.publish('re-entry', MEDIUM, { qos }))),
  subscribe: (client) => client.subscribe(['re-entry/#', '+/re-entry']),
  unsubscribe: (client) => client.unsubscribe('a'),
  drain: (client) => client.drain({ timeout: 10 }),
  configure: (client) => client.configure({ maxInflight: 5, keepAlive: 7 }),
  stats: (client) => [client.stats(), client.state, client.negotiated, client.clientId],
};

/** Where an application is called. `act` makes the call. */
const PLACES: Readonly<
  Record<
    string,
    (stage: Stage, act: () => void) => { options: ClientOptions; start?: (client: Client) => void }
  >
> = {
  logger: (_, act) => ({ options: { logger: { debug: act, info: act, warn: act, error: act } } }),
  'reconnect policy': (_, act) => ({ options: { reconnect: () => (act(), 50) } }),
  'credentials function': (_, act) => ({ options: { credentials: () => (act(), { username: 'u' }) } }),
  'listener of the signal of an attempt': (_, act) => {
    let attempts = 0;
    return {
      options: {
        connectTimeout: 1_000,
        will({ signal }) {
          signal.addEventListener('abort', act);
          return attempts++ % 2 === 0 ? new Promise(() => {}) : undefined;
        },
      },
    };
  },
  transport: (stage, act) => ({
    options: {
      transport: async (target, signal) => {
        act();
        return calling(await stage.network.dial(target, signal), act);
      },
    },
  }),
  'status reader': (_, act) => ({
    options: {},
    start: (client) =>
      void (async () => {
        const events = client.status()[Symbol.asyncIterator]();
        while ((await events.next()).done !== true) act();
      })(),
  }),
  'message handler': (_, act) => ({
    options: {},
    start: (client) =>
      void client
        .subscribe('a', { qos: 1 })
        .then((some) => some.forEach(act))
        .catch(() => {}),
  }),
};

/** `transport`, with a call in each of its methods. */
function calling(transport: Transport, act: () => void): Transport {
  return {
    get bytesPending() {
      act();
      return transport.bytesPending;
    },
    open: (receiver) => (act(), transport.open(receiver)),
    write: (bytes, written) => (act(), transport.write(bytes, written)),
    pause: () => (act(), transport.pause()),
    resume: () => (act(), transport.resume()),
    end: () => (act(), transport.end()),
    destroy: () => (act(), transport.destroy()),
  };
}

/** The life of a client, with as much going on as fits: whatever the calls do to it, it goes on or has ended. */
async function live(stage: Stage, client: Client): Promise<void> {
  const session = { sessionPresent: true };
  const step = (ms: number) => stage.clock.advance(ms);
  const brokers = () => stage.network.connections.map(({ broker }) => broker);
  client.connect({ retry: true }).catch(() => {});
  await step(3_000);
  for (const answer of [{}, session, { sessionPresent: false }, { reasonCode: 0x88 }, session]) {
    const broker = brokers().at(-1);
    // The client may have ended before it connected.
    if (broker?.protocolVersion !== 5) break;
    broker.answer('subscribe');
    broker.ackPublishes();
    broker.send({ type: 'connack', ...answer }, message('a', 'with CONNACK', 1));
    await step(0);
    broker.send(message('a', 'known', 2), message('unknown', 'nobody', 3), { type: 'puback', packetId: 99 });
    await step(31_000);
    client.publish('b', LARGE, { qos: 2 }).catch(() => {});
    await step(0);
    broker.reset();
    await step(5_001);
  }
  stage.refusals.push(new Error('down'));
  await step(10_000);
}

describe.each(Object.keys(PLACES))('the engine is never re-entered from a %s', (place) => {
  it.each(Object.keys(CALLS))('that calls %s()', async (call) => {
    for (let first = 0; first < 4; first++) {
      const stage = new Stage();
      let calls = 0;
      const act = (): void => {
        // Once for a good while, and at another moment each time: the call itself may lead to the next.
        if (calls++ % 4 !== first || calls > 40) return;
        const result: unknown = CALLS[call]!(client);
        if (result instanceof Promise) result.catch(() => {});
      };
      const { options, start } = PLACES[place]!(stage, act);
      const client = stage.client(
        {
          protocolVersion: 5,
          clientId: 'c',
          cleanStart: false,
          sessionExpiryInterval: 100,
          ackStallTimeout: 1_000,
          receiveMaximum: 2,
          ...options,
        },
        'mqtt://server',
      );
      start?.(client);
      await live(stage, client);
      client.disconnect({ pending: 'discard', timeout: 0 }).catch(() => {});
      await stage.clock.advance(2_000);
      expect(reentries).toEqual([]);
      expect(calls).toBeGreaterThan(0);
    }
  });
});
