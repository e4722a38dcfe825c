import { describe, expect, it } from '@jest/globals';
import { Exchange, Stage } from '../../lib/session/exchange.ts';
import { Outgoing } from '../../lib/session/outgoing.ts';

function begun(outgoing: Outgoing, packetId: number, writtenAt = packetId, connectionNumber = 1): Exchange {
  const exchange = new Exchange('a', '', 2, false, undefined);
  Object.assign(exchange, { packetId, publishOrder: packetId, writtenAt, connectionNumber });
  outgoing.begin(exchange);
  return exchange;
}

function resent(outgoing: Outgoing): number[] {
  const ids: number[] = [];
  for (let e = outgoing.nextResend; e !== undefined; e = outgoing.nextResend) {
    ids.push(e.packetId);
    outgoing.resent();
  }
  return ids;
}

describe('Outgoing', () => {
  it('v5 MQTT-4.6.0-1 sends PUBLISH again in the order of first transmission, except exchanges that are over', () => {
    const outgoing = new Outgoing();
    const [, second] = [1, 2, 3, 4].map((id) => begun(outgoing, id));
    outgoing.end(second as Exchange);
    outgoing.rewind();
    expect(resent(outgoing)).toEqual([1, 3, 4]);
    expect(outgoing.size).toBe(3);
    expect(outgoing.get(2)).toBeUndefined();
    expect(second?.stage).toBe(Stage.Over);
  });

  it('v5 MQTT-4.6.0-4, MQTT-4.3.3-6 sends PUBREL again in the order of the PUBRECs, and never their PUBLISH', () => {
    const outgoing = new Outgoing();
    const [first, second, third] = [1, 2, 3].map((id) => begun(outgoing, id)) as [
      Exchange,
      Exchange,
      Exchange,
    ];
    outgoing.release(third);
    outgoing.release(first);
    outgoing.rewind();
    expect(Array.from(outgoing.released(), ({ packetId }) => packetId)).toEqual([3, 1]);
    expect(resent(outgoing)).toEqual([2]);
    outgoing.end(third);
    outgoing.end(second);
    expect(outgoing.all()).toEqual([first]);
  });

  it('goes on with the next exchange when the one to send again ends or is released', () => {
    const outgoing = new Outgoing();
    const [first, second] = [1, 2, 3].map((id) => begun(outgoing, id)) as [Exchange, Exchange];
    outgoing.rewind();
    outgoing.end(first);
    expect(outgoing.nextResend).toBe(second);
    outgoing.release(second);
    expect(outgoing.nextResend?.packetId).toBe(3);
    outgoing.pause();
    expect(outgoing.nextResend).toBeUndefined();
  });

  it('finds the exchange that has waited longest on a connection, ignoring older connections', () => {
    const outgoing = new Outgoing();
    const first = begun(outgoing, 1, 100, 1);
    const second = begun(outgoing, 2, 200, 2);
    const third = begun(outgoing, 3, 300, 2);
    expect(outgoing.oldest(1)).toBe(first);
    expect(outgoing.oldest(2)).toBe(second);
    outgoing.release(second);
    expect(outgoing.oldest(2)).toBe(second);
    second.writtenAt = 400;
    expect(outgoing.oldest(2)).toBe(third);
    expect(outgoing.oldest(3)).toBeUndefined();
  });

  it('takeAll() returns all in call order, in any stage', () => {
    const outgoing = new Outgoing();
    const all = [5, 3, 9].map((id) => begun(outgoing, id));
    outgoing.release(all[2] as Exchange);
    outgoing.rewind();
    expect(outgoing.takeAll().map(({ packetId }) => packetId)).toEqual([3, 5, 9]);
    expect(outgoing.size).toBe(0);
    expect(outgoing.nextResend).toBeUndefined();
    expect([...outgoing.released()]).toEqual([]);
  });

  it('v5 MQTT-4.3.3-10 notes the Packet Identifier of QoS 2 that is given up, until the session is lost', () => {
    const outgoing = new Outgoing();
    const [one, two] = [5, 3].map((id) => begun(outgoing, id)) as [Exchange, Exchange];
    for (const exchange of [one, two]) outgoing.giveUp(exchange);
    expect([outgoing.size, one.stage]).toEqual([0, Stage.Over]);
    expect([5, 5, 4].map((id) => outgoing.orphanedIds.take(id))).toEqual([true, false, false]);
    outgoing.takeAll();
    expect(outgoing.orphanedIds.take(3)).toBe(false);
  });
});
