import { describe, expect, it } from '@jest/globals';
import { Decoder, encode } from '../../lib/codec/codec.ts';
import type { Packet, ProtocolVersion } from '../../lib/codec/packets.ts';
import { ProtocolError } from '../../lib/errors.ts';
import { byByte, hex, join, packet, splits, text, toHex, varint } from '../support/bytes.ts';

const connect = (version: ProtocolVersion): Uint8Array =>
  encode({ type: 'connect', clientId: 'c', cleanStart: true, keepAlive: 0 }, version);

const thrownBy = (run: () => unknown): unknown => {
  try {
    run();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
};

const types = (decoder: Decoder): string[] => {
  const found: string[] = [];
  for (let next = decoder.next(); next !== undefined; next = decoder.next()) found.push(next.type);
  return found;
};

describe('Decoder', () => {
  it('is for a client of 3.1.1 by default', () => {
    const decoder = new Decoder({});
    expect(decoder.protocolVersion).toBe(4);
    decoder.push(hex`20 02 01 00`);
    expect(decoder.next()).toStrictEqual({
      type: 'connack',
      sessionPresent: true,
      reasonCode: 0,
      properties: {},
    });
    decoder.push(connect(4));
    expect(() => decoder.next()).toThrow(ProtocolError);
  });

  it.each([3, 4, 5] as const)('takes version %d from CONNECT for a server without a version', (version) => {
    const decoder = new Decoder({ receiver: 'server' });
    const ack = encode({ type: 'publish', topic: 'a', payload: hex`00 00 00` }, version);
    decoder.push(join(connect(version), ack));
    expect(decoder.next()).toMatchObject({ type: 'connect', clientId: 'c' });
    expect(decoder.protocolVersion).toBe(version);
    expect(decoder.next()).toMatchObject({ type: 'publish', payload: hex`00 00 00` });
  });

  it.each([3, 4, 5] as const)('takes version %d from a CONNECT that comes byte by byte', (version) => {
    const decoder = new Decoder({ receiver: 'server' });
    const chunks = byByte(connect(version));
    for (const chunk of chunks.slice(0, -1)) {
      decoder.push(chunk);
      expect(decoder.next()).toBeUndefined();
    }
    decoder.push(chunks.at(-1)!);
    expect(decoder.next()).toMatchObject({ type: 'connect' });
    expect(decoder.protocolVersion).toBe(version);
  });

  it('refuses a packet before CONNECT while the version is unknown', () => {
    for (const first of [hex`c0 00`, hex`30 04 00 01 61 00`, hex`20 03 00 00 00`]) {
      const decoder = new Decoder({ receiver: 'server' });
      decoder.push(first);
      expect(() => decoder.next()).toThrow(
        expect.objectContaining({ name: 'ProtocolError', statement: 'MQTT-3.1.0-1' }),
      );
      expect(decoder.protocolVersion).toBeUndefined();
    }
  });

  it('refuses a CONNECT of another version than its own', () => {
    for (const version of [3, 4] as const) {
      const decoder = new Decoder({ protocolVersion: 5, receiver: 'server' });
      decoder.push(connect(version));
      expect(() => decoder.next()).toThrow(ProtocolError);
    }
  });

  it('refuses a Remaining Length that is too long in a CONNECT of 5.0, and accepts it on 3.1.1', () => {
    const padded = (version: ProtocolVersion): Uint8Array => {
      const bytes = connect(version);
      return hex`10 ${bytes[1]! | 0x80} 00 ${bytes.subarray(2)}`;
    };
    const decoders = [5, 4].map((version) => {
      const decoder = new Decoder({ receiver: 'server' });
      decoder.push(padded(version as ProtocolVersion));
      return decoder;
    });
    expect(() => decoders[0]!.next()).toThrow(
      expect.objectContaining({ reasonCode: 0x81, statement: 'MQTT-1.5.5-1' }),
    );
    expect(decoders[1]!.next()).toMatchObject({ type: 'connect' });
  });

  it('has its version from the start', () => {
    expect(new Decoder({ protocolVersion: 5 }).protocolVersion).toBe(5);
    expect(new Decoder({ protocolVersion: 3, receiver: 'server' }).protocolVersion).toBe(3);
  });

  it.each([
    [{ protocolVersion: 6 }, /protocolVersion/],
    [{ protocolVersion: '5' }, /protocolVersion/],
    [{ receiver: 'broker' }, /receiver/],
    [{ maximumPacketSize: 0 }, /maximumPacketSize/],
    [{ maximumPacketSize: 1.5 }, /maximumPacketSize/],
    [{ maximumPacketSize: '10' }, /maximumPacketSize/],
  ])('refuses the options %j by name', (options, name) => {
    expect(() => new Decoder(options as unknown as { protocolVersion: 5 })).toThrow(
      expect.objectContaining({
        name: expect.stringMatching(/^(?:Range|Type)Error$/),
        message: expect.stringMatching(name),
      }),
    );
  });

  it('returns undefined before the first byte and between packets', () => {
    const decoder = new Decoder({ protocolVersion: 5 });
    expect(decoder.next()).toBeUndefined();
    decoder.push(hex`d0 00`);
    expect(types(decoder)).toEqual(['pingresp']);
    expect(decoder.next()).toBeUndefined();
  });

  it('accepts empty chunks anywhere', () => {
    const decoder = new Decoder({ protocolVersion: 5 });
    for (const chunk of [hex``, hex`40`, hex``, hex`02 00`, hex``, hex`0a`]) {
      expect(decoder.next()).toBeUndefined();
      decoder.push(chunk);
    }
    decoder.push(hex``);
    expect(decoder.next()).toMatchObject({ type: 'puback', packetId: 10 });
    expect(decoder.next()).toBeUndefined();
  });

  it('returns several packets of one chunk one at a time', () => {
    const decoder = new Decoder({ protocolVersion: 5 });
    decoder.push(hex`20 03 00 00 00 d0 00 40 02 00 01 30 04 00 01 61 00 50 02`);
    expect(types(decoder)).toEqual(['connack', 'pingresp', 'puback', 'publish']);
    decoder.push(hex`00 01`);
    expect(types(decoder)).toEqual(['pubrec']);
  });

  it('accepts several chunks before the first call of next()', () => {
    const decoder = new Decoder({ protocolVersion: 5 });
    for (const chunk of byByte(hex`40 02 00 01 40 02 00 02 d0 00`)) decoder.push(chunk);
    expect(types(decoder)).toEqual(['puback', 'puback', 'pingresp']);
  });

  it.each(['\xd0\0', [0xd0, 0], new ArrayBuffer(2), undefined, null])(
    'refuses %p as a chunk, and goes on',
    (chunk) => {
      const decoder = new Decoder({ protocolVersion: 5 });
      expect(() => decoder.push(chunk as unknown as Uint8Array)).toThrow(
        expect.objectContaining({ name: 'TypeError' }),
      );
      decoder.push(hex`d0 00`);
      expect(types(decoder)).toEqual(['pingresp']);
    },
  );

  it('accepts Buffers, and views that start inside their ArrayBuffer', () => {
    const decoder = new Decoder({ protocolVersion: 5 });
    decoder.push(Buffer.from('30040001', 'hex'));
    decoder.push(hex`ff ff 61 00 40 02 00 09 ff`.subarray(2, 8));
    expect(decoder.next()).toMatchObject({ type: 'publish', topic: 'a' });
    expect(decoder.next()).toMatchObject({ type: 'puback', packetId: 9 });
  });

  it.each([1, 2, 3])('keeps payloads of %d bytes, each of which came in two chunks', (length) => {
    const decoder = new Decoder({ protocolVersion: 4 });
    const payloads = Array.from({ length: 200 }, (_, i) => new Uint8Array(length).fill(i));
    const stream = join(...payloads.map((payload) => packet(0x30, text('a'), payload)));
    const decoded: Packet[] = [];
    const step = 5 + length;
    decoder.push(stream.slice(0, 3));
    for (let at = 3; at < stream.length; at += step) {
      decoder.push(stream.slice(at, at + step));
      for (let next = decoder.next(); next !== undefined; next = decoder.next()) decoded.push(next);
    }
    expect(decoded.map((one) => one.type === 'publish' && toHex(one.payload))).toEqual(payloads.map(toHex));
  });

  it.each([
    ['Topic Name', packet(0x30, text('a/+'), hex`00`), 'MQTT-3.3.2-2'],
    ['Response Topic', packet(0x30, text('t'), hex`06 08`, text('a/+')), 'MQTT-3.3.2-14'],
  ])('refuses as %s a string that it accepted as Content Type before', (_, bytes, statement) => {
    const decoder = new Decoder({ protocolVersion: 5 });
    for (let i = 0; i < 3; i++) {
      decoder.push(packet(0x30, text('t'), hex`06 03`, text('a/+')));
      expect(decoder.next()).toMatchObject({ properties: { contentType: 'a/+' } });
    }
    decoder.push(bytes);
    expect(() => decoder.next()).toThrow(expect.objectContaining({ reasonCode: 0x82, statement }));
  });

  it('throws the same error again at every later call', () => {
    const decoder = new Decoder({ protocolVersion: 5 });
    decoder.push(hex`d0 00 00 00 d0 00`);
    expect(decoder.next()).toStrictEqual({ type: 'pingresp' });
    const error = thrownBy(() => decoder.next());
    expect(error).toBeInstanceOf(ProtocolError);
    expect(thrownBy(() => decoder.next())).toBe(error);
    expect(thrownBy(() => (decoder.push(hex`d0 00`), decoder.next()))).toBe(error);
  });

  it('returns the packets before the one that it refuses', () => {
    const decoder = new Decoder({ protocolVersion: 5 });
    decoder.push(hex`40 02 00 01 d0 00 38 04 00 01 61 00`);
    expect(decoder.next()).toMatchObject({ type: 'puback' });
    expect(decoder.next()).toMatchObject({ type: 'pingresp' });
    expect(() => decoder.next()).toThrow(expect.objectContaining({ reasonCode: 0x81 }));
  });

  it('names the broken rule and its statement', () => {
    const decoder = new Decoder({ protocolVersion: 5 });
    decoder.push(hex`36 06 00 01 61 00 01 00`);
    const error = thrownBy(() => decoder.next()) as ProtocolError;
    expect(error).toMatchObject({
      name: 'ProtocolError',
      code: 'ERR_MQTT_PROTOCOL',
      statement: 'MQTT-3.3.1-4',
    });
    expect(error.message).toContain('[MQTT-3.3.1-4]');
  });
});

describe('maximumPacketSize', () => {
  const publish = (size: number): Uint8Array => packet(0x30, text('a'), hex`00`, new Uint8Array(size - 6));

  it('limits the whole packet, fixed header included', () => {
    const decoder = new Decoder({ protocolVersion: 5, maximumPacketSize: 20 });
    decoder.push(publish(20));
    expect(decoder.next()).toMatchObject({ type: 'publish' });
    decoder.push(publish(21));
    expect(() => decoder.next()).toThrow(
      expect.objectContaining({ reasonCode: 0x95, statement: 'MQTT-3.1.2-24' }),
    );
  });

  it.each([
    ['one byte of Remaining Length', 100, hex`30 63`],
    ['two bytes', 200, hex`30 c6 01`],
    ['four bytes', 20_000, hex`30 ff ff ff 7f`],
  ])('is checked before the body arrives (%s)', (_, maximumPacketSize, header) => {
    const decoder = new Decoder({ protocolVersion: 5, maximumPacketSize });
    for (const byte of byByte(header).slice(0, -1)) {
      decoder.push(byte);
      expect(decoder.next()).toBeUndefined();
    }
    decoder.push(header.slice(-1));
    expect(() => decoder.next()).toThrow(
      expect.objectContaining({ name: 'ProtocolError', reasonCode: 0x95 }),
    );
  });

  it.each(splits(publish(30)))('accepts a packet within it, however it is cut (%#)', (head, tail) => {
    const decoder = new Decoder({ protocolVersion: 5, maximumPacketSize: 30 });
    decoder.push(head);
    expect(decoder.next()).toBeUndefined();
    decoder.push(tail);
    expect(decoder.next()).toMatchObject({ payload: new Uint8Array(24) });
  });
});

describe('many User Properties', () => {
  it('of a PUBLISH are decoded on first access, and do not change the packet', () => {
    const userProperties = Array.from({ length: 20 }, (_, i) => [`n${i}`, String(i)] as const);
    const value: Packet = {
      type: 'publish', topic: 'a', payload: hex`01`, qos: 0, retain: false, duplicate: false,
      properties: { contentType: 'x', userProperties },
    }; // prettier-ignore
    const decoder = new Decoder({ protocolVersion: 5 });
    decoder.push(encode(value, 5));
    const decoded = decoder.next() as typeof value;
    expect(Object.getOwnPropertyDescriptor(decoded.properties, 'userProperties')).toHaveProperty('get');
    expect(structuredClone(decoded)).toStrictEqual(value);
    expect(decoded).toStrictEqual(value);
    expect(decoded.properties.userProperties).toBe(decoded.properties.userProperties);
  });
});

describe('a property section above 1 MiB', () => {
  const pairs = (count: number): Uint8Array => {
    const section = join(
      ...Array.from({ length: count }, () => join(hex`26 00 00`, text('a'.repeat(65_531)))),
    );
    return join(varint(section.length), section);
  };

  it.each([
    ['PUBLISH', 'client', (section: Uint8Array) => packet(0x30, text('a'), section)],
    ['CONNACK', 'client', (section: Uint8Array) => packet(0x20, hex`00 00`, section)],
    ['SUBSCRIBE', 'server', (section: Uint8Array) => packet(0x82, hex`00 01`, section, text('a'), hex`00`)],
  ] as const)('is refused with 0x95 in %s', (_, receiver, packetWith) => {
    const decoder = new Decoder({ protocolVersion: 5, receiver });
    decoder.push(packetWith(pairs(16)));
    expect(decoder.next()).toBeDefined();
    decoder.push(packetWith(pairs(17)));
    expect(() => decoder.next()).toThrow(
      expect.objectContaining({ name: 'ProtocolError', reasonCode: 0x95, statement: '2.2.2.1' }),
    );
  });

  it('does not limit the payload', () => {
    const decoder = new Decoder({ protocolVersion: 5 });
    decoder.push(encode({ type: 'publish', topic: 'a', payload: new Uint8Array(3_000_000) }, 5));
    expect(decoder.next()).toMatchObject({ payload: { length: 3_000_000 } });
  });
});

describe('encode', () => {
  it('does not change its argument, and returns new bytes', () => {
    const payload = hex`01 02`;
    const value: Packet = Object.freeze({
      type: 'publish', topic: 'a', payload, qos: 0, retain: false, duplicate: false, properties: Object.freeze({}),
    }); // prettier-ignore
    const first = encode(value, 5);
    const second = encode({ ...value, topic: 'b' }, 5);
    payload.fill(9);
    expect(toHex(first)).toBe('30 06 00 01 61 00 01 02');
    expect(toHex(second)).toBe('30 06 00 01 62 00 01 02');
  });

  it('returns bytes that later packets do not change, in any size', () => {
    const values = Array.from({ length: 300 }, (_, i): Packet => ({
      type: 'publish', topic: `t/${i % 7}`, payload: new Uint8Array((i * 37) % 1_500).fill(i), qos: 1, packetId: i + 1,
      retain: false, duplicate: false, properties: { contentType: String(i % 10), userProperties: [['n', String(i)]] },
    })); // prettier-ignore
    const encoded = values.map((value) => encode(value, 5));
    const decoder = new Decoder({ protocolVersion: 5 });
    for (const bytes of encoded) decoder.push(bytes);
    expect(values.map(() => decoder.next())).toStrictEqual(values);
  });

  it('accepts Buffers as payload and as Binary Data', () => {
    const bytes = encode(
      {
        type: 'publish',
        topic: 'a',
        payload: Buffer.from('hi'),
        properties: { correlationData: Buffer.from('x') },
      },
      5,
    );
    expect(toHex(bytes)).toBe('30 0a 00 01 61 04 09 00 01 78 68 69');
  });

  it('returns a Uint8Array with one packet and nothing else', () => {
    const bytes = encode({ type: 'pingreq' }, 4);
    expect(Object.prototype.toString.call(bytes)).toBe('[object Uint8Array]');
    expect(bytes.length).toBe(2);
  });

  it.each([undefined, null, {}, { type: 'toString' }, { type: 'publish' }, 'pingreq'])(
    'refuses %j',
    (value) => {
      expect(() => encode(value as unknown as Packet, 5)).toThrow(
        expect.objectContaining({ name: expect.stringMatching(/^(?:Protocol|Range|Type)Error$/) }),
      );
    },
  );

  it('writes a packet correctly after a refused one', () => {
    expect(() => encode({ type: 'publish', topic: 'a/#', payload: hex`` }, 5)).toThrow(ProtocolError);
    expect(toHex(encode({ type: 'puback', packetId: 1 }, 5))).toBe('40 02 00 01');
  });
});
