import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import type { PublishProperties, QoS } from '../../lib/codec/packets.ts';
import { portableText } from '../../lib/codec/text.ts';
import { Exchange } from '../../lib/session/exchange.ts';
import {
  inspect,
  keyOf,
  LAYOUT,
  payloadIn,
  placeOf,
  progressRecord,
  readProgress,
  readReceived,
  readSegment,
  readSession,
  receivedRecord,
  SegmentWriter,
  sessionRecord,
  type WrittenSegment,
} from '../../lib/session/records.ts';
import { Progress, Segment } from '../../lib/session/segment.ts';
import { STORE_SIZES } from '../../lib/session/store-sizes.ts';
import { checksum } from '../support/journal-rig.ts';

const OWNER = { changed() {}, ended() {} };

interface Fields {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly calledAt: number;
  readonly properties: PublishProperties | undefined;
}

const fields: fc.Arbitrary<Fields> = fc.record({
  topic: fc.constantFrom('a', 'a/b', 'ü/€'),
  payload: fc.uint8Array({ maxLength: 300 }),
  qos: fc.constantFrom<QoS>(0, 1, 2),
  retain: fc.boolean(),
  calledAt: fc.integer({ min: -1e12, max: 1e12 }),
  properties: fc.option(
    fc.record(
      { messageExpiryInterval: fc.nat(), contentType: fc.constant('x'), correlationData: fc.uint8Array() },
      { requiredKeys: ['messageExpiryInterval'] },
    ),
    { nil: undefined },
  ),
});

function exchangeOf({ topic, payload, qos, retain, properties, calledAt }: Fields): Exchange {
  const exchange = new Exchange(topic, payload.slice(), qos, retain, properties);
  exchange.calledAt = calledAt;
  return exchange;
}

function written(all: readonly Exchange[], toWallClock = 0, sizes = STORE_SIZES) {
  const writer = new SegmentWriter(portableText, checksum, sizes);
  const segments: WrittenSegment[] = [];
  for (let from = 0; from < all.length; from += segments.at(-1)?.ends.length ?? 0)
    segments.push(writer.write(all, from, toWallClock));
  return segments;
}

describe('the key of a record', () => {
  it('has the order of its place', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.maxSafeNat(), (a, b) => {
        expect(keyOf('m/', a) < keyOf('m/', b)).toBe(a < b);
        expect(placeOf(keyOf('m/', a))).toBe(a);
      }),
    );
  });
});

describe('a segment', () => {
  it('is read as it was written, with the time of each call', () => {
    fc.assert(
      fc.property(fc.array(fields, { minLength: 1, maxLength: 5 }), fc.nat(1e9), (all, toWallClock) => {
        const [segment] = written(all.map(exchangeOf), toWallClock);
        const value = segment?.value ?? new Uint8Array();
        expect(inspect(value, checksum)).toBe('sound');
        expect(readSegment(value)).toMatchObject(
          all.map(({ topic, payload, qos, retain, properties = {}, calledAt }) => ({
            publish: { topic, payload: Buffer.from(payload), qos, retain, properties },
            calledAt: calledAt + toWallClock,
          })),
        );
      }),
    );
  });

  it('has the payloads, so that callers can have their memory again', () => {
    const exchange = exchangeOf({
      topic: 'a',
      payload: Uint8Array.of(1, 2, 3),
      qos: 1,
      retain: false,
      calledAt: 0,
      properties: undefined,
    });
    const [segment] = written([exchange]);
    const payload = payloadIn(segment as WrittenSegment, 0);
    expect([...payload]).toEqual([1, 2, 3]);
    expect(payload.buffer).toBe(segment?.value.buffer);
  });

  it('holds as many messages and bytes as its limits allow, but at least one message', () => {
    const all = [10, 10, 10, 500, 10].map((size) => new Exchange('a', 'x'.repeat(size), 1, false, undefined));
    const counts = written(all, 0, { ...STORE_SIZES, segmentMessages: 2, segmentBytes: 100 }).map(
      ({ ends }) => ends.length,
    );
    expect(counts).toEqual([2, 1, 1, 1]);
  });

  it('has no Topic Alias', () => {
    const [segment] = written([new Exchange('a', 'x', 1, false, { topicAlias: 3, contentType: 'y' })]);
    expect(readSegment(segment?.value ?? new Uint8Array())?.[0]?.publish.properties).toEqual({
      contentType: 'y',
    });
  });
});

describe('the other records', () => {
  it('are read as they were written', () => {
    const facts = { isKnown: true, messages: 3, bytes: 2 ** 40, lastPlace: 2 ** 50 };
    expect(readSession(sessionRecord(facts, checksum))).toEqual(facts);
    expect(readReceived(receivedRecord(new Set([65_535, 1]), checksum))).toEqual([65_535, 1]);
  });

  it('say how far each message of a segment is', () => {
    const progress = fc.record({
      progress: fc.constantFrom(Progress.Waiting, Progress.Published, Progress.Released, Progress.Over),
      packetId: fc.integer({ min: 1, max: 65_535 }),
      release: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    });
    fc.assert(
      fc.property(fc.array(progress, { minLength: 1, maxLength: 6 }), (all) => {
        const segment = new Segment(11, all.length, OWNER);
        all.forEach((one, i) => segment.restore(11 + i, one.progress, one.packetId, one.release));
        const value = progressRecord(segment, checksum);
        expect(inspect(value, checksum)).toBe('sound');
        const read = new Segment(11, all.length, OWNER);
        expect(readProgress(value, read)).toBe(true);
        expect(read.live).toBe(segment.live);
        expect(progressRecord(read, checksum)).toEqual(value);
      }),
    );
  });

  it('do not fit a segment of another size', () => {
    const value = progressRecord(new Segment(1, 2, OWNER), checksum);
    expect(readProgress(value, new Segment(1, 3, OWNER))).toBe(false);
    expect(readProgress(value, new Segment(1, 1, OWNER))).toBe(false);
  });
});

describe('a record that is not sound', () => {
  const value = sessionRecord({ isKnown: true, messages: 1, bytes: 1, lastPlace: 1 }, checksum);

  it('is damaged if a byte behind its version has changed, or its end is missing', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: value.length - 1 }),
        fc.integer({ min: 1, max: 255 }),
        (at, by) => {
          const changed = value.slice();
          changed[at] = (changed[at] ?? 0) ^ by;
          expect(inspect(changed, checksum)).toBe('damaged');
          expect(inspect(value.subarray(0, at), checksum)).toBe('damaged');
        },
      ),
    );
  });

  it('is newer if its version is another one', () => {
    const newer = value.slice();
    newer[0] = LAYOUT + 1;
    expect(inspect(newer, checksum)).toBe('newer');
  });

  it('is no segment, whatever its bytes are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 6, maxLength: 60 }), (bytes) => {
        const read = readSegment(bytes);
        expect(read === undefined || Array.isArray(read)).toBe(true);
      }),
    );
    expect(readSegment(value)).toBeUndefined();
  });
});
