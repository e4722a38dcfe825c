import { describe, expect, it } from '@jest/globals';
import type { AuthenticationContext } from '../../lib/client/config/authentication.ts';
import { ClosedError, ConnectionLostError, MqttError, TimeoutError } from '../../lib/errors.ts';
import { bytes, errorOf, eventsOf, Stage, watch } from './stage.ts';
import {
  auth,
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
 * Re-authentication (4.12.1) through the public API, with a scripted server.
 */

describe('reauthenticate()', () => {
  it('v5 MQTT-4.12.1-1 resolves when the server has accepted, while other traffic goes on', async () => {
    const recording = new Recording();
    const { stage, client, broker } = await online(recording);
    recording.calls.length = 0;
    const outcome = watch(client.reauthenticate());
    await broker.expect('auth', {
      reasonCode: 0x19,
      properties: { authenticationMethod: METHOD, authenticationData: bytes('hello') },
    });
    const publishing = client.publish('a', 'x', { qos: 1 });
    const { packetId } = await broker.expect('publish');
    broker.send({ type: 'puback', packetId: packetId! }, auth(0x18, 'why'));
    await broker.expect('auth', { reasonCode: 0x18 });
    await stage.until(publishing);
    expect(outcome()).toBe('pending');
    broker.send(auth(0, 'proof'));
    await stage.clock.advance(0);
    expect(outcome()).toEqual({ value: undefined });
    expect(recording.calls).toEqual(['start', 'continue why', 'finish proof']);
    expect(recording.contexts.at(-1)).toMatchObject({ attempt: 0, reauthentication: true });
    await stage.end(client, broker);
  });

  it('shares one exchange between simultaneous calls, and begins another one after it', async () => {
    const { stage, client, broker } = await online(plain({}));
    const both = Promise.all([client.reauthenticate(), client.reauthenticate()]);
    await reauthenticate(stage, broker);
    await stage.until(both);
    expect(broker.unread).toEqual([]);
    const third = client.reauthenticate();
    await reauthenticate(stage, broker);
    await stage.until(third);
    await stage.end(client, broker);
  });

  it('v5 MQTT-4.12.1-2 rejects if the server refuses with DISCONNECT, and the client connects again', async () => {
    const { stage, client, broker } = await online(plain({}));
    const error = errorOf<ConnectionLostError>(client.reauthenticate());
    await broker.expect('auth');
    broker.send({ type: 'disconnect', reasonCode: 0x87, properties: { reasonString: 'expired' } });
    expect(await stage.until(error)).toMatchObject({
      code: 'ERR_MQTT_CONNECTION_LOST',
      reasonCode: 0x87,
      properties: { reasonString: 'expired' },
    });
    const next = await stage.network.next();
    await next.accept(OK);
    await stage.clock.advance(0);
    expect(client.state).toBe('connected');
    await stage.end(client, next);
  });

  it('rejects if the connection is lost, replaced or ended', async () => {
    for (const how of ['lost', 'replaced', 'ended'] as const) {
      const { stage, client, broker } = await online(plain({}));
      const error = errorOf<MqttError>(client.reauthenticate());
      await broker.expect('auth');
      if (how === 'lost') broker.reset();
      else if (how === 'replaced') client.reconnect().catch(() => {});
      else void client.disconnect();
      const { code } = await stage.until(error);
      expect(code).toBe(how === 'ended' ? 'ERR_MQTT_CLOSED' : 'ERR_MQTT_CONNECTION_LOST');
      broker.close();
      await stage.until(client.disconnect());
      await stage.clock.advance(1_000);
    }
  });

  it('v5 MQTT-4.12.1-2 closes and rejects if a function fails once AUTH was sent', async () => {
    const failing = plain({
      continue: () => Promise.reject(Object.assign(new Error('no'), { reasonCode: 0x83 })),
    });
    const { stage, client, broker } = await online(failing);
    const lost = eventsOf(client, 'disconnected');
    const error = errorOf(client.reauthenticate());
    await broker.expect('auth');
    broker.send(auth(0x18));
    await broker.expect('disconnect', { reasonCode: 0x83 });
    await broker.expectClose();
    expect(await stage.until(error)).toMatchObject({ phase: 'authentication', reasonCode: 0x83 });
    expect(lost[0]?.reason).toMatchObject({
      code: 'ERR_MQTT_CONNECTION_LOST',
      message: 'closed: authentication.continue failed: no',
    });
    await stage.until(client.disconnect());
  });

  it('keeps the connection if start fails, as nothing was sent', async () => {
    let calls = 0;
    const start = (): string => {
      if (++calls === 2) throw new Error('no token');
      return 'token';
    };
    const { stage, client, broker } = await online(plain({ start }));
    expect(await errorOf(client.reauthenticate())).toMatchObject({
      phase: 'authentication',
      message: 'authentication.start failed: no token',
    });
    expect(client.state).toBe('connected');
    const again = client.reauthenticate();
    await reauthenticate(stage, broker);
    await stage.until(again);
    await stage.end(client, broker);
  });

  it('takes a signal and a timeout, which reject only the call', async () => {
    const { stage, client, broker } = await online(plain({}));
    const controller = new AbortController();
    const aborted = errorOf(client.reauthenticate({ signal: controller.signal }));
    const late = errorOf(client.reauthenticate({ timeout: 100 }));
    const patient = client.reauthenticate();
    await broker.expect('auth', { reasonCode: 0x19 });
    controller.abort(new Error('enough'));
    expect(await aborted).toMatchObject({ message: 'enough' });
    await stage.clock.advance(100);
    expect(await late).toBeInstanceOf(TimeoutError);
    broker.send(auth(0));
    await stage.until(patient);
    await expect(client.reauthenticate({ signal: AbortSignal.abort(new Error('before')) })).rejects.toThrow(
      'before',
    );
    await expect(client.reauthenticate({ timeout: -1 })).rejects.toThrow(RangeError);
    await expect(client.reauthenticate({ patience: 1 } as never)).rejects.toThrow(TypeError);
    expect(broker.unread).toEqual([]);
    await stage.end(client, broker);
  });

  it('is not begun if every caller has left before its first data was made', async () => {
    const token = latch<string>();
    const signals: AbortSignal[] = [];
    let calls = 0;
    const start = ({ signal }: AuthenticationContext): string | Promise<string> => {
      signals.push(signal);
      return ++calls === 2 ? token.promise : 'token';
    };
    const { stage, client, broker } = await online(plain({ start }));
    const late = errorOf(client.reauthenticate({ timeout: 100 }));
    await stage.clock.advance(100);
    expect(await late).toBeInstanceOf(TimeoutError);
    expect(signals[1]?.aborted).toBe(true);
    token.resolve('late');
    await stage.clock.advance(0);
    expect(broker.unread).toEqual([]);
    const again = client.reauthenticate();
    await reauthenticate(stage, broker);
    await stage.until(again);
    await stage.end(client, broker);
  });

  it('v5 MQTT-4.12.1-2 closes if the server does not answer within connectTimeout', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ ...options(plain({})), connectTimeout: 500 }, OK);
    const error = errorOf(client.reauthenticate());
    await broker.expect('auth');
    await broker.expect('disconnect', { reasonCode: 0x80 });
    expect(await stage.until(error)).toBeInstanceOf(TimeoutError);
    await stage.until(client.disconnect());
  });

  it('rejects without a connection, and on a client without authentication', async () => {
    const stage = new Stage();
    const client = stage.client(options(plain({})));
    await expect(client.reauthenticate()).rejects.toThrow(ClosedError);
    await expect(client.reauthenticate()).rejects.toThrow('the client is offline');
    const broker = await stage.connect(client, OK);
    broker.reset();
    await stage.clock.advance(0);
    expect(client.state).toBe('waiting');
    await expect(client.reauthenticate()).rejects.toThrow(ConnectionLostError);
    await stage.until(client.disconnect());
    await expect(client.reauthenticate()).rejects.toThrow(ClosedError);
    for (const protocolVersion of [4, 5] as const)
      await expect(stage.client({ protocolVersion }).reauthenticate()).rejects.toThrow(TypeError);
  });

  it('an open one is dropped by drain()', async () => {
    const { stage, client, broker } = await online(plain({}));
    const error = errorOf(client.reauthenticate());
    await broker.expect('auth');
    const draining = client.drain();
    await broker.expect('disconnect');
    broker.close();
    await stage.until(draining);
    expect(await error).toBeInstanceOf(ClosedError);
    expect(await error).toBeInstanceOf(MqttError);
  });
});
