import { describe, expect, it } from '@jest/globals';
import type { Client } from '../../lib/client/client.ts';
import type { RetryContext } from '../../lib/engine/backoff.ts';
import { ClosedError, ConnectionLostError, TimeoutError } from '../../lib/errors.ts';
import { settled } from '../support/fake-clock.ts';
import { collect, errorOf, message, Stage, statusOf, watch } from './stage.ts';

const KEEP = { cleanStart: false, clientId: 'me', messageRetry: 0 } as const;
const found = { sessionPresent: true };
const down = () => new Error('down');

describe('reconnect()', () => {
  it('sends DISCONNECT, waits for the close, and resolves with the CONNACK of the new connection', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ ...KEEP, protocolVersion: 5, sessionExpiryInterval: 60 });
    const events = statusOf(client);
    const again = client.reconnect();
    await broker.expect('disconnect', { reasonCode: 0 });
    await stage.clock.advance(0);
    await broker.expectClose();
    const next = await stage.network.next();
    await next.accept({ ...found, properties: { receiveMaximum: 9 } });
    expect(await stage.until(again)).toEqual({
      sessionPresent: true,
      reasonCode: 0,
      properties: { receiveMaximum: 9 },
    });
    expect([client.state, events]).toEqual(['connected', ['connecting 0', 'connected']]);
    await stage.end(client, next);
    expect(stage.clock.armed).toBe(0);
  });

  it('dials after a second if the server does not close', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    // Nothing arrives, so the close does not arrive either.
    stage.network.connections[0]!.link.isFrozen = true;
    const again = watch(client.reconnect());
    await stage.clock.advance(999);
    expect(stage.targets).toHaveLength(1);
    await stage.clock.advance(1);
    expect(stage.targets).toHaveLength(2);
    const next = await stage.network.next();
    await next.accept();
    await stage.clock.advance(0);
    expect([again(), broker.packets.length]).toMatchObject([{ value: { reasonCode: 0 } }, 1]);
    await stage.end(client, next);
    expect(stage.clock.armed).toBe(0);
  });

  it('writes everything queued before DISCONNECT, and unacknowledged messages are sent again', async () => {
    const stage = new Stage({ latency: 10 });
    const { client, broker } = await stage.online(KEEP);
    const published = watch(client.publish('t', 'x', { qos: 1 }));
    void client.reconnect();
    const { packetId } = await broker.expect('publish', { duplicate: false });
    await broker.expect('disconnect');
    const next = await stage.network.next();
    await next.accept(found);
    await next.expect('publish', { packetId: packetId!, duplicate: true });
    next.send({ type: 'puback', packetId: packetId! });
    await stage.clock.advance(10);
    expect(published()).toMatchObject({ value: { reasonCode: 0 } });
    await stage.end(client, next);
  });

  it('acknowledges messages finished meanwhile on the new connection, once the server has sent them again', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(KEEP);
    const subscription = await stage.subscribe(client, broker, 'a', { qos: 1 });
    let finish = (): void => {};
    const looping = collect(subscription, () => new Promise<void>((resolve) => (finish = resolve)));
    broker.send(message('a', 'x', 3));
    await stage.clock.advance(0);
    void client.reconnect();
    const next = await stage.network.next();
    await next.accept(found);
    finish();
    await stage.clock.advance(0);
    expect(next.unread).toEqual([]);
    next.send({ ...message('a', 'x', 3), duplicate: true });
    await next.expect('puback', { packetId: 3 });
    expect(looping.texts).toEqual(['x']);
    await stage.end(client, next);
  });

  it('cuts a delay short', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ reconnect: { minDelay: 60_000 } });
    broker.reset();
    await stage.clock.advance(0);
    expect(client.state).toBe('waiting');
    const [again, before] = [client.reconnect(), stage.clock.now()];
    const next = await stage.network.next();
    await next.accept();
    await stage.until(again);
    expect(stage.clock.now()).toBe(before);
    await stage.end(client, next);
  });

  it('cuts a delay short for connect() and an earlier reconnect(), too', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ reconnect: { minDelay: 60_000 } });
    broker.reset();
    await stage.clock.advance(0);
    const connecting = watch(client.connect());
    stage.refusals.push(down());
    const first = watch(client.reconnect());
    await stage.clock.advance(0);
    expect([client.state, connecting(), first()]).toEqual(['waiting', 'pending', 'pending']);
    const second = watch(client.reconnect());
    const next = await stage.network.next();
    await next.accept();
    await stage.clock.advance(0);
    for (const outcome of [connecting(), first(), second()])
      expect(outcome).toMatchObject({ value: { reasonCode: 0 } });
    await stage.end(client, next);
  });

  it('rejects with ClosedError if the client was never connected or has closed', async () => {
    const stage = new Stage();
    const client = stage.client();
    expect(await errorOf(client.reconnect())).toBeInstanceOf(ClosedError);
    const broker = await stage.connect(client);
    const ending = client.disconnect();
    expect(await errorOf(client.reconnect())).toBeInstanceOf(ClosedError);
    await settled();
    broker.close();
    await stage.until(ending);
    expect(await errorOf(client.reconnect())).toBeInstanceOf(ClosedError);
    await stage.clock.advance(0);
    expect([client.state, stage.targets.length, stage.clock.armed]).toEqual(['closed', 1, 0]);
  });

  it('changes nothing if aborted before it begins, and leaves the attempt running on time-out', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const reason = new Error('changed my mind');
    await expect(client.reconnect({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    await stage.clock.advance(100);
    expect([client.state, broker.unread]).toEqual(['connected', []]);
    const aborting = new AbortController();
    const [leaving, late] = [{ signal: aborting.signal }, { timeout: 20 }].map((options) =>
      watch(client.reconnect(options)),
    );
    const next = await stage.network.next();
    aborting.abort(reason);
    await stage.clock.advance(20);
    expect([leaving!(), late!()]).toEqual([{ error: reason }, { error: expect.any(TimeoutError) }]);
    await next.accept();
    await stage.clock.advance(0);
    expect([client.state, stage.targets.length]).toEqual(['connected', 2]);
    await stage.end(client, next);
    expect(stage.clock.armed).toBe(0);
  });

  it('shares one attempt with concurrent reconnect() and connect() calls', async () => {
    const stage = new Stage();
    const { client } = await stage.online();
    const calls = [client.reconnect(), client.reconnect(), client.connect()].map(watch);
    const next = await stage.network.next();
    await next.accept();
    await stage.clock.advance(0);
    expect(calls.map((call) => call())).toEqual(calls.map(() => ({ value: expect.anything() })));
    expect([stage.targets.length, client.state]).toEqual([2, 'connected']);
    await stage.end(client, next);
  });

  it('joins the attempt of connect()', async () => {
    const stage = new Stage();
    const client = stage.client();
    const calls = [client.connect(), client.reconnect()].map(watch);
    const broker = await stage.network.next();
    await broker.accept();
    await stage.clock.advance(0);
    expect(calls.map((call) => call())).toEqual(calls.map(() => ({ value: expect.anything() })));
    expect(stage.targets).toHaveLength(1);
    await stage.end(client, broker);
  });

  it('retries after a failure as after any loss, and resolves with the first success', async () => {
    const stage = new Stage();
    const { client } = await stage.online();
    const events = statusOf(client);
    stage.refusals.push(down(), down());
    const again = client.reconnect();
    const next = await stage.network.next();
    await next.accept();
    await stage.until(again);
    expect(events.filter((event) => event.startsWith('disconnected'))).toEqual([
      'disconnected, again in 1000',
      'disconnected, again in 2000',
    ]);
    await stage.end(client, next);
  });

  it('is ended by disconnect(), which leaves nothing behind', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const again = watch(client.reconnect());
    const ending = client.disconnect();
    await settled();
    expect([again(), client.state]).toEqual([{ error: expect.any(ClosedError) }, 'closed']);
    // The old connection is still being closed.
    await stage.until(ending);
    expect([stage.clock.armed, stage.targets.length, broker.isClosed]).toEqual([0, 1, true]);
  });

  it('is ended by disconnect() while the new server does not answer', async () => {
    const stage = new Stage();
    const { client } = await stage.online();
    const again = watch(client.reconnect());
    const next = await stage.network.next();
    await next.expect('connect');
    await client.disconnect();
    await stage.clock.advance(0);
    expect([again(), client.state, stage.clock.armed, next.isClosed]).toEqual([
      { error: expect.any(ClosedError) },
      'closed',
      0,
      true,
    ]);
  });
});

describe('reconnect.policy', () => {
  it('returns the delay, in either form, and gets the error', async () => {
    for (const short of [true, false]) {
      const stage = new Stage();
      const seen: RetryContext[] = [];
      const policy = (context: RetryContext): number => {
        seen.push(context);
        return 70;
      };
      const { client, broker } = await stage.online({ reconnect: short ? policy : { policy } });
      const events = statusOf(client);
      await stage.clock.advance(6_000);
      stage.refusals.push(down());
      broker.reset();
      const next = await stage.network.next();
      await next.accept();
      await stage.clock.advance(0);
      expect(events.filter((event) => event.startsWith('disconnected'))).toEqual([
        'disconnected, again in 70',
        'disconnected, again in 70',
      ]);
      expect(seen).toMatchObject([
        { attempt: 0, uptime: 6_000, flapping: false, reasonCode: undefined },
        { attempt: 1, uptime: 0, flapping: false },
      ]);
      expect(seen[0]!.error).toBeInstanceOf(ConnectionLostError);
      await stage.end(client, next);
      expect(stage.clock.armed).toBe(0);
    }
  });

  it.each([false, Infinity] as const)('that returns %s closes the client', async (answer) => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ reconnect: () => answer });
    const [closed, events] = [watch(client.closed), statusOf(client)];
    broker.reset();
    await stage.clock.advance(0);
    expect([closed(), events, client.state]).toEqual([
      { error: expect.any(ConnectionLostError) },
      ['closed'],
      'closed',
    ]);
    expect(stage.clock.armed).toBe(0);
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('mine');
      },
    ],
    ['returns text', () => 'soon'],
    ['returns a negative number', () => -1],
    ['returns NaN', () => Number.NaN],
    ['returns nothing', () => undefined],
    ['returns a promise', () => Promise.resolve(5)],
    ['is asynchronous, and rejects', () => Promise.reject(new Error('late'))],
  ])('that %s is logged, and the default delay applies', async (_, policy) => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ reconnect: policy as () => number });
    const events = statusOf(client);
    broker.reset();
    await stage.clock.advance(0);
    expect(events).toEqual(['disconnected, again in 1000']);
    expect(stage.log.filter((line) => line.startsWith('error: reconnect.policy'))).toHaveLength(1);
    await client.disconnect();
    expect(stage.clock.armed).toBe(0);
  });

  it('may retry after a refusal that is final by default', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ protocolVersion: 5, reconnect: () => 10 });
    broker.send({ type: 'disconnect', reasonCode: 0x8e });
    const next = await stage.network.next();
    await next.accept();
    await stage.clock.advance(0);
    expect(client.state).toBe('connected');
    await stage.end(client, next);
  });

  it.each([50, false] as const)(
    'that disconnects its own client closes it once, whatever it returns (%s)',
    async (answer) => {
      const stage = new Stage();
      const options = { reconnect: () => (void client.disconnect(), answer) };
      const client = stage.client(options);
      const broker = await stage.connect(client);
      const [closed, events] = [watch(client.closed), statusOf(client)];
      broker.reset();
      await stage.clock.advance(1_000);
      expect(closed()).not.toBe('pending');
      expect(events.filter((event) => event === 'closed')).toHaveLength(1);
      expect([client.state, stage.clock.armed, stage.targets.length]).toEqual(['closed', 0, 1]);
    },
  );

  it.each([50, false] as const)(
    'that connects its own client joins the attempt under way, whatever it returns (%s)',
    async (answer) => {
      const stage = new Stage();
      const outcomes: (() => unknown)[] = [];
      const policy = (context: RetryContext) => {
        if (context.attempt === 0) return 10;
        outcomes.push(watch(client.connect()));
        return answer;
      };
      const client = stage.client({ reconnect: policy });
      const broker = await stage.connect(client);
      stage.refusals.push(down());
      broker.reset();
      await stage.clock.advance(1_000);
      if (answer === false) {
        expect([outcomes[0]!(), client.state, stage.targets.length]).toMatchObject([
          { error: { message: expect.stringContaining('down') } },
          'closed',
          2,
        ]);
        expect(stage.clock.armed).toBe(0);
        return;
      }
      const next = await stage.network.next();
      await next.accept();
      await stage.clock.advance(0);
      expect([outcomes[0]!(), client.state]).toMatchObject([{ value: { reasonCode: 0 } }, 'connected']);
      await stage.end(client, next);
    },
  );

  it('that reconnects its own client gets the next connection', async () => {
    const stage = new Stage();
    const outcomes: (() => unknown)[] = [];
    const policy = (): number => {
      outcomes.push(watch(client.reconnect()));
      return 50;
    };
    const client: Client = stage.client({ reconnect: policy });
    const broker = await stage.connect(client);
    broker.reset();
    const next = await stage.network.next();
    await next.accept();
    await stage.clock.advance(0);
    expect(outcomes.map((outcome) => outcome())).toMatchObject([{ value: { reasonCode: 0 } }]);
    await stage.end(client, next);
  });
});

describe('reconnect.maxAttempts', () => {
  it('closes the client with the error of the last attempt', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ reconnect: { maxAttempts: 2 } });
    const [closed, events] = [watch(client.closed), statusOf(client)];
    const pending = watch(client.publish('a', 'x', { qos: 1 }));
    stage.refusals.push(down(), new Error('still down'));
    broker.reset();
    await stage.clock.advance(10_000);
    const last = { message: expect.stringContaining('still down') };
    expect([closed(), pending(), client.state]).toMatchObject([
      { error: last },
      { error: { name: 'ClosedError', cause: last } },
      'closed',
    ]);
    expect([events.at(-1), stage.targets.length, stage.clock.armed]).toEqual(['closed', 3, 0]);
  });

  it('also limits a connect() that retries, and the next connect() starts again', async () => {
    const stage = new Stage();
    const client = stage.client({ reconnect: { maxAttempts: 2, retryInitial: true } });
    stage.refusals.push(down(), down(), down());
    const connecting = watch(client.connect());
    await stage.clock.advance(10_000);
    expect([connecting(), client.state, stage.targets.length]).toMatchObject([
      { error: { message: expect.stringContaining('down') } },
      'closed',
      2,
    ]);
    const broker = await stage.connect(client);
    expect(stage.targets).toHaveLength(4);
    await stage.end(client, broker);
  });
});

describe('short-lived connections', () => {
  it('are flapping from the third on, and the delay keeps growing', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const seen: [number, boolean][] = [];
    void (async () => {
      for await (const event of client.status())
        if (event.type === 'disconnected') seen.push([event.willRetryIn, event.flapping]);
    })();
    let last = broker;
    for (let n = 0; n < 6; n++) last = await stage.reconnect(last);
    expect(seen).toEqual([
      [1_000, false],
      [1_000, false],
      [2_000, true],
      [4_000, true],
      [8_000, true],
      [16_000, true],
    ]);
    // A connection that lasts resets the counter.
    await stage.clock.advance(5_000);
    last = await stage.reconnect(last);
    expect(seen.at(-1)).toEqual([1_000, false]);
    await stage.end(client, last);
    expect(stage.clock.armed).toBe(0);
  });
});
