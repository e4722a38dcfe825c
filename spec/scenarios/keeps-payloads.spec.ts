import { describe, expect, it } from '@jest/globals';
import { type ByteKind, BYTE_KINDS, payloadOf } from '../support/payload-kinds.ts';
import { bytes, errorOf, Stage } from './stage.ts';

/*
 * The caller owns a payload again when the promise settles, whatever its type and however long the message lives.
 */

const SIZES = [16, 100_000];
const CASES: [ByteKind, number][] = BYTE_KINDS.flatMap((kind) =>
  SIZES.map((size): [ByteKind, number] => [kind, size]),
);
const PERSISTENT = { clientId: 'me', cleanStart: false } as const;
const textOf = (size: number): string => 'precious'.repeat(size / 8);

/** Compares with the text, without printing a hundred thousand bytes. */
const isText = ({ payload }: { payload: Uint8Array }, size: number): boolean =>
  Buffer.from(payload).equals(bytes(textOf(size)));

describe('a payload that its caller reuses before its message is done', () => {
  it.each(CASES)('is sent again unchanged after a timeout: %s of %d bytes', async (kind, size) => {
    const stage = new Stage();
    const { client, broker } = await stage.online(PERSISTENT);
    const { payload, reuse } = payloadOf(kind, textOf(size));
    const publishing = client.publish('a', payload, { qos: 1, timeout: 50 });
    await stage.until(publishing.catch(reuse));
    const next = await stage.reconnect(broker, { sessionPresent: true });
    expect(isText(await next.expect('publish', { duplicate: true }), size)).toBe(true);
    await stage.end(client, next);
  });

  it.each(CASES)('is sent unchanged after an abort: %s of %d bytes', async (kind, size) => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ ...PERSISTENT, maxInflight: 1 });
    const { payload, reuse } = payloadOf(kind, textOf(size));
    const controller = new AbortController();
    const publishing = client.publish('a', payload, { qos: 2, signal: controller.signal });
    await broker.expect('publish');
    controller.abort();
    await publishing.catch(reuse);
    const next = await stage.reconnect(broker, { sessionPresent: false });
    expect(isText(await next.expect('publish', { duplicate: false }), size)).toBe(true);
    await stage.end(client, next);
  });

  it.each(CASES)('is sent unchanged after disconnect() and connect(): %s of %d bytes', async (kind, size) => {
    const stage = new Stage();
    const client = stage.client(PERSISTENT);
    const { payload, reuse } = payloadOf(kind, textOf(size));
    const publishing = client.publish('a', payload, { qos: 1 });
    publishing.catch(() => {});
    await client.disconnect();
    expect(await errorOf(publishing)).toMatchObject({ kept: true });
    reuse();
    const broker = await stage.connect(client);
    expect(isText(await broker.expect('publish'), size)).toBe(true);
    await stage.end(client, broker);
  });

  it.each(CASES)('is sent again unchanged by messageRetry: %s of %d bytes', async (kind, size) => {
    const stage = new Stage({ room: 1_000_000 });
    const { client, broker } = await stage.online({ ...PERSISTENT, messageRetry: 1_000 });
    const { payload, reuse } = payloadOf(kind, textOf(size));
    const publishing = client.publish('a', payload, { qos: 1, timeout: 500 });
    await stage.until(publishing.catch(reuse));
    await broker.expect('publish');
    await stage.clock.advance(1_000);
    expect(isText(await broker.expect('publish', { duplicate: true }), size)).toBe(true);
    await stage.end(client, broker);
  });

  it.each(CASES)('is sent unchanged over a slow network: %s of %d bytes', async (kind, size) => {
    const stage = new Stage({ room: 1_000, latency: 100 });
    const { client, broker } = await stage.online(PERSISTENT);
    const { payload, reuse } = payloadOf(kind, textOf(size));
    const publishing = client.publish('a', payload, { qos: 0, timeout: 50 });
    await stage.until(publishing.then(reuse, reuse));
    expect(isText(await broker.expect('publish'), size)).toBe(true);
    await stage.end(client, broker);
  });

  it('has its Correlation Data copied, too', async () => {
    const stage = new Stage();
    const options = { ...PERSISTENT, protocolVersion: 5, sessionExpiryInterval: 60 } as const;
    const { client, broker } = await stage.online(options);
    const correlationData = Buffer.from('request 7');
    const properties = { correlationData };
    const publishing = client.publish('a', 'x', { qos: 1, timeout: 50, properties });
    await stage.until(publishing.catch(() => correlationData.fill(0)));
    const next = await stage.reconnect(broker, { sessionPresent: true });
    expect(await next.expect('publish')).toMatchObject({
      properties: { correlationData: bytes('request 7') },
    });
    await stage.end(client, next);
  });
});

describe('bytes in options', () => {
  it('are copied: the Buffer of a password can be reused at once', async () => {
    const stage = new Stage();
    const password = Buffer.from('secret');
    const client = stage.client({ username: 'me', password });
    password.fill(0);
    const connecting = client.connect();
    const broker = await stage.network.next();
    expect(await broker.expect('connect')).toMatchObject({ password: bytes('secret') });
    broker.send({ type: 'connack', sessionPresent: false, reasonCode: 0 });
    await stage.until(connecting);
    await stage.end(client, broker);
  });
});
