import { describe, expect, it } from '@jest/globals';
import { message, Stage, statusOf } from './stage.ts';

describe('keep alive', () => {
  it('sends PINGREQ in time, and continues as long as it is answered', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ keepAlive: 10 });
    broker.answer('pingreq');
    await stage.clock.advance(100_000);
    const pings = broker.packets.filter((packet) => packet.type === 'pingreq').length;
    expect(pings).toBeGreaterThanOrEqual(10);
    expect(pings).toBeLessThanOrEqual(12);
    expect(client.state).toBe('connected');
    await stage.end(client, broker);
  });

  it('notices a dead peer within 1.5 x Keep Alive, and reconnects', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ keepAlive: 10 });
    const events = statusOf(client);
    broker.blackhole();
    const began = stage.clock.now();
    await stage.clock.run(() => client.state === 'waiting');
    expect(stage.clock.now() - began).toBeLessThanOrEqual(15_000);
    const next = await stage.network.next();
    await next.accept();
    await stage.clock.advance(0);
    expect(events.slice(0, 3)).toEqual(['disconnected, again in 1000', 'connecting 1', 'connected']);
    await stage.end(client, next);
  });

  it('notices a dead peer even while the client publishes all the time', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ keepAlive: 10 });
    broker.blackhole();
    const began = stage.clock.now();
    while (client.state === 'connected' && stage.clock.now() - began < 60_000) {
      await client.publish('t', 'still talking');
      await stage.clock.advance(500);
    }
    expect(stage.clock.now() - began).toBeLessThanOrEqual(15_500);
    await client.disconnect();
  });

  it('sends PINGREQ even while the server sends all the time, as that does not show what the server receives', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ keepAlive: 10 });
    broker.answer('pingreq');
    for (let n = 0; n < 40; n++) {
      broker.send(message('unknown', 'x'));
      await stage.clock.advance(500);
    }
    expect(broker.packets.filter((packet) => packet.type === 'pingreq').length).toBeGreaterThanOrEqual(2);
    await stage.end(client, broker);
  });

  it('takes any received byte as a sign of life', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ keepAlive: 10, pingTimeout: 2_000 });
    await stage.clock.advance(9_000);
    await broker.expect('pingreq');
    for (let n = 0; n < 5; n++) {
      broker.send(message('unknown', 'busy elsewhere'));
      await stage.clock.advance(1_500);
      expect(client.state).toBe('connected');
    }
    broker.answer('pingreq');
    await stage.end(client, broker);
  });

  it('uses Server Keep Alive for its connection', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(
      { protocolVersion: 5, keepAlive: 60 },
      { properties: { serverKeepAlive: 5 } },
    );
    const began = stage.clock.now();
    await broker.expect('pingreq');
    expect(stage.clock.now() - began).toBeLessThanOrEqual(5_000);
    const next = await stage.reconnect(broker);
    expect([next.packets[0], client.negotiated?.keepAlive]).toMatchObject([{ keepAlive: 60 }, 60]);
    await stage.end(client, next);
  });

  it('is off if 0', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ keepAlive: 0 });
    expect(stage.clock.armed).toBe(0);
    await stage.clock.advance(10_000_000);
    expect([broker.unread, client.state]).toEqual([[], 'connected']);
    await stage.end(client, broker);
  });
});
