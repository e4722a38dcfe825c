import { describe, expect, it } from '@jest/globals';
import { Stage } from '../../scenarios/stage.ts';

describe('reinitialise()', () => {
  it('leaves a client as new does: nothing of before goes out, and its promises are settled', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ maxInflight: 1, userData: 'one' });
    const lost = client.publish('a', 'x', { qos: 1 }).catch((error: unknown) => error);
    await broker.expect('publish');
    const again = client.reinitialise({ userData: 'two', clientId: 'other' });
    await broker.expect('disconnect');
    broker.close();
    await stage.until(again);
    expect(await lost).toMatchObject({ code: 'ERR_MQTT_CLOSED', kept: false });
    await stage.clock.advance(0);
    expect([client.state, client.userData, client.clientId, stage.clock.armed]).toEqual([
      'offline',
      'two',
      'other',
      0,
    ]);
    expect(client.stats().bytes).toEqual({ sent: 0, received: 0 });
    const next = await stage.connect(client);
    await stage.clock.advance(1_000);
    expect(next.packets.map(({ type }) => type)).toEqual(['connect']);
    await stage.end(client, next);
  });

  it('without options goes back to those of the beginning', async () => {
    const stage = new Stage();
    const client = stage.client({ maxInflight: 7, userData: 'mine' });
    client.configure({ userData: 'changed' });
    await client.reinitialise();
    expect([client.state, client.userData]).toEqual(['offline', 'mine']);
  });

  it('with wrong options rejects, and leaves everything as it was', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    await expect(client.reinitialise({ keepAlive: -1 })).rejects.toThrow(RangeError);
    expect(client.state).toBe('connected');
    await stage.end(client, broker);
  });

  it('asked for twice at once begins anew once', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const both = Promise.all([
      client.reinitialise({ userData: undefined, clientId: 'first' }),
      client.reinitialise({ clientId: 'second' }),
    ]);
    await broker.expect('disconnect');
    broker.close();
    await stage.until(both);
    expect([client.state, client.clientId]).toEqual(['offline', 'first']);
  });
});
