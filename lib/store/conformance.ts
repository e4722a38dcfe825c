/**
 * The entry `mqtt-await/store/conformance`: what a client relies on, as checks for stores that applications write. Any
 * test runner can run them:
 *
 *     for (const { name, check } of storePromises({ make: (place) => new RedisStore(redis, place) })) it(name, check);
 */

import { codeOf } from '../errors.ts';
import { CheckStage, type StoreUnderTest } from './check-stage.ts';
import { expectBytes, expectEqual, expectRecords, expectRejection, put, readAll } from './expectations.ts';
import type { StoreChange } from './session-store.ts';

export type { StoreUnderTest } from './check-stage.ts';

/** One promise that a store has to keep. */
export interface StorePromise {
  /** A sentence, such as `a put replaces the record with its key`. */
  readonly name: string;
  /** Rejects with an Error that says what was expected if the store does not keep the promise. Takes no arguments. */
  check(this: void): Promise<void>;
}

const SYNC = { sync: true };

/** Every promise of `SessionStore` that can be checked from outside. Each check makes its own stores, and closes them. */
export function storePromises(under: StoreUnderTest): readonly StorePromise[] {
  return Object.entries(CHECKS).map(([name, run]) => ({
    name,
    async check() {
      const stage = new CheckStage(under);
      try {
        await run(stage);
      } finally {
        await stage.end();
      }
    },
  }));
}

const CHECKS: Readonly<Record<string, (stage: CheckStage) => Promise<void>>> = {
  async 'a new session is empty'(stage) {
    await expectRecords(await stage.open(), '');
  },

  async 'records come in the order of the bytes of their keys'(stage) {
    const store = await stage.open();
    const keys = ['b', '~', 'a1', 'B', 'aa', '!', '10', 'a', 'Z', '2', 'a!', '_'];
    await store.commit(keys.map(put), SYNC);
    // Keys are ASCII: the order of code units is that of bytes.
    await expectRecords(store, keys.toSorted().join(' '));
  },

  async 'a range leaves out both of its ends'(stage) {
    const store = await stage.open();
    await store.commit(['a', 'b', 'c', 'd', 'da'].map(put), SYNC);
    const range = async (after: string, before: string): Promise<string> =>
      (await store.read({ after, before, limit: 10 })).map(({ key }) => key).join(' ');
    expectEqual(await range('a', 'd'), 'b c', 'the keys between a and d');
    expectEqual(await range('aa', 'da'), 'b c d', 'the keys between aa and da');
    expectEqual(await range('d', 'da'), '', 'the keys between d and da');
  },

  async 'a page is shorter than its limit only at the end'(stage) {
    const store = await stage.open();
    const keys = Array.from({ length: 25 }, (_, i) => `k${i + 10}`);
    await store.commit(keys.map(put), SYNC);
    const sizes: number[] = [];
    for (let after = ''; sizes.length < 9;) {
      const page = await store.read({ after, before: '~', limit: 10 });
      const first = sizes.length * 10;
      const expected = keys.filter((_, i) => i >= first && i < first + 10);
      expectEqual(page.map(({ key }) => key).join(' '), expected.join(' '), `the page behind "${after}"`);
      sizes.push(page.length);
      if (page.length < 10) break;
      after = page.at(-1)?.key ?? '~';
    }
    expectEqual(sizes.join(' '), '10 10 5', 'the sizes of pages');
  },

  async 'a put replaces the record with its key'(stage) {
    const store = await stage.open();
    await store.commit([put('a'), put('b')], SYNC);
    await store.commit([{ type: 'put', key: 'a', value: new Uint8Array([1, 2]) }], SYNC);
    const [a] = await store.read({ after: '', before: 'b', limit: 1 });
    expectBytes(a?.value, new Uint8Array([1, 2]), 'the value');
    await expectRecords(store, 'a b');
  },

  async 'a record that is deleted is gone, and deleting a missing one is no error'(stage) {
    const store = await stage.open();
    await store.commit([put('a'), put('b')], SYNC);
    await store.commit(
      [
        { type: 'delete', key: 'b' },
        { type: 'delete', key: 'c' },
      ],
      SYNC,
    );
    await expectRecords(store, 'a');
  },

  async 'the changes of a commit are made in order'(stage) {
    const store = await stage.open();
    await store.commit([put('b')], SYNC);
    const last = new Uint8Array([7]);
    const changes: StoreChange[] = [
      put('a'),
      { type: 'delete', key: 'a' },
      { type: 'delete', key: 'b' },
      put('b'),
      put('c'),
      { type: 'put', key: 'c', value: last },
    ];
    await store.commit(changes, SYNC);
    await expectRecords(store, 'b c');
    const [c] = await store.read({ after: 'b', before: 'd', limit: 1 });
    expectBytes(c?.value, new Uint8Array([7]), 'the value that was put last');
  },

  async 'a commit may have thousands of changes'(stage) {
    const store = await stage.open();
    const keys = Array.from({ length: 5_000 }, (_, i) => `k${i + 10_000}`);
    await store.commit(keys.map(put), SYNC);
    expectEqual((await readAll(store)).length, 5_000, 'the number of records');
    await store.commit(
      keys.map((key) => ({ type: 'delete', key })),
      SYNC,
    );
    await expectRecords(store, '');
  },

  async 'a commit without sync can be read, and those after it'(stage) {
    const store = await stage.open();
    await store.commit([put('a')], { sync: false });
    await expectRecords(store, 'a');
    await store.commit([{ type: 'delete', key: 'a' }, put('b')], { sync: false });
    await store.commit([put('c')], SYNC);
    await expectRecords(store, 'b c');
  },

  async 'values come back byte by byte: empty ones, views, and 1 MiB'(stage) {
    const store = await stage.open();
    const every = Uint8Array.from({ length: 256 }, (_, i) => i);
    const values = [new Uint8Array(0), every, every.subarray(100, 140), new Uint8Array(2 ** 20).fill(0x9d)];
    await store.commit(
      values.map((value, i) => ({ type: 'put', key: `v${i}`, value })),
      SYNC,
    );
    const found = await readAll(store);
    expectEqual(found.length, values.length, 'the number of records');
    for (const [i, value] of values.entries()) expectBytes(found[i]?.value, value, `value ${i}`);
  },

  async 'values may be kept: the store changes neither what it was given nor what it returned'(stage) {
    const store = await stage.open();
    const given = new Uint8Array([1, 2, 3]);
    await store.commit([{ type: 'put', key: 'a', value: given }], SYNC);
    const [first] = await readAll(store);
    await store.commit([{ type: 'put', key: 'a', value: new Uint8Array([4, 5, 6]) }], SYNC);
    const [second] = await readAll(store);
    expectBytes(given, new Uint8Array([1, 2, 3]), 'the value that was given');
    expectBytes(first?.value, new Uint8Array([1, 2, 3]), 'the value that was read first');
    expectBytes(second?.value, new Uint8Array([4, 5, 6]), 'the value that was read later');
  },

  async 'earlier records can be read during a commit'(stage) {
    const store = await stage.open();
    await store.commit([put('a'), put('b')], SYNC);
    const committed = store.commit([put('c'), put('d')], SYNC);
    const [page] = await Promise.all([store.read({ after: '', before: 'c', limit: 10 }), committed]);
    expectEqual(page.map(({ key }) => key).join(' '), 'a b', 'the keys that were read');
    await expectRecords(store, 'a b c d');
  },

  async 'records are there when the store is opened again, also by another object'(stage) {
    const store = await stage.open();
    await store.commit([put('a')], SYNC);
    await store.close();
    await store.open('a');
    await expectRecords(store, 'a');
    await store.commit([put('b')], SYNC);
    await store.close();
    await expectRecords(await stage.open(), 'a b');
  },

  async 'a commit that resolves is not lost by close()'(stage) {
    const store = await stage.open();
    const committed = store.commit([put('a')], SYNC).then(
      () => 'a',
      () => undefined,
    );
    await store.close();
    const key = await committed;
    if (key !== undefined) await expectRecords(await stage.open(), key);
  },

  async 'another Client Identifier sees no records and changes none, or is refused'(stage) {
    const store = await stage.open('a');
    await store.commit([put('a')], SYNC);
    await store.close();
    for (const clientId of ['b', 'a/', 'a!', 'aa', '', 'A']) {
      const other = await stage.make();
      const isRefused = await other.open(clientId).then(
        () => false,
        () => true,
      );
      if (isRefused) continue;
      await expectRecords(other, '');
      await other.commit([put('z')], SYNC);
      await other.clear();
      await other.close();
    }
    await expectRecords(await stage.open('a'), 'a');
  },

  async 'a second owner is refused with ERR_MQTT_STORE_LOCKED, and the first goes on'(stage) {
    const store = await stage.open();
    await store.commit([put('a')], SYNC);
    const second = await stage.make();
    for (const other of [second, store]) {
      const error = await expectRejection(other.open('a'), 'open() while another one is open');
      expectEqual(codeOf(error), 'ERR_MQTT_STORE_LOCKED', 'the code of the error');
    }
    await store.commit([put('b')], SYNC);
    await expectRecords(store, 'a b');
  },

  async 'a second owner can open it after close()'(stage) {
    const store = await stage.open();
    const second = await stage.make();
    await second.open('a').catch(() => {});
    await store.commit([put('a')], SYNC);
    await store.close();
    await second.open('a');
    await expectRecords(second, 'a');
  },

  async 'clear() removes every record of the session, which goes on'(stage) {
    const store = await stage.open();
    const keys = Array.from({ length: 1_500 }, (_, i) => `k${i + 1_000}`);
    await store.commit(['!', ...keys, '~'].map(put), SYNC);
    await store.clear();
    await expectRecords(store, '');
    await store.commit([put('a')], SYNC);
    await expectRecords(store, 'a');
  },

  async 'close() is of no effect before open() and after close()'(stage) {
    const store = await stage.make();
    await store.close();
    await store.open('a');
    await Promise.all([store.close(), store.close()]);
    await store.close();
    await store.open('a');
    await expectRecords(store, '');
  },

  async 'commit(), read() and clear() reject after close()'(stage) {
    const store = await stage.open();
    await store.close();
    await expectRejection(store.commit([put('a')], SYNC), 'commit() after close()');
    await expectRejection(store.read({ after: '', before: '~', limit: 1 }), 'read() after close()');
    await expectRejection(store.clear(), 'clear() after close()');
  },
};
