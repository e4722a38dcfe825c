import { describe, expect, it } from '@jest/globals';
import { Exchange, Stage } from '../../lib/session/exchange.ts';
import { Request } from '../../lib/session/request.ts';
import { Session } from '../../lib/session/session.ts';

function begun(session: Session, qos: 1 | 2): Exchange {
  const exchange = new Exchange('a', '', qos, false, undefined);
  exchange.packetId = session.packetIdentifiers.take();
  exchange.publishOrder = exchange.packetId;
  session.outgoing.written(exchange, 1, 0);
  session.outgoing.begin(exchange);
  return exchange;
}

function asked(session: Session, topicFilter: string): number {
  session.requests.add(
    new Request('subscribe', [{ topicFilter, qos: 1 }], undefined, { answered() {}, failed() {} }),
  );
  const packetId = session.packetIdentifiers.take();
  const [parts] = session.requests.queue.takePackets({ filters: 0, bytes: 0 }, 1, {
    byteLength: (s) => s.length,
  });
  session.requests.sent(packetId, parts!, 0, 0);
  return packetId;
}

describe('Session', () => {
  it('frees the identifiers of requests when the connection ends, and keeps those of messages', () => {
    const session = new Session();
    const exchange = begun(session, 1);
    asked(session, 'a');
    session.connectionLost();
    expect(session.packetIdentifiers.inUse).toBe(1);
    expect(session.outgoing.get(exchange.packetId)).toBe(exchange);
    expect(session.requests.queue.size).toBe(1);
    expect(session.outgoing.nextResend).toBeUndefined();
  });

  it('v5 MQTT-3.8.4-3, v4 MQTT-3.8.4-3 replaces the options of a Topic Filter that is granted again', () => {
    const session = new Session();
    for (const qos of [0, 1, 2] as const) {
      const request = new Request('subscribe', [{ topicFilter: 'a', qos }], undefined, undefined);
      session.requests.add(request);
      session.answered(request.parts[0]!, qos);
    }
    expect([...session.subscriptions.values()]).toEqual([{ topicFilter: 'a', qos: 2 }]);
  });

  it('forgets the subscription of a Topic Filter whose UNSUBSCRIBE is acknowledged, and no other', () => {
    const session = new Session();
    for (const topicFilter of ['a', 'b']) session.subscriptions.set(topicFilter, { topicFilter, qos: 1 });
    const request = new Request('unsubscribe', [{ topicFilter: 'a', qos: 0 }], undefined, undefined);
    session.requests.add(request);
    session.answered(request.parts[0]!, 0);
    expect([...session.subscriptions.keys()]).toEqual(['b']);
  });

  it('v5 MQTT-4.4.0-1 sends everything unacknowledged again when it is resumed', () => {
    const session = new Session();
    const exchange = begun(session, 2);
    session.connectionLost();
    session.outgoing.rewind();
    expect(session.outgoing.nextResend).toBe(exchange);
  });

  it('v5 MQTT-3.2.2-5, MQTT-2.2.1-3 returns messages as new ones and frees all identifiers when it is discarded', () => {
    const session = new Session();
    const [first, second] = [begun(session, 1), begun(session, 2)];
    session.outgoing.release(second);
    second.ignoresPubcomp = true;
    session.incoming.connected(1);
    const receipt = session.incoming.open({ packetId: 7, qos: 2, topic: 'a' }, new Uint8Array(), 1);
    const { outgoing, unsettled } = session.discard();
    expect(outgoing).toEqual([first, second]);
    expect(unsettled).toBe(1);
    expect(session.packetIdentifiers.inUse).toBe(0);
    for (const exchange of outgoing)
      expect(exchange).toMatchObject({
        packetId: 0,
        connectionNumber: 0,
        stage: Stage.Waiting,
        ignoresPubcomp: false,
      });
    expect(session.incoming.get(7)).toBeUndefined();
    expect(session.incoming.settle(receipt, 0)).toBe(false);
  });
});
