import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { Client } from '../../lib/index.ts';
import { atEnd } from '../support/endings.ts';
import { describeWithMosquitto } from '../support/programs.ts';
import { errorOf } from '../support/tunnel-rig.ts';
import { actor, aedes, endActors, mosquitto } from './actors.ts';

/*
 * Addresses beyond a URL: sockets of this machine, and local addresses.
 */

endActors();

/** A path for a socket, short enough for every system. */
function unixPath(): string {
  const directory = mkdtempSync(join(tmpdir(), 'mqtt-'));
  atEnd(() => rmSync(directory, { recursive: true }));
  return join(directory, 's');
}

describeWithMosquitto('a Unix socket', () => {
  it('carries messages of each QoS both ways, also after a restart of the broker', async () => {
    const path = unixPath();
    const broker = await mosquitto({ config: [`listener 0 ${path}`] });
    const one = await actor(`mqtt+unix://${path}`, { protocolVersion: 5 });
    for (const round of ['before', 'after']) {
      const subscription = await one.client.subscribe(round, { qos: 2 });
      for (const qos of [0, 1, 2] as const)
        await one.client.publish(round, `${qos}`.repeat(100_000), { qos });
      const received: string[] = [];
      for await (const message of subscription) if (received.push(message.text()) === 3) break;
      expect(received).toEqual([0, 1, 2].map((qos) => `${qos}`.repeat(100_000)));
      if (round === 'after') break;
      const connected = one.next('connected');
      await broker.restart();
      await connected;
    }
    expect(one.count('connected')).toBe(2);
  });
});

describe('a Unix socket that does not exist', () => {
  it('is reported with its path', async () => {
    const path = unixPath();
    const client = new Client(`mqtt+unix://${path}`, { reconnect: false });
    client.closed.catch(() => {});
    atEnd(() => client.disconnect());
    const error = await errorOf(client.connect());
    expect(error).toMatchObject({ code: 'ERR_MQTT_CONNECT', phase: 'dial', cause: { code: 'ENOENT' } });
    expect(error.message).toContain(`connect ENOENT ${path}`);
  });
});

describe('peers P28: a local address', () => {
  it.each([
    ['the constructor', { localAddress: '127.0.0.2' }, {}],
    ['connect()', {}, { localAddress: '127.0.0.2' }],
    ['connect(), overriding the constructor', { localAddress: '127.0.0.3' }, { localAddress: '127.0.0.2' }],
  ])('is the source of this connection and of later ones: given to %s', async (_, options, override) => {
    const broker = await aedes();
    const from: unknown[] = [];
    broker.aedes.on('client', ({ conn }) => from.push((conn as { remoteAddress?: string }).remoteAddress));
    const client = new Client(broker.url, { reconnect: { minDelay: 1 }, ...options });
    atEnd(() => client.disconnect());
    await client.connect(override);
    broker.cut();
    while (from.length < 2) await new Promise(setImmediate);
    expect(from).toEqual(['127.0.0.2', '127.0.0.2']);
  });
});
