import { describe, expect, it } from '@jest/globals';
import type { Authentication, AuthenticationContext } from '../../lib/client/config/authentication.ts';
import { ClosedError, type ConnectError, ConnectionLostError } from '../../lib/errors.ts';
import { settled } from '../support/fake-clock.ts';
import { THROWN } from '../support/thrown.ts';
import { bytes, errorOf, eventsOf, message, Stage, watch } from './stage.ts';
import {
  auth,
  connecting,
  latch,
  METHOD,
  OK,
  online,
  options,
  plain,
  reauthenticate,
  Recording,
} from './authentication-stage.ts';

/*
 * Enhanced authentication (4.12) through the public API, with a scripted server.
 */

describe('enhanced authentication', () => {
  it('v5 MQTT-4.12.0-3, -5 exchanges AUTH until the server accepts, with what the functions return', async () => {
    const recording = new Recording();
    const { stage, client, broker, connect, connected } = await connecting(recording);
    expect(connect.properties).toMatchObject({
      authenticationMethod: METHOD,
      authenticationData: bytes('hello'),
      receiveMaximum: 1_024,
    });
    broker.send(auth(0x18, 'one', { reasonString: 'more' }));
    await broker.expect('auth', {
      reasonCode: 0x18,
      properties: { authenticationMethod: METHOD, authenticationData: bytes('answer') },
    });
    broker.send(auth(0x18, 'two'));
    await broker.expect('auth', { reasonCode: 0x18 });
    const { authenticationData } = auth(0, 'proof').properties as { authenticationData: Uint8Array };
    broker.send({
      type: 'connack',
      properties: { authenticationMethod: METHOD, authenticationData, userProperties: [['role', 'meter']] },
    });
    await stage.until(connected);
    expect(recording.calls).toEqual(['start', 'continue one', 'continue two', 'finish proof']);
    expect(recording.contexts).toMatchObject([
      { attempt: 0, reason: undefined, reauthentication: false, reasonString: undefined, userProperties: [] },
      { reasonString: 'more', userProperties: [] },
      { reasonString: undefined },
      { userProperties: [['role', 'meter']] },
    ]);
    // One signal per exchange, which is not aborted by success.
    const [signal] = new Set(recording.contexts.map((context) => context.signal));
    expect(recording.contexts.every((context) => context.signal === signal)).toBe(true);
    await stage.end(client, broker);
    expect(signal?.aborted).toBe(false);
  });

  it('goes with the properties of the options, and those of a function', async () => {
    for (const properties of [{ topicAliasMaximum: 7 }, () => ({ topicAliasMaximum: 7 })]) {
      const { stage, client, broker, connect } = await connecting(plain({}), { properties });
      expect(connect.properties).toMatchObject({ topicAliasMaximum: 7, authenticationMethod: METHOD });
      await stage.end(client, broker);
    }
  });

  it('may have no data', async () => {
    const { stage, client, broker, connect } = await connecting(plain({ start: () => undefined }));
    expect(connect.properties).not.toHaveProperty('authenticationData');
    await stage.end(client, broker);
  });

  it('starts anew for every CONNECT, with the attempt and the reason of the last loss', async () => {
    const recording = new Recording();
    const { stage, client, broker } = await online(recording);
    const next = await stage.reconnect(broker, OK);
    expect(recording.calls).toEqual(['start', 'finish', 'start', 'finish']);
    expect(recording.contexts[2]).toMatchObject({ attempt: 1, reason: { code: 'ERR_MQTT_CONNECTION_LOST' } });
    expect(recording.contexts[2]?.signal).not.toBe(recording.contexts[0]?.signal);
    await stage.end(client, next);
  });

  it('configure() changes it for the next CONNECT', async () => {
    const { stage, client, broker } = await online(plain({}));
    client.configure({ authentication: { ...plain({}), method: 'OTHER' } });
    // The present connection keeps its Method [MQTT-4.12.1-1].
    const reauthenticating = client.reauthenticate();
    await reauthenticate(stage, broker);
    await stage.until(reauthenticating);
    broker.reset();
    const next = await stage.network.next();
    const connect = await next.accept({ properties: { authenticationMethod: 'OTHER' } });
    expect(connect.properties).toMatchObject({ authenticationMethod: 'OTHER' });
    await stage.clock.advance(0);
    client.configure({ authentication: undefined });
    next.reset();
    const last = await stage.network.next();
    expect((await last.accept()).properties).not.toHaveProperty('authenticationMethod');
    await stage.clock.advance(0);
    await expect(client.reauthenticate()).rejects.toThrow(
      new TypeError('reauthenticate: expected the option authentication, got none'),
    );
    client.configure({ authentication: plain({}) });
    await expect(client.reauthenticate()).rejects.toThrow('MQTT-4.12.0-7');
    await stage.end(client, last);
  });

  it.each<[string, Partial<Authentication>, number]>([
    ['start', { start: () => Promise.reject(new Error('no token')) }, 0],
    ['continue', { continue: () => Promise.reject(new Error('no token')) }, 1],
    [
      'finish',
      {
        finish: () => {
          throw new Error('no token');
        },
      },
      2,
    ],
  ])('%s that throws ends the attempt', async (name, functions, step) => {
    const stage = new Stage();
    const client = stage.client(options(plain(functions)));
    const error = errorOf<ConnectError>(client.connect());
    if (step > 0) {
      const broker = await stage.network.next();
      await broker.expect('connect');
      broker.send(step === 1 ? auth(0x18) : { type: 'connack', ...OK });
      // 0x87 is not for a client to send [MQTT-3.14.2-1].
      await broker.expect('disconnect', { reasonCode: 0x80 });
      await broker.expectClose();
    }
    expect(await stage.until(error)).toMatchObject({
      code: 'ERR_MQTT_CONNECT',
      phase: 'authentication',
      reasonCode: 0x87,
      message: `authentication.${name} failed: no token`,
      cause: { message: 'no token' },
    });
    expect(client.state).toBe('offline');
  });

  it('a function names the Reason Code of the failure', async () => {
    const codes: [unknown, number, number][] = [
      [0x83, 0x83, 0x83],
      [0x86, 0x86, 0x80],
      [0x99, 0x99, 0x99],
      [7, 0x87, 0x80],
      ['0x83', 0x87, 0x80],
    ];
    for (const [reasonCode, told, sent] of codes) {
      const failing = plain({
        continue: () => Promise.reject(Object.assign(new Error('no'), { reasonCode })),
      });
      const { stage, broker, connected } = await connecting(failing);
      broker.send(auth(0x18));
      await broker.expect('disconnect', { reasonCode: sent });
      expect(await stage.until(errorOf(connected))).toMatchObject({ reasonCode: told });
    }
  });

  it.each(Object.keys(THROWN))('survives a function that throws %s', async (name) => {
    const { stage, broker, connected } = await connecting(
      plain({
        continue() {
          throw THROWN[name]?.();
        },
      }),
    );
    broker.send(auth(0x18));
    await broker.expect('disconnect', { reasonCode: 0x80 });
    expect(await stage.until(errorOf(connected))).toMatchObject({
      phase: 'authentication',
      reasonCode: 0x87,
    });
  });

  it.each([
    ['null', null],
    ['a number', 12_345],
    ['more than fits', 'x'.repeat(65_536)],
  ])('a function that returns %s has failed', async (_, answer) => {
    const { stage, broker, connected } = await connecting(plain({ continue: () => answer as never }));
    broker.send(auth(0x18));
    await broker.expect('disconnect', { reasonCode: 0x80 });
    const error = await stage.until(errorOf(connected));
    expect(error).toMatchObject({ phase: 'authentication' });
    expect(error.message).not.toContain('12345');
  });

  it('a failed function is retried by policy', async () => {
    let tokens = 0;
    const start = (): string => {
      if (++tokens === 2) throw new Error('not yet');
      return `token ${tokens}`;
    };
    const { stage, client, broker } = await online(plain({ start }));
    const lost = eventsOf(client, 'disconnected');
    broker.reset();
    const next = await stage.network.next();
    expect((await next.accept(OK)).properties).toMatchObject({ authenticationData: bytes('token 3') });
    await stage.clock.advance(0);
    expect(lost.map(({ reason }) => reason)).toMatchObject([
      { code: 'ERR_MQTT_CONNECTION_LOST' },
      { phase: 'authentication', message: 'authentication.start failed: not yet' },
    ]);
    await stage.end(client, next);
  });

  it('v5 MQTT-4.12.0-1 CONNACK 0x8C is final', async () => {
    const { stage, client, broker, connected } = await connecting(plain({}), {
      reconnect: { retryInitial: true },
    });
    broker.send({ type: 'connack', reasonCode: 0x8c });
    expect(await stage.until(errorOf(connected))).toMatchObject({ phase: 'connack', reasonCode: 0x8c });
    expect(client.state).toBe('closed');
    await expect(client.closed).rejects.toMatchObject({ reasonCode: 0x8c });
  });

  it('CONNACK 0x87 is retried, as the functions may return other data the next time', async () => {
    const { stage, client, broker, connected } = await connecting(plain({}), {
      reconnect: { retryInitial: true },
    });
    broker.send({ type: 'connack', reasonCode: 0x87 });
    const next = await stage.network.next();
    await next.accept(OK);
    expect(await stage.until(connected)).toMatchObject({ reasonCode: 0 });
    await stage.end(client, next);
  });

  it.each(['start', 'continue', 'finish'] as const)(
    '%s that does not return is bounded by connectTimeout, and its signal is aborted',
    async (name) => {
      const late = latch<never>();
      const signals: AbortSignal[] = [];
      const never = (...args: unknown[]): Promise<never> => {
        signals.push((args.at(-1) as AuthenticationContext).signal);
        return late.promise;
      };
      const stage = new Stage();
      const client = stage.client({ ...options(plain({ [name]: never })), connectTimeout: 500 });
      const outcome = watch(client.connect());
      if (name !== 'start') {
        const broker = await stage.network.next();
        await broker.expect('connect');
        broker.send(name === 'continue' ? auth(0x18) : { type: 'connack', ...OK });
      }
      await stage.clock.advance(499);
      expect(outcome()).toBe('pending');
      expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
      await stage.clock.advance(1);
      expect(outcome()).toMatchObject({ error: { phase: 'timeout', during: 'authentication' } });
      expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
      late.reject(new Error('late'));
      await settled();
      expect(client.state).toBe('offline');
    },
  );

  it.each(['resolves', 'rejects'])(
    'a function that %s too late is ignored, also on the next connection',
    async (how) => {
      const answers: ReturnType<typeof latch<string>>[] = [];
      const signals: AbortSignal[] = [];
      const slow = plain({
        continue(_, { signal }) {
          signals.push(signal);
          const answer = latch<string>();
          answers.push(answer);
          return answer.promise;
        },
      });
      const { stage, client, broker } = await online(slow);
      broker.reset();
      const first = await stage.network.next();
      await first.expect('connect');
      first.send(auth(0x18));
      await stage.clock.advance(0);
      first.reset();
      const second = await stage.network.next();
      await second.expect('connect');
      second.send(auth(0x18));
      await stage.clock.advance(0);
      expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
      if (how === 'resolves') answers[0]!.resolve('late');
      else answers[0]!.reject(new Error('late'));
      await stage.clock.advance(100);
      expect(second.unread).toEqual([]);
      answers[1]!.resolve('in time');
      await second.expect('auth', {
        properties: { authenticationMethod: METHOD, authenticationData: bytes('in time') },
      });
      second.send({ type: 'connack', ...OK });
      await stage.clock.advance(0);
      expect(client.state).toBe('connected');
      await stage.end(client, second);
    },
  );

  it('disconnect() and the abort of connect() end it, and abort the signal', async () => {
    for (const end of ['disconnect', 'abort'] as const) {
      const signals: AbortSignal[] = [];
      const late = latch<string>();
      const slow = plain({
        continue(_, { signal }) {
          signals.push(signal);
          return late.promise;
        },
      });
      const stage = new Stage();
      const client = stage.client(options(slow));
      const controller = new AbortController();
      const error = errorOf(client.connect({ signal: controller.signal }));
      const broker = await stage.network.next();
      await broker.expect('connect');
      broker.send(auth(0x18));
      await stage.clock.advance(0);
      if (end === 'disconnect') await stage.until(client.disconnect());
      else controller.abort(new Error('enough'));
      await broker.expectClose();
      await stage.until(error);
      expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
      late.resolve('late');
      await settled();
      expect(client.state).toBe(end === 'disconnect' ? 'closed' : 'offline');
    }
  });

  it('finish holds back messages in both directions until it has returned', async () => {
    const proof = latch<void>();
    const { stage, client, broker, connected } = await connecting(plain({ finish: () => proof.promise }));
    const outcome = watch(connected);
    const subscription = client.subscribe('a');
    const published = client.publish('secret', 'x', { qos: 1 });
    broker.send({ type: 'connack', ...OK }, message('a', 'behind'));
    await stage.clock.advance(1_000);
    expect(outcome()).toBe('pending');
    expect(broker.unread).toEqual([]);
    proof.resolve();
    broker.answerAll();
    await stage.until(Promise.all([connected, published, subscription]));
    await stage.end(client, broker);
  });

  it('functions may call the client', async () => {
    const calls: Promise<unknown>[] = [];
    const stage = new Stage();
    const client = stage.client(
      options(
        plain({
          start() {
            calls.push(errorOf(client.reauthenticate()));
            return 'hello';
          },
          continue() {
            calls.push(client.publish('from/continue', 'x', { qos: 1 }));
            return 'answer';
          },
          finish() {
            calls.push(client.connect());
          },
        }),
      ),
    );
    const connected = client.connect();
    const broker = await stage.network.next();
    await broker.expect('connect');
    broker.send(auth(0x18));
    await broker.expect('auth');
    broker.answerAll();
    broker.send({ type: 'connack', ...OK });
    const [error] = await stage.until(Promise.all([Promise.all(calls), connected]).then(([all]) => all));
    expect(error).toBeInstanceOf(ConnectionLostError);
    await stage.end(client, broker);
  });

  it.each(['start', 'continue', 'finish'] as const)('%s may end the client', async (name) => {
    for (const when of ['CONNECT', 'a re-authentication'] as const) {
      const stage = new Stage();
      const ending: Promise<void>[] = [];
      const end = (...args: unknown[]): string => {
        const { reauthentication } = args.at(-1) as AuthenticationContext;
        if (reauthentication === (when === 'a re-authentication')) ending.push(client.disconnect());
        return 'data';
      };
      const client = stage.client(options(plain({ [name]: end })));
      const connected = watch(client.connect());
      if (when === 'CONNECT' && name === 'start') await stage.clock.advance(0);
      else {
        const broker = await stage.network.next();
        await broker.expect('connect');
        if (when === 'CONNECT' && name === 'continue') broker.send(auth(0x18));
        else broker.send({ type: 'connack', ...OK });
        await stage.clock.advance(0);
        if (when === 'a re-authentication') {
          const again = errorOf(client.reauthenticate());
          if (name !== 'start') {
            await broker.expect('auth');
            broker.send(auth(name === 'continue' ? 0x18 : 0));
          }
          expect(await stage.until(again)).toBeInstanceOf(ClosedError);
          broker.close();
        }
      }
      await stage.until(Promise.all(ending));
      expect(ending).toHaveLength(1);
      expect(client.state).toBe('closed');
      expect(connected()).not.toBe('pending');
    }
  });

  it('the data is never in a log line or an error', async () => {
    const secret = 'the-secret-data';
    const { stage, broker, connected } = await connecting(
      plain({
        start: () => secret,
        continue: () => secret,
        finish: () => {
          throw new Error('wrong proof');
        },
      }),
    );
    broker.send(auth(0x18, secret));
    await broker.expect('auth');
    broker.send({
      type: 'connack',
      properties: { authenticationMethod: METHOD, authenticationData: bytes(secret) },
    });
    const error = await stage.until(errorOf(connected));
    expect(JSON.stringify([error, error.message, stage.log])).not.toContain(secret);
    expect(stage.log.join()).toContain('wrong proof');
  });
});
