import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { Decoder, encode } from '../../lib/codec/codec.ts';
import type { Packet, ProtocolVersion, PublishPacket } from '../../lib/codec/packets.ts';
import { byByte, hex, join, packet, properties, splits, text, toHex, varint } from '../support/bytes.ts';
import { DIRECTIONS, kinds, packets, texts, type Side } from './arbitraries.ts';

const RUNS = { numRuns: 25 };
/** For properties that try many cuts or mutations of each packet. */
const FEW_RUNS = { numRuns: 15 };

const decoderFor = (version: ProtocolVersion, from: Side): Decoder =>
  new Decoder({ protocolVersion: version, receiver: from === 'client' ? 'server' : 'client' });

/** All packets that are complete. */
function drain(decoder: Decoder): Packet[] {
  const drained: Packet[] = [];
  for (let next = decoder.next(); next !== undefined; next = decoder.next()) drained.push(next);
  return drained;
}

function decode(version: ProtocolVersion, from: Side, ...chunks: Uint8Array[]): Packet[] {
  const decoder = decoderFor(version, from);
  return chunks.flatMap((chunk) => {
    decoder.push(chunk);
    return drain(decoder);
  });
}

/** Whether the chunk decodes without a ProtocolError. Any other error is thrown. */
function survives(version: ProtocolVersion, from: Side, chunk: Uint8Array): boolean {
  try {
    decode(version, from, chunk);
    return true;
  } catch (error) {
    if ((error as Error).name !== 'ProtocolError') throw error;
    const { reasonCode, statement } = error as { reasonCode: number; statement: string };
    if (!(reasonCode >= 0x80) || statement === '')
      throw new Error(`expected a Reason Code and a statement, got ${reasonCode} and ${statement}`, {
        cause: error,
      });
    return false;
  }
}

/** `whole` cut at `places` (fractions of its length), copies as they would come from a socket. */
function cutAt(whole: Uint8Array, places: readonly number[]): Uint8Array[] {
  const ends = [...places.map((place) => Math.floor(place * whole.length)), whole.length].toSorted(
    (a, b) => a - b,
  );
  return ends.map((end, i) => whole.slice(ends[i - 1] ?? 0, end));
}
const places = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 });

describe.each(DIRECTIONS)('version %d, sent by a %s', (version, from) => {
  it.each(Object.entries(kinds(version, from)))(
    '%s: decode(encode(packet)) is the packet',
    (_, arbitrary) => {
      fc.assert(
        fc.property(arbitrary, (value) => {
          expect(decode(version, from, encode(value, version))).toStrictEqual([value]);
        }),
        RUNS,
      );
    },
  );

  it.each(Object.entries(kinds(version, from)))('%s: encode(decode(bytes)) is the bytes', (_, arbitrary) => {
    fc.assert(
      fc.property(arbitrary, (value) => {
        const bytes = encode(value, version);
        expect(toHex(encode(decode(version, from, bytes)[0]!, version))).toBe(toHex(bytes));
      }),
      RUNS,
    );
  });

  it('returns the same packets however the stream is cut', () => {
    fc.assert(
      fc.property(fc.array(packets(version, from), { maxLength: 6 }), places, (values, cuts) => {
        const stream = join(...values.map((value) => encode(value, version)));
        expect(decode(version, from, ...cutAt(stream, cuts))).toStrictEqual(values);
      }),
      RUNS,
    );
  });

  it('returns the same packets byte by byte', () => {
    fc.assert(
      fc.property(fc.array(packets(version, from), { maxLength: 3 }), (values) => {
        const stream = join(...values.map((value) => encode(value, version)));
        expect(decode(version, from, ...byByte(stream))).toStrictEqual(values);
      }),
      FEW_RUNS,
    );
  });

  it('returns nothing of an incomplete packet', () => {
    fc.assert(
      fc.property(packets(version, from), (value) => {
        const cuts = splits(encode(value, version).subarray(0, 400)).slice(-60);
        const early = cuts.filter(([head, tail]) => {
          const decoder = decoderFor(version, from);
          decoder.push(head);
          if (decoder.next() !== undefined) return true;
          decoder.push(tail.subarray(0, -1));
          return decoder.next() !== undefined;
        });
        expect(early).toEqual([]);
      }),
      FEW_RUNS,
    );
  });

  it('accepts a packet with one byte changed, or throws a ProtocolError', () => {
    fc.assert(
      fc.property(packets(version, from), fc.nat(), fc.integer({ min: 1, max: 255 }), (value, at, change) => {
        const bytes = encode(value, version).slice();
        bytes[at % bytes.length]! ^= change;
        expect(typeof survives(version, from, bytes)).toBe('boolean');
      }),
      { numRuns: 100 },
    );
  });

  it('accepts a shortened packet with its own Remaining Length, or throws a ProtocolError', () => {
    fc.assert(
      fc.property(packets(version, from), fc.nat(), (value, at) => {
        const bytes = encode(value, version);
        const body = bytes.subarray(bytes.findIndex((byte, i) => i > 0 && byte < 0x80) + 1);
        const short = packet(bytes[0]!, body.subarray(0, at % (body.length + 1)));
        expect(typeof survives(version, from, short)).toBe('boolean');
      }),
      { numRuns: 100 },
    );
  });

  it('accepts random bytes, or throws a ProtocolError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        expect(typeof survives(version, from, bytes)).toBe('boolean');
      }),
      { numRuns: 100 },
    );
  });

  it('accepts random bytes in the shape of a packet, or throws a ProtocolError', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 255 }), fc.uint8Array({ maxLength: 64 }), (first, body) => {
        expect(typeof survives(version, from, packet(first, body))).toBe('boolean');
      }),
      { numRuns: 100 },
    );
  });

  it('keeps throwing the same error after the first', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 2, maxLength: 32 }),
        fc.uint8Array({ maxLength: 8 }),
        (bytes, more) => {
          const decoder = decoderFor(version, from);
          const attempt = (): unknown => {
            try {
              drain(decoder);
              return undefined;
            } catch (error) {
              return error;
            }
          };
          decoder.push(bytes);
          const first = attempt();
          if (first === undefined) return;
          try {
            decoder.push(more);
          } catch (error) {
            expect(error).toBe(first);
          }
          expect(attempt()).toBe(first);
        },
      ),
      RUNS,
    );
  });
});

describe('similar strings', () => {
  /** Few letters, so that strings differ in one byte, or are each other's beginning or end. */
  const alike = (minLength: number): fc.Arbitrary<string> =>
    fc.string({ unit: fc.constantFrom('a', 'b', '/', '\u00e9', '\u{1f600}'), minLength, maxLength: 20 });
  const messages = fc.array(
    fc.record({
      topic: alike(1),
      contentType: alike(0),
      responseTopic: alike(1),
      name: alike(0),
      value: alike(0),
    }),
    { minLength: 2, maxLength: 80, size: 'max' },
  );

  it.each([3, 4, 5] as const)('version %d: none is mistaken for another in a long stream', (version) => {
    fc.assert(
      fc.property(messages, (list) => {
        const values = list.map(({ topic, contentType, responseTopic, name, value }): Packet => ({
          type: 'publish', topic, payload: hex`01`, qos: 0, retain: false, duplicate: false,
          properties: version === 5 ? { contentType, responseTopic, userProperties: [[name, value]] } : {},
        })); // prettier-ignore
        const chunks = values.map((value) => encode(value, version));
        expect(decode(version, 'server', ...chunks, ...chunks)).toStrictEqual([...values, ...values]);
      }),
      FEW_RUNS,
    );
  });
});

describe('properties of a PUBLISH in any order, User Properties between the others', () => {
  /** Wire forms of properties, in random order; each may come before, between and behind User Properties. */
  const sections = fc
    .tuple(
      fc.array(fc.tuple(texts(), texts()), { minLength: 1, maxLength: 24, size: 'max' }),
      fc.array(fc.integer({ min: 1, max: 300 }), { maxLength: 3 }),
      fc.subarray([
        hex`01 00`, hex`02 00 00 00 3c`, join(hex`03`, text('json')), join(hex`08`, text('a/b')),
        hex`09 00 02 00 ff`, hex`23 00 07`,
      ]),
    )
    .chain(([pairs, identifiers, others]) => {
      const all = [
        ...pairs.map(([name, value]) => join(hex`26`, text(name), text(value))),
        ...identifiers.map((identifier) => join(hex`0b`, varint(identifier))),
        ...others,
      ];
      return fc.shuffledSubarray(all, { minLength: all.length });
    }); // prettier-ignore
  const publishWith = (section: Uint8Array[]): Uint8Array =>
    packet(0x30, text('a'), properties(...section), text('payload'));
  const isPair = (property: Uint8Array): boolean => property[0] === 0x26;

  it('decodes pairs in wire order, and other properties beside them', () => {
    fc.assert(
      fc.property(sections, (section) => {
        const [decoded] = decode(5, 'server', publishWith(section)) as [PublishPacket];
        const [pairs] = decode(5, 'server', publishWith(section.filter(isPair))) as [PublishPacket];
        const others = section.filter((property) => !isPair(property));
        const [rest] = decode(5, 'server', publishWith(others)) as [PublishPacket];
        expect(decoded.properties).toStrictEqual({ ...rest.properties, ...pairs.properties });
      }),
      RUNS,
    );
  });

  it('encodes them, decoded or not, as one group in the place of the first', () => {
    fc.assert(
      fc.property(sections, fc.boolean(), (section, asked) => {
        const bytes = publishWith(grouped(grouped(section, 0x26), 0x0b));
        const [decoded] = decode(5, 'server', publishWith(section)) as [PublishPacket];
        if (asked) expect(decoded.properties.userProperties).toBeDefined();
        expect(toHex(encode(decoded, 5))).toBe(toHex(bytes));
        expect(toHex(encode({ ...decoded, properties: { ...decoded.properties } }, 5))).toBe(toHex(bytes));
        expect(toHex(encode(decode(5, 'server', bytes)[0]!, 5))).toBe(toHex(bytes));
      }),
      RUNS,
    );
  });

  /** Properties of one identifier together, where the first of them stood. */
  function grouped(section: Uint8Array[], id: number): Uint8Array[] {
    const first = section.findIndex((property) => property[0] === id);
    const before = section.slice(0, Math.max(first, 0));
    const others = section.filter((property) => property[0] !== id);
    return [...before, ...section.filter((property) => property[0] === id), ...others.slice(before.length)];
  }
});

describe('memory', () => {
  const MEGABYTE = 1_048_576;
  const claimed = (): number => process.memoryUsage().arrayBuffers;

  it.each([3, 4, 5] as const)(
    'version %d: a header that claims 268 MB costs what came, not what it claims',
    (version) => {
      let early = 0;
      const before = claimed();
      const decoders = Array.from({ length: 2_000 }, () => {
        const decoder = new Decoder({ protocolVersion: version });
        decoder.push(hex`30 ff ff ff 7f 00 01 61`);
        if (decoder.next() !== undefined) early++;
        decoder.push(hex`00`);
        if (decoder.next() !== undefined) early++;
        return decoder;
      });
      // 2,000 x 268 MB would be half a terabyte; a few KB each are the decoders' own.
      expect(claimed() - before).toBeLessThan(2_000 * 8_192);
      expect([decoders.length, early]).toEqual([2_000, 0]);
    },
  );

  it('a decoder uses memory for a large packet in proportion to the bytes that have arrived', () => {
    const decoder = new Decoder({ protocolVersion: 5 });
    const before = claimed();
    decoder.push(hex`30 ff ff ff 7f 00 01 61 00`);
    for (let i = 1; i <= 64; i++) {
      decoder.push(new Uint8Array(16_384));
      expect(decoder.next()).toBeUndefined();
    }
    expect(claimed() - before).toBeLessThan(6 * MEGABYTE);
  });

  it('a large packet in many chunks takes time in proportion', () => {
    const decoder = new Decoder({ protocolVersion: 4 });
    const chunks = 8_192;
    const start = performance.now();
    decoder.push(packet(0x30, text('a'), new Uint8Array(chunks * 2_048)).slice(0, 8));
    let early = 0;
    for (let i = 0; i < chunks; i++) {
      if (decoder.next() !== undefined) early++;
      decoder.push(new Uint8Array(2_048).fill(i));
    }
    const whole = decoder.next() as { payload: Uint8Array };
    expect(early).toBe(0);
    expect(whole).toMatchObject({ type: 'publish', topic: 'a' });
    const numbers = Array.from({ length: chunks }, (_, i) => i);
    expect(numbers.filter((i) => whole.payload[i * 2_048] !== (i & 0xff))).toEqual([]);
    // Copying everything at each of 8,192 chunks would move 64 GB.
    expect(performance.now() - start).toBeLessThan(5_000);
  });
});

describe('payloads', () => {
  const payloadOf = (decoded: Packet | undefined): Uint8Array => (decoded as { payload: Uint8Array }).payload;

  it.each([3, 4, 5] as const)(
    'version %d: a payload is a view into the chunk that brought its packet',
    (version) => {
      fc.assert(
        fc.property(packets(version, 'server'), packets(version, 'server'), (before, after) => {
          const value: Packet = {
            type: 'publish',
            topic: 'a',
            payload: hex`01 02 03`,
            qos: 0,
            retain: false,
            duplicate: false,
            properties: {},
          };
          const chunk = join(encode(before, version), encode(value, version), encode(after, version));
          const decoded = decode(version, 'server', chunk)[1];
          expect(payloadOf(decoded).buffer).toBe(chunk.buffer);
          expect(payloadOf(decoded)).toEqual(hex`01 02 03`);
        }),
        FEW_RUNS,
      );
    },
  );

  it('a payload does not change when later chunks arrive', () => {
    const numbered = fc.array(fc.nat({ max: 3_000 }), { minLength: 2, maxLength: 12 });
    fc.assert(
      fc.property(numbered, places, (lengths, cuts) => {
        const payloads = lengths.map((length, i) => new Uint8Array(length).fill(i + 1));
        const stream = join(...payloads.map((payload) => packet(0x30, text('a'), payload)));
        const decoded = decode(4, 'server', ...cutAt(stream, cuts));
        expect(decoded.length).toBe(payloads.length);
        expect(decoded.filter((value, i) => Buffer.compare(payloadOf(value), payloads[i]!) !== 0)).toEqual(
          [],
        );
      }),
      RUNS,
    );
  });
});
