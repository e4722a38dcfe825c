import { describe, expect, it } from '@jest/globals';
import { Client } from '../../lib/client/client.ts';
import type { RetryContext } from '../../lib/engine/backoff.ts';
import type { ConnectError } from '../../lib/errors.ts';
import { hex } from '../support/bytes.ts';
import { settled } from '../support/fake-clock.ts';
import { collect, errorOf, message, Stage, statusOf, watch } from './stage.ts';

const KEEP = { cleanStart: false, clientId: 'me', messageRetry: 0 } as const;
const found = { sessionPresent: true };

/** A `credentials` function that returns a new token after a number of ms on the clock of the stage. */
function slowTokens(stage: Stage, ms: number) {
  let asked = 0;
  return async () => {
    const password = `token ${++asked}`;
    await new Promise<void>((resolve) => void stage.clock.wakeAt(stage.clock.now() + ms, resolve));
    return { username: 'u', password };
  };
}

const text = (bytes: string | Uint8Array | undefined) =>
  typeof bytes === 'string' ? bytes : new TextDecoder().decode(bytes);

describe('peers: every promise', () => {
  /** One call of each kind, some waiting, some written and unanswered. */
  async function busy(options: object = {}) {
    const stage = new Stage();
    const { client, broker } = await stage.online({ maxInflight: 2, keepAlive: 0, ...options });
    const subscription = await stage.subscribe(client, broker, 'a', { qos: 1 });
    const calls = [
      ...([1, 2, 1, 2] as const).map((qos) => client.publish('t', 'x', { qos })),
      client.subscribe('b'),
      client.unsubscribe('c'),
      subscription.receive(),
      subscription.forEach(() => {}),
      subscription[Symbol.asyncIterator]().next(),
      client.status()[Symbol.asyncIterator]().next(),
      client.closed,
    ].map(watch);
    await stage.clock.advance(0);
    const pending = () => calls.flatMap((call, n) => (call() === 'pending' ? [n] : []));
    return { stage, client, broker, pending };
  }

  it('peers P1: settles when disconnect() is called while the server reads nothing and does not close', async () => {
    const { stage, client, broker, pending } = await busy();
    broker.blackhole();
    await stage.until(client.disconnect({ timeout: 50, pending: 'discard' }));
    await settled();
    expect([pending(), client.state, stage.clock.armed]).toEqual([[], 'closed', 0]);
  });

  it('peers P1: settles when a terminal error ends the client', async () => {
    const { stage, client, broker, pending } = await busy({ protocolVersion: 5, clientId: 'me' });
    broker.send({ type: 'disconnect', reasonCode: 0x8e });
    await stage.clock.advance(0);
    expect([pending(), client.state]).toEqual([[], 'closed']);
    expect(stage.clock.armed).toBe(0);
  });

  it('peers P1: settles when reinitialise() resets the client', async () => {
    const { stage, client, broker, pending } = await busy();
    broker.blackhole();
    await stage.until(client.reinitialise());
    await settled();
    expect([pending(), client.state, stage.clock.armed]).toEqual([[], 'offline', 0]);
  });

  it('peers P2: disconnect() and drain() resolve while the next attempt is awaited, and leave nothing behind', async () => {
    for (const end of ['disconnect', 'drain'] as const) {
      const { stage, client, broker, pending } = await busy(KEEP);
      for (let n = 0; n < 9; n++) stage.refusals.push(new Error('down'));
      broker.reset();
      await stage.clock.advance(10_000);
      const began = stage.clock.now();
      const ending = watch(client[end]());
      await stage.clock.advance(0);
      expect([ending() === 'pending', pending(), client.state, stage.clock.armed]).toEqual([
        false,
        [],
        'closed',
        0,
      ]);
      expect(stage.clock.now()).toBe(began);
    }
  });
});

describe('peers: credentials', () => {
  it('peers P18: are requested asynchronously before every CONNECT', async () => {
    const stage = new Stage();
    const client = stage.client({ credentials: slowTokens(stage, 700) });
    const connecting = client.connect();
    let broker = await stage.network.next();
    const sent = [text((await broker.accept()).password)];
    await stage.until(connecting);
    for (let n = 0; n < 2; n++) {
      broker.reset();
      broker = await stage.network.next();
      sent.push(text((await broker.accept()).password));
      await stage.clock.advance(6_000);
    }
    const planned = client.reconnect();
    broker.close();
    broker = await stage.network.next();
    sent.push(text((await broker.accept()).password));
    await stage.until(planned);
    expect(sent).toEqual(['token 1', 'token 2', 'token 3', 'token 4']);
    await stage.end(client, broker);
  });

  it('peers P18: that are refused as expired do not end the client: the next attempt uses new ones', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({
      protocolVersion: 5,
      credentials: slowTokens(stage, 10),
    });
    broker.reset();
    const refusing = await stage.network.next();
    await refusing.accept({ reasonCode: 0x86 });
    const next = await stage.network.next();
    expect(text((await next.accept()).password)).toBe('token 3');
    await stage.clock.advance(0);
    expect(client.state).toBe('connected');
    await stage.end(client, next);
  });

  it('peers P18: that fail reject connect() with phase "credentials", thrown or rejected', async () => {
    for (const credentials of [
      () => {
        throw new Error('no token');
      },
      () => Promise.reject(new Error('no token')),
    ]) {
      const stage = new Stage();
      const client = stage.client({ credentials });
      const error = await errorOf<ConnectError>(client.connect());
      expect([error.name, error.phase, error.cause]).toEqual([
        'ConnectError',
        'credentials',
        new Error('no token'),
      ]);
      expect([client.state, stage.targets.length, stage.clock.armed]).toEqual(['offline', 0, 0]);
    }
  });

  it('peers P18: that fail while reconnecting are requested again according to the policy, which gets the error', async () => {
    const stage = new Stage();
    const asked: number[] = [];
    const contexts: Pick<RetryContext, 'attempt' | 'error'>[] = [];
    const { client, broker } = await stage.online({
      ...KEEP,
      credentials: () => {
        asked.push(stage.clock.now());
        if (asked.length === 2 || asked.length === 3) throw new Error(`no token ${asked.length}`);
        return Promise.resolve({ username: 'u', password: 'p' });
      },
      reconnect: ({ attempt, error }) => {
        contexts.push({ attempt, error });
        return 3_000;
      },
    });
    const events = statusOf(client);
    const published = watch(client.publish('t', 'x', { qos: 1 }));
    await broker.expect('publish');
    const began = stage.clock.now();
    broker.reset();
    const next = await stage.network.next();
    next.ackPublishes();
    await next.accept(found);
    await stage.clock.advance(0);
    expect(asked.slice(1).map((at) => at - began)).toEqual([3_000, 6_000, 9_000]);
    expect(contexts.map(({ attempt }) => attempt)).toEqual([0, 1, 2]);
    expect(contexts[1]!.error).toMatchObject({ phase: 'credentials', cause: new Error('no token 2') });
    expect(events.filter((event) => event.startsWith('disconnected'))).toHaveLength(3);
    expect(published()).toMatchObject({ value: { reasonCode: 0 } });
    await stage.end(client, next);
  });

  it('peers P18: that never come are abandoned with the attempt, and their signal is aborted', async () => {
    const stage = new Stage();
    const signals: AbortSignal[] = [];
    const client = stage.client({
      connectTimeout: 4_000,
      credentials: ({ signal }) => {
        signals.push(signal);
        return new Promise(() => {});
      },
    });
    const outcome = watch(client.connect());
    await stage.clock.advance(4_000);
    expect(outcome()).toMatchObject({ error: { phase: 'timeout' } });
    expect([signals.map(({ aborted }) => aborted), stage.clock.armed]).toEqual([[true], 0]);
  });
});

describe('peers: errors of others', () => {
  const hostile: [string, 4 | 5, Uint8Array][] = [
    ['a reserved packet type', 4, hex`f0 00`],
    ['a Remaining Length of five bytes', 4, hex`30 ff ff ff ff 7f`],
    ['a PUBACK without Packet Identifier', 4, hex`40 00`],
    ['a PUBACK for Packet Identifier 0', 4, hex`40 02 00 00`],
    ['a PUBREL with other flags', 4, hex`60 02 00 01`],
    ['a topic longer than the packet', 4, hex`30 04 ff ff 61 62`],
    ['a topic that is not UTF-8', 4, hex`30 04 00 02 c3 28`],
    ['a SUBACK without codes', 4, hex`90 02 00 01`],
    ['an unexpected SUBACK', 5, hex`90 04 00 09 00 00`],
    ['properties longer than the packet', 5, hex`30 05 00 01 61 7f 00`],
    ['an unknown property', 5, hex`30 06 00 01 61 02 7f 00`],
    ['a Topic Alias of 0', 5, hex`30 07 00 01 61 03 23 00 00`],
    ['an unknown Topic Alias', 5, hex`30 06 00 00 03 23 00 09`],
    ['a Subscription Identifier of 0', 5, hex`30 06 00 01 61 02 0b 00`],
    ['an unexpected AUTH', 5, hex`f0 00`],
    ['a DISCONNECT with a code that does not exist', 5, hex`e0 01 7e`],
    ['CONNECT', 5, hex`10 0d 00 04 4d 51 54 54 05 02 00 00 00 00 00`],
  ];

  it.each(hostile)(
    'peers P19: %s from the server causes no uncaught exception, and the client reconnects (version %d)',
    async (_, protocolVersion, bytes) => {
      const stage = new Stage();
      const expiry = protocolVersion === 5 && { sessionExpiryInterval: 60 };
      const { client, broker } = await stage.online({ ...KEEP, ...expiry, protocolVersion });
      const looping = collect(await stage.subscribe(client, broker, 'a', { qos: 1 }));
      const published = watch(client.publish('t', 'x', { qos: 1 }));
      await broker.expect('publish');
      broker.sendBytes(bytes);
      const next = await stage.network.next();
      next.ackPublishes();
      await next.accept(found);
      next.send(message('a', 'still here', 7));
      await next.expect('puback', { packetId: 7 });
      expect([published(), looping.texts]).toMatchObject([{ value: { reasonCode: 0 } }, ['still here']]);
      await stage.end(client, next);
      expect(stage.clock.armed).toBe(0);
    },
  );

  it('peers P19: a handler, loop or policy that throws ends neither the client nor the others', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({
      ...KEEP,
      reconnect: () => {
        throw new Error('policy');
      },
    });
    broker.answer('subscribe');
    const fail = (): never => {
      throw new Error('handler');
    };
    const [handled, looped, fine] = await stage.until(
      Promise.all(['a', 'b', 'c'].map((filter) => client.subscribe(filter, { qos: 1 }))),
    );
    const outcomes = [watch(handled!.forEach(fail)), watch(collect(looped!, fail).done)];
    const looping = collect(fine!);
    broker.send(message('a', '1', 1), message('b', '2', 2), message('c', '3', 3));
    await stage.clock.advance(0);
    expect(outcomes.map((outcome) => outcome())).toEqual([
      { error: new Error('handler') },
      { error: new Error('handler') },
    ]);
    const next = await stage.reconnect(broker, found);
    next.send(message('c', '4', 4));
    await next.expect('puback', { packetId: 4 });
    expect([looping.texts, client.state]).toEqual([['3', '4'], 'connected']);
    await stage.end(client, next);
  });

  it('peers P20: a wrong host that never answers is abandoned', async () => {
    const stage = new Stage();
    const signals: AbortSignal[] = [];
    const dial = (_: unknown, { signal }: { readonly signal: AbortSignal }) => {
      signals.push(signal);
      return new Promise<never>(() => {});
    };
    const platform = { clock: stage.clock, wallClock: Date.now, random: () => 0.5, dial };
    const client = new Client('mqtt://192.0.2.1', {}, platform);
    const outcome = watch(client.connect());
    await stage.clock.advance(30_000);
    expect([outcome(), signals[0]!.aborted, stage.clock.armed]).toMatchObject([
      { error: { phase: 'timeout' } },
      true,
      0,
    ]);
  });
});

describe('peers: keep alive', () => {
  it('peers P15: messages of the server do not replace PINGREQ', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ keepAlive: 10 });
    broker.answer('pingreq');
    let last = stage.clock.now();
    let longest = 0;
    for (let n = 0; n < 300; n++) {
      broker.send(message('a', 'x'));
      const pings = broker.packets.length;
      await stage.clock.advance(200);
      if (broker.packets.length === pings) continue;
      longest = Math.max(longest, stage.clock.now() - last);
      last = stage.clock.now();
    }
    expect(longest).toBeGreaterThan(0);
    expect(longest).toBeLessThanOrEqual(10_000);
    await stage.end(client, broker);
  });

  it('peers P15: messages of the client do not either: a server that reads but never answers is noticed', async () => {
    const stage = new Stage();
    const { client } = await stage.online({ keepAlive: 10 });
    stage.network.connections[0]!.link.isFrozen = true;
    const began = stage.clock.now();
    while (client.state === 'connected' && stage.clock.now() - began < 60_000) {
      await client.publish('t', 'x');
      await stage.clock.advance(200);
    }
    expect(stage.clock.now() - began).toBeLessThanOrEqual(15_200);
    await client.disconnect();
  });

  it('peers P15: a slow server with much to send is not taken for dead', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ keepAlive: 10 });
    collect(await stage.subscribe(client, broker, 'a'));
    // PINGRESP never comes: bytes under way before it are a sufficient sign.
    for (let n = 0; n < 60; n++) {
      broker.send(message('a', 'x'));
      await stage.clock.advance(1_000);
    }
    expect([client.state, stage.targets.length]).toEqual(['connected', 1]);
    await stage.end(client, broker);
  });
});
