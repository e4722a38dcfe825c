import { describe, expect, it } from '@jest/globals';
import { Exchange, Stage } from '../../lib/session/exchange.ts';
import { Outgoing } from '../../lib/session/outgoing.ts';

const made = (): Exchange => new Exchange('a', '', 1, false, undefined);

describe('the transmission of an exchange', () => {
  it('is one object for all that are written at one time on one connection', () => {
    const outgoing = new Outgoing();
    const exchanges = [made(), made(), made(), made()];
    for (const [i, exchange] of exchanges.entries())
      outgoing.written(exchange, i < 3 ? 1 : 2, i < 2 ? 10.5 : 11);
    const [first, second, later, elsewhere] = exchanges.map(({ transmission }) => transmission);
    expect(second).toBe(first);
    expect([first, later, elsewhere]).toEqual([
      { connectionNumber: 1, at: 10.5 },
      { connectionNumber: 1, at: 11 },
      { connectionNumber: 2, at: 11 },
    ]);
  });

  it('says that it was not written before, and that its delivery is unknown from then on', () => {
    const exchange = made();
    expect(exchange).toMatchObject({ written: false, connectionNumber: 0, delivery: 'not-sent' });
    new Outgoing().written(exchange, 3, 7);
    expect(exchange).toMatchObject({ written: true, connectionNumber: 3, writtenAt: 7, delivery: 'unknown' });
  });

  it('is on no connection after the session was lost, but was written', () => {
    const [written, waiting] = [made(), made()];
    new Outgoing().written(written, 3, 7);
    for (const exchange of [written, waiting]) {
      exchange.packetId = 9;
      exchange.startOver();
      expect(exchange).toMatchObject({ packetId: 0, connectionNumber: 0, stage: Stage.Waiting });
    }
    expect([written.written, waiting.written]).toEqual([true, false]);
  });
});
