import { describe, expect, it } from '@jest/globals';
import { type StoreUnderTest, storePromises } from '../../lib/store/conformance.ts';
import type { SessionStore } from '../../lib/store/session-store.ts';
import { ReferenceStore } from './reference-store.ts';

/*
 * The promises are kept by a store that is right, and each is broken by one that is wrong.
 */

const under = (make: StoreUnderTest['make']): StoreUnderTest => ({ make, remove: ReferenceStore.remove });

/** A store with some methods replaced. They get the right store. */
function wrong(replace: (right: ReferenceStore) => Partial<SessionStore>): (place: string) => SessionStore {
  return (place) => {
    const right = new ReferenceStore(place);
    const methods: SessionStore = {
      open: (clientId) => right.open(clientId),
      read: (range) => right.read(range),
      commit: (changes, options) => right.commit(changes, options),
      clear: () => right.clear(),
      close: () => right.close(),
    };
    return { ...methods, ...replace(right) };
  };
}

const nothing = async (): Promise<void> => {};

/** A store that breaks a promise, by the name of the promise. */
const WRONG: Readonly<Record<string, (place: string) => SessionStore>> = {
  'a new session is empty': wrong(() => ({ read: async () => [{ key: 'a', value: new Uint8Array() }] })),
  'records come in the order of the bytes of their keys': wrong((right) => ({
    read: async (range) =>
      (await right.read({ ...range, limit: Infinity }))
        .toSorted((a, b) => a.key.localeCompare(b.key))
        .slice(0, range.limit),
  })),
  'a range leaves out both of its ends': wrong((right) => ({
    read: (range) => right.read({ ...range, before: `${range.before}\0` }),
  })),
  'a page is shorter than its limit only at the end': wrong((right) => ({
    read: (range) => right.read({ ...range, limit: Math.min(range.limit, 7) }),
  })),
  'a put replaces the record with its key': wrong((right) => ({
    async commit(changes, options) {
      const added = changes.filter(({ type, key }) => type === 'delete' || !right.records.has(key));
      await right.commit(added, options);
    },
  })),
  'a record that is deleted is gone, and deleting a missing one is no error': wrong((right) => ({
    async commit(changes, options) {
      for (const { type, key } of changes)
        if (type === 'delete' && !right.records.has(key)) throw new Error('not found');
      await right.commit(changes, options);
    },
  })),
  'the changes of a commit are made in order': wrong((right) => ({
    async commit(changes, options) {
      const puts = changes.filter(({ type }) => type === 'put');
      await right.commit([...puts, ...changes.filter(({ type }) => type === 'delete')], options);
    },
  })),
  'a commit may have thousands of changes': wrong((right) => ({
    commit: (changes, options) => right.commit(changes.slice(0, 1_000), options),
  })),
  'a commit without sync can be read, and those after it': wrong((right) => ({
    commit: (changes, options) => (options.sync ? right.commit(changes, options) : nothing()),
  })),
  'values come back byte by byte: empty ones, views, and 1 MiB': wrong((right) => ({
    async read(range) {
      const records = await right.read(range);
      const decoder = new TextDecoder();
      const encoder = new TextEncoder();
      return records.map(({ key, value }) => ({ key, value: encoder.encode(decoder.decode(value)) }));
    },
  })),
  'values may be kept: the store changes neither what it was given nor what it returned': wrong((right) => {
    const page = new Uint8Array(2 ** 21);
    return {
      async read(range) {
        let at = 0;
        return (await right.read(range)).map(({ key, value }) => {
          page.set(value, at);
          at += value.length;
          return { key, value: page.subarray(at - value.length, at) };
        });
      },
    };
  }),
  'earlier records can be read during a commit': wrong((right) => {
    let commits = 0;
    return {
      async commit(changes, options) {
        commits++;
        await right.commit(changes, options);
        await Promise.resolve();
        commits--;
      },
      async read(range) {
        if (commits > 0) throw new Error('busy');
        return right.read(range);
      },
    };
  }),
  'records are there when the store is opened again, also by another object': wrong((right) => ({
    async close() {
      right.place.sessions.clear();
      await right.close();
    },
  })),
  'a commit that resolves is not lost by close()': wrong((right) => ({
    async commit(changes, options) {
      await Promise.resolve();
      await right.commit(changes, options).catch(() => {});
    },
  })),
  'another Client Identifier sees no records and changes none, or is refused': wrong((right) => ({
    open: (clientId) => right.open(clientId.toLowerCase()),
  })),
  'a second owner is refused with ERR_MQTT_STORE_LOCKED, and the first goes on': wrong((right) => ({
    async open(clientId) {
      right.place.locks.clear();
      await right.open(clientId);
    },
  })),
  'a second owner can open it after close()': wrong((right) => ({
    async close() {
      right.clientId = undefined;
    },
  })),
  'clear() removes every record of the session, which goes on': wrong((right) => ({
    async clear() {
      for (const key of [...right.records.keys()].slice(0, 1_000)) right.records.delete(key);
    },
  })),
  'close() is of no effect before open() and after close()': wrong((right) => ({
    async close() {
      right.mustBeOpen();
      await right.close();
    },
  })),
  'commit(), read() and clear() reject after close()': wrong((right) => ({
    commit: (changes, options) => right.commit(changes, options).catch(() => {}),
  })),
};

describe('storePromises()', () => {
  describe('of a store that is right', () => {
    const promises = storePromises(under((place) => new ReferenceStore(place)));
    it.each(promises.map(({ name, check }) => [name, check] as const))('%s', async (_, check) => {
      await expect(check()).resolves.toBeUndefined();
    });
  });

  it('has a wrong store for each promise', () => {
    const names = storePromises(under((place) => new ReferenceStore(place))).map(({ name }) => name);
    expect(names.toSorted()).toEqual(Object.keys(WRONG).toSorted());
  });

  it.each(Object.entries(WRONG))('finds a store that breaks "%s"', async (name, make) => {
    const promise = storePromises(under(make)).find((one) => one.name === name);
    await expect(promise?.check()).rejects.toThrow(/./);
  });

  it('says what it expected and what it got', async () => {
    const loses = wrong((right) => ({ commit: () => right.commit([], { sync: true }) }));
    const promise = storePromises(under(loses)).find(({ name }) => name.startsWith('a put replaces'));
    await expect(promise?.check()).rejects.toThrow('the value: expected 2 bytes, got no record');
  });

  it('closes and removes what a failed check leaves', async () => {
    const closed: string[] = [];
    const removed: string[] = [];
    const fails = (place: string): SessionStore => ({
      ...wrong(() => ({ read: () => Promise.reject(new Error('no')) }))(place),
      close: async () => void closed.push(place),
    });
    const [promise] = storePromises({ make: fails, remove: (place) => removed.push(place) });
    await expect(promise?.check()).rejects.toThrow('no');
    expect(closed).toHaveLength(1);
    expect(removed).toEqual(closed);
  });
});
