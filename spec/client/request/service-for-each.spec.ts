import { afterEach, describe, expect, it } from '@jest/globals';
import { ClosedError, RequestError, type ServiceRequest } from '../../../lib/index.ts';
import { watch } from '../../scenarios/stage.ts';
import { ServiceRig, textIn } from './service-rig.ts';

let rig: ServiceRig;
afterEach(async () => {
  if (rig.client.state !== 'closed') await rig.end();
});

const add = (request: ServiceRequest): number => request.json<number[]>().reduce((a, b) => a + b, 0);

describe('service.forEach()', () => {
  it('replies with what its handler returns, up to so many at a time', async () => {
    rig = await ServiceRig.make({ qos: 1 });
    const finish: (() => void)[] = [];
    const running = rig.service.forEach(
      async (request) => {
        await new Promise<void>((resolve) => finish.push(resolve));
        return add(request);
      },
      { concurrency: 2 },
    );
    for (let i = 1; i <= 3; i++)
      await rig.request({ packetId: i, text: `[${i},1]`, correlationData: Uint8Array.of(i) });
    expect(finish).toHaveLength(2);
    finish[0]?.();
    expect(textIn(await rig.reply())).toBe('2');
    await rig.broker.expect('puback', { packetId: 1 });
    expect(finish).toHaveLength(3);
    finish[1]?.();
    expect(textIn(await rig.reply())).toBe('3');
    await rig.broker.expect('puback', { packetId: 2 });
    finish[2]?.();
    await rig.reply();
    await rig.broker.expect('puback', { packetId: 3 });
    await rig.end();
    await running;
  });

  it('sends an empty reply for nothing, and none if the handler has replied or settled the request', async () => {
    rig = await ServiceRig.make({ qos: 1 });
    const running = rig.service.forEach(async (request) => {
      if (request.text() === 'own') await request.reply('own reply');
      if (request.text() === 'none') request.ack();
    });
    await rig.request({ text: 'nothing' });
    expect(textIn(await rig.reply())).toBe('');
    await rig.request({ text: 'own' });
    expect(textIn(await rig.reply())).toBe('own reply');
    await rig.request({ text: 'none', packetId: 4 });
    await rig.broker.expect('puback', { packetId: 4 });
    await rig.settle();
    expect(rig.broker.unread).toEqual([]);
    await rig.end();
    await running;
  });

  it('replies with the message of what a handler throws, without its stack, and goes on', async () => {
    rig = await ServiceRig.make({ qos: 1 });
    const secret = new Error('no such row', { cause: new Error('password') });
    const thrown: unknown[] = [
      secret,
      new RequestError('out-of-range', 'b is above 100'),
      'text',
      { toString: 7 },
    ];
    const running = rig.service.forEach(() => {
      throw thrown.shift() as Error;
    });
    const failures: unknown[] = [];
    for (let i = 1; i <= 4; i++) {
      await rig.request({ packetId: i, correlationData: Uint8Array.of(i) });
      const reply = await rig.reply();
      expect([reply.payload.length, reply.properties?.correlationData]).toEqual([0, Uint8Array.of(i)]);
      failures.push(reply.properties?.userProperties);
      await rig.broker.expect('puback', { packetId: i, reasonCode: 0 });
    }
    const failure = (code: string, message: string) => [
      ['mqtt-await-error-code', code],
      ['mqtt-await-error-message', message],
    ];
    expect(failures).toEqual([
      failure('ERR_MQTT_REQUEST', 'no such row'),
      failure('out-of-range', 'b is above 100'),
      failure('ERR_MQTT_REQUEST', 'text'),
      failure('ERR_MQTT_REQUEST', 'an error without a readable message'),
    ]);
    await rig.end();
    await running;
  });

  it('sends no more of an error than any packet can have', async () => {
    rig = await ServiceRig.make();
    const running = rig.service.forEach((request) =>
      request.text() === 'throw'
        ? Promise.reject(new Error(`\0\ud800${'x'.repeat(100_000)}`))
        : request.fail('y'.repeat(70_000)),
    );
    await rig.request({ text: 'throw' });
    const [, [, message] = []] = (await rig.reply()).properties?.userProperties ?? [];
    expect(message).toBe(` \ufffd${'x'.repeat(1_022)}`);
    await rig.request({ text: 'fail' });
    const [[, code] = []] = (await rig.reply()).properties?.userProperties ?? [];
    expect(code).toHaveLength(256);
    await rig.end();
    await running;
  });

  it('goes on after a handler that threw the ClosedError of another client', async () => {
    rig = await ServiceRig.make({ qos: 1 });
    const running = watch(
      rig.service.forEach(() => Promise.reject(new ClosedError('the other client was disconnected'))),
    );
    for (let i = 1; i <= 2; i++) {
      await rig.request({ packetId: i, correlationData: Uint8Array.of(i) });
      expect((await rig.reply()).properties.userProperties?.[1]?.[1]).toContain('the other client');
      await rig.broker.expect('puback', { packetId: i });
    }
    expect(running()).toBe('pending');
    await rig.end();
  });

  it('sends no second reply if a handler throws after its reply', async () => {
    rig = await ServiceRig.make({ qos: 1 });
    const running = rig.service.forEach(async (request) => {
      await request.reply('done');
      throw new Error('afterwards');
    });
    await rig.request({ packetId: 1 });
    expect(textIn(await rig.reply())).toBe('done');
    await rig.broker.expect('puback', { packetId: 1 });
    expect(rig.broker.unread).toEqual([]);
    expect(rig.stage.log.some((line) => line.includes('afterwards'))).toBe(true);
    await rig.end();
    await running;
  });

  it('reports a return value that is no payload as a failure', async () => {
    rig = await ServiceRig.make();
    const running = rig.service.forEach(() => ({ sum: 3 }) as never);
    await rig.request();
    expect((await rig.reply()).properties?.userProperties?.[1]?.[1]).toMatch(/^payload: expected/);
    await rig.end();
    await running;
  });

  it('goes on if a reply is refused, and acknowledges its request', async () => {
    rig = await ServiceRig.make({ qos: 1 });
    const running = rig.service.forEach(() => 'ok');
    await rig.request({ packetId: 1 });
    for (let i = 0; i < 2; i++) {
      // First the reply, then the failure that tells of it.
      const { packetId } = await rig.broker.expect('publish');
      rig.broker.send({ type: 'puback', packetId: packetId as number, reasonCode: 0x87 });
    }
    await rig.broker.expect('puback', { packetId: 1, reasonCode: 0 });
    expect(rig.stage.log.filter((line) => line.includes('a reply was not sent'))).toHaveLength(1);
    await rig.request({ packetId: 2, correlationData: Uint8Array.of(2) });
    await rig.reply();
    await rig.broker.expect('puback', { packetId: 2 });
    await rig.end();
    await running;
  });

  it('leaves a request whose reply is not acknowledged when the client ends to the server, and ends without an error', async () => {
    rig = await ServiceRig.make({ qos: 1 }, { cleanStart: false, sessionExpiryInterval: 60 });
    const running = watch(rig.service.forEach(() => 'ok'));
    await rig.request({ packetId: 1 });
    await rig.broker.expect('publish');
    await rig.end();
    expect(running()).toEqual({ value: undefined });
    expect(rig.broker.packets.filter(({ type }) => type === 'puback')).toEqual([]);
  });

  it('rejects with what ended the client', async () => {
    rig = await ServiceRig.make({ qos: 1 }, { reconnect: false });
    const running = watch(rig.service.forEach(() => 'ok'));
    await rig.request({ packetId: 1 });
    await rig.broker.expect('publish');
    rig.broker.reset();
    await rig.settle();
    expect(running()).toMatchObject({ error: { code: 'ERR_MQTT_CONNECTION_LOST' } });
    await rig.client.closed.catch(() => {});
  });

  it('rejects with the reason of its signal, and refuses wrong arguments', async () => {
    rig = await ServiceRig.make();
    const controller = new AbortController();
    const running = watch(rig.service.forEach(() => '', { signal: controller.signal }));
    rig.broker.answerAll();
    const reason = new Error('enough');
    controller.abort(reason);
    await rig.settle();
    expect(running()).toEqual({ error: reason });
    await expect(rig.service.forEach('x' as never)).rejects.toBeInstanceOf(TypeError);
    await expect(rig.service.forEach(() => '', { concurrency: 0 })).rejects.toBeInstanceOf(RangeError);
    await expect(rig.service.forEach(() => '', { onError: 'stop' } as never)).rejects.toBeInstanceOf(
      TypeError,
    );
  });

  it('is waited for by drain(), with its reply', async () => {
    rig = await ServiceRig.make({ qos: 1 });
    let finish: () => void = () => {};
    const running = rig.service.forEach(
      () => new Promise<string>((resolve) => (finish = () => resolve('done'))),
    );
    await rig.request({ packetId: 1 });
    const draining = watch(rig.client.drain());
    await rig.stage.clock.advance(1_000);
    expect(draining()).toBe('pending');
    finish();
    expect(textIn(await rig.reply())).toBe('done');
    await rig.broker.expect('puback', { packetId: 1 });
    await rig.broker.expect('disconnect');
    rig.broker.close();
    await rig.settle();
    expect(draining()).toEqual({ value: { undelivered: 0, unacknowledged: 0 } });
    await running;
  });
});
