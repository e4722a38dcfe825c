import { on, once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { WebSocket } from 'ws';
import { Decoder, encode } from '../../lib/codec/codec.ts';
import { type LocalBroker, startAedes } from './aedes.ts';
import { leakGuard } from './leaks.ts';

let broker: LocalBroker;
afterEach(() => broker.close().catch(() => {})); // some tests close it themselves
leakGuard();

describe('startAedes', () => {
  it('starts a broker in this process, cuts its connections and closes it completely', async () => {
    broker = await startAedes();
    expect(broker.url).toBe(`mqtt://127.0.0.1:${broker.port}`);
    const socket = connect(broker.port, '127.0.0.1');
    socket.write(encode({ type: 'connect', clientId: 'c', cleanStart: true, keepAlive: 60 }, 4));
    const decoder = new Decoder();
    decoder.push((await once(socket, 'data'))[0] as Buffer);
    expect(decoder.next()).toMatchObject({ type: 'connack', reasonCode: 0 });
    expect(broker.aedes.connectedClients).toBe(1);
    const closed = once(socket, 'close');
    broker.cut();
    await closed;
  });

  it('accepts WebSocket connections on request', async () => {
    broker = await startAedes({ over: 'ws' });
    const ws = new WebSocket(broker.url, 'mqtt');
    await once(ws, 'open');
    ws.send(encode({ type: 'connect', clientId: 'c', cleanStart: true, keepAlive: 60 }, 4));
    const decoder = new Decoder();
    let packet;
    // It sends each part of a packet as a separate WebSocket message.
    for await (const [message] of on(ws, 'message')) {
      decoder.push(message as Buffer);
      packet = decoder.next();
      if (packet !== undefined) break;
    }
    expect(packet).toMatchObject({ type: 'connack', reasonCode: 0 });
    const closed = once(ws, 'close');
    broker.cut();
    await closed;
  });

  it('closes while clients are connected', async () => {
    broker = await startAedes();
    const socket = connect(broker.port, '127.0.0.1');
    socket.resume();
    await once(socket, 'connect');
    const closed = once(socket, 'close');
    await broker.close();
    await closed;
    const again = connect(broker.port, '127.0.0.1');
    await expect(once(again, 'connect')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });
});
