import { describe, expect, it } from '@jest/globals';
import type { Publication, PublishManyOptions } from '../../../lib/client/publish/publish-many.ts';
import { ClosedError } from '../../../lib/errors.ts';
import { settled } from '../../support/fake-clock.ts';
import { errorOf, Stage, watch } from '../../scenarios/stage.ts';
import { gather, puback, source, topics, type Numbered } from './publish-many-rig.ts';

describe('publishMany()', () => {
  it('sends nothing before it is iterated, and pulls only as long as the window has room', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ maxInflight: 3 });
    const numbers = source(5);
    const outcomes = client.publishMany(numbers.items);
    await stage.clock.advance(0);
    expect(numbers.pulled).toBe(0);
    const { words, done } = gather(outcomes);
    await stage.clock.advance(0);
    expect(numbers.pulled).toBe(3);
    expect(topics(broker)).toEqual(['t/1', 't/2', 't/3']);
    broker.send(puback(2));
    await stage.clock.advance(0);
    expect(numbers.pulled).toBe(4);
    expect(words).toEqual([]);
    broker.send(puback(1), puback(3), puback(4), puback(5));
    await stage.clock.advance(0);
    broker.send(puback(5));
    await stage.clock.advance(0);
    await stage.until(done);
    expect(words).toEqual(['1', '2', '3', '4', '5']);
    expect(numbers.left).toBe(false);
    await stage.end(client, broker);
  });

  it('yields what came of each message in the order of the source, and throws for none', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ protocolVersion: 5 });
    const publications: Numbered[] = [
      { id: 1, topic: 'a', payload: '', qos: 1 },
      { id: 2, topic: 'wrong/#', payload: '' },
      { id: 3, topic: 'b', payload: '', qos: 2 },
      { id: 4, topic: 'c', payload: '' },
      { id: 5, topic: 'd', payload: {} as string },
      { id: 6, topic: 'e', payload: '', qos: 1, retain: true, properties: { contentType: 'x' } },
    ];
    const { words, done } = gather(client.publishMany(publications));
    await stage.clock.advance(0);
    expect(broker.unread).toMatchObject([
      { topic: 'a', qos: 1 },
      { topic: 'b', qos: 2 },
      { topic: 'c', qos: 0 },
      { topic: 'e', qos: 1, retain: true, properties: { contentType: 'x' } },
    ]);
    broker.send({ type: 'pubrec', packetId: 2, reasonCode: 0x97 });
    broker.send(puback(1), puback(3));
    await stage.clock.advance(0);
    await stage.until(done);
    expect(words).toEqual(['1', '2: TypeError', '3: PublishError', '4', '5: TypeError', '6']);
    await stage.end(client, broker);
  });

  it('takes QoS and retain from the call where a message names none', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const items = [
      { id: 1, topic: 'a', payload: '' },
      { id: 2, topic: 'b', payload: '', qos: 0 as const, retain: false },
    ];
    const { done } = gather(client.publishMany(items, { qos: 1, retain: true }));
    await stage.clock.advance(0);
    expect(broker.unread).toMatchObject([
      { topic: 'a', qos: 1, retain: true },
      { topic: 'b', qos: 0, retain: false },
    ]);
    broker.send(puback(1));
    await stage.clock.advance(0);
    await stage.until(done);
    await stage.end(client, broker);
  });

  it('waits for a connection, and goes on after one is lost', async () => {
    const stage = new Stage();
    const client = stage.client({ maxInflight: 2, clientId: 'c', cleanStart: false });
    const numbers = source(3);
    const { words, done } = gather(client.publishMany(numbers.items));
    await stage.clock.advance(0);
    expect(numbers.pulled).toBe(0);
    const first = await stage.connect(client);
    await stage.clock.advance(0);
    expect(numbers.pulled).toBe(2);
    const second = await stage.reconnect(first, { sessionPresent: true });
    second.send(puback(1), puback(2));
    await stage.clock.advance(0);
    second.send(puback(3));
    await stage.clock.advance(0);
    await stage.until(done);
    expect(words).toEqual(['1', '2', '3']);
    await stage.end(client, second);
  });

  it('pulls no further than its reader lets it', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const numbers = source(10_000, 0);
    const outcomes = client.publishMany(numbers.items)[Symbol.asyncIterator]();
    await stage.until(outcomes.next());
    await stage.clock.advance(0);
    expect(numbers.pulled).toBeLessThan(1_100);
    await outcomes.return?.();
    await stage.end(client, broker);
  });

  it('is held back by the socket', async () => {
    const stage = new Stage({ latency: 50, room: 100_000 });
    const { client, broker } = await stage.online();
    const payload = 'x'.repeat(10_000);
    let pulled = 0;
    const items = (function* (): Generator<Numbered> {
      while (pulled < 1_000) yield { id: ++pulled, topic: 'a', payload };
    })();
    const { words, done } = gather(client.publishMany(items));
    await stage.clock.advance(0);
    // What the network takes, and what is held back here before it is too much.
    expect(pulled).toBeGreaterThan(100);
    expect(pulled).toBeLessThan(150);
    await stage.until(done);
    expect(words).toHaveLength(1_000);
    await stage.end(client, broker);
  });
});

describe('the end of publishMany()', () => {
  it('stops the pulling when its loop is left; what was pulled goes out', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ maxInflight: 2 });
    const numbers = source(9);
    const loop = (async () => {
      for await (const { publication } of client.publishMany(numbers.items)) return publication.id;
      return 0;
    })();
    await stage.clock.advance(0);
    broker.send(puback(1));
    await stage.clock.advance(0);
    expect(await stage.until(loop)).toBe(1);
    expect(numbers).toMatchObject({ pulled: 3, left: true });
    broker.send(puback(2), puback(3));
    await stage.clock.advance(0);
    expect(topics(broker)).toEqual(['t/1', 't/2', 't/3']);
    expect(client.stats().pending).toBe(0);
    await stage.end(client, broker);
  });

  it('asks its source to end, and does not wait for one that is being asked', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    let left = false;
    let fail = (_error: Error): void => {};
    const items: AsyncIterable<Numbered> = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise((_resolve, reject) => (fail = reject)),
        return: () => {
          left = true;
          return new Promise(() => {});
        },
      }),
    };
    const { done } = gather(client.publishMany(items));
    await settled();
    await stage.end(client, broker);
    expect(await errorOf(done)).toBeInstanceOf(ClosedError);
    expect(left).toBe(true);
    fail(new Error('too late'));
    await settled();
    expect(stage.log.filter((line) => line.includes('too late'))).toHaveLength(1);
  });

  it('throws what the source throws, after what came before it', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const items = (function* (): Generator<Numbered> {
      yield { id: 1, topic: 'a', payload: '' };
      throw new Error('no more');
    })();
    const { words, done } = gather(client.publishMany(items));
    await stage.clock.advance(0);
    expect((await errorOf(done)).message).toBe('no more');
    expect(words).toEqual(['1']);
    const later = (async function* (): AsyncGenerator<Numbered> {
      yield { id: 1, topic: 'a', payload: '' };
      throw new Error('no more of it');
    })();
    const again = gather(client.publishMany(later));
    expect((await errorOf(again.done)).message).toBe('no more of it');
    expect(again.words).toEqual(['1']);
    await stage.end(client, broker);
  });

  it('comes with the reason of its signal, at once; what was pulled goes out', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ maxInflight: 1 });
    const controller = new AbortController();
    const numbers = source(5);
    const { words, done } = gather(client.publishMany(numbers.items, { signal: controller.signal }));
    await stage.clock.advance(0);
    controller.abort(new Error('enough'));
    expect((await errorOf(done)).message).toBe('enough');
    expect(words).toEqual([]);
    expect(numbers).toMatchObject({ pulled: 1, left: true });
    expect(client.stats().inFlight).toBe(1);
    broker.send(puback(1));
    await stage.clock.advance(0);
    await stage.end(client, broker);
  });

  it('comes with the end of the client: what is unanswered says so, then ClosedError is thrown', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ maxInflight: 2 });
    const numbers = source(5);
    const { words, done } = gather(client.publishMany(numbers.items));
    await stage.clock.advance(0);
    await stage.end(client, broker);
    expect(await errorOf(done)).toBeInstanceOf(ClosedError);
    expect(words).toEqual(['1: ClosedError', '2: ClosedError']);
    expect(numbers).toMatchObject({ pulled: 2, left: true });
  });

  it('has a timeout for each message, not for the whole', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ maxInflight: 1 });
    const { words, done } = gather(client.publishMany(source(2).items, { timeout: 50 }));
    await stage.clock.advance(40);
    broker.send(puback(1));
    await stage.clock.advance(0);
    await stage.clock.advance(40);
    expect(words).toEqual(['1']);
    await stage.clock.advance(40);
    expect(words).toEqual(['1', '2: TimeoutError']);
    // The message is on its way all the same, and has its place in the window until it is answered.
    broker.send(puback(2));
    await stage.until(done);
    await stage.end(client, broker);
  });
});

describe('publishMany() with a signal that is aborted already', () => {
  it('throws its reason at the call', () => {
    const client = new Stage().client();
    const signal = AbortSignal.abort(new Error('never'));
    expect(() => client.publishMany([], { signal })).toThrow('never');
  });

  it('throws its reason where it was aborted between the call and the loop, and pulls nothing', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const controller = new AbortController();
    const numbers = source(3);
    const outcomes = client.publishMany(numbers.items, { signal: controller.signal });
    controller.abort(new Error('too late'));
    const { words, done } = gather(outcomes);
    expect((await errorOf(done)).message).toBe('too late');
    expect([words, numbers.pulled, numbers.left]).toEqual([[], 0, true]);
    await stage.end(client, broker);
  });
});

describe('a source of publishMany() that breaks the rules of iterators', () => {
  it.each([
    ['an async one answers undefined', () => Promise.resolve(undefined)],
    ['an async one answers a number', () => Promise.resolve(7)],
    ['one answers undefined', () => undefined],
    ['one answers null', () => null],
    // oxlint-disable-next-line unicorn/no-thenable
    ['one answers with a thenable that has no catch()', () => ({ then: (f: (a: unknown) => void) => f(5) })],
  ])('makes the loop throw a TypeError, as for await does: %s', async (_, next) => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    let left = false;
    const items = {
      [Symbol.asyncIterator]: () => ({ next, return: () => ((left = true), Promise.resolve({})) }),
    } as unknown as AsyncIterable<Numbered>;
    const { done } = gather(client.publishMany(items));
    const error = await errorOf(done);
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toMatch(/^source: expected an object from next\(\), got /);
    // Whoever has broken them is not asked to end.
    expect(left).toBe(false);
    await stage.end(client, broker);
  });

  it('ends where done is true in any way, as for await does', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const items = { [Symbol.iterator]: () => ({ next: () => ({ done: 1 }) }) };
    const { words, done } = gather(client.publishMany(items as unknown as Iterable<Numbered>));
    await done;
    expect(words).toEqual([]);
    await stage.end(client, broker);
  });
});

describe('the arguments of publishMany()', () => {
  it.each<[unknown, unknown, RegExp]>([
    [7, {}, /^source: expected an iterable or async iterable, got 7/],
    [undefined, {}, /^source: /],
    [[], { qos: 3 }, /^qos: /],
    [[], { retain: 'yes' }, /^retain: /],
    [[], { timeout: -1 }, /^timeout: /],
    [[], { concurrency: 3 }, /^publishMany: expected one of/],
  ])('are checked at once (%#)', (items, options, message) => {
    const client = new Stage().client();
    expect(() => client.publishMany(items as Publication[], options as PublishManyOptions)).toThrow(message);
  });

  it('a source is asked for its iterator only when it is iterated', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    let asked = 0;
    const items: Iterable<Publication> = {
      [Symbol.iterator]: () => {
        asked++;
        return [][Symbol.iterator]();
      },
    };
    const outcomes = client.publishMany(items);
    expect(asked).toBe(0);
    expect(watch(outcomes[Symbol.asyncIterator]().next())()).toBe('pending');
    await settled();
    expect(asked).toBe(1);
    await stage.end(client, broker);
  });
});
