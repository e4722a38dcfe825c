import { describe, expect, it } from '@jest/globals';
import { ConnectQueue } from '../../../lib/client/runtime/connect-queue.ts';
import { ClosedError, ConnectError, TimeoutError } from '../../../lib/errors.ts';
import { errorOf, Stage, watch } from '../../scenarios/stage.ts';
import { settled } from '../../support/fake-clock.ts';

describe('connect()', () => {
  it('resolves with the CONNACK', async () => {
    const stage = new Stage();
    const client = stage.client({ protocolVersion: 5 });
    const connecting = client.connect();
    const broker = await stage.network.next();
    await broker.accept({ properties: { receiveMaximum: 7 } });
    await expect(stage.until(connecting)).resolves.toEqual({
      sessionPresent: false,
      reasonCode: 0,
      properties: { receiveMaximum: 7 },
    });
    expect([client.state, client.negotiated?.receiveMaximum]).toEqual(['connected', 7]);
    await stage.end(client, broker);
    expect(stage.clock.armed).toBe(0);
  });

  it('shares one attempt among the calls that come meanwhile, and answers a later one at once', async () => {
    const stage = new Stage();
    const client = stage.client();
    const [one, other] = [client.connect(), client.connect()];
    const broker = await stage.network.next();
    await broker.accept();
    const connack = await stage.until(one);
    await expect(other).resolves.toBe(connack);
    await expect(client.connect()).resolves.toBe(connack);
    expect(stage.targets).toHaveLength(1);
    await stage.end(client, broker);
  });

  it('checks its options, and applies none of them if one is wrong', async () => {
    const stage = new Stage();
    const client = stage.client();
    for (const wrong of [
      { host: 7 },
      { host: 'other', port: 0 },
      { host: 'other', keepAlive: 1, port: 70_000 },
      { keepAlive: 5, localAddress: 1 },
      { keepAlive: 5, localAddress: 'here' },
      { retry: 'yes' },
      { timeout: -1 },
      { adress: 'x' },
    ])
      expect(await errorOf(client.connect(wrong as object))).toMatchObject({
        message: expect.stringContaining('expected'),
      });
    expect(client.state).toBe('offline');
    const broker = await connectAndTell(stage, client, {});
    expect([broker.keepAlive, stage.targets]).toEqual([
      60,
      [{ protocol: 'mqtt', host: 'server', port: 1883 }],
    ]);
  });

  it('takes host, port, keepAlive and localAddress over what the constructor was given, for later attempts too', async () => {
    const stage = new Stage();
    const client = stage.client({ keepAlive: 30 });
    const options = { host: 'other', port: 1884, keepAlive: 15, localAddress: '10.0.0.7' };
    const told = await connectAndTell(stage, client, options);
    expect(told.keepAlive).toBe(15);
    told.broker.reset();
    await (await stage.network.next()).expect('connect', { keepAlive: 15 });
    const target = { protocol: 'mqtt', host: 'other', port: 1884, localAddress: '10.0.0.7' };
    expect(stage.targets).toEqual([target, target]);
  });
});

async function connectAndTell(stage: Stage, client: ReturnType<Stage['client']>, options: object) {
  const connecting = client.connect(options);
  const broker = await stage.network.next();
  const { keepAlive } = await broker.accept();
  await stage.until(connecting);
  return { broker, keepAlive };
}

describe('a call of connect() that is aborted', () => {
  it('rejects alone: the attempt goes on for the others', async () => {
    const stage = new Stage();
    const client = stage.client();
    const aborting = new AbortController();
    const reason = new Error('changed my mind');
    const [leaving, staying] = [client.connect({ signal: aborting.signal }), client.connect()];
    aborting.abort(reason);
    await expect(leaving).rejects.toBe(reason);
    const broker = await stage.network.next();
    await broker.accept();
    await stage.until(staying);
    expect(client.state).toBe('connected');
    await stage.end(client, broker);
  });

  it('as the last one gives the attempt up, and leaves nothing behind', async () => {
    const stage = new Stage();
    const client = stage.client();
    const aborting = new AbortController();
    const calls = [client.connect({ signal: aborting.signal }), client.connect({ timeout: 200 })];
    const outcomes = calls.map(watch);
    const broker = await stage.network.next();
    await broker.expect('connect');
    aborting.abort();
    await stage.clock.advance(199);
    expect([outcomes.map((outcome) => outcome() === 'pending'), client.state]).toEqual([
      [false, true],
      'connecting',
    ]);
    await stage.clock.advance(1);
    expect(outcomes[1]!()).toMatchObject({ error: expect.any(TimeoutError) });
    expect([client.state, stage.clock.armed, broker.isClosed]).toEqual(['offline', 0, true]);
  });

  it('does not spoil the call that comes right after it', async () => {
    const stage = new Stage();
    const client = stage.client();
    const aborting = new AbortController();
    const leaving = client.connect({ signal: aborting.signal });
    leaving.catch(() => {});
    await (await stage.network.next()).expect('connect');
    aborting.abort();
    const next = client.connect();
    const broker = await stage.network.next();
    await broker.accept();
    await expect(stage.until(next)).resolves.toMatchObject({ reasonCode: 0 });
    await stage.end(client, broker);
  });

  it('or timed out while a lost connection is being restored does not end the restoring', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    broker.reset();
    await stage.clock.advance(0);
    expect(client.state).toBe('waiting');
    const impatient = watch(client.connect({ timeout: 10 }));
    await stage.clock.advance(10);
    expect(impatient()).toMatchObject({ error: expect.any(TimeoutError) });
    expect(client.state).toBe('waiting');
    const patient = client.connect();
    const next = await stage.network.next();
    await next.accept();
    await stage.until(patient);
    expect(client.state).toBe('connected');
    await stage.end(client, next);
  });

  it('before the attempt begins starts none', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const ending = client.disconnect();
    const aborting = new AbortController();
    const queued = client.connect({ signal: aborting.signal });
    queued.catch(() => {});
    await settled();
    aborting.abort(new Error('never mind'));
    await broker.expect('disconnect');
    broker.close();
    await stage.until(ending);
    await expect(queued).rejects.toThrow('never mind');
    await stage.clock.advance(0);
    expect([client.state, stage.targets.length, stage.clock.armed]).toEqual(['closed', 1, 0]);
  });
});

describe('a first attempt that fails', () => {
  it('rejects with the phase and the cause of the failure', async () => {
    const stage = new Stage();
    const client = stage.client();
    const cause = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
    stage.refusals.push(cause);
    const error = await errorOf<ConnectError>(client.connect());
    expect(error).toBeInstanceOf(ConnectError);
    expect([error.phase, error.cause, client.state]).toEqual(['dial', cause, 'offline']);
    expect(error.message).toContain('ECONNREFUSED');
    expect(stage.clock.armed).toBe(0);
  });

  it('is followed by others with retry, until one succeeds', async () => {
    const stage = new Stage();
    const client = stage.client();
    stage.refusals.push(new Error('first'), new Error('second'));
    const began = stage.clock.now();
    const connecting = client.connect({ retry: true });
    const broker = await stage.network.next();
    await broker.accept();
    await stage.until(connecting);
    expect([stage.targets.length, stage.clock.now() - began]).toEqual([3, 3_000]);
    await stage.end(client, broker);
  });

  it('is followed by others with reconnect.retryInitial, until the caller has had enough', async () => {
    const stage = new Stage();
    const client = stage.client({ reconnect: { retryInitial: true } });
    for (let i = 0; i < 9; i++) stage.refusals.push(new Error('down'));
    const outcome = watch(client.connect({ timeout: 5_000 }));
    await stage.clock.advance(5_000);
    expect(outcome()).toMatchObject({ error: expect.any(TimeoutError) });
    expect([client.state, stage.targets.length, stage.clock.armed]).toEqual(['offline', 3, 0]);
  });

  it('may be the fault of the credentials, which are asked for again', async () => {
    const stage = new Stage();
    const attempts: number[] = [];
    const client = stage.client({
      credentials: ({ attempt }) => {
        attempts.push(attempt);
        if (attempt === 0) throw new Error('no token yet');
        return attempt === 1 ? ({ username: 7 } as never) : Promise.resolve({ username: 'u', password: 'p' });
      },
    });
    const error = await errorOf<ConnectError>(client.connect());
    expect([error.phase, (error.cause as Error).message]).toEqual(['credentials', 'no token yet']);
    const connecting = client.connect({ retry: true });
    const broker = await stage.network.next();
    const connect = await broker.accept();
    await stage.until(connecting);
    expect([connect.username, attempts]).toEqual(['u', [0, 0, 1, 2]]);
    await stage.end(client, broker);
  });
});

describe('disconnect() and connect()', () => {
  it('an attempt that is disconnected rejects, and its connection is closed', async () => {
    const stage = new Stage();
    const client = stage.client();
    const outcome = watch(client.connect());
    const broker = await stage.network.next();
    await broker.expect('connect');
    await client.disconnect();
    await settled();
    expect(outcome()).toMatchObject({ error: expect.any(ClosedError) });
    await broker.until(() => broker.isClosed);
    expect([client.state, stage.clock.armed]).toEqual(['closed', 0]);
  });

  it('in one turn do what they say, in their order', async () => {
    const stage = new Stage();
    const client = stage.client();
    const first = watch(client.connect());
    const ending = client.disconnect();
    const second = client.connect();
    const broker = await stage.network.next();
    await broker.accept();
    await stage.until(second);
    await ending;
    expect(first()).toMatchObject({ error: expect.any(ClosedError) });
    expect(client.state).toBe('connected');
    await stage.end(client, broker);
  });

  it('while it disconnects waits for the end, then connects', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const ending = client.disconnect();
    const connecting = client.connect();
    await broker.expect('disconnect');
    expect([client.state, stage.targets.length]).toEqual(['disconnecting', 1]);
    broker.close();
    await stage.until(ending);
    const next = await stage.network.next();
    await next.accept();
    await stage.until(connecting);
    expect(client.state).toBe('connected');
    await stage.end(client, next);
  });

  it('while it disconnects and is disconnected again stays closed', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const ending = client.disconnect();
    const outcome = watch(client.connect());
    await settled();
    const again = client.disconnect();
    await broker.expect('disconnect');
    broker.close();
    await stage.until(Promise.all([ending, again]));
    await stage.clock.advance(0);
    expect(outcome()).toMatchObject({ error: expect.any(ClosedError) });
    expect([client.state, stage.targets.length, stage.clock.armed]).toEqual(['closed', 1, 0]);
  });

  it('can follow each other as often as one likes, each time with a closed of its own', async () => {
    const stage = new Stage();
    const client = stage.client();
    const ends: Promise<void>[] = [];
    for (let i = 0; i < 3; i++) {
      const connecting = client.connect();
      ends.push(client.closed);
      const broker = await stage.network.next();
      await broker.accept();
      await stage.until(connecting);
      await stage.end(client, broker);
    }
    await Promise.all(ends);
    expect(new Set(ends).size).toBe(3);
    expect(client.closed).toBe(ends[2]);
  });

  it('works again after an error that was final', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ protocolVersion: 5 });
    const closed = watch(client.closed);
    broker.send({ type: 'disconnect', reasonCode: 0x8e });
    await stage.clock.advance(0);
    expect(closed()).toMatchObject({ error: { reasonCode: 0x8e } });
    expect(client.state).toBe('closed');
    const next = await stage.connect(client);
    const second = watch(client.closed);
    await stage.end(client, next);
    await settled();
    expect(second()).toEqual({ value: undefined });
  });

  it('disconnect() has no effect on a client that was never connected, nor twice', async () => {
    const client = new Stage().client();
    await client.disconnect();
    await client.disconnect();
    await expect(client.closed).resolves.toBeUndefined();
    expect(client.state).toBe('closed');
  });
});

describe('the control lane', () => {
  /** An operation that goes on until it is told to end. */
  function operation(log: string[], name: string) {
    let end: (how?: Error) => void = () => {};
    const run = ({ signal }: Pick<AbortController, 'signal'>): Promise<string> => {
      log.push(`${name} begins`);
      signal.addEventListener('abort', () => log.push(`${name} is told: ${String(signal.reason)}`));
      return new Promise((resolve, reject) => {
        end = (how) => (how === undefined ? resolve(name) : reject(how));
      });
    };
    return { run, end: (how?: Error) => end(how) };
  }

  it('lets one operation run at a time, in the order of the calls', async () => {
    const lane = new ConnectQueue();
    const log: string[] = [];
    const [a, b, c] = ['a', 'b', 'c'].map((name) => operation(log, name));
    const results = [a, b, c].map((one) => lane.run(one!.run));
    await settled();
    expect(log).toEqual(['a begins']);
    a!.end();
    await expect(results[0]).resolves.toBe('a');
    await settled();
    expect(log).toEqual(['a begins', 'b begins']);
    b!.end(new Error('b failed'));
    await expect(results[1]).rejects.toThrow('b failed');
    await settled();
    c!.end();
    await expect(results[2]).resolves.toBe('c');
  });

  it('aborts the running call and the waiting ones, and not later ones', async () => {
    const lane = new ConnectQueue();
    const log: string[] = [];
    const [a, b, c] = ['a', 'b', 'c'].map((name) => operation(log, name));
    const running = lane.run(a!.run);
    const waiting = lane.run(b!.run);
    waiting.catch(() => {});
    await settled();
    lane.abort(new Error('disconnect'));
    const later = lane.run(c!.run);
    await settled();
    expect(log).toEqual(['a begins', 'a is told: Error: disconnect']);
    a!.end(new Error('a was aborted'));
    await expect(running).rejects.toThrow('a was aborted');
    await expect(waiting).rejects.toThrow('disconnect');
    await settled();
    expect(log.at(-1)).toBe('c begins');
    c!.end();
    await expect(later).resolves.toBe('c');
    expect(log).not.toContain('b begins');
  });

  it('aborted while nothing runs is as good as new', async () => {
    const lane = new ConnectQueue();
    lane.abort(new Error('nothing to end'));
    await expect(lane.run(() => Promise.resolve(7))).resolves.toBe(7);
  });
});
