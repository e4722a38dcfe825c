import { Readable } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import type { ReceivedMessage } from '../../../lib/client/receive/received-message.ts';
import { ClosedError } from '../../../lib/errors.ts';
import { settled } from '../../support/fake-clock.ts';
import { END, loop, SubscriptionRig } from './subscription-rig.ts';

type Batch = IteratorResult<readonly ReceivedMessage[], unknown>;
const textsOf = ({ value }: Batch): readonly string[] | undefined =>
  (value as readonly ReceivedMessage[] | undefined)?.map((message) => message.text());

/** What has become of a promise so far. */
function watched(promise: Promise<Batch>): { readonly texts: readonly string[] | undefined | 'none yet' } {
  const state = { texts: 'none yet' as readonly string[] | undefined | 'none yet' };
  void promise.then((result) => (state.texts = textsOf(result)));
  return state;
}

describe('batches()', () => {
  it('brings what waits at once, at least one, at most max, and settles a batch when the next is asked for', async () => {
    const rig = new SubscriptionRig();
    rig.push('a', 'b', 'c');
    const batches = rig.subscription.batches({ max: 2 });
    const texts = async () => textsOf(await batches.next());
    await expect(texts()).resolves.toEqual(['a', 'b']);
    expect(rig.settled).toEqual([]);
    await expect(texts()).resolves.toEqual(['c']);
    expect(rig.settled).toEqual(['a', 'b']);
    const waiting = texts();
    await settled();
    rig.push('d', 'e');
    await expect(waiting).resolves.toEqual(['d', 'e']);
    await batches.return?.();
    expect(rig.unsubscribed).toBe(1);
  });

  it('left in a persistent session gives the whole batch back, in its order', async () => {
    const rig = new SubscriptionRig({ persistent: true });
    rig.push('a', 'b', 'c', 'd');
    for await (const batch of rig.subscription.batches({ max: 3 })) {
      batch[1]?.ack();
      break;
    }
    expect(rig.settled).toEqual(['b']);
    const texts = await loop(rig.subscription, (message) => (message.text() === 'd' ? 'break' : undefined));
    expect(texts).toEqual(['a', 'c', 'd']);
  });

  it('ends with the subscription, or throws what it ended with', async () => {
    const [rig, failing] = [new SubscriptionRig(), new SubscriptionRig()];
    const waiting = rig.subscription.batches().next();
    await settled();
    rig.subscription.end();
    await expect(waiting).resolves.toEqual(END);
    failing.subscription.endAfterBuffer(new ClosedError('gone'));
    const batches = failing.subscription.batches();
    await expect(batches.next()).rejects.toThrow('gone');
    await expect(batches.next()).resolves.toEqual(END);
  });

  it('checks its options at once', () => {
    const { subscription } = new SubscriptionRig();
    for (const options of [{ max: 0 }, { max: 1.5 }, { maximum: 5 }, { linger: -1 }, { linger: '5' }])
      expect(() => subscription.batches(options as object)).toThrow(/expected/);
  });

  it('that nobody iterates reads nothing, and takes no subscription with it', async () => {
    const rig = new SubscriptionRig();
    rig.push('a');
    const batches = rig.subscription.batches();
    expect(rig.subscription.busy).toBe(false);
    await batches.return?.();
    await expect(batches.next()).resolves.toEqual(END);
    expect([rig.unsubscribed, rig.subscription.depth]).toEqual([0, 1]);
  });

  it('counts all of its batch as in hand', async () => {
    const rig = new SubscriptionRig();
    rig.push('a', 'b');
    const batches = rig.subscription.batches();
    const [first, second] = (await batches.next()).value as readonly ReceivedMessage[];
    first?.ack();
    expect(rig.subscription.busy).toBe(true);
    expect(rig.subscription.release()).toHaveLength(1);
    second?.ack();
    expect([rig.settled, rig.subscription.busy]).toEqual([['a'], false]);
    await batches.return?.();
  });

  it('settles nothing where calls of next() overlap, and says so once', async () => {
    const rig = new SubscriptionRig();
    rig.push('a', 'b', 'c', 'd');
    const batches = rig.subscription.batches({ max: 2 });
    const asked = [batches.next(), batches.next(), batches.next()];
    rig.push('e');
    const results = await Promise.all(asked);
    expect(results.map(textsOf)).toEqual([['a', 'b'], ['c', 'd'], ['e']]);
    const more = batches.next();
    rig.push('f');
    expect(textsOf(await more)).toEqual(['f']);
    expect([rig.settled, rig.warnings.length]).toEqual([[], 1]);
  });

  it('settles a batch for one call after the other, however soon', async () => {
    const rig = new SubscriptionRig();
    rig.push('a', 'b', 'c');
    const batches = rig.subscription.batches({ max: 1 });
    for (let i = 0; i < 3; i++) await batches.next();
    expect([rig.settled, rig.warnings]).toEqual([['a', 'b'], []]);
  });
});

describe('batches({ linger })', () => {
  it('waits for so long after the first message of a batch, and no longer', async () => {
    const rig = new SubscriptionRig();
    const batches = rig.subscription.batches({ max: 10, linger: 50 });
    const batch = watched(batches.next());
    await rig.clock.advance(1_000);
    rig.push('a');
    await rig.clock.advance(30);
    rig.push('b');
    await rig.clock.advance(19);
    expect(batch.texts).toBe('none yet');
    await rig.clock.advance(1);
    expect(batch.texts).toEqual(['a', 'b']);
    expect(rig.clock.armed).toBe(0);
    await batches.return?.();
  });

  it('counts from when it is asked where something waits', async () => {
    const rig = new SubscriptionRig();
    rig.push('a');
    await rig.clock.advance(1_000);
    const batches = rig.subscription.batches({ max: 10, linger: 50 });
    const batch = watched(batches.next());
    await rig.clock.advance(49);
    rig.push('b');
    expect(batch.texts).toBe('none yet');
    await rig.clock.advance(1);
    expect(batch.texts).toEqual(['a', 'b']);
    await batches.return?.();
  });

  it('lets a full batch leave at once, filled by what waits or by what comes', async () => {
    const rig = new SubscriptionRig();
    rig.push('a', 'b', 'c');
    const batches = rig.subscription.batches({ max: 2, linger: 50 });
    expect(textsOf(await batches.next())).toEqual(['a', 'b']);
    const second = batches.next();
    rig.push('d', 'e');
    expect(textsOf(await second)).toEqual(['c', 'd']);
    expect([rig.settled, rig.clock.armed, rig.subscription.depth]).toEqual([['a', 'b'], 0, 1]);
    await batches.return?.();
  });

  it.each([
    ['ends', async (rig: SubscriptionRig) => rig.subscription.end(), undefined],
    ['is unsubscribed', (rig: SubscriptionRig) => rig.subscription.unsubscribe(), undefined],
    ['is stopped', (rig: SubscriptionRig) => rig.subscription.stop(), undefined],
    [
      'is stopped with a reason',
      (rig: SubscriptionRig) => rig.subscription.finish({ reason: new Error('why') }),
      'why',
    ],
    ['fails', async (rig: SubscriptionRig) => rig.subscription.endAfterBuffer(new Error('why')), 'why'],
  ])('hands out what is there when the subscription %s, and ends then', async (_, end, error) => {
    for (const persistent of [false, true]) {
      const rig = new SubscriptionRig({ persistent });
      const batches = rig.subscription.batches({ max: 10, linger: 50 });
      const batch = batches.next();
      rig.push('a', 'b');
      rig.pushOne('c', 0);
      await end(rig);
      expect(textsOf(await batch)).toEqual(['a', 'b', 'c']);
      const next = batches.next().then(
        ({ done }) => done,
        (reason: Error) => reason.message,
      );
      await expect(next).resolves.toBe(error ?? true);
      expect([rig.settled, rig.clock.armed, rig.counters.discarded]).toEqual([['a', 'b'], 0, 0]);
      await expect(batches.next()).resolves.toEqual(END);
    }
  });

  it('hands out what is there when it is told that nothing more comes, and then too', async () => {
    const rig = new SubscriptionRig();
    const batches = rig.subscription.batches({ max: 2, linger: 50 });
    const first = batches.next();
    rig.push('a');
    rig.subscription.flush();
    expect(textsOf(await first)).toEqual(['a']);
    rig.onLook = () => rig.subscription.flush();
    rig.push('b');
    expect(textsOf(await batches.next())).toEqual(['b']);
    await batches.return?.();
  });

  it('has what it collects in hand, for those who wait for it', async () => {
    const rig = new SubscriptionRig();
    const batches = rig.subscription.batches({ max: 10, linger: 50 });
    void batches.next();
    rig.push('a', 'b');
    expect([rig.subscription.busy, rig.subscription.hasUnsettled(), rig.subscription.depth]).toEqual([
      true,
      true,
      0,
    ]);
    await batches.return?.();
  });

  it('shares what comes with the other readers', async () => {
    const rig = new SubscriptionRig();
    const batches = rig.subscription.batches({ max: 10, linger: 50 });
    const batch = batches.next();
    const received = rig.subscription.receive();
    rig.push('a', 'b', 'c');
    expect((await received).text()).toBe('b');
    await rig.clock.advance(50);
    expect(textsOf(await batch)).toEqual(['a', 'c']);
    await batches.return?.();
  });
});

describe.each([
  ['clean', false],
  ['persistent', true],
])('batches() left while it waits, in a %s session', (_, persistent) => {
  it('ends every next() that waits, and takes no message any more', async () => {
    const rig = new SubscriptionRig({ persistent });
    const batches = rig.subscription.batches();
    const asked = [batches.next(), batches.next()];
    await expect(batches.return?.()).resolves.toEqual(END);
    await expect(Promise.all(asked)).resolves.toEqual([END, END]);
    expect(rig.unsubscribed).toBe(persistent ? 0 : 1);
    rig.push('a');
    expect([rig.subscription.depth, rig.settled]).toEqual([1, []]);
  });

  it('rejects throw() with its error', async () => {
    const rig = new SubscriptionRig({ persistent });
    const batches = rig.subscription.batches();
    const pending = batches.next();
    const error = new Error('no more');
    await expect(batches.throw?.(error)).rejects.toBe(error);
    await expect(pending).resolves.toEqual(END);
  });

  it('as a destroyed stream does it', async () => {
    const rig = new SubscriptionRig({ persistent });
    const stream = Readable.from(rig.subscription.batches({ linger: 50 }));
    stream.on('data', () => {});
    await settled();
    stream.destroy();
    await settled();
    expect([stream.closed, rig.unsubscribed]).toEqual([true, persistent ? 0 : 1]);
    rig.push('a');
    expect([rig.subscription.depth, rig.settled]).toEqual([1, []]);
  });

  it('leaves what it has collected to the reader that waits, as if it had never had it', async () => {
    const rig = new SubscriptionRig({ persistent });
    const batches = rig.subscription.batches({ max: 10, linger: 50 });
    const pending = batches.next();
    rig.push('a');
    rig.pushOne('b', 0);
    rig.push('c');
    const staying = rig.subscription[Symbol.asyncIterator]();
    const next = staying.next();
    await batches.return?.();
    await expect(pending).resolves.toEqual(END);
    await expect(next).resolves.toMatchObject({ value: { duplicate: false } });
    const texts = [(await next).value, (await staying.next()).value, (await staying.next()).value];
    expect(texts.map((message: ReceivedMessage) => message.text())).toEqual(['a', 'b', 'c']);
    expect([rig.settled, rig.clock.armed, rig.subscription.dropped]).toEqual([['a'], 0, 0]);
  });
});

it('batches() left in a persistent session keep what they had handed out before what they had collected', async () => {
  const rig = new SubscriptionRig({ persistent: true });
  const batches = rig.subscription.batches({ max: 2, linger: 50 });
  const asked = [batches.next(), batches.next()];
  rig.push('a', 'b', 'c');
  expect(textsOf((await asked[0]) as Batch)).toEqual(['a', 'b']);
  await batches.return?.();
  const seen: [string, boolean][] = [];
  await loop(rig.subscription, (message) => {
    seen.push([message.text(), message.duplicate]);
    return message.text() === 'c' ? 'break' : undefined;
  });
  expect(seen).toEqual([
    ['a', true],
    ['b', true],
    ['c', false],
  ]);
});
