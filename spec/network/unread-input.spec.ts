import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { Decoder, encode, type EncodablePacket, type Packet } from '../../lib/codec/codec.ts';
import { listening } from '../support/endings.ts';
import { describeWithMosquitto } from '../support/programs.ts';
import { actor, endActors, mosquitto } from './actors.ts';

/*
 * Disconnecting while the application reads too slowly: closing a socket with unread input resets the connection, and
 * then a DISCONNECT may never arrive.
 */

endActors();

const WILL = { topic: 'will', payload: 'gone' } as const;
/** 10 kB each. */
const ROOM = 'x'.repeat(10_000);

/** What a server sees of a client. */
interface Seen {
  readonly packets: Packet[];
  /** The end of the client's input, and errors of the socket, in order. */
  readonly events: string[];
  readonly closed: Promise<unknown>;
}

/**
 * A server that sends messages endlessly after the first SUBSCRIBE, and answers PUBLISH after them. With `leaves` it
 * closes after DISCONNECT, as servers do.
 */
async function flooding(leaves: 'leaves' | 'stays' = 'leaves') {
  let meet: (seen: Seen) => void = () => {};
  const seen = new Promise<Seen>((resolve) => (meet = resolve));
  const { port, server } = await listening((socket) => {
    const packets: Packet[] = [];
    const events: string[] = [];
    socket.on('end', () => void events.push('end'));
    socket.on('error', (error) => void events.push(String(error)));
    meet({ packets, events, closed: once(socket, 'close') });
    serve(socket, packets, leaves);
  });
  // By default Node.js closes a socket when its peer has closed.
  Object.assign(server, { allowHalfOpen: leaves === 'stays' });
  return { url: `mqtt://127.0.0.1:${port}`, seen };
}

function serve(socket: Socket, packets: Packet[], leaves: 'leaves' | 'stays'): void {
  const flow: { sent: number; state: 'idle' | 'flooding' } = { sent: 0, state: 'idle' };
  const flood = (): void => {
    while (flow.state === 'flooding') {
      const packetId = (flow.sent % 65_535) + 1;
      const payload = Buffer.from(`${flow.sent++} ${ROOM}`);
      if (!socket.write(encode({ type: 'publish', topic: 'a', payload, qos: 1, packetId }, 4))) return;
    }
  };
  socket.on('drain', flood);
  const answer = (packet: EncodablePacket): void => void socket.write(encode(packet, 4));
  const decoder = new Decoder({ protocolVersion: 4, receiver: 'server' });
  socket.on('data', (chunk) => {
    decoder.push(new Uint8Array(chunk));
    for (let packet = decoder.next(); packet !== undefined; packet = decoder.next()) {
      packets.push(packet);
      if (packet.type === 'connect') answer({ type: 'connack' });
      if (packet.type === 'publish') answer({ type: 'puback', packetId: packet.packetId! });
      if (packet.type === 'disconnect') {
        flow.state = 'idle';
        if (leaves === 'leaves') socket.end();
      }
      if (packet.type !== 'subscribe') continue;
      answer({ type: 'suback', packetId: packet.packetId, reasonCodes: [1] });
      flow.state = 'flooding';
      flood();
    }
  });
}

/** A client whose only subscription is unread, so that it stops reading; `fill` sends messages for that. */
async function stopped(url: string, fill: () => unknown = () => {}) {
  const { client } = await actor(url, { will: WILL, messageRetry: 0, receiveMaximum: 10 });
  const subscription = await client.subscribe('a', { qos: 1 });
  fill();
  const late = performance.now() + 5_000;
  while (client.stats().reading !== 'stopped') {
    if (performance.now() > late)
      throw new Error(`expected no reading, got ${JSON.stringify(client.stats())}`);
    await pause(5);
  }
  return { client, subscription };
}

describe('while reading is stopped', () => {
  it('disconnect() delivers DISCONNECT and ends the connection in order', async () => {
    const { url, seen } = await flooding();
    const { client, subscription } = await stopped(url);
    const { depth } = subscription;
    const begun = performance.now();
    await client.disconnect();
    expect(performance.now() - begun).toBeLessThan(3_000);
    const { packets, events, closed } = await seen;
    expect(await closed).toEqual([false]);
    expect(packets.at(-1)).toMatchObject({ type: 'disconnect' });
    expect(events).toEqual(['end']);
    // Messages after the call are not for the application.
    expect(depth).toBe(10);
  });

  it('disconnect() takes no longer than its timeout if the server does not close', async () => {
    const { url, seen } = await flooding('stays');
    const { client } = await stopped(url);
    const begun = performance.now();
    await client.disconnect({ timeout: 300 });
    const took = performance.now() - begun;
    expect(took).toBeGreaterThan(250);
    expect(took).toBeLessThan(1_000);
    const { packets } = await seen;
    expect(packets.at(-1)).toMatchObject({ type: 'disconnect' });
  });

  it('drain() receives its PUBACK behind unread messages, and ends in order', async () => {
    const { url, seen } = await flooding();
    const { client } = await stopped(url);
    const publishing = client.publish('own', 'x', { qos: 1 });
    const { undelivered, unacknowledged } = await client.drain();
    expect(await publishing).toMatchObject({ reasonCode: 0 });
    expect([undelivered >= 10, unacknowledged]).toEqual([true, 0]);
    const { packets, events, closed } = await seen;
    expect(await closed).toEqual([false]);
    expect(packets.at(-1)).toMatchObject({ type: 'disconnect' });
    expect(events).toEqual(['end']);
  });
});

describeWithMosquitto('while reading is stopped', () => {
  it('the Will of a client that disconnects is not published', async () => {
    const broker = await mosquitto();
    const { client: witness } = await actor(broker.url);
    const wills = await witness.subscribe(WILL.topic);
    let publishing: Promise<unknown> | undefined;
    const { client } = await stopped(broker.url, () => {
      publishing = Promise.all(Array.from({ length: 2_000 }, () => witness.publish('a', ROOM, { qos: 1 })));
    });
    await client.disconnect();
    await publishing;
    await witness.publish(WILL.topic, 'none before', {});
    expect((await wills.receive({ timeout: 5_000 })).text()).toBe('none before');
  });
});
