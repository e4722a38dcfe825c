import { describe, expect, it } from '@jest/globals';
import type { Connection } from '../../lib/connection/connection.ts';
import { AckWriter, writePubcomp, writePubrel } from '../../lib/engine/ack-writer.ts';
import type { EngineOptions } from '../../lib/engine/options.ts';
import type { Receipt } from '../../lib/session/incoming.ts';
import { toHex } from '../support/bytes.ts';
import { newConnection } from '../support/connections.ts';
import { brief, online } from '../support/engines.ts';
import { connack, publish } from '../support/packets.ts';
import type { Rig } from '../support/rig.ts';

/** Messages `from` to `to` come. Returns what was delivered. */
function come(rig: Rig, from: number, to: number, more: object = {}): Receipt[] {
  const before = rig.effects.delivered.length;
  for (let packetId = from; packetId <= to; packetId++)
    rig.send(publish({ qos: 1, packetId, payload: `${packetId}`, ...more }));
  return rig.effects.delivered.slice(before).map(({ receipt }) => receipt as Receipt);
}

function settle(rig: Rig, receipt: Receipt): string[] {
  rig.engine.settle(receipt, 0, rig.now);
  return brief(rig.sent());
}

/** A connection on which a server knows no Receive Maximum. */
const old = (options: Partial<EngineOptions> = {}): Rig =>
  online({ protocolVersion: 4, cleanStart: false, receiveMaximum: 4, ...options });

describe('a message that delays others', () => {
  it('is skipped and reported after ackStallTimeout, and answered when it is sent again', () => {
    const rig = old();
    const [first, second] = come(rig, 1, 2) as [Receipt, Receipt];
    expect(settle(rig, second)).toEqual([]);
    rig.advance(29_999);
    expect(brief(rig.sent())).toEqual([]);
    rig.advance(1);
    expect(brief(rig.sent())).toEqual(['puback 2']);
    expect(rig.effects.last('ackStalled')).toEqual({ type: 'ackStalled', receipts: [first], ms: 30_000 });
    expect(settle(rig, first)).toEqual([]);
    rig.resume(connack({ sessionPresent: true }));
    rig.send(publish({ qos: 1, packetId: 1, payload: '1', duplicate: true }));
    expect(brief(rig.sent())).toEqual(['puback 1']);
    expect(rig.effects.texts).toEqual(['1', '2']);
  });

  it('is acknowledged after ackStallTimeout in a session that ends with the connection: nothing else ever would', () => {
    const rig = old({ cleanStart: true, persistent: false });
    const [first, second] = come(rig, 1, 2) as [Receipt, Receipt];
    settle(rig, second);
    rig.advance(30_000);
    expect(brief(rig.sent())).toEqual(['puback 1', 'puback 2']);
    expect(rig.effects.last('ackStalled')).toEqual({ type: 'ackStalled', receipts: [first], ms: 30_000 });
    expect(settle(rig, first)).toEqual([]);
    expect(rig.engine.counts).toMatchObject({ unsettled: { messages: 0, bytes: 0 }, skipped: 0 });
  });

  it('is not skipped if no acknowledgement waits, however long it takes', () => {
    const rig = old({ keepAlive: 0 });
    const [first] = come(rig, 1, 1) as [Receipt];
    rig.advance(600_000);
    expect(settle(rig, first)).toEqual(['puback 1']);
    expect(rig.effects.changes.filter(({ type }) => type === 'ackStalled')).toEqual([]);
  });

  it('has its full time from when an acknowledgement began to wait', () => {
    const rig = old({ keepAlive: 0 });
    const [first, second] = come(rig, 1, 2) as [Receipt, Receipt];
    rig.advance(100_000);
    settle(rig, second);
    rig.advance(29_999);
    expect(brief(rig.sent())).toEqual([]);
    const [third, fourth] = come(rig, 3, 4) as [Receipt, Receipt];
    settle(rig, fourth);
    rig.advance(1);
    expect(brief(rig.sent())).toEqual(['puback 2']);
    rig.advance(29_999);
    expect(brief(rig.sent())).toEqual([]);
    rig.advance(1);
    expect(brief(rig.sent())).toEqual(['puback 4']);
    expect([settle(rig, first), settle(rig, third)]).toEqual([[], []]);
  });

  it('delays them for ackStallTimeout, also after an earlier one that was settled in time', () => {
    const rig = old({ keepAlive: 0 });
    const [first, second] = come(rig, 1, 2) as [Receipt, Receipt];
    settle(rig, second);
    rig.advance(1_000);
    expect(settle(rig, first)).toEqual(['puback 1', 'puback 2']);
    const [third, fourth] = come(rig, 3, 4) as [Receipt, Receipt];
    rig.advance(1_000);
    settle(rig, fourth);
    rig.advance(29_999);
    expect(brief(rig.sent())).toEqual([]);
    rig.advance(1);
    expect(brief(rig.sent())).toEqual(['puback 4']);
    expect(rig.effects.last('ackStalled').receipts).toEqual([third]);
  });

  it('delays them without end if ackStallTimeout is 0', () => {
    const rig = old({ keepAlive: 0, ackStallTimeout: 0 });
    const [, second] = come(rig, 1, 2) as [Receipt, Receipt];
    settle(rig, second);
    expect(rig.engine.nextTimeout()).toBe(Infinity);
  });

  it('is skipped at once if it is skippable', () => {
    const rig = old();
    const [first, second] = come(rig, 1, 2) as [Receipt, Receipt];
    rig.engine.acknowledgements.markSkippable(first);
    expect(brief(rig.sent())).toEqual([]);
    expect(settle(rig, second)).toEqual(['puback 2']);
  });

  it('and is abandoned is a new message when it is sent again', () => {
    const rig = old();
    const [first] = come(rig, 1, 1) as [Receipt];
    rig.engine.acknowledgements.abandon(first);
    rig.resume(connack({ sessionPresent: true }));
    rig.send(publish({ qos: 1, packetId: 1, payload: '1', duplicate: true }));
    expect(rig.effects.texts).toEqual(['1', '1']);
  });

  it('and is abandoned by one of two subscriptions is settled by the other', () => {
    const rig = old();
    rig.effects.onReceipt = (receipt) => {
      receipt.copies = 2;
      return 'taken';
    };
    const [first] = come(rig, 1, 1) as [Receipt];
    rig.engine.acknowledgements.abandon(first);
    expect(settle(rig, first)).toEqual(['puback 1']);
  });
});

describe('a planned reconnect', () => {
  it('happens when skipped messages fill half of the window and half of them are settled', () => {
    const rig = old({ ackStallTimeout: 10, keepAlive: 0 });
    const [first, second, third] = come(rig, 1, 3) as [Receipt, Receipt, Receipt];
    settle(rig, third);
    rig.advance(10);
    expect(brief(rig.sent())).toEqual(['puback 3']);
    expect(rig.engine.state).toBe('connected');
    rig.engine.settle(first, 0, rig.now);
    expect(rig.engine.state).toBe('dialing');
    rig.open();
    rig.send(connack({ sessionPresent: true }));
    rig.send(publish({ qos: 1, packetId: 1, payload: '1', duplicate: true }));
    rig.send(publish({ qos: 1, packetId: 2, payload: '2', duplicate: true }));
    expect(brief(rig.sent()).slice(-1)).toEqual(['puback 1']);
    expect(settle(rig, second)).toEqual(['puback 2']);
  });
});

describe('an application that waits for a message, and holds so many that none can arrive', () => {
  it('has them skipped in a persistent session, so that reading continues', () => {
    const rig = old();
    const all = come(rig, 1, 6);
    expect(rig.effects.texts).toEqual(['1', '2', '3', '4']);
    rig.engine.acknowledgements.starved();
    expect(rig.effects.last('ackStalled').receipts).toEqual(all);
    expect([rig.read(), rig.effects.texts.slice(4), brief(rig.sent())]).toEqual(['all', ['5', '6'], []]);
  });

  it('has them acknowledged in a session that ends with the connection', () => {
    const rig = old({ persistent: false, cleanStart: true });
    come(rig, 1, 6);
    rig.engine.acknowledgements.starved();
    expect(brief(rig.sent())).toEqual(['puback 1', 'puback 2', 'puback 3', 'puback 4']);
    rig.read();
    expect(rig.effects.texts.slice(4)).toEqual(['5', '6']);
  });

  it('causes no report if it holds nothing', () => {
    const rig = old();
    rig.engine.acknowledgements.starved();
    expect(rig.effects.take()).toEqual([]);
  });
});

function written(to: Connection): string {
  return toHex(to.outbox.take() ?? new Uint8Array(0));
}

describe('acknowledgements', () => {
  it('are written in the short form for success, and count as packets', () => {
    const up = newConnection();
    const acks = new AckWriter();
    acks.connection = up;
    acks.puback(0x0102, 0);
    acks.pubrec(3, 0);
    writePubrel(up, 4, 0);
    writePubcomp(up, 5, 0);
    expect(written(up)).toBe('40 02 01 02 50 02 00 03 62 02 00 04 70 02 00 05');
    expect(up.traffic.packetsSent).toBe(4);
  });

  it('have their Reason Code on 5.0 only', () => {
    for (const [version, bytes] of [
      [5, '62 03 00 04 92'],
      [4, '62 02 00 04'],
    ] as const) {
      const up = newConnection({ protocolVersion: version });
      writePubrel(up, 4, 0x92);
      expect(written(up)).toBe(bytes);
    }
  });

  it('are not written without a connection', () => {
    const up = newConnection();
    const acks = new AckWriter();
    acks.puback(1, 0);
    acks.pubrec(2, 0);
    expect(up.outbox.size).toBe(0);
  });
});
