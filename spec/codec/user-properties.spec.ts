import { describe, expect, it } from '@jest/globals';
import type { PublishProperties, UserProperties } from '../../lib/codec/packets.ts';
import { undecodedSizeOf, deferUserProperties } from '../../lib/codec/user-properties.ts';
import { toHex } from '../support/bytes.ts';

const BYTES = Uint8Array.of(1, 2, 3);
const PAIRS: UserProperties = [
  ['a', '1'],
  ['b', '2'],
];
const PLAIN = { contentType: 'x', userProperties: PAIRS, topicAlias: 7 };

/** Properties that hold PAIRS, and how often they were decoded. */
function holding(): {
  properties: PublishProperties & { userProperties?: UserProperties };
  decoded: string[];
} {
  const decoded: string[] = [];
  const decode = (bytes: Uint8Array): UserProperties => {
    decoded.push(toHex(bytes));
    return [...PAIRS];
  };
  const plain = { contentType: 'x', userProperties: ['replaced'], topicAlias: 7 };
  return { properties: deferUserProperties(plain, BYTES, decode), decoded };
}

describe('User Properties that are kept as bytes', () => {
  it('are decoded once, on first access, and are the same array every time', () => {
    const { properties, decoded } = holding();
    expect(properties.contentType).toBe('x');
    expect(Object.keys(properties)).toEqual(Object.keys(PLAIN));
    expect('userProperties' in properties).toBe(true);
    expect(Object.hasOwn(properties, 'userProperties')).toBe(true);
    expect(decoded).toEqual([]);
    const first = properties.userProperties;
    expect(first).toEqual(PAIRS);
    expect(properties.userProperties).toBe(first);
    expect(decoded).toEqual(['01 02 03']);
  });

  it('are a plain property from then on', () => {
    const { properties } = holding();
    const value = properties.userProperties;
    expect(Object.getOwnPropertyDescriptor(properties, 'userProperties')).toEqual({
      value,
      writable: true,
      enumerable: true,
      configurable: true,
    });
  });

  const copies: [string, (properties: PublishProperties) => unknown][] = [
    ['a spread copy', (properties) => ({ ...properties })],
    ['Object.assign', (properties) => Object.assign({}, properties)],
    ['the entries', (properties) => Object.fromEntries(Object.entries(properties))],
    ['JSON', (properties) => JSON.parse(JSON.stringify(properties))],
    ['structuredClone', (properties) => structuredClone(properties)],
    ['for…in', (properties) => {
      const copy: Record<string, unknown> = {};
      for (const name in properties) copy[name] = properties[name as keyof PublishProperties];
      return copy;
    }],
    ['what is left of a pattern', ({ contentType, ...rest }) => ({ contentType, ...rest })],
  ]; // prettier-ignore
  it.each(copies)('are in %s like any property', (_, copy) => {
    const result = copy(holding().properties) as object;
    expect(result).toStrictEqual(PLAIN);
    expect(Object.keys(result)).toEqual(Object.keys(PLAIN));
    expect(Reflect.ownKeys(result)).toEqual(Object.keys(PLAIN));
    expect(Object.getOwnPropertyDescriptor(result, 'userProperties')).toHaveProperty('value');
  });

  it('compare like any property', () => {
    expect(holding().properties).toStrictEqual(PLAIN);
    expect(PLAIN).toStrictEqual(holding().properties);
    expect(holding().properties).toEqual(holding().properties);
    expect(holding().properties).not.toEqual({ ...PLAIN, userProperties: [] });
  });

  it('work behind a Proxy, and in objects that inherit', () => {
    expect(new Proxy(holding().properties, {}).userProperties).toEqual(PAIRS);
    expect((Object.create(holding().properties) as PublishProperties).userProperties).toEqual(PAIRS);
  });

  it('are the same array every time in frozen properties', () => {
    const { properties, decoded } = holding();
    Object.freeze(properties);
    const first = properties.userProperties;
    expect(first).toEqual(PAIRS);
    expect(properties.userProperties).toBe(first);
    expect(decoded).toHaveLength(1);
    expect(() => Object.assign(properties, { userProperties: [] })).toThrow(TypeError);
    expect(properties.userProperties).toBe(first);
  });

  it('can be replaced undecoded', () => {
    const { properties, decoded } = holding();
    Object.assign(properties, { userProperties: [['c', '3']] });
    expect(properties).toStrictEqual({ ...PLAIN, userProperties: [['c', '3']] });
    expect(undecodedSizeOf(properties)).toBe(0);
    expect(decoded).toEqual([]);
  });

  it('have the size of their bytes until they are decoded', () => {
    const { properties, decoded } = holding();
    expect(undecodedSizeOf(properties)).toBe(3);
    expect(decoded).toEqual([]);
    expect(properties.userProperties).toEqual(PAIRS);
    expect(undecodedSizeOf(properties)).toBe(0);
    expect(undecodedSizeOf(PLAIN)).toBe(0);
  });
});
