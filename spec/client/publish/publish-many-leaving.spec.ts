import { describe, expect, it } from '@jest/globals';
import { ClosedError } from '../../../lib/errors.ts';
import { settled } from '../../support/fake-clock.ts';
import { errorOf, Stage, watch } from '../../scenarios/stage.ts';
import { gather, puback, source, topics, type Numbered } from './publish-many-rig.ts';

/** A source whose answers come when they are told to. */
function slowSource(): {
  answers: ((answer: unknown) => void)[];
  failures: ((error: unknown) => void)[];
  left: boolean;
  items: AsyncIterable<Numbered>;
} {
  const told = {
    answers: [] as ((answer: unknown) => void)[],
    failures: [] as ((error: unknown) => void)[],
    left: false,
    items: {
      [Symbol.asyncIterator]: (): AsyncIterator<Numbered> => ({
        next: () =>
          new Promise<IteratorResult<Numbered>>((resolve, reject) => {
            told.answers.push(resolve as (answer: unknown) => void);
            told.failures.push(reject);
          }),
        return: async () => {
          told.left = true;
          return { value: undefined, done: true };
        },
      }),
    },
  };
  return told;
}

const item = (id: number, qos: 0 | 1 = 1) => ({
  value: { id, topic: `t/${id}`, payload: id, qos } satisfies Numbered,
  done: false,
});

describe('publishMany() that is left while its source is being asked', () => {
  it('publishes what the source answers after a break: it was pulled', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const slow = slowSource();
    const loop = (async () => {
      for await (const { publication } of client.publishMany(slow.items)) return publication.id;
      return 0;
    })();
    await settled();
    slow.answers[0]!(item(1));
    await stage.clock.advance(0);
    broker.send(puback(1));
    await stage.clock.advance(0);
    expect([await stage.until(loop), slow.left, slow.answers.length]).toEqual([1, true, 2]);
    slow.answers[1]!(item(2));
    await stage.clock.advance(0);
    expect(topics(broker)).toEqual(['t/1', 't/2']);
    broker.send(puback(2));
    await stage.clock.advance(0);
    expect(slow.answers).toHaveLength(2);
    await stage.end(client, broker);
  });

  it('publishes what the source answers after an abort', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const slow = slowSource();
    const controller = new AbortController();
    const { words, done } = gather(client.publishMany(slow.items, { signal: controller.signal }));
    await settled();
    controller.abort(new Error('enough'));
    expect((await errorOf(done)).message).toBe('enough');
    slow.answers[0]!(item(1));
    await stage.clock.advance(0);
    expect([words, topics(broker)]).toEqual([[], ['t/1']]);
    broker.send(puback(1));
    await stage.clock.advance(0);
    await stage.end(client, broker);
  });

  it('says in the log what could not be published any more, as the client is closed', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const slow = slowSource();
    const { words, done } = gather(client.publishMany(slow.items));
    await settled();
    await stage.end(client, broker);
    expect(await errorOf(done)).toBeInstanceOf(ClosedError);
    slow.answers[0]!(item(1));
    await settled();
    expect(words).toEqual([]);
    expect(stage.log.filter((line) => line.startsWith('warn: publishMany'))).toEqual([
      'warn: publishMany: the last message pulled was not published: the client is closed',
    ]);
  });

  it('yields what the source answers while an outcome is still awaited, though the client is closing', async () => {
    const stage = new Stage({ room: 1_000, latency: 100 });
    const { client, broker } = await stage.online();
    const slow = slowSource();
    const { words, done } = gather(client.publishMany(slow.items));
    await settled();
    // Its promise ends when the connection is closed, as the network may be reading its payload until then.
    const payload = new Uint8Array(100_000);
    slow.answers[0]!({ value: { id: 1, topic: 'a', payload, qos: 1 }, done: false });
    await settled();
    await settled();
    const ending = client.disconnect();
    expect(slow.answers).toHaveLength(2);
    slow.answers[1]!(item(2));
    await broker.expect('publish');
    await broker.expect('disconnect');
    broker.close();
    await stage.until(ending);
    expect(await errorOf(done)).toBeInstanceOf(ClosedError);
    expect(words).toEqual(['1: ClosedError', '2: ClosedError']);
  });

  it('ends at once where its iterator is left by hand: next() is done, and the source is not waited for', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const slow = slowSource();
    const iterator = client.publishMany(slow.items)[Symbol.asyncIterator]();
    const [next, left] = [watch(iterator.next()), watch(iterator.return!())];
    await settled();
    expect([next(), left(), slow.left]).toEqual([
      { value: { value: undefined, done: true } },
      { value: { value: undefined, done: true } },
      true,
    ]);
    await stage.end(client, broker);
  });

  it('ends at once where an outcome is awaited; the message goes out', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const iterator = client.publishMany(source(1).items)[Symbol.asyncIterator]();
    const next = watch(iterator.next());
    await settled();
    const left = watch(iterator.return!());
    await settled();
    expect([next(), left()]).toMatchObject([{ value: { done: true } }, { value: { done: true } }]);
    await broker.expect('publish', { topic: 't/1' });
    broker.send(puback(1));
    await stage.clock.advance(0);
    await stage.end(client, broker);
  });

  it('warns of a source that cannot even be ended, and throws why it was left', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const controller = new AbortController();
    const items: AsyncIterable<Numbered> = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise(() => {}),
        return: () => {
          throw new Error('no way out');
        },
      }),
    };
    const { done } = gather(client.publishMany(items, { signal: controller.signal }));
    await settled();
    controller.abort(new Error('enough'));
    expect((await errorOf(done)).message).toBe('enough');
    expect(stage.log.filter((line) => line.includes('no way out'))).toHaveLength(1);
    await stage.end(client, broker);
  });
});
