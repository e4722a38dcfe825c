import { describe, expect, it } from '@jest/globals';
import { Connection } from '../../lib/connection/connection.ts';
import { Traffic } from '../../lib/connection/traffic.ts';
import { AckWriter, writePubcomp, writePubrel } from '../../lib/engine/ack-writer.ts';
import type { ProtocolVersion } from '../../lib/codec/packets.ts';
import { ENGINE_DEFAULTS } from '../support/engine-options.ts';
import { toHex } from '../support/bytes.ts';

function connection(protocolVersion: ProtocolVersion): Connection {
  return new Connection(
    {
      connectionNumber: 1,
      settings: { ...ENGINE_DEFAULTS, protocolVersion },
      identity: { clientId: 'a', cleanStart: true },
      traffic: new Traffic(),
      slabs: { take: () => new Uint8Array(64) },
      allocate: (size) => new Uint8Array(size),
    },
    0,
  );
}

function written(to: Connection): string {
  return toHex(to.outbox.take() ?? new Uint8Array(0));
}

describe('acknowledgements', () => {
  it('are written in the short form for success, and count as packets', () => {
    const up = connection(5);
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
      const up = connection(version);
      writePubrel(up, 4, 0x92);
      expect(written(up)).toBe(bytes);
    }
  });

  it('are not written without a connection', () => {
    const up = connection(5);
    const acks = new AckWriter();
    acks.puback(1, 0);
    acks.pubrec(2, 0);
    expect(up.outbox.size).toBe(0);
  });
});
