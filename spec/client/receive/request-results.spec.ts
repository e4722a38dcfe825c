import { describe, expect, it } from '@jest/globals';
import { type SubscribeError, UnsubscribeError } from '../../../lib/errors.ts';
import { errorOf, Stage } from '../../scenarios/stage.ts';

/*
 * What SUBACK and UNSUBACK say beside their Reason Codes, and what UNSUBSCRIBE can say.
 */

const said = { reasonString: 'too\nmany', userProperties: [['quota', '3']] } as const;

describe('the reason string and User Properties of the server', () => {
  it('v5 U-3.2.2-f of SUBACK are in the results of the subscription, and in those of a SubscribeError', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ protocolVersion: 5 });
    for (const reasonCode of [1, 0x97]) {
      const subscribing = client.subscribe('a', { qos: 1 });
      const { packetId } = await broker.expect('subscribe');
      broker.send({ type: 'suback', packetId, reasonCodes: [reasonCode], properties: said });
      const results = [{ topicFilter: 'a', reasonCode, properties: said }];
      if (reasonCode === 1) expect((await stage.until(subscribing)).results).toEqual(results);
      else {
        const error = await errorOf<SubscribeError>(stage.until(subscribing));
        expect(error.results).toEqual(results);
        // On one line: the text is the server's.
        expect(error.message).toBe('could not subscribe: a: Quota exceeded (0x97): too?many');
      }
    }
    await stage.end(client, broker);
  });

  it('v5 U-3.2.2-f of UNSUBACK are in what unsubscribe() returns, and in an UnsubscribeError', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ protocolVersion: 5 });
    for (const reasonCode of [0x11, 0x87]) {
      const leaving = client.unsubscribe('a');
      const { packetId } = await broker.expect('unsubscribe');
      broker.send({ type: 'unsuback', packetId, reasonCodes: [reasonCode], properties: said });
      const results = [{ topicFilter: 'a', reasonCode, properties: said }];
      if (reasonCode === 0x11)
        await expect(stage.until(leaving)).resolves.toEqual({ reasonCodes: [0x11], results });
      else {
        const error = await errorOf<UnsubscribeError>(stage.until(leaving));
        expect(error.results).toEqual(results);
        expect(error.message).toBe('could not unsubscribe: a: Not authorized (0x87): too?many');
      }
    }
    await stage.end(client, broker);
  });

  it('are absent if there are none, and before SUBACK there are no results', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const subscription = await stage.subscribe(client, broker, ['a', 'b'], { qos: 1 });
    expect(subscription.results).toEqual([
      { topicFilter: 'a', reasonCode: 1 },
      { topicFilter: 'b', reasonCode: 1 },
    ]);
    expect(subscription.results.some((result) => 'properties' in result)).toBe(false);
    await stage.end(client, broker);
  });
});

describe('the User Properties of unsubscribe()', () => {
  const properties = { userProperties: [['reason', 'shutdown']] } as const;

  it('are sent with UNSUBSCRIBE, which is shared with no call that has others', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ protocolVersion: 5 });
    broker.answer('subscribe');
    await stage.until(client.subscribe(['a', 'b', 'c']));
    const calls = [client.unsubscribe(['a', 'b'], { properties }), client.unsubscribe('c')];
    const first = await broker.expect('unsubscribe', { topicFilters: ['a', 'b'], properties });
    const second = await broker.expect('unsubscribe', { topicFilters: ['c'], properties: {} });
    broker.send(
      { type: 'unsuback', packetId: first.packetId, reasonCodes: [0, 0] },
      { type: 'unsuback', packetId: second.packetId, reasonCodes: [0] },
    );
    await expect(stage.until(Promise.all(calls))).resolves.toMatchObject([
      { reasonCodes: [0, 0] },
      { reasonCodes: [0] },
    ]);
    await stage.end(client, broker);
  });

  it('v5 MQTT-3.2.2-15 that make the packet larger than the server takes reject the call', async () => {
    const stage = new Stage();
    const limits = { maximumPacketSize: 60 };
    const { client, broker } = await stage.online({ protocolVersion: 5 }, { properties: limits });
    const large = { userProperties: [['k', 'x'.repeat(60)]] as const };
    const error = await errorOf<UnsubscribeError>(
      stage.until(client.unsubscribe('a', { properties: large })),
    );
    expect(error).toBeInstanceOf(UnsubscribeError);
    expect(error.results).toEqual([{ topicFilter: 'a', reasonCode: 0x95 }]);
    await stage.end(client, broker);
    expect(broker.unread.map(({ type }) => type)).toEqual(['disconnect']);
  });

  it.each([
    [5, { properties: { userProperties: [['a']] } }, /userProperties/],
    [5, { properties: { reasonString: 'x' } }, /got reasonString$/],
    [5, { qos: 1 }, /got qos$/],
    [4, { properties: {} }, /^properties: expected none, as only MQTT 5.0 has it/],
  ] as const)('are checked (MQTT %d: %j)', async (protocolVersion, options, expected) => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ protocolVersion });
    const error = await errorOf(client.unsubscribe('a', options as object));
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toMatch(expected);
    await stage.end(client, broker);
  });
});
