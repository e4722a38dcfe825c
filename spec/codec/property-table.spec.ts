import { describe, expect, it } from '@jest/globals';
import {
  HOST_PROPERTIES,
  PROPERTY_NAMES,
  type Property,
  type Values,
} from '../../lib/codec/property-table.ts';

const all: readonly (readonly [string, Property])[] = Object.entries(HOST_PROPERTIES).flatMap(
  ([host, { byName }]) => Array.from(byName.values(), (property) => [host, property] as const),
);

describe('the table of properties', () => {
  it('finds the same property by identifier and by name, in every host', () => {
    for (const { byId, byName } of Object.values(HOST_PROPERTIES)) {
      expect(byId.filter((property) => property !== undefined)).toHaveLength(byName.size);
      for (const property of byName.values()) expect(byId[property.id]).toBe(property);
    }
  });

  it('stores each value under the name of its property', () => {
    for (const [, { name, set }] of all) {
      const values: Values = {};
      set(values, 7);
      expect(values).toEqual({ [name]: 7 });
    }
  });

  it('has 27 identifiers, as table 2-4 has, and User Properties everywhere', () => {
    expect(new Set(all.map(([, { id }]) => id)).size).toBe(27);
    expect(all.filter(([, { name }]) => name === 'userProperties')).toHaveLength(14);
    expect(PROPERTY_NAMES.size).toBe(28);
    expect(
      new Set(Array.from(PROPERTY_NAMES, (name) => all.find(([, p]) => p.name === name)?.[1].bit)).size,
    ).toBe(28);
  });
});
